"""Two vessels that are one: what a merge moves, and the merge. Calls, names, stars and numbers go to who stays."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from ports.models import Change, Follow, Identifier, PortCall, Vessel, VesselName
from ports.models.vessel import NUMBERS, FollowQuerySet
from ports.snapshot import OPEN, Status, VesselType

FILLED = (*NUMBERS, "flag", "source_type")
TOLD = ("eta", "etd", "ata", "atd", "pilot_ordered_at", "leaves_at", "berth_id", "agent", "previous_port", "next_port")


@dataclass(frozen=True)
class Doubling:
    """Two open calls at one port that are one visit of one vessel."""

    stays: PortCall
    ends: PortCall


@dataclass(frozen=True)
class Merge:
    stays: Vessel
    goes: Vessel

    # --- what it would do, for whoever decides --------------------------------------------------------------

    @property
    def calls(self) -> int:
        return self.goes.calls.count()

    @property
    def names(self) -> list[str]:
        """Names that she had besides."""
        had = [self.goes.name, *self.goes.names.values_list("name", flat=True)]
        return sorted({*had} - {self.stays.name, *self.stays.names.values_list("name", flat=True)})

    @property
    def identifiers(self) -> list[Identifier]:
        """What she is recognised by, and from then on the one that stays is."""
        known = [
            Identifier(vessel=self.stays, kind=kind, value=value)
            for kind in NUMBERS
            if (value := getattr(self.goes, kind)) and value != getattr(self.stays, kind)
        ]
        return known + list(self.goes.identifiers.order_by("kind", "value"))

    @property
    def followers(self) -> int:
        """Who follows her and not yet the one that stays."""
        return self._new_followers().count()

    @property
    def contradictions(self) -> list[str]:
        """Fields in which both say something, and not the same: a reason to look twice."""
        pairs = ((field, getattr(self.stays, field), getattr(self.goes, field)) for field in (*NUMBERS, "flag"))
        return [field for field, one, other in pairs if one and other and one != other]

    def doublings(self) -> list[Doubling]:
        """A source without call numbers has one open call for a vessel, port and status: of two the richer stays."""
        unnumbered = {"key": "", "status__in": OPEN}
        mine = {(call.port_id, call.status): call for call in self.stays.calls.filter(**unnumbered).order_by("-id")}
        found = []
        for hers in self.goes.calls.filter(**unnumbered).order_by("id"):
            if other := mine.get((hers.port_id, hers.status)):
                poorer, richer = sorted((hers, other), key=_worth)
                found.append(Doubling(stays=richer, ends=poorer))
                mine[hers.port_id, hers.status] = richer
        return found

    # --- doing it -------------------------------------------------------------------------------------------

    def carry_out(self) -> None:
        """All of it or nothing. Afterwards ``goes`` is deleted."""
        with transaction.atomic():
            for doubling in self.doublings():
                _end(doubling.ends)
            self.goes.calls.update(vessel=self.stays)
            self._hand_over_names()
            identifiers = self.identifiers
            self.goes.identifiers.update(vessel=self.stays)
            self._new_followers().update(vessel=self.stays)
            self.goes.delete()  # before its numbers are taken over: an IMO number is one vessel's alone
            self._fill()
            for identifier in identifiers:
                if getattr(self.stays, identifier.kind, None) != identifier.value:
                    self.stays.be_known_by(identifier.kind, identifier.value, identifier.source)

    def _hand_over_names(self) -> None:
        names = [(told.name, told.first_seen_at) for told in VesselName.objects.filter(vessel=self.goes)]
        if self.goes.name != self.stays.name:
            names += [(vessel.name, vessel.first_seen_at) for vessel in (self.goes, self.stays)]
        for name, since in names:
            self.stays.be_called(name, since)

    def _new_followers(self) -> "FollowQuerySet":
        return Follow.objects.filter(vessel=self.goes).exclude(user__in=self.stays.followers.values("user"))

    def _fill(self) -> None:
        """Take over what only she knew. Where each had an IMO number, the one that was chosen is kept from then on."""
        stays, goes = self.stays, self.goes
        corrected = {*stays.corrected}
        if "imo" in self.contradictions:
            corrected.add("imo")
        if stays.type == VesselType.OTHER and "type" not in corrected:
            stays.type = goes.type
        for field in FILLED:
            if not getattr(stays, field) and field not in corrected:
                setattr(stays, field, getattr(goes, field))
                corrected |= {field} & {*goes.corrected}
        stays.corrected = sorted(corrected)
        stays.first_seen_at = min(stays.first_seen_at, goes.first_seen_at)
        stays.save()


def _worth(call: PortCall) -> tuple[bool, int, int, int]:
    """Which of two open calls to keep: the one that is in the feed, tells more, and was told of first."""
    told = sum(bool(getattr(call, field)) for field in TOLD)
    return call.last_seen_at is None, told, call.stays.count(), -call.pk


def _end(call: PortCall) -> None:
    """Close a call of which another one tells already. Not departed: nobody said so."""
    now = timezone.now()
    Change.objects.create(
        port=call.port, call=call, field=Change.Field.STATUS, was=call.status, became=Status.GONE, seen_at=now
    )
    call.status = Status.GONE
    call.last_seen_at = call.last_seen_at or call.port.last_look() or now
    call.save(update_fields=["status", "last_seen_at"])
    call.stays.filter(seen_until=None).update(seen_until=call.last_seen_at)
