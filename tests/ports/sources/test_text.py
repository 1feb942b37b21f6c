import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ports.sources.text import MOST_MARKS, clean, isolated


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("  EVER   GIVEN ", "EVER GIVEN"),
        ("EVER\r\nGIVEN\x00", "EVER GIVEN"),
        ("EVER\u202eNEVIG\u2066", "EVERNEVIG"),
        ("EVER\u00a0GIVEN\u2028", "EVER GIVEN"),
        ("<b>Ægir</b>", "<b>Ægir</b>"),
        ("\ud800", ""),
        ("\x1b[31mRED", "[31mRED"),
        (None, ""),
        (True, ""),
        ({"a": 1}, ""),
        (9074729, "9074729"),
        ("Vie\u0323\u0302t", "Vie\u0323\u0302t"),
        ("\u0301 \u0301A\u0310", "A\u0310"),
        ("Z" + "\u0310\u0324" * 80 + "O", "Z\u0310\u0324\u0310\u0324O"),
        ("\u3164\u2800\ufe0f", ""),
    ],
)
def test_what_a_feed_calls_things_becomes_one_printable_line(told: object, shown: str) -> None:
    assert clean(told) == shown


def test_a_name_of_ten_thousand_characters_is_cut() -> None:
    assert clean("A" * 10_000, 60) == "A" * 60
    assert clean("AB " * 4, 3) == "AB"


@given(st.text())
def test_nothing_is_left_that_a_page_cannot_show(told: str) -> None:
    shown = clean(told)
    assert len(shown) <= 120
    assert clean(shown) == shown
    assert not [character for character in shown if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    marks = "".join("M" if unicodedata.category(character)[0] == "M" else "-" for character in shown)
    assert "M" * (MOST_MARKS + 1) not in marks
    assert not marks.startswith("M")


@pytest.mark.parametrize("name", ["EVER GIVEN", "Ægir", "\u8239 7", ""])
def test_most_names_stand_in_a_sentence_as_they_are(name: str) -> None:
    assert isolated(name) == name


@pytest.mark.parametrize("name", ["\u05e9\u05dc\u05d5\u05dd 7", "A \u0645\u0635", "\U0001e900"])
def test_a_name_from_right_to_left_keeps_to_itself(name: str) -> None:
    assert isolated(name) == f"\u2068{name}\u2069"
