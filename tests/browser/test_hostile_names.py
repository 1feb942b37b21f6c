"""Names are what somebody typed: they are shown as typed, they do nothing, and they break nothing."""

import pytest
from playwright.sync_api import Page, expect

from relays import clock
from tests.browser.cards import card
from tests.browser.conftest import OpenWindow
from tests.browser.served import Served
from tests.browser.test_sizes import OPEN_ALL, TOO_WIDE
from tests.site import sign_in

pytestmark = pytest.mark.xdist_group("browser-live")

TURN = "\u202e"
NAMES = {
    "markup": "<img src=x onerror=hit()><script>hit()</script>",
    "breakout": "\"'></bdi></a><b onclick=hit() hx-get=/live hx-trigger=load>",
    "turned": f"{TURN}pmal hcroP{TURN} gate",
    "long": "W" * 60,
    "emoji": "🏠🔥👩‍👩‍👧‍👦🏴‍☠️ {{ 7|add:7 }} {% now %} &lt;b&gt; \u200f\u0645\u0635\u0628\u0627\u062d",
}
PERSON = f"<script>hit()</script>{TURN}anna{'M' * 100}"
REASON = f"<img src=x onerror=hit()>{TURN}reason \"'> {'L' * 140}"
HOSTILE = """
names = {names!r}
for number, (slug, name) in enumerate(names.items()):
    one = simulated(name)
    relay(name, name, one, slug=slug, line="GPIO17")
    relay("x" + name[:59], name, one, slug=slug + "-2", line="GPIO18", max_on=timedelta(hours=1))
    interlock = Interlock.objects.create(name=name, board=one)
    one.relays.update(interlock=interlock)
    Token.make(bench, name, "read")
    Token.make(viola, name, "read")
bench.username = {person!r}
bench.save()
Relay.objects.filter(slug="long").update(fault={fault!r})
"""

PAGES = ["/relays/{}/", "/relays/{}/edit/", "/relays/{}/try/", "/activity/?relay={}"]
OTHERS = ["/", "/setup/", "/activity/", "/account/", "/relays/add/", "/relays/add/?board=1", "/stop/reset", "/api/docs"]
ADMIN = [
    *("/admin/", "/admin/relays/relay/", "/admin/relays/room/", "/admin/relays/board/", "/admin/relays/event/"),
    *("/admin/relays/relay/1/change/", "/admin/relays/relay/5/change/", "/admin/relays/board/1/change/"),
    *("/admin/relays/interlock/1/change/", "/admin/relays/relay/2/delete/", "/admin/relays/relay/1/history/"),
]

TURNED_OUTSIDE = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode;
    if (!text.data.includes("\\u202e") || text.parentElement.closest("bdi, option, title, input, textarea")) continue;
    // What shares its line with nothing else turns nothing else.
    const block = text.parentElement.closest("p, li, h1, h2, h3, dt, dd, td, th, summary, label, legend, div");
    if (block.textContent.trim() !== text.data.trim()) found.push(block.outerHTML.slice(0, 200));
  }
  return found;
}"""
"""Texts with a turning mark that would turn their neighbours too."""


COUNT_HITS = "window.hits = 0; window.hit = () => window.hits++;"


@pytest.fixture(scope="module")
def house(served: Served) -> Served:
    served.furnish(HOSTILE.format(names=NAMES, person=PERSON, fault=REASON))
    served.start_web()
    for number in range(1, len(NAMES) + 1):
        served.site.files(number).beat(at=clock.boot_seconds() + 3600)
    served.sessions["bench"] = sign_in(served.address, PERSON)
    served.ask("/relays/turned/lock", reason=REASON)
    served.ask("/relays/emoji/switch", on="on", lasting="2h")
    return served


@pytest.fixture
def phone(house: Served, window: OpenWindow) -> Page:
    page = window(house, "/account/", viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page.context.add_init_script(COUNT_HITS)
    return page


def look(page: Page, path: str) -> None:
    """Go to a page, open what opens there, and see that no name does or breaks anything."""
    page.goto(path)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("window.hits") == 0, path
    assert (
        page.locator("script:not([src]):not([type]), img[src=x], b[onclick], [onerror], [hx-trigger=load]").count() == 0
    )
    if not path.startswith("/admin/"):
        assert page.evaluate(TOO_WIDE) == [], path
        assert page.evaluate(TURNED_OUTSIDE) == [], path


@pytest.mark.parametrize("slug", NAMES)
def test_a_hostile_name_is_shown_as_it_was_typed_on_the_pages_of_its_relay(phone: Page, slug: str) -> None:
    name = NAMES[slug]
    for path in PAGES:
        look(phone, path.format(slug))
    phone.goto(f"/relays/{slug}/")
    assert phone.locator("h1").text_content() == name
    assert phone.title() == f"{name} · iotsite"
    phone.goto(f"/relays/{slug}/edit/")
    expect(phone.get_by_label("Name", exact=True)).to_have_value(name)
    expect(phone.get_by_label("Room", exact=True)).to_have_value(name)


@pytest.mark.parametrize("path", OTHERS)
def test_hostile_names_do_nothing_and_break_nothing_where_many_stand(phone: Page, path: str) -> None:
    look(phone, path)
    if path == "/":
        assert set(phone.locator(".relay .name").all_text_contents()) >= set(NAMES.values())
        assert set(phone.locator(".room h2").all_text_contents()) == set(NAMES.values())
        shown = phone.locator("#relay-5 .lock, #relay-6 .lock").all_text_contents()
        assert [" ".join(text.split()) for text in shown] == [f"Locked: {REASON} · by {PERSON}"]
    if path == "/setup/":
        assert set(phone.locator(".step h2 bdi").all_text_contents()) >= set(NAMES.values())
    if path == "/account/":
        assert set(phone.locator(".tokens strong").all_text_contents()) == set(NAMES.values())
        assert phone.locator(".step strong").first.text_content() == PERSON


def test_hostile_names_do_nothing_in_the_admin(phone: Page) -> None:
    for path in ADMIN:
        look(phone, path)


def test_hostile_names_do_nothing_when_they_are_pushed_or_said(house: Served, phone: Page) -> None:
    phone.goto("/")
    house.ask("/relays/markup/lock", reason=REASON)
    expect(card(phone, NAMES["markup"])).to_contain_text("Locked:")
    # As a page would that has not heard of the lock yet.
    phone.route("**/relays/breakout/switch", lambda it: it.continue_(url=f"{house.address}/relays/markup/switch"))
    phone.get_by_role("switch", name=NAMES["breakout"], exact=True).click()
    expect(phone.locator("#messages .error")).to_contain_text(NAMES["markup"])
    expect(phone.locator("#messages .error")).to_contain_text(REASON)
    house.ask("/stop")
    expect(phone.get_by_text("Stopped by")).to_contain_text(PERSON)
    assert phone.evaluate(TOO_WIDE) == []
    assert phone.evaluate(TURNED_OUTSIDE) == []
    assert phone.evaluate("window.hits") == 0
    for path in ("/boards/1/", "/boards/4/", "/stop/reset", "/relays/long/", "/activity/"):
        look(phone, path)
    house.ask("/stop/reset")
