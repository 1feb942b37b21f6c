from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relays import durations
from relays.durations import LONGEST, SHORTEST, exact, parse, words

SANE = st.integers(SHORTEST // timedelta(milliseconds=1), LONGEST // timedelta(milliseconds=1)).map(
    lambda count: timedelta(milliseconds=count)
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("90s", 90_000),
        ("10m", 600_000),
        ("2h30m", 9_000_000),
        (" 2H 30 M ", 9_000_000),
        ("30m2h", 9_000_000),
        ("1.5h", 5_400_000),
        ("0.1s", 100),
        ("100ms", 100),
        ("30d", 2_592_000_000),
        ("1d2h3m4s5ms", 93_784_005),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, milliseconds: int) -> None:
    assert parse(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10",
        "ten minutes",
        "-5m",
        "10 minutes",
        "1:30",
        "5m!",
        "m",
        "1..5h",
        "1,5h",
        "١٠m",
        "1e3s",
        "inf s",
        "\0",
    ],
)
def test_what_is_no_duration_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value) == f"“{text}” is not a duration: write it like 500ms, 90s, 10m or 2h30m."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("5m5m", "“5m5m” names a unit twice: write it like 500ms, 90s, 10m or 2h30m."),
        ("0s", "“0s” is too short: at least 100ms."),
        ("99ms", "“99ms” is too short: at least 100ms."),
        ("99.9ms", "“99.9ms” is too short: at least 100ms."),
        ("31d", "“31d” is too long: at most 30 days."),
        ("30d1ms", "“30d1ms” is too long: at most 30 days."),
        (f"{'9' * 400}h", f"“{'9' * 400}h” is too long: at most 30 days."),
    ],
)
def test_a_duration_that_is_not_sane_says_why(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value) == sentence


@given(SANE)
def test_a_duration_in_full_reads_back_as_itself(duration: timedelta) -> None:
    assert parse(exact(duration)) == duration


@given(SANE)
def test_a_duration_for_a_glance_is_readable_and_close(duration: timedelta) -> None:
    assert timedelta(0) <= duration - parse(words(duration)) < duration * 0.1


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        duration = parse(text)
    except ValueError as refused:
        said = str(refused)
    else:
        said = f"“{text}” is {exact(duration)}"
        assert SHORTEST <= duration <= LONGEST
    assert said.startswith(f"“{text}” ")


def test_seconds_are_written_like_durations() -> None:
    assert [words(0), words(0.5), words(5400), words(3723.004)] == ["0s", "500ms", "1h30m", "1h2m"]
    assert exact(timedelta(0)) == "0s"
    assert durations.exact(timedelta(hours=1, minutes=2, seconds=3, milliseconds=4)) == "1h2m3s4ms"
