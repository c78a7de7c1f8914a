"""What staff do, on SQLite: one test of each view."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from starlette.testclient import TestClient

from backoffice.admin.own_names import SET, TOKEN
from backoffice.database.engine import make_engine
from backoffice.database.migrations import upgrade
from backoffice.seeding.plan import load_project
from backoffice.seeding.seeder import seed
from backoffice.settings import DatabaseSettings
from models.school import Student
from tests.factories import make_course, make_enrollment, make_student
from tests.flows.actions import raised, run_of
from tests.office import SIZES, Office, add_people, counted, opened
from tests.projects import demo_project


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, quick_passwords: None
) -> Iterator[Office]:
    """The demo, migrated and seeded in a file."""
    url = make_url(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'demo.db'}")
    engine = make_engine(url, DatabaseSettings(), application_name="tests")
    upgrade(engine, demo_project(), report=lambda _line: None)
    seed(engine, load_project("models.seeding").plan(SIZES, 7))
    add_people(engine)
    engine.dispose()
    with opened(url) as office:
        yield office


@dataclass(frozen=True, slots=True)
class Case:
    """What is searched, created and changed in one view."""

    identity: str
    search: str
    new: dict[str, str]
    field: str
    value: str
    filter: str = ""
    is_deletable: bool = True


CASES = [
    Case("school", "magelang", {"name": "Lite School"}, "city", "Solo"),
    Case(
        "student",
        "a",
        {"code": "L-1", "full_name": "Lite Pupil", "class_name": "7A", "school": "1"},
        "guardian",
        "Whoever",
        "status=active",
    ),
    Case(
        "report-card",
        "a",
        {"student": "1", "academic_year": "2031", "semester": "1"},
        "mathematics",
        "77",
        "semester__from=2",
    ),
    Case(
        "course",
        "volleyball",
        {"code": "L-2", "title": "Lite course", "capacity": "3"},
        "capacity",
        "4",
        "capacity__from=10",
    ),
    Case("enrollment", "a", {"student": "new", "course": "new"}, "course", "new"),
    Case(
        "product",
        "a",
        {"name": "Lite lamp", "category": "Office", "price": "1.10", "stock": "1"},
        "price",
        "1.20",
        "stock__to=100",
    ),
    Case(
        "customer",
        "a",
        {"full_name": "Lite Customer", "email": "lite@example.org"},
        "city",
        "Solo",
    ),
    Case(
        "order",
        "a",
        {"customer": "1", "items.0.product": "1", "items.0.quantity": "1"},
        "status",
        "paid",
        "status=paid",
    ),
    Case(
        "author",
        "joko",
        {
            "username": "lite",
            "full_name": "Lite Author",
            "email": "lite@example.net",
        },
        "bio",
        "Short",
        "is_active=true",
    ),
    Case(
        "post",
        "a",
        {"author": "1", "title": "Lite post", "body": "Body", "status": "draft"},
        "title",
        "Lighter post",
        "status=draft",
    ),
    Case(
        "comment",
        "a",
        {"post": "1", "name": "Lite", "body": "I see."},
        "body",
        "I saw.",
        "is_approved=false",
    ),
    Case(
        "text-analysis",
        "interview",
        {"text": "A lite text"},
        "model",
        "small",
        "status=done",
    ),
    Case("batch-analysis", "a", {"name": "Lite batch", "size": "3"}, "size", "4"),
    Case(
        "account",
        "admin",
        {
            "name": "Lite Person",
            "email": "person@example.org",
            "role": "viewer",
            "password": "four wild geese fly",
        },
        "name",
        "Lite Human",
        "is_active=true",
    ),
]


def filled(site: Office, values: dict[str, str]) -> dict[str, Any]:
    """The values, with a new record where one of its own is needed."""
    makers = {"student": make_student, "course": make_course}
    return {
        key: str(site.add(makers[key]).id) if value == "new" else value
        for key, value in values.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.identity)
def test_a_view_does_on_sqlite_what_it_does(site: Office, case: Case) -> None:
    """List, search, filter, create, edit, a stale form, history, export, delete."""
    browser = site.browser("admin")
    base = f"/admin/{case.identity}"
    assert browser.get(f"{base}/list").rows
    assert browser.get(f"{base}/list?search={case.search}").rows
    assert browser.get(f"{base}/list?{case.filter}").rows
    assert browser.get(f"{base}/export/csv?{case.filter}").status == 200

    page = browser.get(f"{base}/create")
    made = browser.follow(browser.submit(page, filled(site, case.new)))
    assert any("is created." in note for note in made.notes), made.errors
    href = next(h for h in made.hrefs() if "/details/" in h)
    key = href.rpartition("/")[2]
    assert browser.get(f"{base}/details/{key}").status == 200

    other = site.browser("editor" if case.identity != "account" else "admin")
    stale = other.get(f"{base}/edit/{key}")
    edit = browser.get(f"{base}/edit/{key}")
    untouched = browser.follow(browser.submit(edit))
    assert untouched.notes == ["Nothing was changed, so nothing is saved."]
    changes = filled(site, {case.field: case.value})
    saved = browser.follow(browser.submit(edit, changes))
    assert any("is saved." in note for note in saved.notes), saved.errors

    again = {case.field: "paid" if case.field == "status" else "9"}
    if case.field == "course":
        again = filled(site, {"course": "new"})
    elif case.field == "status":
        again = {"status": "shipped"}
    assert other.submit(stale, again).status == 409

    history = browser.get(f"{base}/history/{key}")
    assert "Ada Admin" in history.text
    assert "created" in history.text

    preview = browser.get(f"{base}/delete/{key}")
    assert preview.status == 200
    gone = browser.follow(browser.submit(preview, {"sure": "yes"}))
    assert any("is deleted." in note for note in gone.notes), gone.text
    assert browser.get(f"{base}/details/{key}").status == 404
    if case.identity != "account":  # who is deleted is out of their list's scope
        assert "deleted" in browser.get(f"{base}/history/{key}").text


def test_order_lines_are_read_on_sqlite(site: Office) -> None:
    """List, search, details and history of the view that only reads."""
    browser = site.browser("viewer")
    seen = browser.get("/admin/order-item/list?search=a")
    assert seen.rows
    href = next(h for h in seen.hrefs() if "/details/" in h)
    assert browser.get(href).status == 200
    key = href.partition("?")[0].rpartition("/")[2]
    assert browser.get(f"/admin/order-item/history/{key}").status == 200


def test_the_history_is_narrowed_down_on_sqlite(site: Office) -> None:
    """A run in one line, by person, list, kind and days; page by page."""
    key = site.value("SELECT min(id) FROM products")
    browser = site.browser("admin")
    page = browser.get(f"/admin/product/edit/{key}")
    assert browser.submit(page, {"stock": "77"}).status == 303
    # Within one second entries stand above runs, those of tests before as well: its
    # clock knows no less.
    site.run("UPDATE backoffice_audit SET at = datetime(at, '-1 hour')")
    ran = browser.submit(raised(browser, [key]), button="Change 1 product")
    told = f"Run {run_of(ran)}: raise prices by 10 % changed 1 product"

    assert told in browser.get("/admin/").text
    for query in (
        "",
        "?kind=run&at__from=2020-01-01",
        "?kind=update&view=product",
        "?by=Ada+Admin&view=product",
        "?by=da+ADM",
        "?by=admin@example",
    ):
        assert told in browser.get(f"/admin/history{query}").text, query
    for query in ("?kind=delete&view=product", "?at__to=2020-01-01", "?by=Nobody"):
        assert told not in browser.get(f"/admin/history{query}").text, query
    assert "Stock" in browser.get("/admin/history?kind=update&view=product").text
    behind = browser.get(f"/admin/history?view=product&before=run-{run_of(ran)}").text
    assert "became 77" in behind
    assert told not in behind


def test_every_view_is_tried_on_sqlite(site: Office) -> None:
    """A view that is added is added above."""
    tried = {case.identity for case in CASES} | {"order-item", "slow-log"}
    assert {view.identity for view in site.site.views} == tried


def test_a_full_course_refuses_on_sqlite(site: Office) -> None:
    """On the course, in words."""
    course = site.add(make_course, title="Lite chess", capacity=1)
    site.add(make_enrollment, course_id=course.id)
    student = site.add(make_student)
    browser = site.browser("editor")
    page = browser.get("/admin/enrollment/create")
    seen = browser.submit(page, {"student": str(student.id), "course": str(course.id)})
    assert seen.status == 400
    assert list(seen.errors) == ["course"]
    assert seen.errors["course"] == "Lite chess is full (1 of 1)."


def test_a_duplicate_refuses_on_sqlite(site: Office) -> None:
    """On the field that has to be unique."""
    student = site.add(make_student, code="LITE-TWICE")
    browser = site.browser("editor")
    page = browser.get("/admin/student/create")
    seen = browser.submit(
        page,
        {
            "code": "LITE-TWICE",
            "full_name": "Second",
            "class_name": "7A",
            "school": str(student.school_id),
        },
    )
    assert seen.errors == {"code": "Another student has this code."}


def test_a_held_database_says_so_on_sqlite(site: Office) -> None:
    """Another process writes: a page, and what was typed is kept."""
    course = site.add(make_course)
    url = site.engine.url
    with opened(url, database={"lock_timeout": 0.1}) as hasty:
        browser = hasty.browser("editor")
        page = browser.get(f"/admin/course/edit/{course.id}")
        holder = create_engine(url, isolation_level="AUTOCOMMIT")
        with holder.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            seen = browser.submit(page, {"title": "Held"})
            connection.exec_driver_sql("ROLLBACK")
        holder.dispose()
    assert seen.status in {409, 503}
    assert "Traceback" not in seen.html


@pytest.mark.parametrize(
    "page", ["", "?top=new", "/connections", "/checks", "/findings", "/tables"]
)
def test_every_page_of_the_metrics_opens_on_sqlite(site: Office, page: str) -> None:
    """None of them breaks, and none offers to try again what cannot be."""
    seen = site.browser("ops").get(f"/admin/metrics{page}")
    assert seen.status == 200, seen.text
    assert "Try again" not in seen.text


def test_the_metrics_say_what_sqlite_cannot(site: Office) -> None:
    """What it has no word for is said to be so; it is neither unknown nor amiss."""
    site.backoffice.keeper.measure()
    site.browser("editor").get("/admin/course/list")
    ops = site.browser("ops")
    seen = ops.get("/admin/metrics")
    assert "Healthy since" in seen.text
    assert "could not be made" not in seen.text
    assert "SQLite has no sessions. Nobody holds a connection of ours" in seen.text
    assert "SQLite does not count the rows that it reads" in seen.text
    assert re.search(r"Database [\d.]+ [kM]B, .{5,20} in .+; SQLite 3\.", seen.text)
    assert "Journal WAL" in seen.text
    assert "does not apply" in ops.get("/admin/metrics/checks").text
    assert "each process opens the file" in ops.get("/admin/metrics/connections").text
    tables = ops.get("/admin/metrics/tables")
    assert "Journal WAL" in tables.text
    assert "SQLite keeps no statistics of its tables" in tables.text
    assert "Indexes to look at" not in tables.text
    data = ops.client.get("/admin/metrics?format=json").json()
    assert data["panels"]["activity"]["state"] == "does not apply"
    assert data["statements"]


def test_a_page_of_the_metrics_asks_few_statements_on_sqlite(site: Office) -> None:
    """As elsewhere: six at most, and none in the staff's pool."""
    ops = site.browser("ops")
    with counted(site.backoffice.ops.engine) as statements, counted(site.engine) as own:
        ops.get("/admin/metrics")
    assert len(statements) <= 6
    assert own == []


