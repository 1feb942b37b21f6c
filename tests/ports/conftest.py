from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from ports.sources import registry
from tests.ports.told import Teller


@pytest.fixture
def feed(db: None, settings: Settings, tmp_path: Path) -> Iterator[Teller]:
    """A feed that tells what a test wants, and has told nothing yet."""
    settings.RUN_DIR = tmp_path
    yield Teller.make()
    registry().pop("told", None)


@pytest.fixture
def known(feed: Teller) -> Teller:
    """The same, after a first load that found both ports empty but for one old ship."""
    from ports.snapshot import Status
    from tests.ports.told import call, hour

    feed.tell(call(Status.IN_PORT, "OLD LADY", ata=hour(-500)), at=0)
    return feed
