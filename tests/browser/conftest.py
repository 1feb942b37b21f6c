"""Chromium, and windows of it that are watched: what a page complains of fails the test that opened it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from tests.browser.cards import PATIENCE
from tests.browser.served import Served, live_in
from tests.site import make_site

expect.set_options(timeout=PATIENCE)

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
    "--disable-features=SpareRendererForSitePerProcess",  # each window here starts one of its own, and none waits
]
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`the policy stopped ${event.blockedURI} by ${event.effectiveDirective}`));
"""

OpenWindow = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Of the package and no longer: in a thread where Playwright runs, Django refuses to use a database."""
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


class Watch:
    """What went wrong on any page: errors, what the policy stopped, dialogs, requests to elsewhere."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: list[str] = []

    def over(self, context: BrowserContext, address: str) -> None:
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", lambda request: self._request(request, address))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} at {message.location.get('url')}")

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request, address: str) -> None:
        where = urlsplit(request.url)
        if f"{where.scheme}://{where.netloc}" != address and where.scheme != "data":
            self.complaints.append(f"request to {request.url}")

    def expect(self, *patterns: str) -> None:
        """What this test brings about on purpose."""
        self.expected += patterns

    def check(self) -> None:
        left = [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self.expected)]
        assert not left, "\n".join(left)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def window(chromium: Browser, watch: Watch) -> Iterator[OpenWindow]:
    """Opens a window of its own (or, with ``beside``, a tab beside another page) at ``path``, signed in as ``who``."""
    contexts: list[BrowserContext] = []

    def open_window(
        served: Served, path: str = "/", who: str = "bench", beside: Page | None = None, **options: Any
    ) -> Page:
        if beside:
            context = beside.context
        else:
            context = chromium.new_context(base_url=served.address, **options)
            contexts.append(context)
            context.set_default_timeout(PATIENCE)
            watch.over(context, served.address)
            if who:
                context.add_cookies(served.cookies(who))  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(path)
        return page

    yield open_window
    for context in contexts:
        context.close()
    watch.check()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Served]:
    """An empty site without processes, for a module to fill."""
    made = Served(make_site(tmp_path_factory.mktemp("s"), template_database))
    yield made
    made.site.end()


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[Served]:
    """A site with 60 relays in every state there is, for tests that look and change nothing."""
    made = Served(make_site(tmp_path_factory.mktemp("s"), template_database))
    live_in(made)
    yield made
    made.site.end()
