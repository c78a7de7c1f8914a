"""Can everybody use the pages of ops, as the site itself makes them, calm or not?"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, Route
from sqlalchemy import URL, create_engine, text

from tests.chromium import (
    COLOURS,
    RULES,
    answer_file,
    close,
    in_a_browser,
    violations,
)
from tests.factories import make_course, make_product
from tests.flows.actions import choose
from tests.flows.test_metrics import waiting
from tests.office import Office, opened

SITE = "http://backoffice.test"
pytestmark = in_a_browser
NAMES = (
    *("metrics", "metrics in trouble", "without a database", "checks", "findings"),
    *("tables", "connections", "connection", "statement", "request"),
    *("preflight", "run", "runs", "report", "reports"),
    *("chosen rows", "drifted", "paused run"),
)


@pytest.fixture(scope="module")
def pages(office_url: URL, quick_passwords: None) -> Iterator[dict[str, str]]:
    """Each page as the site answers it, by name."""
    small = {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.2}
    watched = {"slow_ms": 0, "sampled_reads": 1.0}
    with opened(office_url, database=small, observability=watched) as office:
        found = {}
        ask = office.fresh("admin")
        office.add(make_course)
        listed = ask.get("/admin/course/list?search=nothing4711")
        found["report"] = ask.follow(ask.submit(listed, action="/admin/explain")).html
        found["reports"] = ask.get("/admin/explain").html
        key = office.add(make_product, price=Decimal(10)).id
        asked = choose(ask, "product", "raise-prices", [key])
        preflight = ask.follow(ask.submit(asked, {"percent": "10"}))
        found["preflight"] = preflight.html
        found["chosen rows"] = ask.get(f"{preflight.response.url}/rows").html
        office.run("UPDATE products SET stock = stock + 1 WHERE id = :id", id=key)
        preflight = ask.submit(preflight, button="Change 1 product")
        found["drifted"] = preflight.html
        found["run"] = ask.follow(ask.submit(preflight, button="Change 1 product")).html
        found["runs"] = ask.get("/admin/runs").html
        number = office.value("SELECT max(id) FROM backoffice_runs")
        office.run(
            "UPDATE backoffice_runs SET state = 'paused', finished_at = NULL,"
            " total = 3, busy_ms = 9, reason = 'Paused by hand.' WHERE id = :id",
            id=number,
        )
        found["paused run"] = ask.get(f"/admin/runs/{number}").html
        keeper = office.backoffice.keeper
        keeper.flush()
        keeper.measure()
        request = listed.response.headers["x-request-id"]
        known = keeper.picture().top_statements(view="course", limit=1)
        found["statement"] = ask.get(
            f"/admin/metrics/statement/{known[0].fingerprint}"
        ).html
        found["request"] = ask.get(f"/admin/metrics/request/{request}").html
        found["metrics"] = ask.get("/admin/metrics").html
        for name in ("checks", "findings", "tables"):
            found[name] = ask.get(f"/admin/metrics/{name}").html
        found |= in_trouble(office)
        yield found


def in_trouble(office: Office) -> dict[str, str]:
    """Pages while one session blocks another and the pool is full; and without it."""
    found = {}
    ask = office.browser("admin")
    ask.get("/admin/metrics")
    own = create_engine(office.engine.url)
    with own.connect() as root, own.connect() as other, ExitStack() as held:
        root.execute(text("LOCK TABLE courses"))
        with waiting(office, other, "SELECT count(*) FROM courses") as blocked:
            for _ in range(2):
                held.enter_context(office.engine.connect())
            found["metrics in trouble"] = ask.get("/admin/metrics").html
            found["connections"] = ask.get("/admin/metrics/connections").html
            found["connection"] = ask.get(f"/admin/metrics/connection/{blocked}").html
            root.rollback()
    own.dispose()
    reader = office.backoffice.ops
    there, reader.engine = (
        reader.engine,
        create_engine(office.engine.url.set(database="there_is_no_such_database")),
    )
    found["without a database"] = ask.get("/admin/metrics").html
    reader.engine.dispose()
    reader.engine = there
    return found


@contextmanager
def opened_in(browser: Browser, html: str, height: int) -> Iterator[Page]:
    """A page with all that it asks for; whatever is missing fails."""
    # Without motion: a colour half way from light to dark is nobody's.
    page = browser.new_context(
        viewport={"width": 1280, "height": height}, reduced_motion="reduce"
    ).new_page()
    missing: list[str] = []

    def answer(route: Route) -> None:
        if route.request.url == f"{SITE}/page":
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        elif not answer_file(route):
            missing.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    page.goto(f"{SITE}/page")
    yield page
    assert [one for one in missing if not one.endswith("/favicon.ico")] == []
    close(page)


@pytest.mark.parametrize("name", NAMES)
def test_everybody_can_use_it(
    browser: Browser, pages: dict[str, str], name: str
) -> None:
    """axe-core finds nothing, light and dark, wide and narrow; nothing is missing."""
    with opened_in(browser, pages[name], 800) as page:
        for width in (1280, 375):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme="light")
            assert violations(page, RULES) == [], width
            page.emulate_media(color_scheme="dark")
            assert violations(page, COLOURS) == [], width
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_calm_page_is_two_screens(browser: Browser, pages: dict[str, str]) -> None:
    """On an ordinary screen everything is within two of them."""
    with opened_in(browser, pages["metrics"], 900) as page:
        assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 900
