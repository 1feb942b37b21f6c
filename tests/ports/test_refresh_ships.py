"""The command line: what it says, word by word, and its exit status."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from ports import known
from ports.models import Change, Feed, Port, PortCall, Refresh
from ports.refresh import alone
from ports.snapshot import Status
from ports.sources import registry
from tests.ports.harbour import HarbourSite, body, harbour, harbour_site
from tests.ports.servers import Server, serving, silence, status, whole
from tests.ports.told import call, hour, told
from tests.site import ROOT, wait_for

RECORDED = ROOT / "ports" / "example" / "hk-mardep-2025-08-18"
RECORDED_LATER = ROOT / "ports" / "example" / "hk-mardep-2025-08-22"
SECONDS = re.compile(r"\d+\.\d\d s\b")


@dataclass
class Said:
    """What a command printed; how long it took reads “… s”."""

    status: int
    out: str
    err: str


def refresh(*arguments: str) -> Said:
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("refresh_ships", *arguments, stdout=out, stderr=err, no_color=True)
    except SystemExit as end:
        status = int(end.code or 0)
    return Said(status, SECONDS.sub("… s", out.getvalue()), err.getvalue())


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        call_command("refresh_ships", *arguments)
    return str(caught.value)


@pytest.fixture
def server(db: None, settings: Settings, tmp_path: Path) -> Iterator[Server]:
    """What tells of Alpha and Beta (north, on) and Gamma (south, off)."""
    settings.RUN_DIR = tmp_path
    with serving() as made:
        registry()["harbour"] = harbour(made.url)
        known.add_missing()
        Port.objects.filter(locode__in=("XXAAA", "XXBBB")).update(is_enabled=True)
        made.tell("/north.told", whole(body("EVER GIVEN", "MOL TRIUMPH")))
        made.tell("/south.told", whole(body("TALISMAN", port="XXCCC")))
        yield made
        registry().pop("harbour")


def paths(server: Server) -> list[str]:
    return [asked.path for asked in server.asked]


def turn_on(locode: str, *, on: bool = True) -> None:
    Port.objects.filter(locode=locode).update(is_enabled=on)


# --- fetching -------------------------------------------------------------------------------------------------


def test_all_ports_that_are_on_are_refreshed_and_a_feed_is_asked_once(server: Server) -> None:
    said = refresh()
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        "XXAAA harbour: 2 calls: 2 new, 0 changed, … s\nXXBBB harbour: 0 calls: 0 new, 0 changed, … s\n"
    )
    assert paths(server) == ["/north.told"]


def test_what_moved_is_counted_by_field(server: Server) -> None:
    ships = [call(name=f"SHIP {place}", eta=hour(place)) for place in range(5)]
    server.tell("/north.told", whole(told(ships)))
    refresh()
    moved = [
        call(name="SHIP 0", eta=hour(9)),
        call(name="SHIP 1", eta=hour(10), agent="Somebody"),
        call(Status.IN_PORT, "SHIP 2", ata=hour(2)),
        call(name="NEW", eta=hour(50)),
        call(name="SHIP 4", eta=hour(4)),
    ]
    server.tell("/north.told", whole(told(moved, unknown={"ZZ9": 2, "ZZ8": 1})))
    said = refresh("xxaaa", "--force", "--verbosity", "2")
    *differences, line, _ = said.out.splitlines()
    assert line == (
        "XXAAA harbour: 5 calls: 1 new, 3 changed (2 ETA, 1 agent, 1 status), 1 gone from the feed, "
        "3 not understood, … s"
    )
    assert set(differences) == {
        "XXAAA SHIP 0: ETA 2026-01-10 12:00 → 2026-01-10 21:00",
        "XXAAA SHIP 1: ETA 2026-01-10 13:00 → 2026-01-10 22:00",
        "XXAAA SHIP 1: agent none → Somebody",
        "XXAAA SHIP 2: status expected → in port",
        "XXAAA SHIP 3: status expected → gone from the feed",
        "XXAAA NEW: new, expected",
    }


def test_moments_are_in_the_zone_of_their_port(server: Server) -> None:
    for eta in (1, 2):
        server.tell("/north.told", whole(told([call(name="TALISMAN", port="XXBBB", eta=hour(eta))])))
        said = refresh("XXBBB", "--force", "-v2")
    assert "XXBBB TALISMAN: ETA 2026-01-10 21:00 → 2026-01-10 22:00\n" in said.out


def test_what_is_unchanged_says_so(server: Server) -> None:
    refresh()
    assert refresh("--force").out.startswith("XXAAA harbour: 2 calls: 0 new, 0 changed, … s\n")


def test_too_early_it_asks_nobody_and_says_when(server: Server) -> None:
    refresh()
    said = refresh()
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(
        r"XXAAA, XXBBB harbour: not yet: harbour north was asked lately: the next time is \d\d:\d\d UTC; "
        r"--force asks now\.\n",
        said.out,
    )
    assert len(paths(server)) == 1
    assert [item["outcome"] for item in json.loads(refresh("--json").out)] == ["not yet", "not yet"]


def test_not_even_force_asks_before_the_publisher_allows_it(server: Server) -> None:
    server.tell("/north.told", status(429, Retry_After="3600"))
    assert refresh().status == 1
    said = refresh("--force")
    assert "not yet: The tests asks us to wait until" in said.out
    assert len(paths(server)) == 1


def test_a_failure_is_a_sentence_and_a_status_and_keeps_no_other_waiting(server: Server) -> None:
    turn_on("XXCCC")
    server.tell("/north.told", whole(b"<html>", "text/html"))
    said = refresh()
    assert said.status == 1
    assert said.out == "XXCCC harbour: 1 call: 1 new, 0 changed, … s\n"
    [failed] = Refresh.objects.filter(outcome="failed")
    assert said.err == f"XXAAA, XXBBB harbour: failed: {failed.error}\n"


def test_one_at_a_time_works_at_a_feed(server: Server) -> None:
    with alone(Feed.objects.get(name="north")):
        said = refresh()
    assert (said.status, said.out) == (1, "")
    assert said.err == "XXAAA, XXBBB harbour: harbour north is being refreshed by another process.\n"


def test_a_quiet_one_says_only_what_went_wrong(server: Server) -> None:
    assert refresh("--verbosity", "0").out == ""
    server.tell("/north.told", whole(b"<html>", "text/html"))
    said = refresh("--force", "--verbosity", "0")
    assert (said.out, said.err.startswith("XXAAA, XXBBB harbour: failed: ")) == ("", True)


def test_json_is_one_object_for_each_port(server: Server) -> None:
    turn_on("XXCCC")
    server.tell("/south.told", whole(b"<html>", "text/html"))
    said = refresh("--json")
    alpha, beta, gamma = json.loads(said.out)
    assert alpha.pop("took") < 10
    assert alpha == {
        **{"port": "XXAAA", "source": "harbour", "outcome": "done", "error": "", "missing": []},
        **{"calls": 2, "new": 2, "changed": 0, "departed": 0, "gone": 0, "fields": {}, "unknown": {}},
    }
    assert (beta["port"], beta["calls"]) == ("XXBBB", 0)
    assert (gamma["port"], gamma["outcome"], said.status) == ("XXCCC", "failed", 1)
    assert gamma["error"] == Refresh.objects.get(outcome="failed").error


def test_a_dry_run_says_what_would_change_and_writes_nothing(server: Server) -> None:
    said = refresh("--dry-run")
    assert said.out.splitlines()[:3] == [
        "XXAAA EVER GIVEN: new, expected",
        "XXAAA MOL TRIUMPH: new, expected",
        "XXAAA harbour: 2 calls: 2 new, 0 changed, … s",
    ]
    assert (PortCall.objects.count(), Refresh.objects.count(), Change.objects.count()) == (0, 0, 0)
    [*_, item] = json.loads(refresh("--dry-run", "--json", "XXAAA").out)
    assert item["outcome"] == "done"
    assert Port.objects.get(locode="XXAAA").loaded_at is None


def test_what_is_fetched_can_be_kept_and_read_again(server: Server, tmp_path: Path) -> None:
    refresh("--save", str(tmp_path / "kept"))
    [kept] = (tmp_path / "kept").iterdir()
    assert (kept.name, kept.read_bytes()) == ("north.told", body("EVER GIVEN", "MOL TRIUMPH"))
    said = refresh("XXAAA", "--from-files", str(tmp_path / "kept"))
    assert said.out.startswith("XXAAA harbour: 2 calls: 0 new, 0 changed, … s\n")


def test_what_could_not_be_kept_is_not_fetched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=f"Nothing can be kept in {tmp_path}/file/kept: Not a directory.") as caught:
        call_command("refresh_ships", "--save", str(tmp_path / "file" / "kept"))
    assert caught.value.returncode == 2
    assert (server.asked, Refresh.objects.count()) == ([], 0)


def test_a_folder_that_runs_full_is_said_and_the_refresh_counts(server: Server, tmp_path: Path) -> None:
    (tmp_path / "north.told").symlink_to("/dev/full")
    said = refresh("--save", str(tmp_path), "XXAAA")
    assert said.status == 1
    assert said.out.startswith("XXAAA harbour: 2 calls: 2 new, 0 changed, … s\n")
    sentence = f"What was fetched could not be kept in {tmp_path}: No space left on device."
    assert said.err == f"XXAAA harbour: {sentence}\n"
    assert (Refresh.objects.get().outcome, PortCall.objects.count()) == ("done", 2)
    said = refresh("--save", str(tmp_path), "--force", "--json")
    assert (said.status, json.loads(said.out)[0]["error"]) == (1, sentence)


def test_nothing_is_asked_for_ports_that_nobody_turned_on(server: Server) -> None:
    turn_on("XXAAA", on=False)
    turn_on("XXBBB", on=False)
    said = refresh()
    assert (said.status, said.out) == (
        0,
        "No port is on. Turn one on at its page: the list of ports is at /ports/.\n",
    )
    assert refresh("--json").out == "[]\n"
    assert refusal("xxaaa") == (
        "XXAAA (Alpha) is off: nothing is fetched for it. Turn it on at its page, /ports/XXAAA/, or give --from-files."
    )
    assert server.asked == []


def test_the_lines_of_hostile_ships_stay_lines(server: Server) -> None:
    evil = "\x1b[2J\u202eEVIL\nXXBBB harbour: all is well"
    server.tell("/north.told", whole(told([call(name=evil, eta=hour(1))])))
    said = refresh("--dry-run")
    assert len(said.out.splitlines()) == 3
    assert all(line.isprintable() for line in said.out.splitlines())


# --- recorded files -------------------------------------------------------------------------------------------


def replayed(folder: Path, at: str = "2025-08-18T20:30", *more: str) -> Said:
    return refresh("hkhkg", "--from-files", str(folder), "--at", at, *more)


def test_recorded_files_are_read_as_if_fetched_then_though_the_port_is_off(server: Server) -> None:
    said = replayed(RECORDED)
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(r"HKHKG mardep: (\d+) calls: \1 new, 0 changed, … s\n", said.out)
    later = replayed(RECORDED_LATER, "2025-08-22T21:25+08:00")
    assert re.fullmatch(
        r"HKHKG mardep: \d+ calls: \d+ new, \d+ changed \(\d+ ETA, .*\), \d+ departed, \d+ gone from the feed, … s\n",
        later.out,
    )
    as_of = list(Refresh.objects.order_by("id").values_list("as_of", flat=True))
    assert as_of == [datetime(2025, 8, 18, 12, 30, tzinfo=UTC), datetime(2025, 8, 22, 13, 25, tzinfo=UTC)]
    assert not Port.objects.get(locode="HKHKG").is_enabled
    assert server.asked == []


def test_without_a_moment_they_are_of_now(server: Server) -> None:
    before = timezone.now()
    refresh("HKHKG", "--from-files", str(RECORDED))
    assert before <= Refresh.objects.get().as_of <= timezone.now()


def test_their_names_may_be_in_any_case_and_the_missing_are_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for file in RECORDED.iterdir():
        if file.name != "RP05505i.XML":
            (tmp_path / "files" / file.name.lower()).write_bytes(file.read_bytes())
    said = replayed(tmp_path / "files")
    assert re.fullmatch(r"HKHKG mardep: \d+ calls: \d+ new, 0 changed, without RP05505i\.XML, … s\n", said.out)
    assert (said.status, said.err) == (0, "")
    [item] = json.loads(replayed(tmp_path / "files", "2025-08-18T20:31", "--json").out)
    assert item["missing"] == ["RP05505i.XML"]


def test_a_folder_that_has_none_of_them_or_is_none_is_said(server: Server, tmp_path: Path) -> None:
    said = replayed(tmp_path / "nowhere")
    assert (said.status, said.out) == (1, "")
    assert said.err == f"HKHKG mardep: {tmp_path}/nowhere cannot be read: No such file or directory.\n"
    (tmp_path / "empty").mkdir()
    said = replayed(tmp_path / "empty")
    assert said.err == (
        f"HKHKG mardep: {tmp_path}/empty has none of its files: "
        "RP04005i.XML, RP05005i.XML, RP06005i.XML, RP05505i.XML.\n"
    )
    assert said.status == 1


def test_files_that_are_broken_fail_with_a_sentence(server: Server, tmp_path: Path) -> None:
    for name in ("RP04005i.XML", "RP06005i.XML"):
        (tmp_path / name).write_text("<html><body>Under maintenance")
    said = replayed(tmp_path)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("HKHKG mardep: failed: ")
    assert "Traceback" not in said.err


def test_history_is_not_written_backwards(server: Server) -> None:
    replayed(RECORDED_LATER, "2025-08-22T21:25")
    said = replayed(RECORDED)
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        "HKHKG mardep: mardep hong-kong has told of 2025-08-22 13:25 UTC already: an older answer changes nothing.\n"
    )


def test_without_a_name_those_that_are_on_are_read(server: Server, tmp_path: Path) -> None:
    (tmp_path / "north.told").write_bytes(body("EVER GIVEN"))
    assert refresh("--from-files", str(tmp_path)).out.startswith("XXAAA harbour: 1 call: 1 new")
    turn_on("XXAAA", on=False)
    turn_on("XXBBB", on=False)
    assert refusal("--from-files", str(tmp_path)) == "No port is on: name those that the files tell of."


# --- misuse ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--at", "2025-08-18"], "--at says when recorded files were fetched: it goes with --from-files only."),
        (
            ["--from-files", ".", "--save", "."],
            "--save and --force are about fetching: with --from-files nothing is fetched.",
        ),
        (
            ["--watch", "XXAAA"],
            "--watch sees to all ports that are on, as they are published: it goes with no port or other option.",
        ),
        (
            ["HKHKG", "--from-files", ".", "--at", "2999-01-01T12:00"],
            "2999-01-01 12:00 HKT is still to come: say when the files were fetched.",
        ),
        (["--from-files", ".", "--at", "yesterday"], "“yesterday” is not a moment: write it like"),
        (
            ["HKHKG", "--from-files", ".", "--at", "0001-01-01"],
            "“0001-01-01” is no moment at which anything was fetched: look at the year.",
        ),
        (["HKHKG", "--from-files", ".", "--at", "9999-12-31T23:59-23:59"], "look at the year."),
        (
            ["CAVAN", "--from-files", ".", "--at", "2026-11-01T01:30"],
            "2026-11-01 01:30 came twice in America/Vancouver: its clocks were put back. "
            "Say which, like 2026-11-01T01:30-07:00 or 2026-11-01T01:30-08:00.",
        ),
        (
            ["CAVAN", "--from-files", ".", "--at", "2026-03-08T02:30"],
            "2026-03-08 02:30 never came in America/Vancouver: its clocks were put forward. "
            "Say it with its offset, like 2026-03-08T02:30-08:00 or 2026-03-08T02:30-07:00.",
        ),
    ],
)
def test_what_makes_no_sense_is_said(server: Server, arguments: list[str], sentence: str) -> None:
    assert sentence in refusal(*arguments)


@pytest.mark.parametrize(
    ("said", "utc"),
    [
        ("2026-11-01T01:30-07:00", (2026, 11, 1, 8, 30)),
        ("2026-11-01T01:30-08:00", (2026, 11, 1, 9, 30)),
        ("2026-11-01T00:59", (2026, 11, 1, 7, 59)),
        ("2026-11-01T02:00", (2026, 11, 1, 10, 0)),
        ("2026-03-08T01:59", (2026, 3, 8, 9, 59)),
        ("2026-03-08T03:00", (2026, 3, 8, 10, 0)),
    ],
)
def test_a_moment_beside_a_change_of_clocks_is_the_right_one(
    server: Server, tmp_path: Path, said: str, utc: tuple[int, int, int, int, int]
) -> None:
    (tmp_path / "ppa.json").write_bytes((ROOT / "tests/ports/samples/ppa/ppa.json").read_bytes())
    refresh("CAVAN", "--from-files", str(tmp_path), "--at", said)
    assert Refresh.objects.get().as_of == datetime(*utc, tzinfo=UTC)


def test_an_unknown_port_is_answered_with_those_there_are(server: Server) -> None:
    said = refusal("XXZZZ")
    assert said.startswith("There is no port “XXZZZ”. Ports: ")
    assert "XXAAA, XXBBB, XXCCC" in said


def test_an_example_is_never_refreshed(server: Server) -> None:
    from ports import example

    example.load()
    assert refusal("XXHKG") == "XXHKG is an example, recorded once: it is never refreshed."
    assert "XXHKG" not in refresh().out


# --- as a process ---------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[HarbourSite]:
    with harbour_site(tmp_path_factory.mktemp("s"), template_database) as made:
        made.turn_on("XXAAA")
        yield made


def test_its_exit_status_and_streams_are_those_of_a_good_citizen(site: HarbourSite) -> None:
    done = site.refresh()
    assert (done.returncode, done.stderr) == (0, "")
    assert SECONDS.sub("… s", done.stdout) == "XXAAA harbour: 2 calls: 2 new, 0 changed, … s\n"
    site.server.tell("/north.told", status(503))
    done = site.refresh("--force")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("XXAAA harbour: failed: ")
    assert site.refresh("XXCCC").returncode == 2
    assert list(site.run_dir.glob("*.now")) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_trace(site: HarbourSite, number: signal.Signals, status: int) -> None:
    site.server.tell("/north.told", silence(60))
    process = site.start(sys.executable, "manage.py", "refresh_ships")
    wait_for(lambda: site.server.asked)
    process.send_signal(number)
    assert process.wait(20) == status
    assert site.log() == ""
    assert list(site.run_dir.glob("*.now")) == []
    site.server.tell("/north.told", whole(body("EVER GIVEN")))
    assert site.refresh().returncode == 0, "the lock of the feed is free"


def test_a_terminal_sees_how_far_it_is(site: HarbourSite) -> None:
    site.server.tell("/north.told", whole(body(*(f"SHIP {number}" for number in range(1200)))))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "refresh_ships"], cwd=ROOT, env=site.env, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    drawn = b""
    while select.select([ours], [], [], 0.2)[0]:
        try:
            drawn += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    seen = drawn.decode()
    assert "XXAAA harbour: fetching …" in seen
    assert f"XXAAA harbour: writing 500 of 1200 …  {'█' * 12}{'░' * 18}" in seen
    assert seen.endswith("\r\x1b[K"), "no bar is left behind"
    assert SECONDS.sub("… s", out.decode()) == "XXAAA harbour: 1,200 calls: 1,200 new, 0 changed, … s\n"


def test_what_was_kept_for_a_day_is_refreshed_again(site: HarbourSite) -> None:
    site.refresh()
    assert "not yet" in site.refresh().stdout
    site.grow_older(timedelta(days=1))
    assert "0 new, 0 changed" in site.refresh().stdout
    assert len(site.server.asked) == 2
