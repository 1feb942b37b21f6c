"""With a keyboard alone, and without JavaScript."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.cards import card, switch, wait_until
from tests.browser.conftest import OpenWindow
from tests.browser.served import Served
from tests.site import PASSWORD, wait_for

pytestmark = pytest.mark.xdist_group("browser-live")

RINGED = """() => {
  const one = document.activeElement;
  const rings = ["", "::before", "::after"].map((part) => getComputedStyle(one, part));
  const isRing = (it) => it.outlineStyle !== "none" && parseFloat(it.outlineWidth) >= 2;
  return one.matches(":focus-visible") && rings.some(isRing);
}"""


@pytest.fixture(scope="module")
def house(served: Served) -> Served:
    served.furnish('simulated("Cellar")\nrelay("Porch lamp", "Garden", kind="lamp")\nrelay("Pump", "Garden")')
    served.site.start_controller()
    served.start_web()
    return served


def tab_to(page: Page, selector: str, most: int = 25) -> None:
    """Press Tab until what ``selector`` names has the focus; each stop on the way can be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        assert page.evaluate(RINGED), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab never reaches {selector}")


def test_a_keyboard_signs_in_and_switches(house: Served, window: OpenWindow) -> None:
    page = window(house, who="")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    if not page.evaluate("document.activeElement.matches('[name=username]')"):
        tab_to(page, "[name=username]")
    page.keyboard.type("sam")
    tab_to(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(card(page, "Porch lamp")).to_contain_text("Off")
    page.wait_for_load_state()  # its scripts too: what is sent without them loads the page anew

    tab_to(page, "[role=switch][aria-labelledby=name-1]")
    page.keyboard.press("Space")
    expect(switch(page, "Porch lamp")).to_be_checked()
    expect(switch(page, "Porch lamp")).to_be_focused()
    assert page.evaluate(RINGED)
    page.keyboard.press("Enter")
    expect(switch(page, "Porch lamp")).not_to_be_checked()
    expect(switch(page, "Porch lamp")).to_be_focused()


def test_the_focus_stays_when_others_switch_what_it_stands_on(house: Served, window: OpenWindow) -> None:
    page = window(house)
    for selector in ("#switch-1", "#for-1 summary", "#name-1"):
        page.locator("body").click(position={"x": 2, "y": 400})
        page.locator(selector).focus()
        for on, words in (("on", "On since"), ("off", "Off since")):
            house.switch("porch-lamp", on)
            expect(card(page, "Porch lamp")).to_contain_text(words)
            expect(page.locator(selector)).to_be_focused()
    page.locator("#switch-1").focus()
    page.evaluate("refresh()")
    wait_until(page, "document.activeElement.id === 'switch-1'")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.relay').id") == "relay-1"


def test_a_keyboard_opens_the_menu_of_times_and_leaves_it(house: Served, window: OpenWindow) -> None:
    page = window(house)
    lamp = card(page, "Porch lamp")
    tab_to(page, "#for-1 summary")
    page.keyboard.press("Enter")
    expect(lamp.get_by_role("button", name="5 min")).to_be_visible()
    page.keyboard.press("Escape")
    expect(lamp.get_by_role("button", name="5 min")).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('#for-1 summary')")
    page.keyboard.press("Space")
    tab_to(page, "button[value='30m']", most=3)
    page.keyboard.press("Enter")
    expect(lamp).to_contain_text("On · ")
    expect(lamp).to_contain_text("left until")
    assert page.evaluate("document.activeElement.closest('.relay')?.id") == "relay-1"
    house.switch("porch-lamp", "off")


def test_an_open_menu_stays_open_when_its_card_is_drawn_anew(house: Served, window: OpenWindow) -> None:
    page = window(house)
    lamp = card(page, "Porch lamp")
    lamp.get_by_label("On for a while: Porch lamp").click()
    house.switch("porch-lamp", "on")
    expect(lamp).to_contain_text("On since")
    expect(lamp.get_by_role("button", name="30 min")).to_be_visible()
    house.switch("porch-lamp", "off")


def test_everything_works_without_javascript(house: Served, window: OpenWindow) -> None:
    page = window(house, who="", java_script_enabled=False)
    page.get_by_label("Username").fill("bench")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    lamp = card(page, "Porch lamp")
    switch(page, "Porch lamp").click()
    expect(lamp).to_contain_text("On since")
    expect(switch(page, "Porch lamp")).to_be_checked()
    switch(page, "Porch lamp").click()
    expect(lamp).to_contain_text("Off since")

    lamp.get_by_label("On for a while: Porch lamp").click()
    lamp.get_by_role("button", name="30 min").click()
    expect(lamp).to_contain_text("left until")
    lamp.get_by_role("link", name="Porch lamp").click()
    page.get_by_role("textbox", name="On for a while").fill("soon")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("#messages")).to_contain_text("soon")
    page.get_by_role("textbox", name="On for a while").fill("2h")
    page.get_by_role("button", name="Switch on").click()
    expect(card(page, "Porch lamp")).to_contain_text("On · ")

    page.get_by_role("button", name="Stop everything").click()
    expect(page.get_by_text("Everything is stopped.", exact=True)).to_be_visible()
    wait_for(lambda: house.site.levels("GPIO17")[-1] == 1)
    page.get_by_role("link", name="Reset the stop").click()
    page.get_by_role("button", name="Reset the stop").click()
    expect(page.get_by_text("The stop is reset.")).to_be_visible()

    page.goto("/relays/add/")
    page.get_by_label("Name", exact=True).fill("Fountain")
    page.get_by_role("radio", name="GPIO22").check()
    page.get_by_role("radio", name="active-low").check()
    page.get_by_role("button", name="Add it, and try it").click()
    expect(page.get_by_role("heading", name="Try Fountain")).to_be_visible()
    page.get_by_role("button", name="Click for one second").click()
    page.wait_for_url("**/try/?event=*")
    wait_for(lambda: house.site.levels("GPIO22")[-2:] == [0, 1])
    house.site.wait_actual("fountain", False)
    page.reload()
    expect(page.get_by_text("GPIO22 was driven low and read back")).to_be_visible()
    page.goto("/")
    expect(card(page, "Fountain")).to_contain_text("Off since")
