"""Where a person finds a relay on a page."""

import time

from playwright.sync_api import Locator, Page

TOLD_WITHIN = 3_000
"""Milliseconds: a page without a stream asks every 4 s, so that what shows sooner was told."""


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=name, exact=True))


def switch(page: Page, name: str) -> Locator:
    return page.get_by_role("switch", name=name, exact=True)


def wait_until(page: Page, expression: str, seconds: float) -> None:
    """Wait until something is true in the page. (Playwright's own way needs an eval, which the policy forbids.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)
