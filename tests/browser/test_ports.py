"""The pages of ports in a real browser: every width, both themes, a keyboard, no JavaScript, and news as it comes."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.cards import wait_until
from tests.browser.conftest import OpenWindow, Watch
from tests.browser.served import Served
from tests.browser.test_axe import FEWER_ROWS, UPSTREAM, faults
from tests.browser.test_keyboard import RINGED
from tests.browser.test_sizes import DESK, OPEN_ALL, PHONE, TABLET, TOO_SMALL, TOO_WIDE, show

pytestmark = pytest.mark.xdist_group("browser-ports")

PAGES = {
    "ports": "/ports/",
    "in port": "/ports/XXHKG/in-port/",
    "in port filtered": "/ports/XXHKG/in-port/?type=tanker&sort=name",
    "expected": "/ports/XXHKG/expected/",
    "departed": "/ports/XXHKG/departed/",
    "changes": "/ports/XXHKG/changes/",
    "berth board": "/ports/XXHKG/berths/",
    "empty": "/ports/CAVAN/in-port/",
    "failed": "/ports/HKHKG/expected/",
    "refused": "/ports/XXHKG/expected/?sort=nonsense",
    "turn on": "/ports/CAPRR/turn-on/",
    "refreshes": "/ports/refreshes/",
    "refreshes of a port": "/ports/refreshes/?port=HKHKG",
    "ship": "/ports/vessels/1/",
    "ship that is lost": "/ports/vessels/900000/",
    "followed": "/ports/followed/",
    "calendar and feed": "/ports/subscription/?port=XXHKG&type=tanker",
    "account": "/account/",
}
FEWER = {
    "in port": "/ports/XXHKG/in-port/?type=bulk",
    "expected": "/ports/XXHKG/expected/?type=bulk",
    "departed": "/ports/XXHKG/departed/?type=bulk",
    "changes": "/ports/XXHKG/changes/?field=berth",
}
"""The same with fewer rows, where each row takes its time and is like the others."""
ADMIN = {
    **{name: f"/admin/ports/{name}/" for name in ("port", "feed", "refresh", "vessel", "portcall", "change", "berth")},
    "a port": "/admin/ports/port/1/change/",
    "a ship": "/admin/ports/vessel/1/change/",
    "a call": "/admin/ports/portcall/1/change/",
    "a refresh": "/admin/ports/refresh/1/change/",
}
HARBOUR = """
from django.utils import timezone
from ports import example
from ports.ledger import Tally
from ports.models import Port, PortCall, Refresh, Subscription, Vessel
example.load()
now = timezone.now()
for ship in Vessel.objects.filter(calls__status="in_port").order_by("id")[:5]:
    ship.follow(bench, True)
Vessel.objects.filter(calls__status="departed").last().follow(bench, True)
here = Port.objects.get(is_example=True)
lost = Vessel.objects.create(pk=900000, name="LOST AND LATE", first_seen_at=now, imo="9811000", flag="PA")
lost.follow(bench, True)
PortCall.objects.create(
    port=here, vessel=lost, status="in_port", ata=here.now - timedelta(days=20), first_seen_at=here.now, digest=0,
    last_seen_at=here.now - timedelta(days=9), is_doubtful=True, agent="Wilson", previous_port="Kobe",
)
Subscription.objects.renew(bench)
for locode, error in (("CAVAN", ""), ("HKHKG", "https://www.mardep.gov.hk answered 500: its last list stays.")):
    Port.objects.filter(locode=locode).update(is_enabled=True, loaded_at=now, seen_since=now)
    port = Port.objects.get(locode=locode)
    told = {"feed": port.feed, "started_at": now, "as_of": now, "took": timedelta(seconds=1)}
    Refresh.objects.create(outcome="done", counts={locode: Tally().as_json()}, **told)
    if error:
        Refresh.objects.create(outcome="failed", error=error, unknown={"CAXYZ": 3, "W" * 200: 1}, **told)
