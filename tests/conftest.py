import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings

from accounts import guard
from accounts.models import User
from relays import clock
from relays.models import Board, Relay
from tests.site import ROOT, Site, make_site, migrated_database

# How long an example takes says nothing on a machine that is busy with others.
hypothesis.settings.register_profile("ours", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("ours")

LONGEST_FIRST = ("hardware", "deploy", "browser")


def pytest_configure() -> None:
    """What is ignored here would be by the sites that tests start, which are to hear it.

    Under nohup that is the hangup, and Ctrl-C where a script started us in the background.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes goes first, so that in the end no worker is left alone with it."""
    places = {folder: place for place, folder in enumerate(LONGEST_FIRST)}

    def turn(item: pytest.Item) -> tuple[int, bool]:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return places.get(folder, len(places)), item.get_closest_marker("slow") is None

    items.sort(key=turn)


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_database(tmp_path_factory.mktemp("template"))


@pytest.fixture(autouse=True)
def _nobody_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on guessing starts anew: it is one for the whole process."""
    monkeypatch.setattr(guard, "attempts", guard.Guard())


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Site]:
    """An empty site of real processes."""
    made = make_site(tmp_path_factory.mktemp("s"), template_database)
    yield made
    made.end()


@pytest.fixture
def board(db: None, settings: Settings, tmp_path: Path) -> Board:
    """A simulated board that no controller serves."""
    settings.RUN_DIR = tmp_path
    return Board.objects.create(name="Shed", driver=Board.Driver.SIMULATED)


@pytest.fixture
def served(board: Board) -> Board:
    """The same, with the heartbeat of a controller that never grows old. None runs: nothing is carried out."""
    board.files.beat(at=clock.boot_seconds() + 3600)
    return board


@pytest.fixture
def pump(board: Board) -> Relay:
    return Relay.objects.create(name="Pump", slug="pump", board=board, line="GPIO17", polarity="active-low")


@pytest.fixture
def owner(db: None) -> User:
    """May do everything."""
    return User.objects.create_superuser("anna")


@pytest.fixture
def viewer(db: None) -> User:
    """May look at everything, in the admin too, and change nothing."""
    user = User.objects.create_user("viola", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


@pytest.fixture
def as_owner(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def as_viewer(viewer: User) -> Client:
    client = Client()
    client.force_login(viewer)
    return client
