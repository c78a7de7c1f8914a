"""What is confirmed is what was shown: the same rows, told the same, or nothing."""

import re
import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import URL, Select, select, text
from sqlalchemy.orm import Session

from backoffice.admin.own_names import DO, TOKEN
from backoffice.admin.pages import confirming
from backoffice.auth.models import User
from backoffice.bulk import preflight, target
from backoffice.bulk.change import SetValues
from backoffice.bulk.models import Run
from backoffice.bulk.statements import BETWEEN, statements_of
from backoffice.bulk.target import Digest, Target
from models.shop import Product
from tests.browser import Seen
from tests.factories import make_order
from tests.flows.actions import (
    bulk_settings,
    choose,
    few_at_once,  # noqa: F401 - a fixture
    price,
    products,
    queued,
    raised,
    run_of,
)
from tests.jobs.orders import until
from tests.office import Office, counted, log_in, opened


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.usefixtures("few_at_once")
def test_what_an_action_was_told_elsewhere_is_not_run_here(
    site: Office, count: int
) -> None:
    """Two tabs: the one that shows 10 % does not run the 50 % of the other."""
    category = f"Tabs {count}"
    keys = products(site, *["10.00"] * count, category=category)
    browser = site.browser("editor")
    asked = choose(browser, "product", "raise-prices", None, f"category={category}")
    first = browser.follow(browser.submit(asked, {"percent": "10"}))
    browser.submit(asked, {"percent": "50"})
    refused = browser.submit(first, button=f"Change {count} products")
    assert refused.status == 409
    assert "Nothing was run." in refused.text
    assert refused.heading == "Raise prices by 50 %"
    assert {price(site, key) for key in keys} == {Decimal("10.00")}

    second = browser.get(str(first.response.url))
    refused = browser.submit(first, button=f"Change {count} products")
    assert refused.status == 409
    ran = browser.submit(second, button=f"Change {count} products")
    assert run_of(ran)
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("15.00")}


def test_two_tabs_that_show_the_same_are_the_same(site: Office) -> None:
    """Looking once more is no reason to refuse what was shown before."""
    keys = products(site, "10.00")
    browser = site.browser("editor")
    first = raised(browser, keys)
    browser.get(str(first.response.url))
    assert run_of(browser.submit(first, button="Change 1 product"))


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("expected", ["", "1:23", None])
@pytest.mark.usefixtures("few_at_once")
def test_what_was_never_shown_is_not_run(
    site: Office, count: int, expected: str | None
) -> None:
    """A confirmation without a preflight, or with another's mark, shows it instead."""
    category = f"Unseen {count} {expected or expected is None}"
    keys = products(site, *["10.00"] * count, category=category)
    browser = site.browser("editor")
    asked = choose(browser, "product", "raise-prices", None, f"category={category}")
    told = browser.submit(asked, {"percent": "10"})
    sent = {TOKEN: browser.token(), DO: "run"}
    if expected is not None:
        sent["expected"] = expected
    refused = browser.post(told.location, sent)
    assert refused.status == 409
    assert "Nothing was run." in refused.text
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("10.00")}
    assert run_of(browser.submit(refused, button=f"Change {count} products"))


