"""The berths of a port, as a feed names them: by the source's code, or by a name that is spelt now so, now so."""

from datetime import datetime
from functools import lru_cache

from ports.models import Berth, BerthName, Port
from ports.snapshot import StayReport


class Berths:
    """The berths of one port, found by their keys or made."""

    def __init__(self, port: Port, at: datetime) -> None:
        self.port, self.at = port, at
        self._known = {berth.key: berth for berth in port.berths.all()}
        self._new: list[Berth] = []
        self._renamed: list[Berth] = []
        self._names: list[BerthName] = []

    def berth(self, told: StayReport) -> Berth:
        key = told.key or berth_key(told.berth)
        berth = self._known.get(key)
        if berth is None:
            berth = Berth(port=self.port, key=key, name=told.berth, area=told.area, kind=told.kind)
            self._known[key] = berth
            self._new.append(berth)
        elif told.berth != berth.name:
            self._rename(berth, told.berth)
        return berth

    def _rename(self, berth: Berth, name: str) -> None:
        self._names += [BerthName(berth=berth, name=told, first_seen_at=self.at) for told in (berth.name, name)]
        berth.name = name
        self._renamed.append(berth)

    def save(self) -> None:
        Berth.objects.bulk_create(self._new)
        Berth.objects.bulk_update([berth for berth in self._renamed if berth not in self._new], ["name"])
        BerthName.objects.bulk_create(self._names, ignore_conflicts=True)


@lru_cache
def berth_key(name: str) -> str:
    """A berth's name without what feeds write now so, now so: spaces, dots, dashes and case."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())[:120] or name[:120]
