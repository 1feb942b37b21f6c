"""A site with its processes, as a person's browser meets it, and what is in it."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from relays import clock
from tests.site import PASSWORD, Site, post, sign_in, wait_for

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
    board = board or Board.objects.order_by("pk").first()
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
        """The session's, for a browser; not the messages that wait in it."""
        kept = self.session(who).cookies
        return [{"name": name, "value": kept[name], "url": self.address} for name in ("sessionid", "csrftoken")]

    def ask(self, path: str, **form: str) -> None:
        """Do something on the site from elsewhere."""
        answer = post(self.session(), f"{self.address}{path}", **form)
        assert answer.status_code == 302, answer.text

    def switch(self, slug: str, on: str, lasting: str = "") -> None:
        self.ask(f"/relays/{slug}/switch", on=on, lasting=lasting)

    def break_lines(self, board: int = 1, **faults: str) -> None:
        """Set the faults of a simulated board: {line: stuck, busy, failing or slow}; none heals all."""
        self.site.files(board).faults.write_text(json.dumps(faults))


LIVED_IN = """
cellar = simulated("Cellar", ons_per_second=20)
attic, shed = simulated("Attic", ons_per_second=20), simulated("Shed")
relay("Porch lamp", "Living room", kind="lamp", line="GPIO17")
relay("Reading lamp", "Living room", kind="lamp", line="GPIO18")
relay("Attic fan", "Living room", kind="fan", line="GPIO19", max_on=timedelta(hours=2))
relay("Garden pump", "Garden", kind="pump", line="GPIO20")
relay("Gate", "Garden", kind="door", line="GPIO21", mode="momentary", pulse=timedelta(milliseconds=500))
relay("Cooler", "Garden", line="GPIO22", min_off=timedelta(hours=20))
relay("Heater", "Garden", kind="heater", line="GPIO23")
awning = Interlock.objects.create(name="Awning", board=cellar, policy="refuse")
relay("Awning out", "Garden", line="GPIO24", interlock=awning)
relay("Awning in", "Garden", line="GPIO25", interlock=awning)
for number in range(28):
    relay(f"Lamp {number + 1} of the attic", "Attic", attic, kind="lamp")
for number in range(13):
    relay(f"Socket {number + 1} of the greenhouse", "Greenhouse", cellar, kind="outlet")
for number in range(10):
    relay(f"Shed outlet {number + 1}", None, shed, kind="outlet")
Token.make(bench, "Home Assistant", "switch")
"""
"""60 relays on three boards; the controller of the shed is to be silent."""


def live_in(served: Served) -> None:
    """Bring relays into every state there is: on, on for a while, off, fault, locked, waiting, not known."""
    served.furnish(LIVED_IN)
    served.break_lines(GPIO20="failing")
    for name in ("Cellar", "Attic"):
        served.site.start(sys.executable, "manage.py", "run_relays", "--board", name)
    served.start_web()
    wait_for(lambda: all(served.site.files(board).last_beat() for board in (1, 2)), what="both controllers")
    served.site.files(3).beat(at=clock.boot_seconds() - 75)
    served.switch("porch-lamp", "on")
    served.switch("reading-lamp", "on", "20h")
    served.switch("garden-pump", "on")
    served.switch("awning-out", "on")
    served.ask("/relays/heater/lock", reason="Being repaired, ask Anna.")
    for on in ("on", "off", "on"):
        served.switch("cooler", on)
