"""Sixteen people, four processes, one relay, opposite wishes: the last acknowledged one stands."""

import json
import subprocess
import sys

import pytest

from relays import clock
from tests.site import ROOT, Site, add_relays

PROCESSES = 4
ROUNDS = 50


@pytest.mark.slow
def test_the_command_with_the_highest_number_wins_and_the_others_are_told(site: Site) -> None:
    add_relays(site, "Lamp")
    site.start_controller()
    env = site.env | {"DJANGO_SETTINGS_MODULE": "iotsite.settings"}
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.relays.racer"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    overtaken = 0
    try:
        for _ in range(ROUNDS):
            told = play_round(racers)
            overtaken += check_round(site, told)
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert overtaken > ROUNDS, "the people never met"


def play_round(racers: "list[subprocess.Popen[str]]") -> list[dict[str, object]]:
    moment = clock.boot_seconds() + 0.05
    for racer in racers:
        assert racer.stdin
        racer.stdin.write(f"{moment}\n")
        racer.stdin.flush()
    told = [answer for racer in racers if racer.stdout for answer in json.loads(racer.stdout.readline())]
    assert len(told) == 16
    return told


def check_round(site: Site, told: list[dict[str, object]]) -> int:
    last = max(told, key=lambda answer: answer["command"])  # type: ignore[arg-type, return-value]
    relay = site.relay("lamp")
    assert relay["command"] == relay["applied_command"] == last["command"]
    assert bool(relay["wanted"]) is bool(relay["actual"]) is last["on"]
    assert last["word"] == "applied"
    assert site.history("GPIO17")[-1].level == (0 if last["on"] else 1)
    assert {answer["word"] for answer in told} <= {"applied", "superseded"}
    outcomes = {event["of_id"]: event["outcome"] for event in site.events("lamp") if event["of_id"]}
    for answer in told:
        assert outcomes[answer["command"]] == answer["word"]
    return sum(answer["word"] == "superseded" for answer in told)
