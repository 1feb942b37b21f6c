"""Where a person finds a relay on a page."""

from playwright.sync_api import Locator, Page


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=name, exact=True))


def switch(page: Page, name: str) -> Locator:
    return page.get_by_role("switch", name=name, exact=True)
