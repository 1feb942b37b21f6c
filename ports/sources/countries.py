"""The letters of a country (ISO 3166-1) from what registers of ships call it."""

from functools import cache

import pycountry

_CALLED = {
    "BRITISH VIRGIN ISLANDS": "VG",
    "CAPE VERDE": "CV",
    "COOK ISLANDS, NEW ZEALAND": "CK",
    "CZECH REPUBLIC": "CZ",
    "HONG KONG, CHINA": "HK",
    "IRAN": "IR",
    "IVORY COAST": "CI",
    "MACAO, CHINA": "MO",
    "MACAU": "MO",
    "MADEIRA": "PT",
    "NORTH KOREA": "KP",
    "RUSSIA": "RU",
    "SAINT VINCENT": "VC",
    "SOUTH KOREA": "KR",
    "ST KITTS AND NEVIS": "KN",
    "ST VINCENT AND THE GRENADINES": "VC",
    "SWAZILAND": "SZ",
    "TAIWAN, CHINA": "TW",
    "TURKEY": "TR",
    "UNITED KINGDOM OF GREAT BRITAIN": "GB",
    "UK": "GB",
    "USA": "US",
}


def letters(called: str) -> str:
    """The two letters of the country that is ``called`` so, or by its letters; empty where there is none."""
    return _known().get(_plain(called), "")


def _plain(name: str) -> str:
    return " ".join(name.upper().replace("&", " AND ").replace(".", "").split())


@cache
def _known() -> dict[str, str]:
    known: dict[str, str] = {}
    for country in pycountry.countries:
        names = [country.name, *(getattr(country, field, "") for field in ("official_name", "common_name"))]
        # “Korea, Republic of” is also the Republic of Korea.
        names += [" ".join(reversed(name.split(", "))) for name in names if name.count(", ") == 1]
        for name in (*names, country.alpha_2, country.alpha_3):
            known[_plain(name)] = country.alpha_2
    known.pop("", None)
    return known | _CALLED
