"""Which vessel a ship of a feed is: the one that is known by her numbers or call sign, or a new one."""

from collections.abc import Iterable
from datetime import datetime

from iotsite.bulk import chunks, insert_all, update_all
from ports.merging import Merge
from ports.models import Identifier, Vessel, VesselName
from ports.models.vessel import NUMBERS
from ports.snapshot import Ship, VesselType


class Register:
    """Finds and makes the vessels of some ships. Nothing is written but by ``save``."""

    def __init__(self, ships: Iterable[Ship], source: str, at: datetime) -> None:
        self.source, self.at = source, at
        self.new: list[Vessel] = []
        self._set_fields: dict[int, tuple[Vessel, list[str]]] = {}
        """Of vessels that are known, what is news."""
        self.names: list[VesselName] = []
        self.identifiers: list[Identifier] = []
        self._by: dict[tuple[str, str], Vessel] = {}
        self._same: dict[int, Vessel] = {}
        self._load(list(ships))

    def _load(self, ships: list[Ship]) -> None:
        for kind in NUMBERS:
            for chunk in chunks({getattr(ship, kind) for ship in ships} - {""}):
                # Under a call sign that two had, the one that was told of first is found.
                for vessel in Vessel.objects.filter(**{f"{kind}__in": chunk}).order_by("id"):
                    self._by.setdefault((kind, getattr(vessel, kind)), self._one(vessel))
        values = {getattr(ship, kind) for ship in ships for kind in NUMBERS} - {""}
        values |= {ship_name(ship.name) for ship in ships if not _is_numbered(ship)}
        for chunk in chunks(values):
            known = Identifier.objects.filter(value__in=chunk, source__in=("", self.source)).select_related("vessel")
            for identifier in known:
                self._by.setdefault((identifier.kind, identifier.value), self._one(identifier.vessel))

    def _one(self, vessel: Vessel) -> Vessel:
        """One object for each vessel, whichever way she was found."""
        return self._same.setdefault(vessel.pk, vessel)

    def vessel_of(self, ship: Ship) -> Vessel:
        """The vessel that ``ship`` is, with what is news about her noted."""
        vessel = self._find(ship)
        if vessel is None:
            return self._make(ship)
        self._update(vessel, ship)
        return vessel

    def doubles(self, ships: Iterable[Ship]) -> list[Merge]:
        """Who was two vessels until a ship told both her IMO number and the call sign that one without had."""
        found: dict[int, Merge] = {}
        for ship in ships:
            known = self._by.get(("imo", ship.imo)) if ship.imo else None
            for kind in ("mmsi", "call_sign"):
                other = self._by.get((kind, getattr(ship, kind)))
                if (
                    known
                    and other
                    and other is not known
                    and not other.imo
                    and ship_name(other.name) == ship_name(ship.name)
                ):
                    found[other.pk] = Merge(stays=known, goes=other)
        return list(found.values())

    def _find(self, ship: Ship) -> Vessel | None:
        if not _is_numbered(ship):
            return self._by.get((Identifier.Kind.NAME, ship_name(ship.name)))
        for kind in NUMBERS:
            vessel = self._by.get((kind, getattr(ship, kind)))
            if vessel and not _is_other(vessel, ship, kind):
                return vessel
        return None

    def _make(self, ship: Ship) -> Vessel:
        vessel = Vessel.new(
            first_seen_at=self.at,
            name=ship.name or next((number for kind in NUMBERS if (number := getattr(ship, kind))), ""),
            **{field: getattr(ship, field) for field in (*NUMBERS, "flag", "type", "source_type")},
        )
        self.new.append(vessel)
        for kind in NUMBERS:
            if number := getattr(ship, kind):
                self._by[kind, number] = vessel
        if not _is_numbered(ship):
            self._by[Identifier.Kind.NAME, ship_name(ship.name)] = vessel
            self._identify(vessel, Identifier.Kind.NAME, ship_name(ship.name), self.source)
        return vessel

    def _update(self, vessel: Vessel, ship: Ship) -> None:
        """Take over what ``ship`` says that was not known. A difference in spelling is none."""
        for field in (*NUMBERS, "flag"):
            told, known = getattr(ship, field), getattr(vessel, field)
            if told and told != known and field not in vessel.corrected and self._is_free(field, told, vessel):
                self._set(vessel, field, told)
                if field in NUMBERS:
                    self._by[field, told] = vessel
                    if known:
                        self._identify(vessel, Identifier.Kind(field), known)
        if vessel.type == VesselType.OTHER and ship.type != VesselType.OTHER and "type" not in vessel.corrected:
            self._set(vessel, "type", ship.type)
            self._set(vessel, "source_type", ship.source_type)
        if ship.name and not _is_called(vessel, ship) and "name" not in vessel.corrected:
            self._rename(vessel, ship.name)

    def _is_free(self, field: str, told: str, vessel: Vessel) -> bool:
        """Whether no other vessel has this IMO number, which is one vessel's alone."""
        return field != "imo" or self._by.get(("imo", told), vessel) is vessel

    def _rename(self, vessel: Vessel, name: str) -> None:
        for told, since in ((vessel.name, vessel.first_seen_at), (name, self.at)):
            self.names.append(VesselName(vessel=vessel, name=told, first_seen_at=since))
        self._set(vessel, "name", name)

    def _set(self, vessel: Vessel, field: str, value: object) -> None:
        setattr(vessel, field, value)
        if vessel.pk:
            self._set_fields.setdefault(vessel.pk, (vessel, []))[1].append(field)

    def _identify(self, vessel: Vessel, kind: Identifier.Kind, value: str, source: str = "") -> None:
        self.identifiers.append(Identifier.new(vessel=vessel, kind=kind, value=value, source=source))

    def save(self) -> None:
        """Write it all; within a transaction of the caller's."""
        insert_all(self.new)
        self._save_known()
        VesselName.objects.bulk_create(self.names, ignore_conflicts=True)
        Identifier.objects.bulk_create(self.identifiers, ignore_conflicts=True)

    def _save_known(self) -> None:
        """What a person put right since these vessels were read stays as he put it."""
        corrected: dict[int, list[str]] = {}
        for chunk in chunks(self._set_fields):
            corrected |= dict(Vessel.objects.filter(pk__in=chunk).values_list("pk", "corrected"))
        alike: dict[tuple[str, ...], list[Vessel]] = {}
        for vessel, fields in self._set_fields.values():
            free = tuple(name for name in dict.fromkeys(fields) if name not in corrected.get(vessel.pk, ()))
            alike.setdefault(free, []).append(vessel)
        for names, vessels in alike.items():
            if names:
                update_all(vessels, *names)


def ship_name(name: str) -> str:
    """A name without what is spelling only."""
    return " ".join(name.split()).casefold()[:120]


def _is_called(vessel: Vessel, ship: Ship) -> bool:
    return ship_name(vessel.name) == ship_name(ship.name)


def _is_numbered(ship: Ship) -> bool:
    return bool(ship.imo or ship.mmsi or ship.call_sign)


def _is_other(vessel: Vessel, ship: Ship, kind: str) -> bool:
    """Whether a stronger number says that ``vessel``, found by ``kind``, is another ship that had it before."""
    stronger = NUMBERS[: NUMBERS.index(kind)]
    return any(
        getattr(vessel, number) and getattr(ship, number) and getattr(vessel, number) != getattr(ship, number)
        for number in stronger
    )