def test_a_slow_statement_is_logged_on_sqlite(site: Office) -> None:
    """With its view and user, on the page, in the list and under its request."""
    with opened(site.engine.url, observability={"slow_ms": 0}) as slow:
        request = slow.fresh("editor").get("/admin/course/list")
        slow.backoffice.keeper.flush()
        ops = slow.fresh("ops")
        number = request.response.headers["x-request-id"]
        assert "Courses, list" in ops.get(f"/admin/metrics/request/{number}").text
        assert "Emil Editor" in ops.get("/admin/metrics").text
        found = slow.backoffice.keeper.picture().top_statements(view="course", limit=1)
        page = ops.get(f"/admin/metrics/statement/{found[0].fingerprint}")
    assert page.status == 200
    assert "Courses" in page.text


def test_probes_and_metrics_on_sqlite(site: Office) -> None:
    """All answer; what is a server's is not exposed."""
    machine = TestClient(site.app, client=("127.0.0.1", 5))
    for path in ("/livez", "/readyz", "/healthz", "/startupz"):
        assert machine.get(path).status_code == 200, path
    exposed = machine.get("/metrics").text
    assert 'db_system_name="sqlite"' in exposed
    assert 'db_namespace="demo.db"' in exposed
    assert "pg_up" not in exposed


