"""Where a good answer of each source lies, and when it was given. A new source adds its line here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "tests" / "ports" / "samples"
EXAMPLES = ROOT / "ports" / "example"


@dataclass(frozen=True)
class Sample:
    feed: str
    folder: Path
    at: datetime

    @property
    def files(self) -> dict[str, bytes]:
        return read(self.folder)


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix.lower() in (".xml", ".json")
    }


GOOD = {
    "mardep": Sample("hong-kong", EXAMPLES / "hk-mardep-2025-08-22", datetime(2025, 8, 22, 13, 25, tzinfo=UTC)),
    "digitraffic": Sample("FIRAU", SAMPLES / "digitraffic" / "2019", datetime(2019, 10, 23, 12, 41, tzinfo=UTC)),
    "ppa": Sample("bc-coast", SAMPLES / "ppa", datetime(2026, 11, 25, 18, tzinfo=UTC)),
    "colrip": Sample("columbia-river", SAMPLES / "colrip", datetime(2026, 11, 25, 18, tzinfo=UTC)),
}