def test_rows_that_could_not_be_counted_are_counted_before_they_are_run(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many for two seconds: an estimate is shown, and no button that runs it."""
    keys = products(site, *["10.00"] * 5, category="Countless")
    counted = target.digest_apart_postgresql
    before = queued(site)

    def slow(session: Session, rows: Target) -> tuple[Digest, int | None]:
        """As if there were millions: more than the usual limit allows."""
        late = (
            "CASE current_setting('statement_timeout') WHEN '300ms' THEN 9 ELSE 0 END"
        )
        session.execute(text(f"SELECT pg_sleep({late})"))
        return counted(session, rows)

    monkeypatch.setattr(preflight, "digest_apart_postgresql", slow)
    browser = site.browser("editor")
    with bulk_settings(site, at_once=3, tried_rows=3, tried_seconds=0.6):
        page = raised(browser, None, "category=Countless")
        assert "Count them first" in page.text
        sent = {**page.form().data({}), DO: "run"}
        assert browser.post(str(page.response.url), sent).status == 409
        assert queued(site) == before
        again = browser.submit(page, button="Count them")
        assert "5 products are chosen" in again.text
        run = run_of(browser.submit(again, button="Change up to 5 products"))
    assert queued(site) == [*before, str(run)]
    site.site.worker.run_all()
    assert {price(site, key) for key in keys} == {Decimal("11.00")}


def test_an_expired_selection_runs_nothing(site: Office) -> None:
    """The answer says that it is over and where to choose again."""
    keys = products(site, "10.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    site.run("UPDATE backoffice_selections SET expires_at = now() - interval '1 min'")
    late = browser.submit(page, button="Change 1 product")
    assert late.status == 404
    assert "Choose the rows again in the list." in late.text
    assert price(site, keys[0]) == Decimal("10.00")


def test_another_process_compares_with_what_was_shown(site: Office) -> None:
    """What was shown is kept in the database: a restart in between loses nothing."""
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    form = page.form()
    path = str(page.response.url).removeprefix("http://testserver")
    with opened(site.engine.url) as restarted:
        other = restarted.stranger()
        log_in(other, "editor@example.org")
        sent = {**form.data({}, "Change 2 products"), TOKEN: [other.token()]}
        site.run("UPDATE products SET stock = stock + 1 WHERE id = :id", id=keys[0])
        assert other.post(path, sent).status == 409
        shown = other.get(path)
        assert run_of(other.submit(shown, button="Change 2 products"))
    assert price(site, keys[0]) == Decimal("11.00")


def test_a_deletion_that_was_not_said_to_be_sure_is_not_run(site: Office) -> None:
    """The box is asked for by the server, not by the browser alone."""
    keys = products(site, "10.00")
    browser = site.browser("editor")
    page = choose(browser, "product", "delete-selected", keys)
    refused = browser.submit(page, button="Delete 1 product")
    assert refused.status == 409
    assert price(site, keys[0]) == Decimal("10.00")


@pytest.mark.usefixtures("few_at_once")
def test_a_row_that_is_not_chosen_cannot_be_taken_out(site: Office) -> None:
    """What a form makes up counts nothing."""
    products(site, *["10.00"] * 5, category="Made up")
    browser = site.browser("editor")
    page = raised(browser, None, "category=Made up")
    sample = [*page.form().fields["sample"], "no such key", "1"]
    ran = browser.submit(page, {"sample": sample}, button="Change 5 products")
    run = run_of(ran)
    left = site.value('SELECT "left" FROM backoffice_runs WHERE id = :id', id=run)
    assert left == 0
    site.site.worker.run_all()
    assert "5 products were changed." in browser.get(ran.location).text


def is_sent(shown: str, statement: str) -> bool:
    """Whether a shown statement is this one, with values in its places."""
    plain = re.sub(r"^/\*.*?\*/ ", "", statement).strip().replace("%%", "%")
    parts = re.split(r"%\(\w+\)s", plain)
    return bool(re.fullmatch(".+?".join(map(re.escape, parts)), shown, re.DOTALL))


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.usefixtures("few_at_once")
def test_the_statements_that_are_shown_are_those_that_run(
    site: Office, count: int
) -> None:
    """With their audit, and of many rows with what writes them down; on both pages."""
    products(site, *["10.00"] * count, category=f"Sent {count}")
    browser = site.browser("editor")
    page = raised(browser, None, f"category=Sent {count}")
    worker = site.site.worker
    with counted(site.engine) as sent, counted(worker.engine) as walked:
        ran = browser.submit(page, button=f"Change {count} products")
        worker.run_all()
    with site.session() as session:
        shown = session.get_one(Run, run_of(ran)).statement.split(BETWEEN)
    assert len(shown) == (1 if count == 2 else 2)
    for one in shown:
        assert any(is_sent(one, other) for other in (*sent, *walked))
    page_text = "".join(page.text.split())
    assert all("".join(one.split()) in page_text for one in shown)
    assert "1.1" in shown[-1]
    assert "INSERT INTO backoffice_audit" in shown[-1]


def test_the_statements_of_a_function_are_those_that_it_has_sent(site: Office) -> None:
    """Caught while it was tried, without their values."""
    order = site.add(make_order, status="placed")
    page = choose(site.browser("editor"), "order", "cancel", [order.id])
    assert "A function of the view; for 1 record it has sent these." in page.text
    assert "UPDATE orders SET status=" in page.text
    assert "INSERT INTO backoffice_audit" in page.text


def test_few_are_deleted_one_by_one_and_many_together(site: Office) -> None:
    """The page says what the statements are that it shows."""
    keys = products(site, *["1.00"] * 9, category="Goes")
    browser = site.browser("admin")
    few = choose(browser, "product", "delete-selected", keys[:2])
    assert "They go one by one; for 2 records these were sent." in few.text
    many = choose(browser, "product", "delete-selected", keys)
    assert "They go together, not one by one; for 9 records" in many.text


def test_an_action_on_a_secret_column_shows_no_value(site: Office) -> None:
    """Its statement has names in the places of all values."""
    change = SetValues(User.__mapper__, {User.password_hash: "a hash of something"})
    rows: Select[Any] = select(User)
    with site.session() as session:
        shown = statements_of(
            session, Target(User.__mapper__, rows), change, is_large=False
        )
    assert "a hash of something" not in shown
    assert "UPDATE backoffice_users SET password_hash=:" in shown


def test_a_second_click_waits_for_the_first_however_long_that_takes(
    office_url: URL, quick_passwords: None
) -> None:
    """It leads to the run of the first, also where pages wait for no lock so long."""
    with opened(office_url, database={"lock_timeout": 0.05}) as office:
        browser = office.fresh("editor")
        page = raised(browser, products(office, "10.00"))
        answers: list[Seen] = []
        press = threading.Thread(
            target=lambda: answers.append(
                browser.submit(page, button="Change 1 product")
            )
        )
        with office.engine.connect() as first:
            first.execute(text("SELECT 1 FROM backoffice_selections FOR UPDATE"))
            press.start()
            until(lambda: bool(answers) or office.value(BLOCKED) == 1)
            assert answers == []
        press.join()
        assert run_of(answers[0])


BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND datname = current_database()"
)


def test_a_row_that_somebody_holds_stops_the_others_and_is_named(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction it is all or nothing; who holds it is told before."""
    monkeypatch.setattr(confirming, "LOCK_SECONDS", 0.1)
    keys = products(site, "10.00", "20.00")
    browser = site.browser("editor")
    with site.engine.connect() as other:
        other.execute(
            text("SELECT 1 FROM products WHERE id = :id FOR UPDATE"), {"id": keys[1]}
        )
        page = raised(browser, keys)
        assert "1 is held by somebody else" in page.text
        assert "1 row is held by somebody else" in page.text
        refused = browser.submit(page, button="Change 1 product")
        assert refused.status == 409
        assert "Nothing was changed." in refused.text
        assert price(site, keys[0]) == Decimal("10.00")
    again = browser.submit(refused, button="Change 1 product")
    assert [price(site, key) for key in keys] == [Decimal("11.00"), Decimal("22.00")]
    assert run_of(again)


def test_without_the_row_that_somebody_holds_the_others_are_run(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that says who holds it has the same rows still, to be unticked."""
    monkeypatch.setattr(confirming, "LOCK_SECONDS", 0.1)
    keys = products(site, "10.00", "20.00", "30.00")
    browser = site.browser("editor")
    page = raised(browser, keys)
    with site.engine.connect() as other:
        other.execute(
            text("SELECT 1 FROM products WHERE id = :id FOR UPDATE"), {"id": keys[1]}
        )
        refused = browser.submit(page, button="Change 3 products")
        assert refused.status == 409
        assert "untick it and run the others" in refused.text
        assert "Held by" in refused.text
        free = [str(keys[0]), str(keys[2])]
        assert run_of(
            browser.submit(refused, {"row": free}, button="Change 2 products")
        )
    found = [price(site, key) for key in keys]
    assert found == [Decimal("11.00"), Decimal("20.00"), Decimal("33.00")]


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.usefixtures("few_at_once")
def test_rows_that_one_may_not_see_are_not_chosen(
    site: Office, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Neither by key nor by query, nor given back by an undo; none is named."""
    seen = products(site, *["10.00"] * count, category="Scope")
    hidden = products(site, "10.00", category="Scope", stock=77)
    names = site.values("SELECT name FROM products WHERE id = :id", id=hidden[0])[0]
    view = site.site.view_called("product")
    monkeypatch.setattr(
        type(view), "scope", lambda _self, rows, _call: rows.where(Product.stock != 77)
    )
    browser = site.browser("editor")
    noun = "product" if count == 1 else "products"
    for keys in ([*seen, *hidden], None):
        page = raised(browser, keys, "category=Scope" if keys is None else "")
        assert names[0] not in page.text
        ran = browser.submit(page, button=f"Change {count} {noun}")
        site.site.worker.run_all()
        assert price(site, hidden[0]) == Decimal("10.00")
        assert names[0] not in browser.follow(ran).text
    site.run("UPDATE products SET stock = 77 WHERE id = :id", id=seen[0])
    undo = browser.follow(browser.submit(browser.follow(ran), button="Undo…"))
    if count == 1:
        assert "No products are chosen." in undo.text
    else:
        browser.submit(undo, button=f"Give back {count - 1} products")
        site.site.worker.run_all()
    assert price(site, seen[0]) == Decimal("12.10")
