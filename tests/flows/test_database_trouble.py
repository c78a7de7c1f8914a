"""What people see while the database is slow, held, full, or away."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest
from sqlalchemy import URL, text

from models.school import Course
from tests.factories import make_course, make_product
from tests.office import PASSWORD, Office, opened


@pytest.fixture(scope="module")
def hasty(office_url: URL) -> Iterator[Office]:
    """The site with small limits and two connections."""
    with opened(
        office_url,
        database={
            "lock_timeout": 0.1,
            "statement_timeout": 0.3,
            "pool_size": 2,
            "max_overflow": 0,
            "pool_timeout": 0.2,
        },
    ) as office:
        yield office


def test_a_held_row_keeps_what_was_typed(site: Office, hasty: Office) -> None:
    """The form again with everything, 409; saved once the row is free."""
    course = site.add(make_course)
    browser = hasty.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    with site.engine.connect() as holder, holder.begin():
        holder.execute(
            text("SELECT 1 FROM courses WHERE id = :k FOR UPDATE"), {"k": course.id}
        )
        seen = browser.submit(page, {"title": "Typed and kept"})
        assert seen.status == 409
        assert seen.form().value("title") == "Typed and kept"
        assert "else" in seen.text
    assert browser.submit(seen).status == 303
    assert site.read(Course, course.id).title == "Typed and kept"


def test_a_held_row_is_not_deleted(site: Office, hasty: Office) -> None:
    """The preview again, 409, and the record is there."""
    course = site.add(make_course)
    browser = hasty.browser("editor")
    preview = browser.get(f"/admin/course/delete/{course.id}")
    with site.engine.connect() as holder, holder.begin():
        holder.execute(
            text("SELECT 1 FROM courses WHERE id = :k FOR UPDATE"), {"k": course.id}
        )
        assert browser.submit(preview).status == 409
    assert site.read(Course, course.id) is not None


def test_held_stock_refuses_the_order_with_its_lines(
    site: Office, hasty: Office
) -> None:
    """What was typed stays, nothing is taken."""
    product = site.add(make_product)
    customer = site.value("SELECT min(id) FROM customers")
    browser = hasty.browser("editor")
    page = browser.get("/admin/order/create")
    with site.engine.connect() as holder, holder.begin():
        holder.execute(
            text("SELECT 1 FROM products WHERE id = :k FOR UPDATE"), {"k": product.id}
        )
        seen = browser.submit(
            page,
            {
                "customer": str(customer),
                "items.0.product": str(product.id),
                "items.0.quantity": "1",
            },
        )
        assert seen.status == 409
        assert "Traceback" not in seen.html


def test_a_slow_statement_is_a_page_that_says_how_to_narrow(
    site: Office, hasty: Office
) -> None:
    """503, when to try again, and nothing of the statement."""
    site.run(
        "CREATE FUNCTION nap(integer) RETURNS integer VOLATILE LANGUAGE sql "
        "AS 'SELECT $1 FROM pg_sleep(1)'"
    )
    site.run("ALTER TABLE schools RENAME TO schools_table")
    site.run("CREATE VIEW schools AS SELECT * FROM schools_table WHERE nap(id) = id")
    try:
        seen = hasty.browser("viewer").get("/admin/school/list")
        details = hasty.browser("viewer").get("/admin/school/details/1")
        asked = "search=a&sortBy=name"
        searched = hasty.browser("viewer").get(f"/admin/school/list?{asked}")
    finally:
        site.run("DROP VIEW schools")
        site.run("ALTER TABLE schools_table RENAME TO schools")
    assert seen.status == 503
    assert "took too long" in seen.heading
    assert "SELECT" not in seen.text
    assert seen.response.headers["retry-after"]
    assert "rows of this list within 0.3 seconds" in seen.text
    assert "add a filter" in seen.text
    assert "what this page shows within 0.3 seconds" in details.text
    assert "the search and the order took too long" in searched.text
    assert "whole word" in searched.text
    assert searched.link("The list without these") == "/admin/school/list"


@contextmanager
def trigger(site: Office, when: str, body: str) -> Iterator[None]:
    """A trigger of the courses that somebody has made past the models."""
    site.run(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN {body} RETURN NULL; END'"
    )
    site.run(
        f"CREATE CONSTRAINT TRIGGER meddle AFTER INSERT OR UPDATE OR DELETE ON courses "
        f"{when} FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    try:
        yield
    finally:
        site.run("DROP TRIGGER meddle ON courses")
        site.run("DROP FUNCTION meddle")


def test_a_save_that_takes_too_long_keeps_what_was_typed(
    site: Office, hasty: Office
) -> None:
    """Of a new record and of an old one; a deletion comes back with its preview."""
    course = site.add(make_course)
    browser = hasty.browser("editor")
    with trigger(site, "", "PERFORM pg_sleep(2);"):
        page = browser.get(f"/admin/course/edit/{course.id}")
        edited = browser.submit(page, {"title": "Typed and kept"})
        page = browser.get("/admin/course/create")
        typed = {"code": "SLOW-1", "title": "New and kept", "capacity": "3"}
        created = browser.submit(page, typed)
        deleted = browser.submit(browser.get(f"/admin/course/delete/{course.id}"))
    for seen, title in ((edited, "Typed and kept"), (created, "New and kept")):
        assert seen.status == 503
        assert seen.form().value("title") == title
        assert "saved within 0.3 seconds" in seen.text
        assert "all that you typed is here" in seen.text
    assert deleted.status == 503
    assert "deleted within 0.3 seconds" in deleted.text
    assert site.read(Course, course.id).title == course.title
    assert browser.submit(edited).status == 303


def test_what_is_refused_at_the_very_end_keeps_what_was_typed(site: Office) -> None:
    """A rule that waits for the commit, of which the models know nothing."""
    course = site.add(make_course)
    browser = site.browser("editor")
    refuse = "RAISE ''Not on a Sunday.'';"
    with trigger(site, "DEFERRABLE INITIALLY DEFERRED", refuse):
        page = browser.get(f"/admin/course/edit/{course.id}")
        seen = browser.submit(page, {"title": "Typed and kept"})
    assert seen.status == 400
    assert "Not on a Sunday." in seen.text
    assert seen.form().value("title") == "Typed and kept"
    assert site.read(Course, course.id).title == course.title


LOSE = "PERFORM pg_terminate_backend(pg_backend_pid());"


def test_a_connection_lost_during_the_commit_leaves_it_open(site: Office) -> None:
    """Nobody can say whether it was saved, so the page does not say it was not."""
    course = site.add(make_course)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    delete = browser.get(f"/admin/course/delete/{course.id}")
    with trigger(site, "DEFERRABLE INITIALLY DEFERRED", LOSE):
        saved = browser.submit(page, {"title": "Who knows"})
        deleted = browser.submit(delete)
    for seen in (saved, deleted):
        assert seen.status == 503
        assert "Whether it was saved is not known" in seen.text
        assert "Nothing was changed" not in seen.text


def test_a_connection_lost_before_the_commit_has_changed_nothing(site: Office) -> None:
    """What was only written and never committed is gone, and that is said."""
    course = site.add(make_course)
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    with trigger(site, "", LOSE):
        seen = browser.submit(page, {"title": "Never"})
    assert seen.status == 503
    assert "not known" not in seen.text
    assert site.read(Course, course.id).title == course.title


def test_a_table_that_is_being_changed_says_so(site: Office, hasty: Office) -> None:
    """Nobody writes a record: a reader waits for the whole table."""
    with site.engine.connect() as holder, holder.begin():
        holder.execute(text("LOCK TABLE courses IN ACCESS EXCLUSIVE MODE"))
        seen = hasty.browser("viewer").get("/admin/course/list")
    assert seen.status == 503
    assert seen.heading == "This is locked at the moment"


def test_a_database_that_takes_no_changes_says_so(
    site: Office, office_url: URL
) -> None:
    """To who logs in; who is logged in reads on, and keeps what was typed."""
    course = site.add(make_course)
    cookie = site.browser("editor").client.cookies["backoffice_session"]
    name = office_url.database
    site.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        with opened(office_url, database={"pool": "null"}) as office:
            page = office.stranger().get("/admin/login")
            login = office.stranger()
            login.client.cookies.update(dict(page.response.cookies))
            seen = login.submit(
                page, {"email": "viewer@example.org", "password": PASSWORD}
            )
            editor = office.stranger()
            editor.client.cookies.set("backoffice_session", cookie)
            read = editor.get("/admin/course/list")
            form = editor.get(f"/admin/course/edit/{course.id}")
            kept = editor.submit(form, {"title": "Typed and kept"})
    finally:
        site.run(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert seen.status == 503
    assert seen.heading == "The database takes no changes at present"
    assert read.status == 200
    assert kept.status == 400
    assert kept.form().value("title") == "Typed and kept"
    assert "takes no changes" in kept.text


def test_without_a_free_connection_a_page_says_so(hasty: Office) -> None:
    """503 within the time that one waits for a connection, then all is well."""
    browser = hasty.browser("viewer")
    with hasty.engine.connect(), hasty.engine.connect():
        seen = browser.get("/admin/course/list")
        machine = browser.client.get(
            "/admin/course/list", headers={"accept": "application/json"}
        )
    assert seen.status == 503
    assert seen.response.headers["retry-after"]
    assert machine.status_code == 503
    assert machine.json()["error"]
    assert browser.get("/admin/course/list").status == 200


def test_a_form_that_found_no_connection_is_sent_once_more(
    site: Office, hasty: Office
) -> None:
    """The page carries all that was typed: a button sends it again, and it is saved."""
    course = site.add(make_course)
    browser = hasty.browser("editor")
    page = browser.get(f"/admin/course/edit/{course.id}")
    with hasty.engine.connect(), hasty.engine.connect():
        seen = browser.submit(page, {"title": 'Typed & "kept"'})
    assert seen.status == 503
    assert "Nothing was changed. What you typed is kept in this page" in seen.text
    assert browser.submit(seen).status == 303
    assert site.read(Course, course.id).title == 'Typed & "kept"'


def test_a_password_that_found_no_connection_is_in_no_page(hasty: Office) -> None:
    """It has to be typed once more."""
    browser = hasty.browser("admin")
    page = browser.get("/admin/account/create")
    typed = {"email": "new@example.org", "name": "New", "password": PASSWORD}
    with hasty.engine.connect(), hasty.engine.connect():
        seen = browser.submit(page, typed)
    assert seen.status == 503
    assert PASSWORD not in seen.html
    assert "Send it again" not in seen.text


def test_who_waits_in_vain_for_a_turn_is_told(hasty: Office) -> None:
    """Requests queue for the connections; none of them waits for ever."""
    cookie = hasty.browser("viewer").client.cookies["backoffice_session"]

    async def play() -> httpx.Response:
        limiter = hasty.site.limiter
        holders = [object(), object()]
        for holder in holders:
            await limiter.acquire_on_behalf_of(holder)
        transport = httpx.ASGITransport(app=hasty.app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://testserver",
            cookies={"backoffice_session": cookie},
        ) as client:
            seen = await client.get("/admin/course/list")
        for holder in holders:
            limiter.release_on_behalf_of(holder)
        return seen

    assert anyio.run(play).status_code == 503
    assert hasty.browser("viewer").get("/admin/course/list").status == 200


def test_a_table_that_is_missing_says_which_command_helps(site: Office) -> None:
    """503, migrate, and no name of a table."""
    site.run("ALTER TABLE comments RENAME TO comments_away")
    try:
        seen = site.browser("viewer").get("/admin/comment/list")
    finally:
        site.run("ALTER TABLE comments_away RENAME TO comments")
    assert seen.status == 503
    assert "manage.py migrate" in seen.text
    assert "relation" not in seen.text


def test_a_fault_shows_a_number_and_the_log_has_the_rest(
    site: Office, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No word of the error on the page; the number leads to it."""

    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("backoffice.admin.pages.listing.read_page", broken)
    with caplog.at_level("ERROR"):
        seen = site.browser("viewer").get("/admin/course/list")
    number = seen.response.headers["x-request-id"]
    assert seen.status == 500
    assert number in seen.text
    assert "hunter2" not in seen.html
    assert any(number in record.getMessage() for record in caplog.records)


def test_a_database_that_is_away_is_a_page(
    site: Office, hasty: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken connections are replaced after one refusal; else a page says so.

    The log has a line for it: every request fails at the same place.
    """
    browser = hasty.browser("viewer")
    browser.get("/admin/course/list")
    site.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    answers = [browser.get("/admin/course/list").status for _ in range(2)]
    assert answers in ([200, 200], [503, 200])
    gone = site.engine.url.set(database="there_is_no_such_database")
    with opened(gone) as away:
        assert away.stranger().get("/admin/course/list").status == 303
        other = away.stranger()
        cookie = browser.client.cookies["backoffice_session"]
        other.client.cookies.set("backoffice_session", cookie)
        seen = other.get("/admin/course/list")
        assert seen.status == 503
        assert "there_is_no_such_database" not in seen.html
        number = seen.response.headers["x-request-id"]
        said = [
            one.getMessage() for one in caplog.records if number in one.getMessage()
        ]
        assert len(said) == 1
        assert "The database cannot be reached" in said[0]
        assert len(said[0].splitlines()) <= 2
