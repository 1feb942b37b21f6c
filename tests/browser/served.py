"""A site with its processes, as a person's browser meets it, and what is in it."""

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.site import PASSWORD, Site, post, sign_in

PEOPLE = f"""
from datetime import timedelta
from accounts.models import Token, User
from django.contrib.auth.models import Permission
from relays.models import Board, Interlock, Relay, Room
bench = User.objects.create_superuser("bench", password="{PASSWORD}")
viola = User.objects.create_user("viola", password="{PASSWORD}")
sam = User.objects.create_user("sam", password="{PASSWORD}")
sam.user_permissions.set(Permission.objects.filter(codename="switch_relay"))
def relay(name, room=None, board=None, **rest):
    board = board or Board.objects.first()
    taken = set(board.relays.values_list("line", flat=True))
    line = next(f"GPIO{{n}}" for n in [*range(17, 28), *range(17)] if f"GPIO{{n}}" not in taken)
    room = Room.objects.get_or_create(name=room)[0] if room else None
    one = Relay(**dict(name=name, room=room, board=board, line=line, polarity="active-low") | rest)
    one.full_clean()
    one.save()
    return one
def simulated(name, **rest):
    return Board.objects.create(name=name, driver="simulated", **rest)
"""
"""bench may do everything, sam may switch, viola may look."""


@dataclass
class Served:
    """A site's processes, its address and who is signed in there."""

    site: Site
    web: subprocess.Popen[bytes] | None = None
    address: str = ""
    sessions: dict[str, requests.Session] = field(default_factory=dict)

    def furnish(self, code: str = "") -> None:
        """Put people, and what ``code`` makes, into the empty database."""
        done = self.site.manage("shell", "-c", PEOPLE + code)
        assert done.returncode == 0, done.stderr

    def start_web(self) -> None:
        self.web, self.address = self.site.start_web(urlsplit(self.address).port or 0)

    def session(self, who: str = "bench") -> requests.Session:
        """One session for everybody in this module: a minute has only so many sign-ins."""
        if who not in self.sessions:
            self.sessions[who] = sign_in(self.address, who)
        return self.sessions[who]

    def cookies(self, who: str = "bench") -> list[dict[str, Any]]:
        """The session's, for a browser."""
        return [
            {"name": name, "value": value, "url": self.address} for name, value in self.session(who).cookies.items()
        ]

    def ask(self, path: str, **form: str) -> None:
        """Do something on the site from elsewhere."""
        answer = post(self.session(), f"{self.address}{path}", **form)
        assert answer.status_code == 302, answer.text

    def switch(self, slug: str, on: str, lasting: str = "") -> None:
        self.ask(f"/relays/{slug}/switch", on=on, lasting=lasting)

    def break_lines(self, board: int = 1, **faults: str) -> None:
        """Set the faults of a simulated board: {line: stuck, busy, failing or slow}; none heals all."""
        self.site.files(board).faults.write_text(json.dumps(faults))
