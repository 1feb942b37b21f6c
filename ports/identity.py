"""The numbers that ships are known by, and how to tell a right one from noise."""

_WEIGHTS = (7, 6, 5, 4, 3, 2)


def is_imo(number: str) -> bool:
    """Seven digits, the last of which is the sum of the others, weighted 7 to 2, modulo 10 (IMO A.1117(30))."""
    if len(number) != 7 or not (number.isascii() and number.isdigit()):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False))
    return total % 10 == int(number[6]) and number != "0000000"


def is_mmsi(number: str) -> bool:
    """Nine digits that are not a zero in disguise."""
    return len(number) == 9 and number.isascii() and number.isdigit() and int(number) > 0


def imo(number: object) -> str:
    """``number`` as an IMO number; empty where it is none."""
    text = str(number or "").strip()
    return text if is_imo(text) else ""


def mmsi(number: object) -> str:
    """``number`` as an MMSI; empty where it is none."""
    text = str(number or "").strip()
    return text if is_mmsi(text) else ""


def call_sign(text: object) -> str:
    """``text`` as a call sign is written: in capitals, without spaces, 20 at most; else as it was told."""
    return "".join(str(text or "").split()).upper()[:20]
