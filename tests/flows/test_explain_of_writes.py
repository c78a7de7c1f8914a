"""Running what writes, to measure it: who may, where, and that nothing comes of it."""

import os
from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from backoffice.admin.own_names import TOKEN
from tests.browser import Browser, Form, Seen
from tests.factories import make_product
from tests.office import Office, opened

OFFER = "Run what writes, to measure it"


@pytest.fixture(scope="module")
def plain(server: Engine, office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """The site as a role that is no superuser, where what writes may be run."""
    role = f"writes_{os.getpid()}"
    engine = create_engine(office_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as link:
        link.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'plain'"))
        link.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        link.execute(text(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    url = office_url.set(username=role, password="plain")
    with opened(url, observability={"measure_writes": True}) as office:
        yield office
    with engine.connect() as link:
        link.execute(text(f"DROP OWNED BY {role}"))
        link.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


def report_of_a_price_rise(office: Office, browser: Browser) -> tuple[Seen, int]:
    """The report of an update from its preflight, and the product's key."""
    key = office.add(make_product, price=Decimal("10.00")).id
    sent = {
        TOKEN: browser.token(),
        "action": "raise-prices",
        "which": "ticked",
        "id": str(key),
    }
    asked = browser.follow(browser.post("/admin/product/actions", sent))
    shown = browser.follow(browser.submit(asked, {"percent": "10"}))
    return browser.follow(browser.submit(shown, button="Explain this update")), key


def offered(page: Seen) -> Form:
    """The form that runs what writes."""
    return next(f for f in page.page.forms if f.fields.get("how") == ["writes"])


def test_an_update_is_measured_from_its_preflight_and_undone(plain: Office) -> None:
    """The report has real times and says what stays; the row is as it was."""
    browser = plain.fresh("admin")
    page, key = report_of_a_price_rise(plain, browser)
    assert OFFER in page.text
    before = plain.values(f"SELECT xmin, price FROM products WHERE id = {key}")
    done = browser.follow(browser.post("/admin/explain", offered(page).data({})))
    assert "run and rolled back" in done.text
    assert "what writes by the application's own, rolled back" in done.text
    assert "products_touch" in done.text
    assert "backoffice_audit_id_seq are not given back" in done.text
    assert plain.values(f"SELECT xmin, price FROM products WHERE id = {key}") == before


def test_it_is_written_down_before_and_after(plain: Office) -> None:
    """Who began it, whatever came of it; and the report that was made."""
    browser = plain.fresh("admin")
    page, _ = report_of_a_price_rise(plain, browser)
    browser.post("/admin/explain", offered(page).data({}))
    entries = plain.values(
        "SELECT action, actor_label FROM backoffice_audit "
        "WHERE table_name = 'backoffice_explain_reports' ORDER BY id DESC LIMIT 2"
    )
    assert [tuple(one) for one in entries] == [
        ("explain_measured", "Ada Admin"),
        ("explain_writes", "Ada Admin"),
    ]
    assert "run and rolled back, to measure it" in browser.get("/admin/history").text


def test_ops_may_not(plain: Office) -> None:
    """They explain it; they are offered nothing more, and the form is refused."""
    page, _ = report_of_a_price_rise(plain, plain.fresh("admin"))
    ops = plain.browser("ops")
    assert OFFER not in ops.get(str(page.response.url)).text
    number = str(page.response.url).rpartition("/")[2]
    sent = {TOKEN: ops.token(), "report": number, "how": "writes"}
    assert ops.post("/admin/explain", sent).status == 403


def test_by_default_nobody_may(site: Office) -> None:
    """The setting is off: no offer, and a refusal that names it."""
    browser = site.browser("admin")
    page, _ = report_of_a_price_rise(site, browser)
    assert OFFER not in page.text
    number = str(page.response.url).rpartition("/")[2]
    sent = {TOKEN: browser.token(), "report": number, "how": "writes"}
    refused = browser.post("/admin/explain", sent)
    assert refused.status == 403
    assert "observability.measure_writes is off" in refused.text


def test_a_superuser_is_told_why_not(office_url: URL, quick_passwords: None) -> None:
    """The application's role could do more than write rows."""
    with opened(office_url, observability={"measure_writes": True}) as office:
        page, _ = report_of_a_price_rise(office, office.fresh("admin"))
        assert OFFER in page.text
        assert "the application's role is a superuser here" in page.text
        assert not [f for f in page.page.forms if f.fields.get("how") == ["writes"]]
