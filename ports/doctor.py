"""What is right and what is wrong with the refreshes of ships; see iotsite/doctor."""

from collections.abc import Iterator

from django.conf import settings

from iotsite.doctor.findings import Finding, lasting, right, wrong
from iotsite.doctor.machine import Machine, of_rows
from ports import freshness, watch
from ports.freshness import Freshness
from ports.models import Port


@of_rows("Refreshes")
def refreshes(machine: Machine) -> Iterator[Finding]:
    ports = freshness.at_hand(Port.objects.filter(is_enabled=True, is_example=False).order_by("name"))
    found = [Freshness.of(port) for port in ports]
    if not found:
        yield right("Refreshes", "No port is on: nobody is asked for anything.")
        return
    yield _watch(machine)
    old = [one for one in found if one.is_old or (one.is_failed and one.as_of is None)]
    yield from (_old(one, machine) for one in old)
    if not old:
        yield right("Lists of ships", f"{_ports(len(found))} on, each list as fresh as it should be.")


def _watch(machine: Machine) -> Finding:
    if watch.is_running():
        return right("Refreshes", "They are seen to.")
    again = machine.start("refresh")
    if (settings.RUN_DIR / watch.GIVEN_UP).exists():
        return wrong("Refreshes", "script/server has given up: what fetches ships ended too often.", again)
    return wrong("Refreshes", "Nothing fetches ships now.", again)


def _old(one: Freshness, machine: Machine) -> Finding:
    if one.age is None:
        says = f"No answer was good yet: {one.error}"
    else:
        why = f": {one.error}" if one.error else ", and nothing newer came."
        says = f"It is {lasting(one.age.total_seconds())} old{why}"
    return wrong(f"Ships of {one.port}", says, machine.manage(f"refresh_ships {one.port.locode}"))


def _ports(number: int) -> str:
    return "1 port is" if number == 1 else f"{number} ports are"
