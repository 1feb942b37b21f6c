"""Countries by their two letters (ISO 3166-1), in the short name that people use."""

from functools import cache

import pycountry

_SHORTER = {
    "BN": "Brunei",
    "CD": "DR Congo",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "GB": "United Kingdom",
    "HK": "Hong Kong",
    "KP": "North Korea",
    "KR": "South Korea",
    "LA": "Laos",
    "MO": "Macao",
    "PS": "Palestine",
    "RU": "Russia",
    "SY": "Syria",
    "TR": "Turkey",
    "US": "United States",
    "VA": "Vatican",
    "VC": "Saint Vincent",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
}


@cache
def names() -> dict[str, str]:
    """Every country's name, by its letters."""
    return {one.alpha_2: getattr(one, "common_name", one.name) for one in pycountry.countries} | _SHORTER


def name(letters: str) -> str:
    """The country's name; the letters themselves where there is none."""
    return names().get(letters, letters)
