"""The virtual machine's GPIO chip from the kernel's side: pulls, what freed lines do, the trace of every change."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
PERSIST = Path("/sys/module/gpio_sim/parameters/persist_outputs")
# What gpio-sim.patch prints, after the kernel's own "python-812 [000] ..... 41.250871: ".
ROW = re.compile(r"-(\d+) +\[\d+\] \S+ +([\d.]+): .*line=(\d+) level=(\d) driven=(\d) cause=(\w+)")


@dataclass(frozen=True)
class Step:
    """One thing that was done to a line: output or input (how it was claimed), set, free, pull."""

    pid: int
    at: float
    """On the clock of time.monotonic()."""
    line: str
    level: int
    """The pin's, 1 is high."""
    is_driven: bool
    cause: str


def steps_in(trace: Path) -> list[Step]:
    rows = [row for row in trace.read_text().splitlines() if not row.startswith("#")]
    found = [match.groups() for row in rows if (match := ROW.search(row))]
    assert len(found) == len(rows), f"not understood: {rows}"
    return [
        Step(int(pid), float(at), f"GPIO{number}", int(level), driven == "1", cause)
        for pid, at, number, level, driven, cause in found
    ]


def edges_of(steps: list[Step], levels: dict[str, int]) -> list[Step]:
    """The steps that changed a level."""
    levels = dict(levels)
    edges = []
    for step in steps:
        if levels[step.line] != step.level:
            edges.append(step)
        levels[step.line] = step.level
    return edges


@dataclass
class Chip:
    folder: Path = field(default_factory=lambda: Path(os.environ["GPIO_SIM"]))
    levels: dict[str, int] = field(default_factory=dict)
    """What each line did when the trace began, which is now if they are not given."""

    def __post_init__(self) -> None:
        if not self.levels:
            self.begin()

    def begin(self) -> None:
        """Forget what was traced so far."""
        (TRACING / "trace").write_text("")
        self.levels = {line: self.level(line) for line in (f"GPIO{number}" for number in range(28))}

    def level(self, line: str) -> int:
        return int(self._file(line, "value").read_text())

    def pull(self, line: str, *, up: bool) -> None:
        """What a relay board does to a line that nobody drives."""
        self._file(line, "pull").write_text("pull-up" if up else "pull-down")

    def keep_outputs(self, keeps: bool) -> None:
        """Whether a freed line goes on driving its level, as on a Pi by default, or becomes an input."""
        PERSIST.write_text("Y" if keeps else "N")

    def steps(self, line: str | None = None) -> list[Step]:
        """Everything that was done to a line, or to all of them, since the trace began."""
        assert all("overrun: 0\n" in stats.read_text() for stats in TRACING.glob("per_cpu/cpu*/stats")), "steps lost"
        return [step for step in steps_in(TRACING / "trace") if line in (None, step.line)]

    def edges(self, line: str | None = None) -> list[Step]:
        """The steps that changed a level."""
        return edges_of(self.steps(line), self.levels)

    def claims(self) -> dict[str, list[str]]:
        """How each line was claimed since the trace began, and freed."""
        claims: dict[str, list[str]] = {}
        for step in self.steps():
            if step.cause in ("input", "output", "free"):
                claims.setdefault(step.line, []).append(step.cause)
        return claims

    def _file(self, line: str, name: str) -> Path:
        return self.folder / f"sim_gpio{line.removeprefix('GPIO')}" / name
