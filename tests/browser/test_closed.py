"""Nothing inline, nothing from elsewhere, no error in the console: on whatever page a link leads to."""

import re
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenWindow, Watch
from tests.browser.served import Served
from tests.site import wait_for

pytestmark = pytest.mark.xdist_group("browser-pages")

LINKS = "[...document.querySelectorAll('a[href]')].map((one) => new URL(one.getAttribute('href'), location.href).href)"
FILES = (".csv", ".json", ".css", ".js")


def shape(url: str) -> str:
    """The same for all pages of one kind: /relays/porch-lamp/ and /relays/gate/ are one kind, so are two filters."""
    parts = urlsplit(url)
    path = re.sub(r"\d+", "1", re.sub(r"^/relays/(?!add/)[^/]+/", "/relays/one/", parts.path))
    return f"{path}?{sorted(re.findall(r'([^&=]+)=', parts.query))[:1]}"


@pytest.mark.parametrize(("start", "at_least"), [("/", 12), ("/admin/", 25)])
def test_every_page_that_links_lead_to_is_clean(
    lived_in: Served, window: OpenWindow, watch: Watch, start: str, at_least: int
) -> None:
    page = window(lived_in, start)
    to_see, seen = [urljoin(lived_in.address, start)], set()
    top = "/admin/" if start == "/admin/" else "/"
    while to_see:
        url = to_see.pop(0)
        if shape(url) in seen or not urlsplit(url).path.startswith(top) or urlsplit(url).path.endswith(FILES):
            continue
        if top == "/" and urlsplit(url).path.startswith("/admin/"):
            continue
        seen.add(shape(url))
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 200, url
        assert "default-src 'none'" in answer.headers["content-security-policy"], url
        found = [one.split("#")[0] for one in page.evaluate(LINKS)]
        to_see += [one for one in found if one.startswith(lived_in.address)]
        assert watch.complaints == [], f"{url}: {watch.complaints}"
    assert len(seen) >= at_least, seen


def test_an_injected_script_is_stopped_and_this_watch_sees_it(
    lived_in: Served, window: OpenWindow, watch: Watch
) -> None:
    watch.expect("script-src", "style-src", "elsewhere.example")
    page = window(lived_in, "/account/")
    page.evaluate(
        """() => {
          document.body.insertAdjacentHTML("beforeend", "<p style='color: red' onclick='window.hit = 1'>hit</p>");
          const script = document.createElement("script");
          script.src = "https://elsewhere.example/x.js";
          document.body.append(script);
        }"""
    )
    page.get_by_text("hit", exact=True).click()
    assert page.evaluate("window.hit") is None
    expect(page.get_by_text("hit", exact=True)).not_to_have_css("color", "rgb(255, 0, 0)")
    for what in ("the policy stopped inline by style-src-attr", "by script-src-attr", "https://elsewhere.example/x.js"):
        wait_for(lambda what=what: page.wait_for_timeout(50) or what in "\n".join(watch.complaints), what=what)
