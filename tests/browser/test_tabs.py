"""Many tabs of one browser, which allows six connections to a host."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.cards import card, only_told, switch
from tests.browser.conftest import OpenWindow
from tests.browser.served import Served

pytestmark = pytest.mark.xdist_group("browser-live")

TABS = 10
WITHOUT_STREAM = "/healthz"
"""Where tabs begin that are to take their streams in turn: a tab that had to go without tries again by itself."""

VISIBILITY = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
window.showTab = (shown) => {
  hidden = !shown;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
"""A browser without a screen shows all its tabs at once: here a test says which."""

LAMPS = f"for number in range({TABS}):\n    relay(f'Lamp {{number}}', 'Hall')"


@pytest.fixture(scope="module")
def house(served: Served) -> Served:
    served.furnish('simulated("Cellar")\nrelay("Porch lamp", "Garden", kind="lamp")\n' + LAMPS)
    served.site.start_controller()
    served.start_web()
    return served


def show(page: Page, is_shown: bool) -> None:
    page.evaluate(f"showTab({str(is_shown).lower()})")


def test_ten_tabs_at_once_all_load_switch_and_learn(house: Served, window: OpenWindow) -> None:
    first = window(house)
    tabs = [first, *(window(house, beside=first) for _ in range(TABS - 1))]
    for number, tab in enumerate(tabs):
        name = f"Lamp {number}"
        switch(tab, name).click()
        # Relays go on one after another, four a second, and most of these tabs have no stream that tells them.
        expect(switch(tab, name)).to_be_checked()
    for number in range(TABS):
        expect(switch(tabs[-1 - number], f"Lamp {number}")).to_be_checked()
    switch(tabs[-1], "Porch lamp").click()
    for tab in tabs:
        expect(card(tab, "Porch lamp")).to_contain_text("On since")
    for tab in tabs[:3]:
        tab.reload()
        expect(card(tab, "Porch lamp")).to_contain_text("On since")
    house.switch("porch-lamp", "off")


def test_a_session_has_four_streams_and_a_fifth_page_asks(house: Served, window: OpenWindow) -> None:
    first = window(house, WITHOUT_STREAM)
    tabs = [first, *(window(house, WITHOUT_STREAM, beside=first) for _ in range(4))]
    answers = []
    for tab in tabs:
        with tab.expect_response("**/live?*") as said:
            tab.goto("/")
        answers.append(said.value.status)
    assert answers == [200, 200, 200, 200, 204]
    only_told(tabs[0])
    house.switch("porch-lamp", "on")
    expect(card(tabs[0], "Porch lamp")).to_contain_text("On since")
    expect(card(tabs[4], "Porch lamp")).to_contain_text("On since")
    house.switch("porch-lamp", "off")


def test_a_hidden_tab_leaves_its_stream_to_others_and_shows_the_truth_when_it_is_seen_again(
    house: Served, window: OpenWindow
) -> None:
    first = window(house, WITHOUT_STREAM)
    first.context.add_init_script(VISIBILITY)
    tabs = [first, *(window(house, WITHOUT_STREAM, beside=first) for _ in range(TABS - 1))]
    for tab in tabs:  # each hides the one before it, as with one window
        with tab.expect_response("**/live?*") as said:
            tab.goto("/")
        assert said.value.status == 200
        expect(card(tab, "Porch lamp")).to_contain_text("Off")
        if tab is not tabs[-1]:
            show(tab, False)
    switch(tabs[-1], "Porch lamp").click()
    expect(card(tabs[-1], "Porch lamp")).to_contain_text("On since")
    tabs[0].wait_for_timeout(500)
    expect(card(tabs[0], "Porch lamp")).to_contain_text("Off")
    show(tabs[-1], False)
    show(tabs[0], True)
    expect(card(tabs[0], "Porch lamp")).to_contain_text("On since")
    house.switch("porch-lamp", "off")
    expect(card(tabs[0], "Porch lamp")).to_contain_text("Off since")
