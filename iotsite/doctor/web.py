"""The web server, and how those in the network reach it."""

import ipaddress
import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from itertools import pairwise

from django.conf import settings

from iotsite.doctor.findings import Finding, right, untold, wrong
from iotsite.doctor.machine import Machine

PATIENCE = 3.0
HOME_ONLY = "whoever is in it can read along, passwords too"


def address(machine: Machine) -> tuple[str, int]:
    """Where the web server listens: as script/server was told, where that runs; else as LISTEN says."""
    words = machine.server
    if not words:
        host, port = settings.LISTEN
        return host, machine.port or port
    port = 8000
    for word, after in pairwise([*words, ""]):
        if word.startswith("--port"):
            port = int(word.partition("=")[2] or after)
    return "0.0.0.0" if "--lan" in words else "127.0.0.1", port  # noqa: S104 nothing is bound here


def answers(machine: Machine) -> Iterator[Finding]:
    host, port = address(machine)
    asked = _own_address(host)
    try:
        said = _ask(asked, port)
    except (OSError, HTTPException) as error:
        says = f"It does not answer at http://{_written(asked)}:{port}: {getattr(error, 'strerror', None) or error}."
        yield wrong("Web server", says, machine.start("web"))
        return
    if said == {"status": "alive"}:
        yield right("Web server", f"It answers at http://{_written(asked)}:{port}.")
    else:
        says = f"Another program answers at http://{_written(asked)}:{port}."
        yield wrong("Web server", says, f"sudo ss -ltnp 'sport = :{port}'")


def _own_address(host: str) -> str:
    """An address of this machine for one that stands for all of them."""
    if ipaddress.ip_address(host).is_unspecified:
        return "::1" if ":" in host else "127.0.0.1"
    return host


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ask(host: str, port: int) -> object:
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/healthz")
        return json.loads(connection.getresponse().read(1000))
    except ValueError:
        return None
    finally:
        connection.close()


def https(machine: Machine) -> Iterator[Finding]:
    host, _ = address(machine)
    is_open = not ipaddress.ip_address(host).is_loopback
    if settings.HTTPS and not _listens(443):
        says = "It is on, but nothing on this machine listens at port 443: right only if the proxy is on another one."
        yield untold("HTTPS", says, "systemctl status caddy")
    elif settings.HTTPS:
        yield right("HTTPS", "It is on.")
    elif is_open:
        says = f"It is off, and the site is open to the network: {HOME_ONLY}. The page /https says the way out."
        yield wrong("HTTPS", says, "sudo apt install caddy")
    else:
        yield right("HTTPS", "It is off, and the site is open to this machine alone.")


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def debugging(machine: Machine) -> Iterator[Finding]:
    if settings.DEBUG:
        says = "DEBUG is on: whoever causes an error sees the inner workings of the site."
        yield wrong("Debugging", says, "\n".join([*machine.set("DEBUG"), machine.start("web")]))
