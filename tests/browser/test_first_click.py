"""From an empty site to the first click, through the pages alone."""

import pytest
from playwright.sync_api import expect

from tests.browser.cards import card, switch
from tests.browser.conftest import OpenWindow
from tests.browser.served import Served
from tests.site import wait_for

pytestmark = pytest.mark.xdist_group("browser-live")


@pytest.fixture(scope="module")
def empty(served: Served) -> Served:
    """People and nothing else; the controller of a board to come is started by whoever runs the site."""
    served.furnish()
    return served


def test_from_nothing_to_the_first_click(empty: Served, window: OpenWindow) -> None:
    empty.start_web()
    looking = window(empty, who="viola")
    expect(looking.get_by_text("Ask an administrator")).to_be_visible()
    page = window(empty)
    page.get_by_role("link", name="Add the first relay").click()

    expect(page.get_by_role("heading", name="Find a board")).to_be_visible()
    page.get_by_role("button", name="Add a simulated board").click()
    expect(page.get_by_role("heading", name="Add the first relay")).to_be_visible()
    empty.site.start_controller()
    page.get_by_role("link", name="Add a relay").click()

    page.get_by_label("Name", exact=True).fill("Porch lamp")
    page.get_by_label("Room", exact=True).fill("Garden")
    page.get_by_role("radio", name="GPIO17").check()
    page.get_by_role("radio", name="active-low").check()
    page.get_by_role("button", name="Add it, and try it").click()

    page.get_by_role("button", name="Click for one second").click()
    page.wait_for_url("**/try/?event=*")
    wait_for(lambda: empty.site.levels("GPIO17")[-2:] == [0, 1])
    empty.site.wait_actual("porch-lamp", False)
    page.reload()
    expect(page.get_by_text("GPIO17 was driven low and read back, and is off again")).to_be_visible()
    page.get_by_role("link", name="Yes, it did").click()

    expect(page.get_by_role("heading", name="Garden")).to_be_visible()
    expect(card(looking, "Porch lamp")).to_be_visible()  # the page that was empty learned of it
    switch(page, "Porch lamp").click()
    expect(switch(page, "Porch lamp")).to_be_checked()
    expect(card(looking, "Porch lamp")).to_contain_text("On since")
