"""What a controller remembers of its lines, kept in RUN_DIR for the next one and for failsafe.py.

A reboot takes it away, which is how a power-up is told from a restart. It is written whole before lines are
moved (what is about to be done) and after (what was done), so that a kill at any moment leaves the truth or,
for a line that was just being moved, both of its levels.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from iotsite.places import read_whole, write_whole
from relays.runfiles import BoardFiles


@dataclass
class LineMemory:
    """One relay's line. Moments are of the boot clock."""

    name: str
    line: str
    active_low: bool
    on_lost: str
    level: bool | None = None
    """What the line does, as far as known: on, off."""
    moving_to: bool | None = None
    """Where it was just being moved."""
    since: float = 0.0
    """When it last moved."""
    command: int = -1
    """The command in the rows that ``asked_at`` and ``until`` belong to."""
    asked_at: float = 0.0
    until: float | None = None
    is_over: bool = False
    """An orderly stop or failsafe.py switched it off: the next start is a power-up for it."""


@dataclass
class Memory:
    boot_id: str
    driver: str
    chip: int | None = None
    ended_well: bool = False
    """The controller ended in good order: ``since`` can be trusted."""
    ons: list[float] = field(default_factory=list)
    lines: dict[int, LineMemory] = field(default_factory=dict)

    def save(self, files: BoardFiles) -> None:
        lines = {number: vars(line) for number, line in self.lines.items()}
        write_whole(files.plan, vars(self) | {"lines": lines})

    @classmethod
    def load(cls, files: BoardFiles, boot_id: str) -> "Memory | None":
        """What the last controller of this boot left; None where there was none."""
        content = read_whole(files.plan)
        if content is None or content.get("boot_id") != boot_id:
            return None
        try:
            lines = {int(key): LineMemory(**_known(LineMemory, value)) for key, value in content.pop("lines").items()}
            return cls(**_known(cls, content), lines=lines)
        except (KeyError, TypeError, ValueError):
            return None


def _known(kept: type, value: dict[str, Any]) -> dict[str, Any]:
    """Only what this version keeps: the file may come from another one, across an upgrade or the way back of one."""
    return {one.name: value[one.name] for one in fields(kept) if one.name in value}
