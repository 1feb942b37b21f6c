import csv
import io
import tracemalloc

import pytest

from iotsite import tables


def read(rows: list[list[object]]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(tables.lines(rows)).decode(), newline="")))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\n=1", " =1", "\xa0=1", "\x00=1", "\u202e=1", "\ufeff=1", "＝1"],
)
def test_nothing_begins_like_a_formula(text: str) -> None:
    [[cell]] = read([[text]])
    assert cell == "'" + text.replace("\x00", "")


@pytest.mark.parametrize(
    "text", ["EVER GIVEN", "1+1", "a=b", "x@y", "北斗", "", "'=1", 'O\'NEILL, "X"; Y', "two\nlines"]
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert read([[text, "end"]]) == [[text, "end"]]


def test_what_no_encoding_takes_breaks_no_table() -> None:
    assert read([["\ud800", 1, None]]) == [["?", "1", "None"]]


def test_a_long_table_takes_the_memory_of_a_few_rows() -> None:
    tracemalloc.start()
    length = sum(len(part) for part in tables.lines(["x" * 100] * 5 for _ in range(50_000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 25_000_000
    assert peak < 2_000_000
