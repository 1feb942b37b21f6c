"""What a boot finds of an update that a power cut ended."""

from pathlib import Path

import pytest

from changeover import settle_at_boot
from journal import Journal
from machine import Machine, MachineError
from release import use
from tests.site import ROOT


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One where the next release is in use."""
    made = Machine(tmp_path)
    for name in ("old", "new"):
        (made.releases / name).mkdir(parents=True)
        (made.releases / name / "deploy").symlink_to(ROOT / "deploy")
    use(made, made.releases / "new")
    return made


@pytest.mark.parametrize(("is_open", "release"), [(False, "old"), (True, "new")])
def test_a_boot_goes_back_unless_people_were_let_in(machine: Machine, is_open: bool, release: str) -> None:
    journal = Journal.begin(machine, "old", "new", [], was_ready=True)
    journal.is_open = is_open
    journal.save()
    settle_at_boot(machine)
    assert machine.release == machine.releases / release
    assert Journal.left(machine) is None


def test_a_journal_of_a_later_version_is_read_as_far_as_it_is_known(machine: Machine) -> None:
    journal = Journal.begin(machine, "old", "new", ["iotsite-web.service"], was_ready=True)
    journal.place.write_text(journal.place.read_text().replace("{", '{"colour": "red", '))
    assert Journal.left(machine) == journal


def test_one_that_cannot_be_read_is_not_passed_over(machine: Machine) -> None:
    Journal.begin(machine, "old", "new", [], was_ready=True).place.write_text("{")
    with pytest.raises(MachineError, match="an update was interrupted, and what it had begun is not known"):
        settle_at_boot(machine)