def test_a_statement_is_explained_with_its_values_on_sqlite(site: Office) -> None:
    """From the foot of a page; the administrator sees what it ran with."""
    admin = site.browser("admin")
    page = admin.get("/admin/student/list?guardian=canary5512")
    form = next(f for f in page.page.forms if "request" in f.fields)
    name = form.buttons[-1][1]
    sent = {**form.data({}), "fingerprint": [name]}
    report = admin.follow(admin.post("/admin/explain", sent))
    assert "With the values of" in report.text
    assert "A whole table is read" in report.text
    shown = admin.get(f"/admin/metrics/statement/{name}")
    assert "'canary5512'" in shown.text
    assert site.value(
        "SELECT count(*) FROM backoffice_audit WHERE action = 'values_seen'"
    )
    ops = site.browser("ops").get(f"/admin/metrics/statement/{name}")
    assert "canary5512" not in ops.html


def test_the_plan_of_a_call_says_nothing_of_its_value_on_sqlite(site: Office) -> None:
    """Its way depends on what is searched for: ops get the one for any values."""
    admin, ops = site.browser("admin"), site.browser("ops")
    page = admin.get("/admin/student/list?guardian=canary5513")
    form = next(f for f in page.page.forms if "request" in f.fields)
    asked = {"fingerprint": form.buttons[-1][1]}
    said = "Generic plan: the role ops may not see its values."
    sent = {TOKEN: ops.token(), **asked}
    report = ops.follow(ops.post("/admin/explain", sent))
    assert said in report.text
    assert "There is no plan" not in report.text
    assert "A whole table is read" in report.text
    sent = {TOKEN: admin.token(), **asked}
    assert said not in admin.follow(admin.post("/admin/explain", sent)).text


