"""Strangers name ships: whatever a publisher sends is shown as far as it is text, does nothing, and breaks nothing."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import feedparser
import icalendar
import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow, Watch
from tests.browser.served import Served
from tests.browser.test_axe import FEWER_ROWS, UPSTREAM, faults
from tests.browser.test_hostile_names import COUNT_HITS
from tests.browser.test_sizes import DESK, OPEN_ALL, PHONE, TOO_WIDE, show
from tests.ports import hostile
from tests.ports.harbour import HarbourSite, harbour_site
from tests.ports.hostile import CALL_SIGNS, SENT, SHOWN, SHOWN_OF_JSON
from tests.ports.servers import status

pytestmark = pytest.mark.xdist_group("browser-hostile-ships")

NAMES = {"HKHKG": set(SHOWN.values()), "FIKTK": set(SHOWN_OF_JSON.values()), "CAVAN": set(SHOWN_OF_JSON.values())}
"""Of each port, what it is to show."""
LISTS = ("in-port", "expected", "departed")
MOVED = f"//evil.invalid/{SENT['markup']}{SENT['breakout']}{'L' * 3000}".replace(" ", "%20")
FLEET = """
from ports.models import Follow, Port, Vessel
simulated("A board")
Follow.objects.bulk_create(Follow(user=bench, vessel=vessel) for vessel in Vessel.objects.all())
"""
TOKEN = """
from accounts.models import Token, User
print(Token.make(User.objects.get(username="bench"), "reader", "read")[1])
"""

MIXED = """(names) => {
  const rightToLeft = /[\\u0590-\\u08ff\\u202e\\u2066-\\u2067]/;
  const plain = (text) => text.replace(/\\s+/g, " ").trim();
  const found = [];
  const walk = document.createTreeWalker(document.querySelector("main, #main") ?? document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode;
    if (!rightToLeft.test(text.data.replace(/\\u2068[^\\u2069]*\\u2069/g, ""))) continue;
    if (text.parentElement.closest("title, option, datalist, script, style, textarea")) continue;
    const own = text.parentElement.closest("bdi, text, p, li, h1, h2, h3, dt, dd, td, th, summary, label, div");
    // What ends its line turns nothing: there is nothing after it.
    const isLast = (name) => plain(own.textContent).endsWith(name) &&
      !rightToLeft.test(plain(own.textContent).slice(0, -name.length));
    if (!names.some(isLast)) found.push(own.outerHTML.slice(0, 300));
  }
  return found;
}"""
"""Where a name written from right to left stands in one run with something else, whose order it would turn."""

INJECTED = "script:not([src]):not([type]), img[src=x], b[onclick], [onerror], [hx-get='/live'][hx-trigger=load]"


# --- a site that was told of them ---------------------------------------------------------------------------


def tell(site: HarbourSite, folder: Path, files: dict[str, bytes], at: datetime, *ports: str) -> Any:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return site.refresh(*ports, "--from-files", str(folder), "--at", at.isoformat())


def turn_away(site: HarbourSite) -> None:
    """A list that is read, and then one that is said to be elsewhere."""
    assert site.refresh("XXAAA").returncode == 0
    site.server.tell("/north.told", status(302, Location=MOVED))
    said = site.refresh("XXAAA", "--force")
    assert said.returncode == 1
    assert "sends north.told to another address" in said.stdout + said.stderr


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("s")
    now = datetime.now(UTC).replace(microsecond=0)
    with harbour_site(folder, template_database) as site:
        site.turn_on(*NAMES, "XXAAA")
        for number, at in enumerate((now - timedelta(hours=2), now - timedelta(minutes=10))):
            files = hostile.files(now, is_first=number == 0)
            said = tell(site, folder / f"answer {number}", files, at, *NAMES)
            assert said.returncode == 0, said.stdout + said.stderr
        for number, files in enumerate((hostile.unreadable(now), {"RP06005i.XML": b"<RP06005IXML>\0</RP06005IXML>"})):
            said = tell(site, folder / f"broken {number}", files, now - timedelta(minutes=5), "HKHKG")
            assert said.returncode == 1, said.stdout + said.stderr
            assert "Traceback" not in said.stderr
        turn_away(site)
        served = Served(site)
        served.furnish(FLEET)
        served.start_web()
        yield served


@pytest.fixture
def page(harbour: Served, window: OpenWindow) -> Page:
    opened = window(harbour, "about:blank", viewport={"width": PHONE[0], "height": PHONE[1]})
    opened.context.add_init_script(COUNT_HITS)
    return opened


@pytest.fixture(scope="module")
def secret(harbour: Served) -> str:
    page = harbour.session().get(f"{harbour.address}/ports/subscription/").text
    form = {"do": "renew", "csrfmiddlewaretoken": harbour.session().cookies["csrftoken"]}
    page = harbour.session().post(f"{harbour.address}/ports/subscription/", form, timeout=15).text
    return page.partition("/ports/out/")[2].partition("/")[0]


def look(page: Page, path: str) -> None:
    """Go to a page, open what opens there, and see that no name does or breaks anything, at either width."""
    show(page, PHONE)
    answer = page.goto(path)
    assert answer, path
    assert answer.status == 200, path
    page.evaluate(OPEN_ALL)
    is_sound(page)


def is_sound(page: Page) -> None:
    for size in (PHONE, DESK):
        show(page, size)
        assert "\n".join(page.evaluate(TOO_WIDE)) == "", (page.url, size)
    assert page.locator(INJECTED).count() == 0, page.url
    assert page.evaluate("window.hits") == 0, page.url
    assert "\n".join(page.evaluate(MIXED, [*SHOWN_OF_JSON.values(), *CALL_SIGNS])) == "", page.url


def ids(harbour: Served, query: str) -> dict[str, int]:
    """The number of one row for each text that ``query`` gives."""
    with harbour.site.database() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def vessels(harbour: Served, locode: str = "FIKTK") -> dict[str, int]:
    return ids(
        harbour,
        "SELECT v.name, max(v.id) FROM ports_vessel v JOIN ports_portcall c ON c.vessel_id = v.id"
        f" JOIN ports_port p ON p.id = c.port_id WHERE p.locode = '{locode}' GROUP BY v.name",
    )


# --- the pages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locode", NAMES)
@pytest.mark.parametrize("tab", LISTS)
def test_a_list_shows_every_name_as_text(page: Page, locode: str, tab: str) -> None:
    look(page, f"/ports/{locode}/{tab}/")
    assert set(page.locator('.calls [scope="row"] > a').all_text_contents()) == NAMES[locode]
    cells = {" ".join(text.split()) for text in page.locator(".calls td > bdi").all_text_contents()}
    assert cells >= NAMES[locode], "agents"


@pytest.mark.parametrize("locode", NAMES)
def test_changes_and_the_berth_board_show_every_name_as_text(page: Page, locode: str) -> None:
    for what in ("agent", "berth"):
        told = ""
        path: str = f"/ports/{locode}/changes/?field={what}"
        while path:
            look(page, path)
            told += " ".join(page.locator("#calls li").all_text_contents())
            older = page.get_by_role("link", name="Older")
            path = (older.get_attribute("href") or "") if older.count() else ""
        told = plain(told)
        assert [name for name in NAMES[locode] if f"was {name}" not in told] == []
    look(page, f"/ports/{locode}/changes/")
    look(page, f"/ports/{locode}/berths/")
    drawn = {plain(name) for name in page.locator(".place svg text").all_text_contents()}
    places = {plain(name) for name in page.locator(".place h3 bdi:first-child").all_text_contents()}
    assert len(drawn & NAMES[locode]) > 10
    assert len(places & NAMES[locode]) > 10


def plain(text: str) -> str:
    """Without what only says where a name begins and ends."""
    return " ".join(text.replace("\u2068", "").replace("\u2069", "").split())


@pytest.mark.parametrize("name", SHOWN_OF_JSON.values(), ids=SHOWN_OF_JSON)
def test_a_ships_own_page(harbour: Served, page: Page, name: str) -> None:
    for locode in NAMES:
        if name in NAMES[locode]:
            look(page, f"/ports/vessels/{vessels(harbour, locode)[name]}/")
            assert page.locator("h1 bdi").text_content() == name
            assert page.title() == f"{name} · iotsite"
            expect(page.get_by_text(f"told as “{name}”")).to_be_visible()
    look(page, f"/ports/FIKTK/expected/?q={quote(name[:100])}")
    assert name in page.locator('.calls [scope="row"] > a').all_text_contents()
    assert page.get_by_role("searchbox", name="Search ships").input_value() == name[:100]


def test_names_that_a_ship_had_are_text(harbour: Served, page: Page) -> None:
    had = ids(harbour, "SELECT DISTINCT n.name, n.vessel_id FROM ports_vesselname n")
    assert set(had) == NAMES["FIKTK"]
    for vessel in sorted({*had.values()}):
        look(page, f"/ports/vessels/{vessel}/")
        expect(page.get_by_text("Earlier names")).to_be_visible()


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/ports/", "/ports/followed/", "/ports/followed/?page=2", "/ports/refreshes/", "/ports/CAPRR/turn-on/"),
        *("/ports/refreshes/?port=HKHKG", "/ports/refreshes/?port=XXAAA", "/ports/XXAAA/in-port/"),
        f"/ports/HKHKG/expected/?agent={quote(SHOWN['breakout'])}&previous_port={quote(SHOWN['breakout'])}&sort=-from",
        f"/ports/HKHKG/in-port/?agent={quote(SHOWN['long'][:100])}&times=utc",
        f"/ports/subscription/?port=HKHKG&agent={quote(SHOWN['markup'])}&q={quote(SHOWN['hebrew'])}",
    ],
)
def test_a_page_where_many_stand(page: Page, secret: str, path: str) -> None:
    look(page, path)


def test_a_refresh_that_failed_says_in_whose_words(page: Page) -> None:
    page.goto("/ports/XXAAA/in-port/")
    expect(page.locator("#fresh")).to_contain_text(
        "sends north.told to another address, http://evil.invalid/<img%20src=x"
    )
    page.goto("/ports/HKHKG/in-port/")
    expect(page.locator("#fresh")).to_contain_text("RP06005i.XML is not well-formed XML")
    page.goto("/ports/refreshes/?port=HKHKG")
    expect(page.locator("#calls")).to_contain_text("cannot be read: “<img src=x onerror=hit()>")


def test_names_that_come_by_a_search_as_one_types(page: Page, watch: Watch) -> None:
    watch.expect("htmx:(sendAbort|afterRequest)")  # who types slowly replaces what was asked for
    page.goto("/ports/HKHKG/in-port/")
    page.get_by_role("searchbox", name="Search ships").press_sequentially("<img", delay=20)
    expect(page.locator("#found")).to_contain_text("1 ship")
    is_sound(page)


def test_a_star_is_given_to_the_ship_with_the_longest_name(harbour: Served, page: Page) -> None:
    page.goto(f"/ports/vessels/{vessels(harbour)[SHOWN['long']]}/")
    for state in ("false", "true"):
        page.locator(".star button").click()
        expect(page.locator(".star button")).to_have_attribute("aria-pressed", state)
        page.wait_for_load_state()
        is_sound(page)


# --- the admin ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("", "port/", "feed/", "refresh/", "vessel/", "vessel/?q=%3Cimg", "portcall/", "change/", "berth/"),
        *("vessel/?p=2", "portcall/?p=2", "berth/?p=2", "change/?p=3"),
    ],
)
def test_a_list_of_the_admin(page: Page, path: str) -> None:
    look(page, f"/admin/ports/{path}")


@pytest.mark.parametrize("name", ["breakout", "markup", "long", "long words", "hebrew", "emoji"])
def test_a_ship_and_what_is_told_of_her_in_the_admin(harbour: Served, page: Page, name: str) -> None:
    her = vessels(harbour)[SHOWN[name]]
    look(page, f"/admin/ports/vessel/{her}/change/")
    expect(page.get_by_label("Name:", exact=True)).to_have_value(SHOWN[name])
    call = ids(harbour, f"SELECT 'call', min(id) FROM ports_portcall WHERE vessel_id = {her}")["call"]
    change = ids(harbour, f"SELECT 'change', max(id) FROM ports_change WHERE call_id = {call} AND field = 'agent'")
    berth = ids(harbour, "SELECT name, max(id) FROM ports_berth GROUP BY name")[SHOWN[name]]
    paths = [f"vessel/{her}/delete/", f"vessel/{her}/history/", f"portcall/{call}/change/"]
    for path in (*paths, f"change/{change['change']}/change/", f"berth/{berth}/change/"):
        look(page, f"/admin/ports/{path}")


def test_feeds_ports_and_refreshes_in_the_admin(harbour: Served, page: Page) -> None:
    for table in ("feed", "port", "refresh"):
        query = f"SELECT DISTINCT '{table} ' || x.id, x.id FROM ports_{table} x"
        wanted = " JOIN ports_port p ON p.feed_id = {} WHERE p.locode IN ('HKHKG', 'XXAAA')"
        query += {"feed": wanted.format("x.id"), "refresh": wanted.format("x.feed_id")}.get(
            table, " WHERE x.locode IN ('HKHKG', 'XXAAA')"
        )
        for number in ids(harbour, query).values():
            look(page, f"/admin/ports/{table}/{number}/change/")


def choose(page: Page, action: str, *rows: int) -> None:
    """Tick rows of a list in the admin, and go."""
    show(page, DESK)
    for row in rows:
        page.locator(f'input[name="_selected_action"][value="{row}"]').check()
    page.get_by_label("Action:").select_option(action)
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).first.click()


def test_axe_finds_nothing_of_ours_in_the_list_of_ports(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    for path in ("/admin/ports/port/", "/admin/ports/vessel/", "/admin/ports/berth/", "/admin/ports/feed/"):
        page.goto(path)
        page.evaluate(FEWER_ROWS)
        assert faults(page, without=UPSTREAM) == "", path


# --- what leaves the site -----------------------------------------------------------------------------------


@pytest.mark.parametrize("locode", NAMES)
@pytest.mark.parametrize("tab", LISTS)
def test_a_table_has_every_name_and_no_formula(harbour: Served, locode: str, tab: str) -> None:
    rows = table(harbour, f"{locode}/{tab}")
    for column in ("vessel", "agent", "type in the source's words"):
        assert {row[column] for row in rows} == {safe(name) for name in NAMES[locode]}, column


@pytest.mark.parametrize("locode", NAMES)
def test_a_table_of_changes(harbour: Served, locode: str) -> None:
    rows = [row for row in table(harbour, f"{locode}/changes") if row["what"] == "agent"]
    assert {row["was"] for row in rows} == {row["became"] for row in rows} == {safe(n) for n in NAMES[locode]}


def table(harbour: Served, path: str) -> list[dict[str, str]]:
    """A list as CSV: every line as long as the first, no cell that a spreadsheet would carry out."""
    answer = harbour.session().get(f"{harbour.address}/ports/{path}.csv", timeout=15)
    assert answer.status_code == 200
    head, *lines = csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True)
    assert {len(line) for line in lines} == {len(head)}
    assert [
        cell for line in lines for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))
    ] == []
    return [dict(zip(head, line, strict=True)) for line in lines]


def safe(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\uff1d")) else name


@pytest.mark.parametrize("locode", NAMES)
def test_a_calendar(harbour: Served, secret: str, locode: str) -> None:
    content = fetch(harbour, f"/ports/out/{secret}/{locode}/expected.ics").content
    assert max(map(len, content.splitlines())) <= 75
    calendar = icalendar.Calendar.from_ical(content)
    assert {part.name for part in calendar.walk()} == {"VCALENDAR", "VEVENT"}
    events = calendar.walk("VEVENT")
    between = {"HKHKG": " due at Hong Kong", "FIKTK": " due at Kotka", "CAVAN": " leaves for Vancouver"}[locode]
    assert sorted(str(event["SUMMARY"]) for event in events) == sorted(f"{name}{between}" for name in NAMES[locode])
    agents = {str(event["DESCRIPTION"]).partition("agent: ")[2].splitlines()[0] for event in events}
    assert agents == NAMES[locode]


@pytest.mark.parametrize("locode", NAMES)
def test_a_newsfeed(harbour: Served, secret: str, locode: str) -> None:
    parsed = feedparser.parse(fetch(harbour, f"/ports/out/{secret}/{locode}/changes.atom").content)
    assert not parsed.bozo, parsed.get("bozo_exception")
    assert {entry.title_detail.type for entry in parsed.entries} == {"text/plain"}
    titles = [entry.title for entry in parsed.entries if "agent: " in entry.title]
    assert {name for name in NAMES[locode] if any(title.startswith(f"{name} at ") for title in titles)} == NAMES[locode]
    assert {name for name in NAMES[locode] if any(title.endswith(f"was {name}") for title in titles)} == NAMES[locode]


def test_a_calendar_and_a_newsfeed_of_the_ships_one_follows(harbour: Served, secret: str) -> None:
    calendar = icalendar.Calendar.from_ical(fetch(harbour, f"/ports/out/{secret}/followed.ics").content)
    assert len(calendar.walk("VEVENT")) == sum(map(len, NAMES.values())) + len(["EVER GIVEN", "MOL TRIUMPH"])
    parsed = feedparser.parse(fetch(harbour, f"/ports/out/{secret}/followed.atom").content)
    assert not parsed.bozo
    assert len(parsed.entries) > 100


def test_programs_get_every_name_as_it_is_shown(harbour: Served) -> None:
    done = harbour.site.manage("shell", "-c", TOKEN)
    ask = {"Authorization": f"Bearer {done.stdout.split()[-1]}"}
    for locode, names in NAMES.items():
        items = pages(harbour, f"/api/ports/{locode}/calls?limit=50", ask)
        assert {item["vessel"]["name"] for item in items} == names
        assert {item["agent"] for item in items} == names
        assert {item["berth"]["name"] for item in items if item["berth"]} >= names
        her = fetch(harbour, f"/api/vessels/{items[0]['vessel']['id']}", ask).json()
        assert her["name"] == items[0]["vessel"]["name"]
        moved = pages(harbour, f"/api/changes?port={locode}&limit=50", ask)
        assert {item["became"] for item in moved if item["field"] == "agent"} == names


# --- at last, what changes them -----------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [("breakout", "markup"), ("long", "long words"), ("hebrew", "arabic")])
def test_two_ships_are_merged_in_the_admin(harbour: Served, page: Page, pair: tuple[str, str]) -> None:
    known = vessels(harbour)
    one, other = (known[SHOWN[name]] for name in pair)
    page.goto(f"/admin/ports/vessel/?id__in={one},{other}")
    choose(page, "merge", one, other)
    expect(page.get_by_role("heading", name="Merge two vessels")).to_be_visible()
    page.emulate_media(reduced_motion="reduce")
    is_sound(page)
    assert faults(page) == ""
    page.locator(f'button[name="stays"][value="{one}"]').click()
    expect(page.locator(".messagelist")).to_contain_text("one vessel, with the calls of both")
    is_sound(page)


def pages(harbour: Served, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = fetch(harbour, f"{path}{cursor}", headers)
        assert answer.headers["Content-Type"].startswith("application/json")
        told = json.loads(answer.content.decode())
        items += told["items"]
        if told["next_cursor"] is None:
            return items
        cursor = f"&cursor={told['next_cursor']}"


def fetch(harbour: Served, path: str, headers: dict[str, str] | None = None) -> requests.Response:
    answer = requests.get(f"{harbour.address}{path}", headers=headers, timeout=15)
    assert answer.status_code == 200, answer.text
    return answer
