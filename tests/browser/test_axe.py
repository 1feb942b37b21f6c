"""What a machine can tell of how well people without good eyes, or without a mouse, get along: axe finds nothing."""

from collections.abc import Iterable
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.cards import wait_until
from tests.browser.conftest import OpenWindow, Watch
from tests.browser.pages import ADMIN, EXPECTED, PAGES, path_and_who
from tests.browser.served import Served

pytestmark = pytest.mark.xdist_group("browser-pages")


UPSTREAM = ["label-title-only"]
"""Django's admin/search_form.html: the label of the search above a list is a picture of a magnifying glass."""


FEWER_ROWS = "document.querySelectorAll('#result_list tbody tr:nth-child(n + 11)').forEach((row) => row.remove())"
"""Axe takes its time over each row of a list in the admin, and one is like the others."""

OF_COLOURS = ["color-contrast", "link-in-text-block"]


def faults(page: Page, without: Iterable[str] = ()) -> str:
    """What axe finds: in light by all rules but those of ``without``, in dark by those that look at colours."""
    in_light = {"rules": {rule: {"enabled": False} for rule in without}}
    return _found(page, "light", in_light) + _found(page, "dark", {"runOnly": OF_COLOURS})


def _found(page: Page, scheme: Literal["light", "dark"], rules: dict[str, Any]) -> str:
    page.emulate_media(color_scheme=scheme)
    wait_until(page, "document.getAnimations().length === 0")  # the admin's links change colour slowly
    # To preload style sheets it would put style into the page, which the policy stops.
    options = {"resultTypes": ["violations"], "preload": False, **rules}
    found = Axe().run(page, options=options).response["violations"]
    return "".join(
        f"{scheme}: {one['id']}: {node['html'][:160]} {node['failureSummary']}\n"
        for one in found
        for node in one["nodes"]
    )


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page(lived_in: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(EXPECTED)
    path, who = path_and_who(name)
    page = window(lived_in, path, who=who, reduced_motion="reduce")
    for one in page.locator("details:not([name])").all():
        one.evaluate("e => (e.open = true)")
    assert faults(page) == ""


@pytest.mark.parametrize("name", ADMIN)
def test_axe_finds_nothing_of_ours_in_the_admin(lived_in: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    path, who = path_and_who(name)
    page = window(lived_in, path, who=who, reduced_motion="reduce")
    assert faults(page, without=UPSTREAM) == ""


def test_axe_finds_nothing_while_everything_is_stopped_or_the_connection_is_lost(
    lived_in: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    lived_in.ask("/stop")
    try:
        page = window(lived_in, reduced_motion="reduce")
        expect(page.get_by_text("Everything is stopped.", exact=True)).to_be_visible()
        assert faults(page) == ""
    finally:
        lived_in.ask("/stop/reset")
        for slug in ("porch-lamp", "reading-lamp", "garden-pump", "awning-out", "cooler"):
            lived_in.switch(slug, "on")
    page.context.set_offline(True)
    page.evaluate("gone()")
    expect(page.get_by_role("alert")).to_be_visible()
    assert faults(page) == ""
