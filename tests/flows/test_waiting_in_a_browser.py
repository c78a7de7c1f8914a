"""Whether a page says that it works on what was sent, as long as no answer is here."""

import pytest
from playwright.sync_api import Browser, Route

from tests.chromium import answer_file, close, in_a_browser
from tests.flows.actions import (
    few_at_once,  # noqa: F401 - a fixture
    products,
    raised,
)
from tests.office import Office

SITE = "http://backoffice.test"
pytestmark = in_a_browser


@pytest.mark.usefixtures("few_at_once")
def test_while_many_rows_are_written_down_the_page_says_so(
    site: Office, browser: Browser
) -> None:
    """Beside the button, for those who see it and those who hear it."""
    products(site, *["10.00"] * 5, category="Waiting")
    asked = raised(site.browser("editor"), None, "category=Waiting")

    def answer(route: Route) -> None:
        if not answer_file(route):
            route.fulfill(body=asked.html, content_type="text/html")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto(f"{SITE}/admin/product/actions/any")
    page.wait_for_load_state()
    told = page.get_by_role("status")
    assert "If rows changed meanwhile" in told.inner_text()
    # A page on its way to the next cannot be asked anything: this one stays.
    page.evaluate(
        "document.querySelector('form.stack')"
        ".addEventListener('submit', (event) => event.preventDefault())"
    )
    button = page.get_by_role("button", name="Change 5 products")
    button.click()
    assert "written down" in told.inner_text()
    assert button.get_attribute("aria-busy") == "true"
    close(page)