def test_an_update_is_explained_on_sqlite(site: Office) -> None:
    """How the rows are found and changed; nothing is."""
    admin = site.browser("admin")
    before = site.values("SELECT id, stock FROM products ORDER BY id LIMIT 2")
    sent = {
        TOKEN: admin.token(),
        "action": "edit-selected",
        "which": "ticked",
        "id": [str(one[0]) for one in before],
    }
    asked = admin.follow(admin.post("/admin/product/actions", sent))
    page = admin.follow(admin.submit(asked, {SET: ["stock"], "stock": "77"}))
    assert "Takes not known" in page.text
    report = admin.follow(admin.submit(page, button="Explain this update"))
    assert "The update" in report.text
    assert "SEARCH" in report.text
    assert site.values("SELECT id, stock FROM products ORDER BY id LIMIT 2") == before


def test_a_text_in_the_place_of_a_time_is_shown_and_left_as_it_is(
    site: Office,
) -> None:
    """SQLite stores any text as a date: no page fails for it, no save touches it."""
    student = site.add(make_student, code="ODD-1")
    odd = "UPDATE students SET birth_date = '20000-01-01', created_at = 'long ago'"
    site.run(f"{odd} WHERE code = 'ODD-1'")
    browser = site.browser("editor")
    assert "20000-01-01" in browser.get(f"/admin/student/details/{student.id}").text
    assert "20000-01-01" in browser.get("/admin/student/list?search=ODD-1").text
    form = browser.get(f"/admin/student/edit/{student.id}")
    assert browser.submit(form, {"guardian": "Somebody"}).status == 303
    found = "SELECT birth_date, guardian FROM students WHERE code = 'ODD-1'"
    assert site.values(found) == [("20000-01-01", "Somebody")]
    assert "20000-01-01" in browser.get("/admin/student/export/csv?search=ODD-1").html


def test_two_writers_queue(site: Office) -> None:
    """Who saves has the file from the start: nobody writes between look and save."""
    student = site.add(make_student, code="ODD-2")
    browser = site.browser("editor")
    form = browser.get(f"/admin/student/edit/{student.id}")
    other = sqlite3.connect(
        str(site.engine.url.database), timeout=0, check_same_thread=False
    )
    answers: list[str] = []

    def cut_in(*_args: Any) -> None:
        try:
            with other:
                other.execute("UPDATE schools SET city = city")
            answers.append("written")
        except sqlite3.OperationalError as error:
            answers.append(str(error))

    event.listen(site.engine, "after_cursor_execute", cut_in)
    try:
        saved = browser.submit(form, {"guardian": "The First"})
    finally:
        event.remove(site.engine, "after_cursor_execute", cut_in)
        other.close()
    assert saved.status == 303
    assert site.read(Student, student.id).guardian == "The First"
    # Locked from the first statement to the last of the save, and free after it.
    assert answers == sorted(answers)
    assert answers.count("database is locked") > 3


def test_who_waits_too_long_for_the_file_is_told_so(site: Office) -> None:
    """A file that somebody else holds is no database that cannot be reached."""
    url = site.engine.url
    with opened(url, database={"lock_timeout": 0.1}) as office:
        browser = office.browser("editor")
        form = browser.get("/admin/school/create")
        with site.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as other:
            other.execute(text("SELECT 1"))
            seen = browser.submit(form, {"name": "Waiting"})
    assert (seen.status, seen.heading) == (409, "Somebody else is writing here")
