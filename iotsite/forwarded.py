"""Who asks, and over what, where a reverse proxy stands between: X-Forwarded-For and X-Forwarded-Proto.

Everybody can write these headers. They are believed from the proxies of TRUSTED_PROXIES and from nobody else, and no
view ever sees one: who asks is REMOTE_ADDR, and over what is the scheme.
"""

from collections.abc import Sequence
from typing import Any

from iotsite.network import Network, address

FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"
TELLING = (b"x-forwarded-", b"forwarded", b"x-real-ip")
"""What the headers begin with by which proxies tell of those before them."""


class Forwarded:
    """An ASGI application around ``site``.

    Not uvicorn's own: that leaves the headers where they are, and takes any word for an address.
    """

    def __init__(self, site: Any, trusted: Sequence[Network]) -> None:
        self.site, self.trusted = site, trusted

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if told := [header for header in scope["headers"] if header[0].startswith(TELLING)]:
            kept = [header for header in scope["headers"] if not header[0].startswith(TELLING)]
            scope = {**scope, "headers": kept, **self._believed(scope, told)}
        await self.site(scope, receive, send)

    def _believed(self, scope: Any, told: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        """What becomes of client and scheme: the last that no trusted proxy has."""
        client = scope["client"][0] if scope["client"] else ""
        if not self._is_trusted(client):
            return {}
        schemes, hops = _values(told, PROTO), _values(told, FOR)
        while hops and self._is_trusted(client):
            client = str(address(hops.pop()) or "")  # what is no address is nobody
        # Several proxies may have said several things: then it was encrypted only if all say so.
        return {"client": (client, 0), "scheme": "https" if set(schemes) == {"https"} else "http"}

    def _is_trusted(self, client: str) -> bool:
        found = address(client)
        return found is not None and any(found in network for network in self.trusted)


def _values(told: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """All that headers of this name list, as one."""
    listed = ",".join(value.decode("latin1") for found, value in told if found == name)
    return [value.strip().lower() for value in listed.split(",") if value.strip()]
