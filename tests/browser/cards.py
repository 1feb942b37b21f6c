"""Where a person finds a relay on a page."""

import time

from playwright.sync_api import Locator, Page

PATIENCE = 20_000
"""Milliseconds that whatever is waited for may take: the machine may be busy. How soon a page is told is asked in
tests/iotsite/test_live.py."""


def never_asks(page: Page) -> None:
    """From now on the page does not ask by itself."""
    page.evaluate("ask = () => {}")


def only_told(page: Page) -> None:
    """The same once it has its stream: what it shows anew, that told it."""
    wait_until(page, "hasOpened")
    never_asks(page)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=name, exact=True))


def switch(page: Page, name: str) -> Locator:
    return page.get_by_role("switch", name=name, exact=True)


def wait_until(page: Page, expression: str) -> None:
    """Wait until something is true in the page. (Playwright's own way needs an eval, which the policy forbids.)"""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)
