"""Whatever lists that lag each other say of one ship, her visits make sense. Examples of it are in test_mardep.py."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ports.sources.visits import Word, join, meet

HOURS = [datetime(2025, 8, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(12)]
moments = st.none() | st.sampled_from(HOURS)
arrivals = st.lists(st.builds(Word, moments, st.just({}), has_left=st.booleans()), max_size=4)
listed = st.lists(st.builds(Word, moments, st.just({})), max_size=2)
departures = st.lists(st.builds(Word, moments, st.just({})), max_size=4)


@given(arrivals, listed, departures)
def test_visits_make_sense(arrived: list[Word], in_port: list[Word], departed: list[Word]) -> None:
    visits = join(arrived, in_port, departed)
    assert sum(not visit.is_over for visit in visits) <= 1
    assert all(visit.ata <= visit.atd for visit in visits if visit.ata and visit.atd)
    when = [moment for visit in visits if (moment := visit.ata or visit.atd)]
    assert when == sorted(when)


@given(arrivals, listed, departures)
def test_no_departure_and_no_arrival_that_ended_is_lost(
    arrived: list[Word], in_port: list[Word], departed: list[Word]
) -> None:
    visits = join(arrived, in_port, departed)
    kept = [id(visit.departed) for visit in visits if visit.departed]
    assert sorted(kept) == sorted(id(word) for word in departed)
    ended = {id(visit.arrived) for visit in visits if visit.arrived and visit.is_over}
    assert ended >= {id(word) for word in arrived if word.has_left}


@given(arrivals, listed, departures)
def test_who_is_listed_is_here_unless_a_later_word_says_that_she_left(
    arrived: list[Word], in_port: list[Word], departed: list[Word]
) -> None:
    since = [word.at for word in in_port if word.at]
    ends = [word.at for word in departed] + [word.at for word in arrived if word.has_left]
    here = [visit for visit in join(arrived, in_port, departed) if not visit.is_over]
    if since and all(end is not None and end < min(since) for end in ends):
        assert len(here) == 1
        assert here[0].in_port


def test_of_two_arrivals_at_one_moment_the_one_that_is_remarked_ended() -> None:
    here, left, end = Word(HOURS[1], {}), Word(HOURS[1], {}, has_left=True), Word(HOURS[2], {})
    for arrived in ([here, left], [left, here]):
        visits = join(arrived, [], [end])
        assert [visit.departed for visit in visits if visit.arrived is left] == [end]


@given(st.data(), arrivals, departures)
def test_the_order_of_rows_says_nothing(data: st.DataObject, arrived: list[Word], departed: list[Word]) -> None:
    def told(arrived: list[Word], departed: list[Word]) -> list[tuple[object, ...]]:
        return sorted(
            ((visit.ata, visit.atd, visit.is_over) for visit in join(arrived, [], departed)), key=lambda told: str(told)
        )

    shuffled = data.draw(st.permutations(arrived)), data.draw(st.permutations(departed))
    assert told(*shuffled) == told(arrived, departed)


@given(arrivals, listed, st.lists(moments, unique=True))
def test_an_eta_is_met_by_who_is_here_or_still_to_come(
    arrived: list[Word], in_port: list[Word], etas: list[datetime | None]
) -> None:
    visits = join(arrived, in_port, [])
    still = meet(visits, etas)
    here = next((visit for visit in visits if not visit.is_over and visit.ata), None)
    for eta in etas:
        is_met = bool(here and here.ata and eta and eta <= here.ata)
        assert (eta in still) != is_met
    assert all(visit.eta is None for visit in visits if visit.is_over)
