"""One of the processes of test_races.py: four people who switch the same relay at once, again and again.

Reads the moment (CLOCK_BOOTTIME) of each round from stdin and prints, for each person, what they were told.
"""

import json
import sys
import threading
import time

import django

django.setup()

from relays import door  # noqa: E402
from relays.models import Event, Relay  # noqa: E402

PEOPLE = 4


def switch(moment: float, on: bool, told: list[dict[str, object]]) -> None:
    relay = Relay.objects.get(slug="lamp")
    time.sleep(max(0.0, moment - time.clock_gettime(time.CLOCK_BOOTTIME)))
    event = relay.switch(on, by=None, via=Event.Via.COMMAND_LINE)
    outcome = door.wait_for(event, 10)
    told.append({"command": event.pk, "on": on, "word": outcome.word})


for text in sys.stdin:
    told: list[dict[str, object]] = []
    people = [threading.Thread(target=switch, args=[float(text), bool(person % 2), told]) for person in range(PEOPLE)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    print(json.dumps(told), flush=True)
