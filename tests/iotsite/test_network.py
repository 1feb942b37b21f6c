"""Addresses in numbers, as people and headers write them."""

import re

import pytest

from iotsite import network
from iotsite.supervisor import own_addresses


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::]:8000", ("::", 8000)),
        ("[fd00::1]:65535", ("fd00::1", 65535)),
    ],
)
def test_the_place_to_listen_at(text: str, meant: tuple[str, int]) -> None:
    assert network.listening(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "1.2.3.4:5:6"),
        *("pi.local:8000", "127.0.0.1:٨", "*:8000", "256.0.0.1:8000", "0.0.0.0:-1"),
    ],
)
def test_what_is_none_is_said_with_the_way_out(text: str) -> None:
    with pytest.raises(network.NetworkError, match=f"^LISTEN is “{re.escape(text)}”: it takes an address in numbers"):
        network.listening(text)


def test_proxies_are_addresses_and_networks() -> None:
    assert [str(one) for one in network.proxies(["127.0.0.1", " 10.0.0.0/8", "::1", ""])] == [
        "127.0.0.1/32",
        "10.0.0.0/8",
        "::1/128",
    ]


@pytest.mark.parametrize("text", ["*", "caddy.local", "192.168.1.20/8", "300.1.1.1"])
def test_a_proxy_that_is_none_is_said_with_the_way_out(text: str) -> None:
    with pytest.raises(network.NetworkError, match=f"^TRUSTED_PROXIES has “{re.escape(text)}”: "):
        network.proxies(["127.0.0.1", text])


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_who_comes_over_no_network(text: str) -> None:
    assert network.is_this_machine(text)


@pytest.mark.parametrize("text", ["", "192.168.1.50", "localhost", "0.0.0.0", "::", "2001:db8::1"])
def test_all_others_are_not(text: str) -> None:
    assert not network.is_this_machine(text)


def test_the_addresses_of_this_machine_are_its_own() -> None:
    for text in ("127.0.0.1", *own_addresses()):
        assert network.is_own(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "127.0.0.2", "0.0.0.0", "::", "203.0.113.9", "224.0.0.1", "2001:db8::1", "127.1", "[::1]"),
        *("127.0.0.1:80", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "127.0.0.1%lo", "\x00", "1" * 5000),
    ],
)
def test_no_other_is(text: str) -> None:
    assert not network.is_own(text)
