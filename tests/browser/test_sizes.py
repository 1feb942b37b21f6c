"""Every page on a phone, a tablet and a desk; what acts is large enough for a thumb."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow, Watch
from tests.browser.pages import ADMIN, EXPECTED, PAGES, path_and_who
from tests.browser.served import Served

pytestmark = pytest.mark.xdist_group("browser-pages")

PHONE, TABLET, DESK = (360, 740), (768, 1024), (1280, 800)

TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 0.5);
  return [`${document.documentElement.scrollWidth} px`, ...wide.map((e) => e.outerHTML.slice(0, 120))];
}"""

TOO_SMALL = """() => {
  const acts = "a[href], button, summary, select, input:not([type=hidden]), textarea";
  const isShown = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length;
  // A link within a sentence has a sentence around it: its line is as high as it is.
  const isInSentence = (e) => e.matches("a") && !e.matches(".button, nav a") &&
    [...e.parentElement.childNodes].some((n) => n !== e && n.textContent.trim().length > 1);
  const small = [];
  for (const one of document.querySelectorAll(acts)) {
    if (!isShown(one) || one.closest(".skip, svg") || isInSentence(one)) continue;
    one.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const box = one.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const isHit = (dx, dy) => {
      const found = document.elementFromPoint(x + dx, y + dy);
      return found && (one.contains(found) || found.closest("label")?.control === one);
    };
    const reach = (dx, dy) => { let n = 0; while (n < 44 && isHit(dx * n, dy * n)) n++; return n; };
    const high = reach(0, -1) + reach(0, 1);
    const wide = reach(-1, 0) + reach(1, 0);
    if (high < 44 || wide < 44) small.push(`${wide} x ${high}: ${one.outerHTML.slice(0, 160)}`);
  }
  return small;
}"""
"""What can be pressed and is smaller than 44 by 44 px there where a finger meets it."""

OPEN_ALL = """() => {
  for (const one of document.querySelectorAll("details")) {
    one.removeAttribute("name");
    one.open = true;
  }
}"""
"""Menus, and what else opens; those of one name would close each other."""


def show(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


@pytest.mark.parametrize("name", [*PAGES, *ADMIN])
def test_a_page_fits_every_width_and_every_thumb(lived_in: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(EXPECTED)
    path, who = path_and_who(name)
    page = window(lived_in, path, who=who, viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True)
    expect(page.locator("h1").first).to_be_attached()
    if name in PAGES:
        assert "\n".join(page.evaluate(TOO_SMALL)) == ""
    for size in (PHONE, TABLET, DESK):
        show(page, size)
        assert "\n".join(page.evaluate(TOO_WIDE)) == "", size
    page.evaluate(OPEN_ALL)
    for size in (PHONE, TABLET, DESK):
        show(page, size)
        assert "\n".join(page.evaluate(TOO_WIDE)) == "", f"all opened at {size}"
