"""What a machine can tell of how well people without good eyes, or without a mouse, get along: axe finds nothing."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import OpenWindow, Watch
from tests.browser.pages import ADMIN, EXPECTED, PAGES, path_and_who
from tests.browser.served import Served

pytestmark = pytest.mark.xdist_group("browser-pages")


def faults(page: Page, *but: str) -> list[str]:
    """What axe finds, without the rules named in ``but``."""
    rules = {"rules": {rule: {"enabled": False} for rule in but}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=rules).response["violations"]
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page(lived_in: Served, window: OpenWindow, watch: Watch, name: str) -> None:
    watch.expect(EXPECTED)
    path, who = path_and_who(name)
    page = window(lived_in, path, who=who, reduced_motion="reduce")
    for one in page.locator("details:not([name])").all():
        one.evaluate("e => (e.open = true)")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert "\n".join(faults(page)) == "", scheme


@pytest.mark.parametrize("name", ADMIN)
def test_axe_finds_nothing_of_ours_in_the_admin(
    lived_in: Served, window: OpenWindow, watch: Watch, name: str
) -> None:
    path, who = path_and_who(name)
    page = window(lived_in, path, who=who, reduced_motion="reduce")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert "\n".join(faults(page)) == "", scheme
