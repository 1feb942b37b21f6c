"""What a feed calls things, made fit to be shown: hostile until then."""

import re
from unicodedata import category

MOST_MARKS = 4
"""On one letter, as in no language more: a heap of them is painted over what stands above and below."""
_UNSEEN = "\u115f\u1160\u2800\u3164\uffa0"
"""What counts as a letter, and is blank."""
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


def clean(text: object, longest: int = 120) -> str:
    """One line of printable characters, single spaces between its words, cut after ``longest``.

    Neither control characters nor those that turn the direction of what follows are kept, nor letters that cannot be
    seen, nor heaps of accents. Whatever is neither text nor a number is nothing.
    """
    if not isinstance(text, str):
        text = str(text) if isinstance(text, int | float) and not isinstance(text, bool) else ""
    if not (text.isascii() and text.isprintable()):
        text = _shown(text)
    return " ".join(text.split())[:longest].rstrip()


def isolated(text: str) -> str:
    """``text`` as a part of a sentence: written from right to left, it does not turn what stands beside it."""
    if text.isascii() or not _RIGHT_TO_LEFT.search(text):
        return text
    return f"\u2068{text}\u2069"


def _shown(text: str) -> str:
    kept, marks = [], MOST_MARKS  # at the beginning there is no letter that could bear one
    for character in text:
        if character.isspace():
            kept.append(" ")
        elif category(character).startswith("M"):
            marks += 1
            kept.append(character if marks <= MOST_MARKS else "")
        elif character.isprintable() and character not in _UNSEEN:
            kept.append(character)
            marks = 0
    return "".join(kept)
