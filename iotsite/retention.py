"""How long histories are kept: days of settings. What that means for each stands in iotsite/histories.py.

Standard library only, as all that the settings need.
"""

SETTINGS = ("KEEP_EVENTS", "KEEP_CHANGES", "KEEP_REFRESHES")
DEFAULT = "730"
MOST = 36_500
"""A hundred years."""


class RetentionError(Exception):
    """What is not a time to keep something, with a sentence that says how to write one."""


def days(name: str, text: str) -> int:
    """The days that the setting of this name says; 0 is for ever."""
    if text.isascii() and text.isdecimal() and int(text[:9]) <= MOST:
        return int(text)
    raise RetentionError(f"{name} is “{text}”: it takes days, 1 to {MOST}, like 730 for two years, or 0 for ever.")