"""
NEWS = """
from datetime import timedelta
from django.utils import timezone
from ports.ledger import Tally
from ports.models import Port, PortCall, Refresh, Vessel
port, now = Port.objects.get(locode="CAVAN"), timezone.now()
her = Vessel.objects.create(name="{name}", first_seen_at=now)
PortCall.objects.create(port=port, vessel=her, status="in_port", ata=now, first_seen_at=now, digest=0)
told = {{"feed": port.feed, "started_at": now, "as_of": now, "took": timedelta(seconds=1)}}
Refresh.objects.create(outcome="done", counts={{port.locode: Tally().as_json()}}, **told)
"""
BOARD = """
from relays.models import Board
Board.objects.create(name="Cellar", driver="simulated")
"""


@pytest.fixture(scope="module")
def harbour(served: Served) -> Served:
    """A site with ships alone: the example, a port without ships, one whose last refresh failed."""
    served.furnish(HARBOUR)
    served.start_web()
    return served


def tell(harbour: Served, name: str) -> None:
    done = harbour.site.manage("shell", "-c", NEWS.format(name=name))
    assert done.returncode == 0, done.stderr


def ships(page: Page) -> list[str]:
    return page.locator('.calls [scope="row"] > a').all_inner_texts()


# --- every page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(harbour: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(r"status of 400")
    page = window(harbour, FEWER.get(name, PAGES[name]), reduced_motion="reduce")
    for one in page.locator("details:not([name])").all():
        one.evaluate("e => (e.open = true)")
    for size in (PHONE, DESK):
        show(page, size)
        assert faults(page) == "", size


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_every_width_and_every_thumb(harbour: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(r"status of 400")
    page = window(harbour, PAGES[name], viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True)
    expect(page.locator("h1").first).to_be_attached()
    assert "\n".join(page.evaluate(TOO_SMALL)) == ""
    page.evaluate(OPEN_ALL)
    for size in (PHONE, TABLET, DESK):
        show(page, size)
        assert "\n".join(page.evaluate(TOO_WIDE)) == "", size


DJANGOS = [*UPSTREAM, "empty-table-header"]
"""Django's admin/edit_inline/tabular.html: its tables have a head without words on either side."""


@pytest.mark.parametrize("name", ADMIN)
def test_the_admin_of_ports_is_clean_and_fits_every_width(
    harbour: Served, window: OpenWindow, watch: Watch, name: str
) -> None:
    page = window(harbour, ADMIN[name], reduced_motion="reduce")
    for size in (PHONE, TABLET, DESK):
        show(page, size)
        assert "\n".join(page.evaluate(TOO_WIDE)) == "", size
    page.evaluate(FEWER_ROWS)
    assert faults(page, without=DJANGOS) == ""


