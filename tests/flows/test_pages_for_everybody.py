"""Can everybody use the site as it is served? axe-core, sideways scrolling, errors.

The browser's requests are answered by the application itself, on a real database.
"""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.chromium import COLOURS, RULES, in_a_browser, violations
from tests.factories import make_student
from tests.office import Office

SITE = "http://testserver"
pytestmark = in_a_browser
PAGES = (
    "/admin/",
    "/admin/student/list",
    "/admin/student/list?search=a&status=active&sortBy=full_name&sort=asc",
    "/admin/student/list?status=nonsense",
    "/admin/student/list?search=nobody+at+all",
    "/admin/student/details/{student}",
    "/admin/student/edit/{student}",
    "/admin/student/create",
    "/admin/student/delete/{student}",
    "/admin/student/history/{student}",
    "/admin/report-card/list",
    "/admin/product/list",
    "/admin/order/create",
    "/admin/account/list",
    "/admin/account/create",
    "/admin/account",
    "/admin/history",
    "/admin/runs",
    "/admin/nowhere",
)


def opened(browser: Browser, site: Office, path: str) -> Page:
    """A page as the admin sees it."""
    client = site.browser("admin").client

    def answer(route: Route) -> None:
        address = urlsplit(route.request.url)
        query = f"?{address.query}" if address.query else ""
        seen = client.get(f"{address.path}{query}")
        route.fulfill(
            status=seen.status_code,
            body=seen.content,
            headers={
                name: value
                for name, value in seen.headers.items()
                if name not in {"content-encoding", "content-length"}
            },
        )

    # Colours that are on their way to others are no colours to judge.
    page = browser.new_context(reduced_motion="reduce").new_page()
    page.route("**/*", answer)
    page.goto(f"{SITE}{path}")
    return page


@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_use_what_is_served(
    browser: Browser, site: Office, path: str
) -> None:
    """axe-core finds nothing, and nothing scrolls sideways; of short names as well."""
    student = site.add(make_student, full_name="Y")
    page = opened(browser, site, path.format(student=student.id))
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        assert violations(page, RULES) == [], width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="dark")
    assert violations(page, COLOURS) == []
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()
