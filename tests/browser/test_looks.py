"""Light and dark, forced colours, less motion; and what a first visit costs a phone."""

import re

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.browser.cards import card, switch, wait_until
from tests.browser.conftest import OpenWindow
from tests.browser.served import Served
from tests.site import ROOT, wait_for

pytestmark = pytest.mark.xdist_group("browser-pages")

DRAWN = """e => {
  if (!e.isConnected) return null;  // its card was just made anew
  const said = {};
  for (const part of ["::before", "::after"]) {
    const style = getComputedStyle(e, part);
    said[part] = [style.content, style.backgroundColor, style.borderStyle, style.borderColor, style.left].join();
  }
  return said;
}"""

RGB = r"rgba?\([^)]*\)"


def colour(page: Page, what: str) -> str:
    return str(page.evaluate(f"getComputedStyle({what}).backgroundColor"))


def drawn(one: Locator) -> dict[str, str]:
    """How a switch is drawn: its track and its knob."""
    return dict(wait_for(lambda: one.evaluate(DRAWN)))


def test_light_and_dark_follow_the_system(lived_in: Served, window: OpenWindow) -> None:
    page = window(lived_in, color_scheme="light", reduced_motion="reduce")
    assert colour(page, "document.body") == "rgb(244, 246, 247)"
    kind = card(page, "Porch lamp").locator(".kind")
    expect(kind).to_have_css("background-color", "rgb(245, 165, 36)")
    page.emulate_media(color_scheme="dark")
    assert colour(page, "document.body") == "rgb(13, 27, 42)"
    expect(kind).to_have_css("background-color", "rgb(255, 182, 72)")


def test_amber_is_where_power_is_and_nowhere_else(lived_in: Served, window: OpenWindow) -> None:
    page = window(lived_in, color_scheme="light", reduced_motion="reduce")
    amber = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((e) => ["", "::before", "::after"].some((part) =>
          getComputedStyle(e, part).backgroundColor === "rgb(245, 165, 36)"))
          .filter((e) => !e.closest(".lit")).map((e) => e.outerHTML)"""
    )
    assert amber == []
    expect(page.locator(".lit")).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_differ_in_forced_colours(lived_in: Served, window: OpenWindow, scheme: str) -> None:
    page = window(lived_in, forced_colors="active", color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    on, off, waiting = (switch(page, name) for name in ("Porch lamp", "Awning in", "Cooler"))
    unknown = switch(page, "Garden pump")
    looks = [drawn(one) for one in (on, off, waiting, unknown)]
    assert all(one not in looks[:number] for number, one in enumerate(looks)), looks
    for look in looks:
        assert "solid" in look["::before"] or "dashed" in look["::before"]
    # A knob differs from what lies under it: the filled track, or the paper that shows through an empty one.
    filled, knob_on = (re.search(RGB, looks[0][part])[0] for part in ("::before", "::after"))
    assert knob_on != filled != colour(page, "document.body")
    assert re.search(RGB, looks[1]["::after"])[0] != colour(page, "document.body")


def test_with_less_motion_nothing_moves(lived_in: Served, window: OpenWindow) -> None:
    moving = window(lived_in)
    expect(card(moving, "Cooler")).to_contain_text("On in")
    wait_until(moving, "document.getAnimations().some((one) => one.playState === 'running')")
    still = window(lived_in, reduced_motion="reduce")
    expect(card(still, "Cooler")).to_contain_text("On in")
    assert still.evaluate("document.getAnimations().length") == 0
    assert still.evaluate(
        """[...document.querySelectorAll("body *")].every((e) => ["", "::before", "::after"].every((part) =>
          getComputedStyle(e, part).transitionDuration.split(", ").every((one) => one === "0s")))"""
    )


def test_a_first_visit_by_phone_weighs_less_than_100_kilobytes(lived_in: Served, window: OpenWindow) -> None:
    page = window(lived_in, "/account/", viewport={"width": 360, "height": 740}, is_mobile=True)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    asked: dict[str, str] = {}
    loaded: dict[str, int] = {}  # also the end of what the page before had asked for
    network.on("Network.requestWillBeSent", lambda it: asked.update({it["requestId"]: it["request"]["url"]}))
    network.on("Network.loadingFinished", lambda it: loaded.update({it["requestId"]: it["encodedDataLength"]}))
    page.goto("/", wait_until="load")
    expect(card(page, "Porch lamp")).to_be_visible()
    weights = {url: loaded[request] for request, url in asked.items() if request in loaded}
    for wanted in ("live.js", "iotsite.css", "htmx-2.min.js"):
        assert any(url.endswith(wanted) for url in weights), weights
    total = sum(weights.values())
    for link in page.locator("link[href]").all():  # what this browser does not fetch and a phone may
        url = f"{lived_in.address}{link.get_attribute('href')}"
        if url not in weights:
            answer = requests.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=10)
            total += len(answer.raw.read()) + 500
    print(f"\nhome with 60 relays: {total} bytes in all, compressed")
    assert total < 100_000


def test_our_own_script_and_style_stay_small_as_they_are_served() -> None:
    def size(*patterns: str) -> int:
        return sum(path.stat().st_size for pattern in patterns for path in (ROOT / "static").glob(pattern))

    assert size("*.js") < 10_000
    assert size("iotsite.css") < 20_000