REACHABLE = """() => {
  const acts = "a[href], button, summary, select, input:not([type=hidden]), textarea";
  const isShown = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length;
  window.acts = [...document.querySelectorAll(acts)].filter(isShown);
  return window.acts.length;
}"""
FOCUSED = "window.acts.indexOf(document.activeElement)"


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_all_of_a_page(harbour: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(r"status of 400")
    page = window(harbour, PAGES[name])
    page.evaluate("document.activeElement.blur()")
    number, reached = page.evaluate(REACHABLE), set()
    for _ in range(number):
        page.keyboard.press("Tab")
        assert page.evaluate(RINGED), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        reached.add(page.evaluate(FOCUSED))
    missed = sorted({*range(number)} - reached)
    assert page.evaluate("(n) => n.map((i) => window.acts[i].outerHTML.slice(0, 200))", missed) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_same_without_javascript(harbour: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(r"status of 400")
    for _ in range(3):  # a minute may turn between the two, and they say how old the list is
        with_it, without = (_said(window(harbour, PAGES[name], java_script_enabled=is_on)) for is_on in (True, False))
        if with_it == without:
            break
    assert with_it == without


def _said(page: Page) -> list[str]:
    expect(page.locator("main h1")).to_be_visible()
    return [line for line in page.locator("main").inner_text().splitlines() if line.strip() != "Yours"]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_amber(harbour: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(r"status of 400")
    page = window(harbour, PAGES[name], color_scheme="light")
    coloured = """() => [...document.querySelectorAll("main *")].filter((e) => {
      const style = getComputedStyle(e);
      return [style.color, style.backgroundColor, style.fill, style.stroke].includes("rgb(245, 165, 36)");
    }).map((e) => e.outerHTML.slice(0, 100))"""
    assert page.evaluate(coloured) == []


def test_the_board_differs_in_forced_colours(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["berth board"], forced_colors="active")
    fills = page.evaluate("""() => [".key .past", ".key .plan"].map((e) =>
      getComputedStyle(document.querySelector(e)).fill)""")
    assert fills[0] != fills[1]


# --- finding a ship -----------------------------------------------------------------------------------------


def test_a_list_is_searched_as_one_types_and_the_address_says_what_is_shown(
    harbour: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect("htmx:(sendAbort|afterRequest)")  # who types slowly replaces what was asked for
    page = window(harbour, PAGES["in port"])
    everyone = ships(page)
    wanted = everyone[3]
    search = page.get_by_role("searchbox", name="Search ships")
    search.press_sequentially(wanted[:6].lower(), delay=20)
    wait_until(page, f"new URLSearchParams(location.search).get('q') === {wanted[:6].lower()!r}")
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^\s*\d+ ships?\s+·\s+Show all"))).to_be_visible()
    assert wanted in ships(page)
    assert len(ships(page)) < len(everyone)
    expect(search).to_be_focused()
    page.reload()
    assert wanted in ships(page)
    assert page.get_by_role("searchbox", name="Search ships").input_value() == wanted[:6].lower()


def test_filters_act_as_they_are_chosen(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["expected"])
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Type", exact=True).select_option("tanker")
    wait_until(page, "location.search.includes('type=tanker')")
    kinds = page.locator(".what").all_inner_texts()
    assert kinds
    assert all("tanker" in kind for kind in kinds)
    page.get_by_role("link", name="Ship", exact=True).click()
    page.wait_for_url(re.compile("sort=name"))
    assert "type=tanker" in page.url
    shown = ships(page)
    assert shown
    assert shown == sorted(shown)


def test_everything_works_without_javascript(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["in port"], java_script_enabled=False)
    wanted = ships(page)[2]
    page.get_by_role("searchbox", name="Search ships").fill(wanted)
    page.get_by_role("searchbox", name="Search ships").press("Enter")
    expect(page.locator('.calls [scope="row"] > a')).to_have_text([wanted])
    page.get_by_role("link", name="Show all", exact=True).click()
    page.get_by_role("link", name="Next").click()
    assert "page=2" in page.url
    page.get_by_role("link", name="UTC", exact=True).click()
    assert "times=utc" in page.url
    expect(page.get_by_role("link", name="Yours")).to_have_count(0)
    page.get_by_role("link", name=re.compile("Expected")).click()
    assert "times=utc" in page.url
    expect(page.locator("thead a", has_text="ETA")).to_be_visible()


def test_ships_are_followed_and_addresses_made_without_javascript(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["ship"], who="viola", java_script_enabled=False)
    name = page.locator("h1").inner_text()
    page.get_by_role("button", name="Follow").click()
    expect(page.get_by_text(f"You follow {name} now.")).to_be_visible()
    page.goto(PAGES["followed"])
    assert ships(page) == [name]
    page.get_by_role("button", name=f"Follow {name}").click()
    expect(page.get_by_text("You follow no ship.")).to_be_visible()
    page.goto(PAGES["calendar and feed"])
    page.get_by_role("button", name="Make one").click()
    expect(page.get_by_role("button", name="Revoke it")).to_be_visible()
    page.wait_for_load_state()
    secrets = page.locator("output.secret").all_inner_texts()
    assert any(re.search(r"/ports/out/[^/]+/XXHKG/expected\.ics\?type=tanker$", secret) for secret in secrets)
    page.get_by_role("button", name="Revoke it").click()
    expect(page.locator("output.secret")).to_have_count(0)


def test_the_keyboard_reaches_search_filters_heads_and_bars(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["in port"])
    page.get_by_role("searchbox", name="Search ships").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Type", exact=True)).to_be_visible()
    page.get_by_role("link", name="Arrived").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("sort=ata"))
    page.goto(PAGES["berth board"])
    bar = page.locator(".place svg a").first
    bar.focus()
    assert page.evaluate("document.activeElement.getAttribute('aria-label').length") > 10
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/ports/vessels/\d+/"))


def test_times_can_be_told_in_the_browsers_own_zone(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["in port"], timezone_id="America/St_Johns")
    page.get_by_role("link", name="Yours").click()
    assert "times=America%2FSt_Johns" in page.url
    expect(page.get_by_role("navigation", name="Times in")).to_contain_text("St Johns time UTC−2:30")


# --- news ---------------------------------------------------------------------------------------------------


def test_a_refresh_shows_up_in_place_and_the_search_keeps_its_focus(harbour: Served, window: OpenWindow) -> None:
    page = window(harbour, PAGES["empty"])
    expect(page.get_by_text("No ship is told of here.")).to_be_visible()
    search = page.get_by_role("searchbox", name="Search ships")
    search.focus()
    page.evaluate("window.stays = true")
    tell(harbour, "NEWCOMER")
    expect(page.get_by_role("link", name="NEWCOMER")).to_be_visible()
    expect(page.locator("#tabs")).to_contain_text(re.compile(r"In port\s+1"))
    expect(page.locator("#found")).to_have_text("1 ship")
    expect(search).to_be_focused()
    assert page.evaluate("window.stays"), "the page was not loaded anew"


def test_news_of_ships_reach_the_ports_page_and_a_page_without_a_stream(
    harbour: Served, window: OpenWindow, watch: Watch
) -> None:
    pages = [window(harbour, PAGES["ports"])]
    alone = window(harbour, PAGES["empty"], who="viola")
    wait_until(alone, "hasOpened")
    alone.evaluate("close(); listen = () => {}")
    before = pages[0].locator(".ports li", has_text="Vancouver").inner_text()
    tell(harbour, "SECOND")
    expect(pages[0].locator(".ports li", has_text="Vancouver")).not_to_have_text(before)
    expect(alone.get_by_role("link", name="SECOND")).to_be_visible()


# --- what one may do ----------------------------------------------------------------------------------------


def test_a_port_is_turned_on_and_off_and_the_example_removed(harbour: Served, window: OpenWindow, watch: Watch) -> None:
    watch.expect(r"404.*/ports/XXHKG/")  # its page may be told of the news before it is gone itself
    page = window(harbour, PAGES["turn on"])
    page.get_by_role("button", name="Turn on Prince Rupert").click()
    expect(page.get_by_text("Nothing fetches ships now")).to_be_visible()
    expect(page.get_by_text("A refresh is wished, and nothing runs that would fetch it")).to_be_visible()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("Prince Rupert is off")).to_be_visible()
    expect(page.get_by_role("link", name="Hong Kong (example)")).to_be_visible()
    page.get_by_role("link", name="Hong Kong (example)").click()
    page.get_by_role("button", name="Remove the example").click()
    expect(page.get_by_text("The example is removed.")).to_be_visible()
    expect(page.get_by_role("link", name="Hong Kong (example)")).to_have_count(0)


# --- with relays beside -------------------------------------------------------------------------------------


BAR = """() => [...document.querySelectorAll(".bar .brand, .bar nav > *")].map((e) => {
  const box = e.getBoundingClientRect();
  return [box.left, box.right, box.top, box.height];
})"""


def test_the_bar_holds_relays_and_ships_on_a_phone(harbour: Served, window: OpenWindow) -> None:
    made = harbour.site.manage("shell", "-c", BOARD)
    assert made.returncode == 0, made.stderr
    for path in (PAGES["ports"], "/activity/"):
        page = window(harbour, path, viewport={"width": 360, "height": 740}, has_touch=True)
        bar = page.get_by_role("navigation", name="Site")
        assert [link.inner_text() for link in bar.get_by_role("link").all()] == ["Relays", "Activity", "Ships"]
        boxes = page.evaluate(BAR)
        assert boxes[-1][1] <= 360
        assert all(one[1] <= following[0] for one, following in pairwise(boxes)), "none over another"
        assert {round(top + height / 2) for _, _, top, height in boxes} == {round(boxes[0][2] + boxes[0][3] / 2)}
        assert "\n".join(page.evaluate(TOO_WIDE)) == ""
        assert "\n".join(page.evaluate(TOO_SMALL)) == ""
        menu = bar.locator("summary")
        expect(menu).to_have_accessible_name("bench")
        menu.click()
        expect(bar.get_by_role("link", name="Account")).to_be_visible()
        assert "\n".join(page.evaluate(TOO_WIDE)) == ""
