"""Whether Back and Reload lead to a page, also where a form was answered."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import uvicorn
from playwright.sync_api import Browser, Page

from tests.chromium import in_a_browser
from tests.factories import make_product
from tests.office import PASSWORD, Office

pytestmark = in_a_browser


@contextmanager
def served(site: Office) -> Iterator[str]:
    """The site over HTTP; its address."""
    server = uvicorn.Server(
        uvicorn.Config(site.app, port=0, lifespan="off", log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/admin"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(site: Office, browser: Browser) -> Iterator[Page]:
    """Somebody who got their password right the second time."""
    with served(site) as address:
        page = browser.new_context(base_url=f"{address}/").new_page()
        page.goto("login")
        for password in ("wrong", PASSWORD):
            page.fill("input[type=email]", "editor@example.org")
            page.fill("input[type=password]", password)
            page.press("input[type=password]", "Enter")
            page.wait_for_load_state()
        yield page
        page.context.close()


def test_back_leads_to_a_form_that_was_refused(site: Office, page: Page) -> None:
    """Not to the browser's own error, as no answer is kept; nor is it sent again."""
    product = site.add(make_product, price=Decimal(10))
    page.goto(f"product/edit/{product.id}")
    page.fill("[name=price]", "-5")
    page.press("[name=price]", "Enter")
    page.wait_for_load_state()
    assert page.title().startswith("Error")

    page.goto("product/list")
    page.go_back()
    assert page.input_value("[name=price]") == "10.00"
    page.reload()
    assert not page.title().startswith("Error")


def test_back_leads_to_the_rows_that_have_become_others(
    site: Office, page: Page
) -> None:
    """One looks at what has changed, comes back, and looks at the next."""
    keys = [site.add(make_product, name=f"Backward {n}").id for n in range(2)]
    page.goto("product/list?search=Backward")
    for key in keys:
        page.check(f"input[name=id][value='{key}']")
    page.select_option("select[name=action]", "raise-prices")
    page.click("form[data-pick] button:has-text('Show what would change')")
    page.fill("[name=percent]", "2")
    page.press("[name=percent]", "Enter")
    page.wait_for_selector("button:has-text('Change 2 products')")
    site.run("UPDATE products SET stock = 5 WHERE id = ANY (:ids)", ids=keys)
    page.click("button:has-text('Change 2 products')")
    changed = page.locator("section", has_text="What has changed since").locator("a")

    for at in range(2):
        assert "2 were changed since" in page.inner_text(".note.bad")
        changed.nth(at).click()
        page.wait_for_url("**/details/**")
        page.go_back()

    page.click("button:has-text('Change 2 products')")
    page.wait_for_url("**/runs/*")
