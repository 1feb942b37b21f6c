import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ports.sources.text import clean


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
