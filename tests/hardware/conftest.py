"""Outside, each test of this folder stands for the one of its name that runs inside the virtual machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.hardware import machine

if TYPE_CHECKING:
    from tests.hardware.house import House
    from tests.hardware.pi import Pi

HERE = Path(__file__).parent
running = pytest.StashKey[dict[str, machine.Machine | machine.MachineError]]()


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of a machine on one worker of xdist: marked here, before xdist looks at the marks."""
    item.add_marker(pytest.mark.xdist_group(f"hardware {_kind(item)}"))
    item.add_marker(pytest.mark.slow)


def _kind(item: pytest.Item) -> str:
    """Which machine a test runs in: one with systemd, and what is installed on it; or a bare one."""
    return "systemd" if item.path.name.startswith("test_systemd") else "bare"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if machine.IS_GUEST or HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item) -> Iterator[pytest.TestReport]:
    """What became of the test inside; one report that says why where it could not run."""
    kernel = machine.kernel()
    if kernel.folder is None:
        yield _report(item, "failed", kernel.why_not) if kernel.is_failure else _skip(item, kernel.why_not)
        return
    if _kind(item) == "systemd" and (why_not := machine.Pi.why_not()):
        yield _skip(item, why_not)
        return
    try:
        for data in _machine(item, kernel.folder).results(_name(item)):
            report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
            report.nodeid = item.nodeid
            yield report
    except machine.MachineError as error:
        yield _report(item, "failed", str(error))


def _machine(item: pytest.Item, kernel: Path) -> machine.Machine:
    """The one that a test runs in, started at the first one."""
    machines, kind = item.config.stash.setdefault(running, {}), _kind(item)
    if kind not in machines:
        machines[kind] = _start(kind, kernel, item)
    found = machines[kind]
    if isinstance(found, machine.MachineError):
        raise found
    return found


def _start(kind: str, kernel: Path, item: pytest.Item) -> machine.Machine | machine.MachineError:
    """A machine for all tests of its kind; or why it cannot be had, which takes as long to find out."""
    make = machine.Pi if kind == "systemd" else machine.Machine
    try:
        made = make(kernel, [_name(other) for other in _ours(item.session) if _kind(other) == kind])
    except machine.MachineError as error:
        return error
    item.config.add_cleanup(made.forget)
    return made


def _skip(item: pytest.Item, why: str) -> pytest.TestReport:
    """The same place for all of them, so that they are told in one line."""
    return _report(item, "skipped", (__file__, 1, f"Skipped: {why}"))


def _report(item: pytest.Item, outcome: Any, why: Any) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, {}, outcome, why, "setup")


def _ours(session: pytest.Session) -> list[pytest.Item]:
    return [item for item in session.items if HERE in item.path.parents]


def _name(item: pytest.Item) -> str:
    """Its node id without the group that xdist appends."""
    return item.nodeid.partition("@")[0]


class Reporter:
    """Inside: sends the report of each phase of each test out."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with (machine.SHARE / "reports").open("a") as file:
            print(json.dumps(data), file=file)


def pytest_configure(config: pytest.Config) -> None:
    if machine.IS_GUEST:
        config.pluginmanager.register(Reporter(config))


@pytest.fixture(scope="session")
def _house(django_db_blocker: DjangoDbBlocker) -> Iterator["House"]:
    from tests.hardware.house import House
    from tests.hardware.settings import site

    with django_db_blocker.unblock():
        house = House(site)
        house.furnish()
        yield house
    site.end()


@pytest.fixture
def house(_house: "House") -> "House":
    """The house with its controller running, everything off, and the trace begun."""
    _house.make_ready()
    return _house


@pytest.fixture(scope="session")
def _pi() -> "Pi":
    from tests.hardware.pi import Pi

    return Pi.installed()


@pytest.fixture
def pi(_pi: "Pi") -> "Pi":
    """A Pi on which the site was installed, with the relays of ON on, and the trace begun."""
    _pi.make_ready()
    return _pi
