"""Who asks, and over what: believed from trusted proxies, and from nobody else."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotsite import network
from iotsite.forwarded import Forwarded

OURS, ANOTHER, PHONE = "127.0.0.1", "192.168.1.2", "192.168.1.50"
TRUSTED = network.proxies([OURS, "::1", ANOTHER, "10.0.0.0/8"])


def seen(client: str, *told: tuple[str, str], trusted: list[network.Network] = TRUSTED) -> Any:
    """What the site behind sees of a request from ``client`` with these headers."""
    headers = [(name.lower().encode(), value.encode("latin1")) for name, value in told]
    got: list[Any] = []

    async def site(scope: Any, receive: Any, send: Any) -> None:
        got.append(scope)

    scope = {"client": (client, 1234), "scheme": "http", "headers": [(b"host", b"pi.local"), *headers]}
    asyncio.run(Forwarded(site, trusted)(scope, None, None))
    return got[0]


def who(client: str, *told: tuple[str, str], trusted: list[network.Network] = TRUSTED) -> tuple[str, str]:
    scope = seen(client, *told, trusted=trusted)
    return scope["client"][0], scope["scheme"]


def test_a_trusted_proxy_is_believed() -> None:
    assert who(OURS, ("X-Forwarded-For", PHONE), ("X-Forwarded-Proto", "https")) == (PHONE, "https")
    assert who("::1", ("X-Forwarded-For", PHONE), ("X-Forwarded-Proto", "http")) == (PHONE, "http")


def test_nobody_else_is() -> None:
    told = [("X-Forwarded-For", OURS), ("X-Forwarded-Proto", "https")]
    assert who(PHONE, *told) == (PHONE, "http")
    assert who(OURS, *told, trusted=[]) == (OURS, "http")
    assert who("", *told) == ("", "http")


def test_what_stands_before_the_last_who_is_not_trusted_is_nobody_s_word() -> None:
    assert who(OURS, ("X-Forwarded-For", f"{OURS}, {PHONE}"), ("X-Forwarded-Proto", "https")) == (PHONE, "https")
    assert who(OURS, ("X-Forwarded-For", OURS), ("X-Forwarded-For", PHONE)) == (PHONE, "http")


def test_several_trusted_proxies_are_passed() -> None:
    hops = f"1.2.3.4, {PHONE}, 10.1.2.3, {ANOTHER}"
    assert who(OURS, ("X-Forwarded-For", hops), ("X-Forwarded-Proto", "https")) == (PHONE, "https")


def test_a_proxy_asks_for_itself_too() -> None:
    assert who(OURS, ("X-Forwarded-For", ANOTHER), ("X-Forwarded-Proto", "https")) == (ANOTHER, "https")
    assert who(OURS, ("X-Forwarded-Proto", "https")) == (OURS, "https")
    assert who(OURS, ("X-Forwarded-For", PHONE)) == (PHONE, "http")


def test_where_proxies_disagree_it_was_not_encrypted() -> None:
    assert who(OURS, ("X-Forwarded-Proto", "https, http"))[1] == "http"
    assert who(OURS, ("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http"))[1] == "http"
    assert who(OURS, ("X-Forwarded-Proto", "HTTPS, https"))[1] == "https"


@pytest.mark.parametrize("garbage", ["unknown", "_hidden", "999.1.1.1", "[::1", "localhost", "\xff", "1.2.3.4;x"])
def test_what_is_no_address_is_nobody_s(garbage: str) -> None:
    assert who(OURS, ("X-Forwarded-For", f"{OURS}, {garbage}")) == ("", "http")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.168.1.50:4711", PHONE),
        ("[2001:DB8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.168.1.50", PHONE),
        (f" {PHONE} ,", PHONE),
    ],
)
def test_addresses_are_written_in_many_ways(written: str, meant: str) -> None:
    assert who(OURS, ("X-Forwarded-For", written))[0] == meant
    assert who("::ffff:127.0.0.1", ("X-Forwarded-For", written))[0] == meant


@pytest.mark.parametrize("client", [OURS, PHONE])
@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "X-Real-IP"]
)
def test_no_view_sees_what_was_told(client: str, name: str) -> None:
    assert seen(client, (name, PHONE), ("Accept", "*/*"))["headers"] == [(b"host", b"pi.local"), (b"accept", b"*/*")]


@given(st.lists(st.tuples(st.sampled_from(["X-Forwarded-For", "X-Forwarded-Proto"]), st.text("0129af.:,[]%/ \xe9hps"))))
def test_garbage_of_any_kind_changes_nothing_that_is_not_for_it(told: list[tuple[str, str]]) -> None:
    assert who(PHONE, *told) == (PHONE, "http")
    client, scheme = who(OURS, *told)
    assert client == "" or network.address(client)
    assert scheme in ("http", "https")
