"""The visits of one ship, joined from lists that lag each other: who arrived, who is in port, who departed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Word:
    """What one list says of the ship."""

    at: datetime | None
    """When she arrived or departed; None where that cannot be read."""
    row: Row
    has_left: bool = False
    """Of an arrival: it is remarked that she departed since."""


@dataclass(slots=True)
class Visit:
    """A time in port, and the words that tell of it."""

    arrived: Word | None = None
    in_port: Word | None = None
    departed: Word | None = None
    eta: datetime | None = None

    @property
    def ata(self) -> datetime | None:
        word = self.in_port or self.arrived
        return word.at if word else None

    @property
    def atd(self) -> datetime | None:
        return self.departed.at if self.departed else None

    @property
    def is_over(self) -> bool:
        return self.departed is not None or (self.arrived is not None and self.arrived.has_left)

    @property
    def rows(self) -> list[Row]:
        """The latest word first."""
        return [word.row for word in (self.departed, self.in_port, self.arrived) if word]


def join(arrived: Sequence[Word], in_port: Sequence[Word], departed: Sequence[Word]) -> list[Visit]:
    """The visits in the order of time; at most one of them is not over."""
    visits = [Visit(arrived=word) for word in sorted(arrived, key=_when)]
    for word in in_port:
        _add_in_port(visits, word)
    for word in sorted(departed, key=_when):
        _add_departure(visits, word)
    return sorted(_possible(visits), key=lambda visit: or_last(visit.ata or visit.atd))


def meet(visits: Sequence[Visit], etas: Sequence[datetime | None]) -> list[datetime | None]:
    """Those of ``etas`` that are still to come. Who came at one or after it, and is here, is expected no more."""
    here = next((visit for visit in visits if not visit.is_over and visit.ata), None)
    if here is None:
        return list(etas)
    met = [eta for eta in etas if eta and eta <= or_last(here.ata)]
    here.eta = max((eta for eta in met if eta), default=None)
    return [eta for eta in etas if eta not in met]


def or_last(moment: datetime | None) -> datetime:
    """For putting moments in order, an unknown one after all others."""
    return moment or datetime.max.replace(tzinfo=UTC)


def _when(word: Word) -> datetime:
    return or_last(word.at)


def _add_in_port(visits: list[Visit], word: Word) -> None:
    """To the arrival of that moment."""
    same = next((visit for visit in visits if visit.ata == word.at and visit.in_port is None), None)
    if same:
        same.in_port = word
    else:
        visits.append(Visit(in_port=word))


def _add_departure(visits: list[Visit], word: Word) -> None:
    """To the last arrival before it, even if another list has her in port still: that one lags."""
    could = [visit for visit in visits if _could_end(visit, word)]
    latest = max(could, key=lambda visit: (or_last(visit.ata), visit.is_over), default=None)
    if latest:
        latest.departed = word
    else:
        visits.append(Visit(departed=word))


def _could_end(visit: Visit, word: Word) -> bool:
    if visit.departed:
        return False
    return or_last(visit.ata) <= _when(word) or (visit.ata is None and visit.is_over)


def _possible(visits: list[Visit]) -> list[Visit]:
    """A ship lies in port once at a time: an arrival without an end before another one was put right by that.

    Of two that have no end, the one that the list in port has is right.
    """
    over = [visit for visit in visits if visit.is_over]
    left_last = max((visit.ata for visit in over if visit.ata), default=None)
    still = [visit for visit in visits if not visit.is_over and not (left_last and or_last(visit.ata) < left_last)]
    here = max(still, key=lambda visit: (visit.in_port is not None, or_last(visit.ata)), default=None)
    return [*over, here] if here else over
