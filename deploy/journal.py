"""What an update has begun, kept on the disk until it is done: whoever comes after a power cut reads it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from machine import Machine, MachineError


@dataclass
class Journal:
    """The way back of one update."""

    place: Path
    old: str
    """The release that it came from."""
    new: str
    services: list[str] = field(default_factory=list)
    """The units that ran before."""
    was_ready: bool = True
    """The site said so before."""
    backup: str = ""
    """Of the database, where the way back has to put that back."""
    is_open: bool = False
    """The web server was started on the new release: what people asked of it since is in the database."""

    @classmethod
    def _place(cls, machine: Machine) -> Path:
        return machine.releases.with_name("update.json")

    @classmethod
    def begin(cls, machine: Machine, old: str, new: str, services: list[str], *, was_ready: bool) -> Journal:
        journal = cls(cls._place(machine), old, new, services, was_ready)
        journal.save()
        return journal

    @classmethod
    def left(cls, machine: Machine) -> Journal | None:
        """That of an update which did not end; None where the last one did."""
        place = cls._place(machine)
        known = [one.name for one in fields(cls)]
        try:
            content = json.loads(place.read_text())  # of the release before or after, which may say more or less
            return cls(place, **{name: content[name] for name in known if name in content})
        except FileNotFoundError:
            return None
        except (OSError, TypeError, ValueError) as error:
            raise MachineError(
                f"{place} cannot be read ({error}): an update was interrupted, and what it had begun is not known. "
                "Look whether “sudo iotsite doctor” finds all well, then remove that file."
            ) from error

    def save(self) -> None:
        """Write it, whole, so that a power cut leaves this one or the one before."""
        draft = self.place.with_suffix(".draft")
        content = {name: value for name, value in asdict(self).items() if name != "place"}
        with draft.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.place)
        _sync(self.place.parent)

    def end(self) -> None:
        self.place.unlink()
        _sync(self.place.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
