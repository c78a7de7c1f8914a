"""Pages in a real browser, without a server: each is answered from what is here."""

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from backoffice.admin.assets import all_assets

CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync",),
)
RULES = {
    "runOnly": [
        *("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
    ]
}
COLOURS = {"runOnly": ["color-contrast"]}  # all that the dark theme changes
in_a_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="There is no Chromium on this machine."),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests of a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


def violations(page: Page, rules: dict[str, list[str]]) -> list[tuple[str, str]]:
    """What axe-core finds, each with the first element that it was found in."""
    found = Axe().run(page, options=rules).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


def answer_file(route: Route) -> bool:
    """Answer for a file of the site; False where it asks for something else."""
    name = urlsplit(route.request.url).path.rpartition("/")[2]
    asset = all_assets().files.get(name)
    if asset is not None:
        route.fulfill(body=asset.body, content_type=asset.media_type)
    return asset is not None


def close(page: Page) -> None:
    """Leave a page for good, whatever it still asks for or wants to say."""
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()
