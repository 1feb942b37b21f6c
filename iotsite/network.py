"""Addresses in numbers: where the web server listens, and whose word about others it takes.

Standard library only, as all that the settings need.
"""

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NetworkError(Exception):
    """What is not an address, with a sentence that says how to write one."""


def listening(text: str) -> tuple[str, int]:
    """The address and the port that LISTEN says."""
    host, _, port = text.rpartition(":")
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535:
            return str(found), int(port)
    except ValueError:
        pass
    raise NetworkError(
        f"LISTEN is “{text}”: it takes an address in numbers and a port, like 127.0.0.1:8000 for this machine alone or "
        "0.0.0.0:8000 for the whole network."
    )


def proxies(texts: Iterable[str]) -> list[Network]:
    """The networks that TRUSTED_PROXIES says; an address is one of its own."""
    return [_network(text.strip()) for text in texts if text.strip()]


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise NetworkError(
            f"TRUSTED_PROXIES has “{text}”: it takes addresses in numbers, with commas, like 127.0.0.1,192.168.1.0/24."
        ) from error


def address(text: str) -> Address | None:
    """An address as headers and sockets write it: in brackets, with a port, IPv4 in IPv6's clothes; None for others."""
    host = text.strip()
    if host.startswith("[") and "]" in host:
        host, _, _ = host[1:].partition("]")
    elif host.count(":") == 1:
        host, _, _ = host.partition(":")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_this_machine(text: str) -> bool:
    """Whether who has this address is a program of this machine, and reaches it by no network."""
    found = address(text)
    return found is not None and found.is_loopback


def is_own(text: str) -> bool:
    """Whether this is an address of this machine, written in the one usual way; of the many loopbacks only the first.

    The kernel lets a program bind what is its machine's own, and nothing else.
    """
    found = address(text)
    if found is None or str(found) != text or (found.is_loopback and text not in ("127.0.0.1", "::1")):
        return False
    if found.is_unspecified or found.is_multicast:
        return False
    try:
        with socket.socket(socket.AF_INET6 if found.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((text, 0))
    except OSError:
        return False
    return True
