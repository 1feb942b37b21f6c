"""Whatever goes away, a page never shows a hope as a fact; and it comes back by itself."""

import signal
import subprocess

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.cards import card, only_told, switch, wait_until
from tests.browser.conftest import OpenWindow, Watch
from tests.browser.served import Served
from tests.site import sign_in, wait_for

pytestmark = pytest.mark.xdist_group("browser-live")


UNREACHABLE = r"net::ERR_(CONNECTION_|INCOMPLETE_CHUNKED|EMPTY_RESPONSE)"


@pytest.fixture(scope="module")
def house(served: Served) -> Served:
    served.furnish('simulated("Cellar")\nrelay("Porch lamp", "Garden", kind="lamp")\nrelay("Pump", "Garden")')
    served.site.start_controller()
    served.start_web()
    return served


@pytest.fixture(autouse=True)
def _lamp_is_on(house: Served) -> None:
    house.switch("porch-lamp", "on")
    house.site.wait_actual("porch-lamp", True)


def controller(house: Served) -> subprocess.Popen[bytes]:
    return next(one for one in house.site.processes if "run_relays" in one.args and one.poll() is None)


def expect_lost(page: Page) -> None:
    expect(page.get_by_role("alert")).to_contain_text("The connection to the site is lost")
    assert page.locator("#live").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"


def expect_connected(page: Page) -> None:
    expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_silent_controller_makes_the_page_stale_and_its_return_fresh(
    house: Served, window: OpenWindow, how: signal.Signals
) -> None:
    page = window(house)
    lamp = card(page, "Porch lamp")
    expect(lamp).to_contain_text("On since")
    expect(lamp).to_have_css("border-top-style", "solid")
    silenced = controller(house)

    silenced.send_signal(how)
    expect(lamp).to_contain_text("Not known since")
    expect(lamp).to_contain_text("last known on · wanted on")
    expect(lamp).to_have_css("border-top-style", "dashed")
    expect(switch(page, "Porch lamp")).not_to_be_checked()
    expect(page.locator(".lit")).to_have_count(0)
    expect(page.locator("#lit")).to_be_hidden()  # “0 on” would be a hope
    notice = page.get_by_text("The relay controller of Cellar has not answered for")
    expect(notice).to_be_visible()
    age = notice.locator("[data-for]")
    expect(age).not_to_have_text(age.inner_text())

    if how is signal.SIGKILL:
        silenced.wait()
        house.site.start_controller()
    else:
        silenced.send_signal(signal.SIGCONT)
    expect(lamp).to_contain_text("On since")
    expect(notice).to_have_count(0)
    expect(lamp).to_have_css("border-top-style", "solid")


def test_a_dead_web_server_is_said_and_its_return_shows_what_changed_meanwhile(
    house: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect(UNREACHABLE)
    page, account = window(house), window(house, "/account/")
    expect(card(page, "Porch lamp")).to_contain_text("On since")
    assert house.web
    house.web.kill()
    expect_lost(page)
    expect(account.get_by_role("alert")).to_contain_text("The connection to the site is lost")
    done = house.site.manage("switch", "porch-lamp", "off")
    assert done.returncode == 0, done.stderr
    expect(card(page, "Porch lamp")).to_contain_text("On since")  # not known to be so, and the page says it is lost

    house.start_web()
    expect_connected(page)
    expect_connected(account)
    expect(card(page, "Porch lamp")).to_contain_text("Off since")
    switch(page, "Porch lamp").click()
    expect(switch(page, "Porch lamp")).to_be_checked()


def test_a_web_server_that_hangs_is_lost_too(house: Served, window: OpenWindow, watch: Watch) -> None:
    watch.expect(UNREACHABLE)
    page = window(house)
    expect(card(page, "Porch lamp")).to_contain_text("On since")
    assert house.web
    house.web.send_signal(signal.SIGSTOP)
    try:
        expect_lost(page)
    finally:
        house.web.send_signal(signal.SIGCONT)
    expect_connected(page)


def test_a_press_that_gets_no_answer_says_that_nothing_is_known(
    house: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect(r"net::ERR_FAILED")
    page = window(house)
    page.route("**/switch", lambda route: route.abort())
    switch(page, "Porch lamp").click()
    expect(page.locator("#messages .error")).to_contain_text("Not known whether that was done")
    expect(switch(page, "Porch lamp")).to_be_checked()


def test_a_signed_out_page_is_led_to_sign_in_within_ten_seconds(
    house: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect("EventSource's response has a MIME type")  # a stream that opens just then gets the sign-in page
    house.sessions["own"] = sign_in(house.address)
    page, detail = window(house, who="own"), window(house, "/relays/pump/", who="own")
    expect(card(page, "Porch lamp")).to_contain_text("On since")
    with house.site.database() as connection:
        gone = house.sessions.pop("own").cookies["sessionid"]
        assert connection.execute("DELETE FROM django_session WHERE session_key = ?", (gone,)).rowcount == 1
    for seen in (page, detail):
        expect(seen.get_by_role("heading", name="Sign in")).to_be_visible(timeout=10_000)


def test_a_page_without_streams_asks_every_few_seconds(house: Served, window: OpenWindow, watch: Watch) -> None:
    watch.expect(r"ERR_FAILED at \S+/live")
    page = window(house)
    page.route("**/live?*", lambda route: route.abort())
    page.reload()
    expect(card(page, "Porch lamp")).to_contain_text("On since")
    for on, words in (("off", "Off since"), ("on", "On since")):
        house.switch("porch-lamp", on)
        expect(card(page, "Porch lamp")).to_contain_text(words)
    expect_connected(page)
    switch(page, "Porch lamp").click()
    expect(switch(page, "Porch lamp")).not_to_be_checked()


def test_what_was_fetched_before_a_press_is_not_drawn_after_it(house: Served, window: OpenWindow, watch: Watch) -> None:
    watch.expect(r"ERR_FAILED at \S+/live")
    page, held = window(house), []
    page.route("**/live?*", lambda route: route.abort())
    page.reload()
    expect(switch(page, "Porch lamp")).to_be_checked()

    page.route("**/", lambda route: held.append((route, route.fetch())))
    page.evaluate("void refresh().then(() => { window.isDrawn = true; })")
    wait_for(lambda: page.wait_for_timeout(50) or held)
    page.unroute("**/")
    switch(page, "Porch lamp").click()
    expect(switch(page, "Porch lamp")).not_to_be_checked()
    for route, answer in held:
        route.fulfill(response=answer)
    wait_until(page, "window.isDrawn")
    assert switch(page, "Porch lamp").get_attribute("aria-checked") == "false"


def test_a_page_that_shows_the_past_is_put_right_when_it_connects(house: Served, window: OpenWindow) -> None:
    def yesterdays_page(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        seen = text.split('data-seen="')[1].split('"')[0]
        # Its own refresh is let through: only the stream knows that the fingerprint is an old one.
        old = text.replace(seen, "0ld").replace(">On<", ">Off<").replace('aria-checked="true"', 'aria-checked="false"')
        route.fulfill(response=answer, body=old)

    page = window(house, "/account/")
    page.route("**/", yesterdays_page, times=1)
    page.goto("/")
    only_told(page)
    expect(card(page, "Porch lamp")).to_contain_text("On since")
    expect(switch(page, "Porch lamp")).to_be_checked()
