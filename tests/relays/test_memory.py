from pathlib import Path

from iotsite.places import read_whole, write_whole
from relays.memory import LineMemory, Memory
from relays.runfiles import BoardFiles


def test_what_a_newer_version_left_is_taken_up_by_an_older_one(tmp_path: Path) -> None:
    """A way back from an update: whoever could not read it would take the start for a power-up, and switch off."""
    files = BoardFiles(tmp_path, 1)
    Memory("this boot", "simulated", lines={7: LineMemory("Lamp", "GPIO17", True, "off", level=True)}).save(files)
    later = read_whole(files.plan) or {}
    later["lines"]["7"]["colour"] = later["colour"] = "red"
    write_whole(files.plan, later)
    left = Memory.load(files, "this boot")
    assert left is not None
    assert left.lines[7].level is True
