"""What ops see on the metrics page and behind it, and what they can do there."""

import html
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL, Connection, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import TOKEN
from backoffice.audit.models import AuditEntry
from backoffice.bootstrap import meeting_place
from backoffice.database.session import Actor, Place, unit_of_work
from backoffice.errors import SettingsError
from backoffice.observability.activity import read_activity
from backoffice.observability.counters import Minute
from backoffice.observability.picture import Picture
from backoffice.observability.recorder import REQUESTS
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.observability.snapshots import RETIRED, dump_json, process_start
from models.analyses import TextAnalysis as Text
from models.school import ReportCard, Student
from tests.conftest import _numbers
from tests.factories import make_course
from tests.office import NAMES, Office, opened
from tests.week import forget_the_week, remember_a_week

PAGES = ("", "/connections", "/checks", "/findings", "/tables")
CANARY = "zanzibar4711"


@contextmanager
def waiting(office: Office, link: Connection, statement: str) -> Iterator[int]:
    """The pid of a session that runs this meanwhile, seen by the server."""
    pid = int(link.scalar(text("SELECT pg_backend_pid()")) or 0)
    failures: list[Exception] = []

    def run() -> None:
        try:
            link.execute(text(statement))
        except Exception as error:  # noqa: BLE001 - it is to be ended
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not any(
        one.pid == pid and one.state == "active"
        for one in read_activity(office.backoffice.ops).value or ()
    ):
        pass
    try:
        yield pid
    finally:
        thread.join()


def fingerprint_of(office: Office, view: str) -> str:
    """A statement that this view has run."""
    found = office.backoffice.keeper.picture().top_statements(view=view, limit=1)
    return found[0].fingerprint


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_for_ops(site: Office, page: str) -> None:
    """Each of them, with the way back to the metrics in the menu."""
    seen = site.browser("ops").get(f"/admin/metrics{page}")
    assert seen.status == 200, seen.text
    assert "/admin/metrics" in list(seen.hrefs())


@pytest.mark.parametrize("role", ["editor", "viewer"])
@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_sees_them(site: Office, role: str, page: str) -> None:
    """Who may not see the metrics is told whom to ask, and finds no line of them."""
    seen = site.browser(role).get(f"/admin/metrics{page}")
    assert seen.status == 403
    assert "the role admin or ops" in seen.text
    assert "/admin/metrics" not in list(seen.hrefs())


def test_a_stranger_is_led_to_the_login(site: Office) -> None:
    """And comes back to the page afterwards."""
    seen = site.stranger().get("/admin/metrics?top=failing")
    assert seen.location == "/admin/login?next=%2Fadmin%2Fmetrics%3Ftop%3Dfailing"


def test_no_statement_of_the_page_runs_in_the_staffs_pool(site: Office) -> None:
    """Pages of the metrics take no connection of the pool that they watch."""
    browser = site.browser("ops")
    browser.get("/admin/metrics")
    before = site.backoffice.keeper.recorder.calls
    for page in PAGES:
        assert browser.get(f"/admin/metrics{page}").status == 200
    assert site.backoffice.keeper.recorder.calls == before


def test_the_page_asks_six_statements_at_most(site: Office) -> None:
    """Whoever opens it, in whatever order of the statements."""
    for order in ("total", "slowest", "frequent", "failing", "new"):
        seen = site.browser("ops").get(f"/admin/metrics?top={order}")
        found = re.search(r"(\d+) statements, .{5,60} on its own connection", seen.text)
        assert found is not None
        assert int(found[1]) <= 6, order


def test_a_week_of_history_costs_no_statement_more(site: Office) -> None:
    """With a week in every table of its own the page asks six, each of them once."""
    remember_a_week(site.engine)
    asked: list[str] = []

    class Noted(psycopg.Cursor[Any]):
        """A cursor that tells what it is asked, whoever asks."""

        def execute(self, query: Any, *given: Any, **options: Any) -> Any:
            asked.append(" ".join(str(query).split()))
            return super().execute(query, *given, **options)

    def note(connection: Any, _record: object) -> None:
        connection.cursor_factory = Noted

    ops, engine = site.browser("ops"), site.backoffice.ops.engine
    engine.dispose()
    event.listen(engine, "connect", note)
    seen = ops.get("/admin/metrics")
    event.remove(engine, "connect", note)
    engine.dispose()
    forget_the_week(site.engine)
    known = {one for one in asked if one.startswith(("SELECT", "WITH"))}
    assert seen.status == 200
    # Besides what SQLAlchemy asks of a new connection.
    about = ("pg_catalog.version()", "current_schema()", "standard_conforming_strings")
    pages = [one for one in known if not any(word in one for word in about)]
    assert len(pages) == 6, pages
    assert "Week, list" in seen.text


def test_a_list_is_seen_with_its_view_and_user(site: Office) -> None:
    """The statements of a list stand under the list's name."""
    site.browser("editor").get("/admin/course/list")
    identity = fingerprint_of(site, "course")
    page = site.browser("ops").get(f"/admin/metrics/statement/{identity}")
    assert page.status == 200
    assert "Courses" in page.text


def test_a_slow_statement_is_in_the_log_with_view_and_user(site: Office) -> None:
    """Found by its request, on its own page, in the list and in its CSV."""
    with opened(site.engine.url, observability={"slow_ms": 0}) as slow:
        browser = slow.fresh("editor")
        request = browser.get("/admin/course/list").response.headers["x-request-id"]
        slow.backoffice.keeper.flush()
        ops = slow.fresh("ops")
        page = ops.get(f"/admin/metrics/request/{request}")
        assert "Courses, list" in page.text
        assert NAMES["editor"] in page.text
        listed = ops.get(f"/admin/slow-log/list?search={request}")
        wide = [row for row in listed.rows if len(row) > 6]
        assert wide
        assert all("Courses, list" in row for row in wide)
        csv = ops.client.get(f"/admin/slow-log/export/csv?search={request}")
        assert "SELECT" in csv.text


def test_the_slow_log_is_for_ops_and_read_only(site: Office) -> None:
    """An editor does not find it; ops cannot change it."""
    assert site.browser("editor").get("/admin/slow-log/list").status == 403
    assert site.browser("ops").get("/admin/slow-log/create").status == 403
    assert site.browser("admin").get("/admin/slow-log/create").status == 403


def test_what_is_unknown_is_not_found(site: Office) -> None:
    """Of a fingerprint or a session that is not there, that is said."""
    ops = site.browser("ops")
    assert ops.get("/admin/metrics/statement/0123456789abcdef").status == 404
    assert ops.get("/admin/metrics/connection/99999999").status == 404
    assert ops.get("/admin/metrics/request/nonsense").status == 404


def test_it_stands_still_unless_asked(site: Office) -> None:
    """Only `refresh=10` makes the page load itself again; any other is ignored."""
    ops = site.browser("ops")
    assert 'http-equiv="refresh"' not in ops.get("/admin/metrics").html
    assert 'http-equiv="refresh"' not in ops.get("/admin/metrics?refresh=1").html
    refreshed = ops.get("/admin/metrics?refresh=10")
    assert '<meta http-equiv="refresh" content="10">' in refreshed.html


def test_a_restart_is_no_rush(site: Office, tmp_path: Path) -> None:
    """What ended processes have counted is spread over the time that they had."""
    gone = Picture()
    gone.since = time.time() - 3600
    minute = int(time.time() // 60) - 1
    gone.minutes = {minute: Minute(minute, calls=2_400)}
    place = tmp_path / meeting_place(site.engine.url)
    place.mkdir()
    (place / RETIRED).write_text(dump_json(gone.to_json(limit=1)))
    there = {"metrics_directory": str(tmp_path)}
    with opened(site.engine.url, observability=there) as office:
        seen = office.fresh("ops").get("/admin/metrics")
    found = re.search(r"Statements ([\d.]+) per second", seen.text)
    assert found is not None
    assert float(found[1]) <= 10.5


def test_it_is_there_for_machines(site: Office) -> None:
    """The same numbers as JSON."""
    found = site.browser("ops").client.get("/admin/metrics?format=json").json()
    assert found["pools"][0]["max"] == 10
    assert {one["rule"] for one in found["verdicts"]} >= {"utilization", "connection"}
    assert set(found["panels"]) == {
        *("activity", "tables", "server", "file", "slow", "new", "migrations")
    }


def test_a_search_is_nowhere_in_what_is_observed(site: Office) -> None:
    """What people type is in no page of ops, table, metric or address of ours."""
    with opened(site.engine.url, observability={"slow_ms": 0}) as slow:
        slow.fresh("editor").get(f"/admin/student/list?search={CANARY}")
        keeper = slow.backoffice.keeper
        keeper.flush()
        keeper.report()
        ops = slow.fresh("ops")
        identity = fingerprint_of(slow, "student")
        pages = [
            *(f"/admin/metrics{page}" for page in PAGES),
            f"/admin/metrics/statement/{identity}",
            "/admin/metrics?format=json",
            "/admin/slow-log/list",
        ]
        assert not [url for url in pages if CANARY in ops.get(url).html]
        machine = TestClient(slow.app, client=("127.0.0.1", 5))
        assert CANARY not in machine.get("/metrics").text
        assert CANARY not in keeper.snapshots.path.read_text()
        for table in ("backoffice_slow_statements", "backoffice_statements"):
            rows = slow.values(f"SELECT t::text FROM {table} AS t")
            assert rows
            assert not [row for row in rows if CANARY in str(row)]
        keeper.snapshots.path.unlink()


def test_who_waits_for_whom_is_a_tree_with_its_root(site: Office) -> None:
    """The one in the way comes first, with the number of those behind it."""
    own = create_engine(site.engine.url)
    with own.connect() as root, own.connect() as other:
        root.execute(text("LOCK TABLE courses"))
        pid = int(root.scalar(text("SELECT pg_backend_pid()")) or 0)
        statement = "SELECT count(*) FROM courses"
        with waiting(site, other, statement) as blocked:
            seen = site.browser("ops").get("/admin/metrics")
            page = site.browser("ops").get(f"/admin/metrics/connection/{blocked}")
            root.rollback()
    own.dispose()
    assert "1 session waits for one transaction" in seen.text
    names = [row[0] for row in seen.rows if row[0].startswith("pid ")]
    assert names == [f"pid {pid}", f"pid {blocked}"]
    assert f"waits for {pid}" in page.text


def test_a_statement_is_cancelled_and_that_is_written(site: Office) -> None:
    """By POST with a token; the history says who ended whom."""
    own = create_engine(site.engine.url)
    ops = site.browser("ops")
    with own.connect() as link:
        with waiting(site, link, "SELECT pg_sleep(30)") as pid:
            page = ops.get(f"/admin/metrics/connection/{pid}")
            ended = ops.submit(page, button="Cancel its statement")
        assert "The cancel was sent" in " ".join(ops.get(ended.location).notes)
    own.dispose()
    entries = site.values(
        "SELECT actor_label, changes FROM backoffice_audit "
        "WHERE action = 'cancel_backend'"
    )
    assert [(who, changes["outcome"]) for who, changes in entries] == [
        (NAMES["ops"], [None, "sent"])
    ]


def test_an_old_form_ends_nobody(site: Office) -> None:
    """A session that runs something else by now is left alone."""
    own = create_engine(site.engine.url)
    admin = site.browser("admin")
    with own.connect() as link:
        with waiting(site, link, "SELECT pg_sleep(0.2)") as pid:
            page = admin.get(f"/admin/metrics/connection/{pid}")
        link.rollback()
        with waiting(site, link, "SELECT pg_sleep(0.3)"):
            seen = admin.follow(admin.submit(page, button="Cancel its statement"))
        assert link.scalar(text("SELECT 1")) == 1
    own.dispose()
    assert "Already finished" in " ".join(seen.notes)


def test_ending_a_session_comes_after_cancelling(site: Office) -> None:
    """A running one is not ended unasked; one that stands idle is, by an admin."""
    own = create_engine(site.engine.url)
    admin = site.browser("admin")
    with own.connect() as link:
        with waiting(site, link, "SELECT pg_sleep(1)") as pid:
            page = admin.get(f"/admin/metrics/connection/{pid}")
            seen = admin.submit(page, {"signal": "terminate"})
        assert "First cancel" in " ".join(admin.get(seen.location).notes)
        assert link.scalar(text("SELECT 1")) == 1
        idle = admin.get(f"/admin/metrics/connection/{pid}")
        gone = admin.follow(admin.submit(idle, button="End the session"))
        link.invalidate()
    own.dispose()
    assert "The session was ended" in " ".join(gone.notes)


def test_ops_may_cancel_and_not_end(site: Office) -> None:
    """Ending needs a right of its own."""
    ops = site.browser("ops")
    own = create_engine(site.engine.url)
    with own.connect() as link:
        pid = link.scalar(text("SELECT pg_backend_pid()"))
        page = ops.get(f"/admin/metrics/connection/{pid}")
        data = {TOKEN: ops.token(), "signal": "terminate", "started": "x"}
        seen = ops.post(f"/admin/metrics/connection/{pid}", data)
    own.dispose()
    assert "needs the role admin" in page.text
    assert seen.status == 403


def test_a_signal_needs_the_token_of_a_form(site: Office) -> None:
    """A POST from anywhere ends nobody."""
    seen = site.browser("admin").post(
        "/admin/metrics/connection/1", {"signal": "cancel", "started": "x"}
    )
    assert seen.status == 403


def exposed(office: Office) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What /metrics says, as a parser reads it: name and labels to value."""
    text = TestClient(office.app, client=("127.0.0.1", 5)).get("/metrics").text
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_requests_are_exposed_by_the_template_of_their_route(site: Office) -> None:
    """Under OpenTelemetry's name: method, template and status, never an address."""
    course = site.add(make_course)
    site.browser("viewer").get(f"/admin/course/details/{course.id}?page={CANARY}")
    site.browser("viewer").get(f"/admin/{CANARY}")
    site.stranger().client.request(CANARY.upper(), "/livez")
    found = exposed(site)
    name = "http_server_request_duration_seconds_count"
    labels = [dict(key) for at, key in found if at == name]
    assert {
        "http_request_method": "GET",
        "http_route": "/admin/{identity}/details/{pk:path}",
        "http_response_status_code": "200",
    } in labels
    assert {
        "http_request_method": "GET",
        "http_route": "",
        "http_response_status_code": "404",
    } in labels
    assert "_OTHER" in {one["http_request_method"] for one in labels}
    assert CANARY not in str(found).lower()


def test_health_is_exposed_as_it_is_told(site: Office) -> None:
    """The same checks as /healthz has, by the same names."""
    found = exposed(site)
    names = {dict(key)["check"] for at, key in found if at == "backoffice_health"}
    told = TestClient(site.app, client=("127.0.0.1", 5)).get("/healthz").json()
    assert names == {
        name
        for name, checks in told["checks"].items()
        if any(one["status"] != "unknown" for one in checks)
    }
    assert "database:connection" in names


def test_every_number_leads_to_its_meaning_and_its_evidence(site: Office) -> None:
    """Tiles, heads of tables and facts lead to an anchor that exists."""
    site.browser("viewer").get("/admin/course/list")
    ops = site.browser("ops")
    seen, checks = ops.get("/admin/metrics"), ops.get("/admin/metrics/checks")
    anchors = {one.partition("#")[2] for one in seen.hrefs() if "/checks#" in one}
    assert {"utilization", "p95", "statements", "errors"} <= anchors
    assert {"checked-out", "share", "rows", "reads", "growth", "memory"} <= anchors
    missing = [one for one in anchors if f'id="{one}"' not in checks.html]
    assert missing == []
    hrefs = list(seen.hrefs())
    for way in ("/connections", "?top=slowest#", "?top=frequent#", "?top=failing#"):
        assert any(f"/admin/metrics{way}" in one for one in hrefs), way


def test_ours_is_only_what_opentelemetry_does_not_name(site: Office) -> None:
    """What else is exposed is the server's, as postgres_exporter names it."""
    site.browser("viewer").get("/admin/course/list")
    names = {name for name, _ in exposed(site)}
    theirs = ("db_client_", "http_server_", "pg_")
    ours = {name for name in names if not name.startswith(theirs)}
    assert all(name.startswith("backoffice_") for name in ours)
    assert not [name for name in ours if "request" in name or "connection" in name]


def test_the_scrape_takes_no_connection_of_the_pool(site: Office) -> None:
    """Nor does it run a statement there."""
    checkouts: list[object] = []
    event.listen(site.engine, "checkout", lambda *given: checkouts.append(given))
    before = site.backoffice.keeper.recorder.calls
    exposed(site)
    assert not checkouts
    assert site.backoffice.keeper.recorder.calls == before


def test_the_server_sees_the_route_of_a_page(site: Office) -> None:
    """The comment in front of a statement names view, action and route's template."""
    shown: list[str] = []

    def note(_link: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        shown.append(statement)

    event.listen(site.engine, "before_cursor_execute", note)
    site.browser("viewer").get("/admin/course/list")
    event.remove(site.engine, "before_cursor_execute", note)
    assert shown
    comment = "/*view:course action:list route:/admin/_identity_/list */ "
    assert all(one.startswith(comment) for one in shown)


def test_counting_begins_anew_and_that_is_written(site: Office) -> None:
    """Only an administrator may; the totals of /metrics do not fall."""
    site.browser("viewer").get("/admin/course/list")
    before = exposed(site)
    ops = site.browser("ops")
    assert ops.post("/admin/metrics/reset", {TOKEN: ops.token()}).status == 403
    admin = site.browser("admin")
    page = admin.get("/admin/metrics")
    seen = admin.follow(admin.submit(page, action="/admin/metrics/reset"))
    assert "Counting has begun anew" in " ".join(seen.notes)
    assert f"{NAMES['admin']} began the counting anew at" in seen.text
    counted = ops.client.get("/admin/metrics?format=json").json()
    assert counted["counted"]["statements"] == 0
    assert counted["statements"] == []
    after = exposed(site)
    assert not [
        key
        for key, value in before.items()
        if key[0].endswith(("_total", "_count", "_bucket", "_sum"))
        and after.get(key, -1) < value
    ]
    with site.session() as session:
        found = session.query(AuditEntry).filter_by(action="metrics_reset").one()
    assert found.actor_label == NAMES["admin"]


def test_nothing_is_reset_that_cannot_be_written(site: Office) -> None:
    """Where the counters' directory is out of reach that is said."""
    writer = site.backoffice.keeper.snapshots
    admin = site.browser("admin")
    site.browser("viewer").get("/admin/course/list")
    page = admin.get("/admin/metrics")
    there, writer.directory = writer.directory, Path("/proc/nowhere")
    seen = admin.follow(admin.submit(page, action="/admin/metrics/reset"))
    writer.directory = there
    assert "Nothing was reset: the directory" in " ".join(seen.notes)
    assert site.backoffice.keeper.picture().counted.calls > 0


def test_ops_see_what_a_page_cost(site: Office) -> None:
    """A line at its foot, each statement, and where the time went as a header."""
    seen = site.browser("ops").get("/admin/course/list")
    assert re.search(
        r"\d statements, \S+ m?s in the database, \S+ m?s in all", seen.text
    )
    number = seen.response.headers["x-request-id"]
    assert f'href="/admin/metrics/request/{number}"' in seen.html
    assert site.browser("ops").get(f"/admin/metrics/request/{number}").status == 200
    header = seen.response.headers["server-timing"]
    assert [part.partition(";")[0] for part in header.split(", ")] == [
        *("wait", "exec", "fetch", "commit", "render", "total")
    ]


def test_others_see_no_cost(site: Office) -> None:
    """Neither the line nor the header."""
    seen = site.browser("editor").get("/admin/course/list")
    assert "in the database" not in seen.text
    assert "server-timing" not in seen.response.headers


def test_a_page_over_its_budget_is_a_finding(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a view declared it may cost is held against it."""
    view = site.site.view_called("course")
    monkeypatch.setattr(type(view), "max_statements", 1)
    site.browser("editor").get("/admin/course/list")
    seen = site.browser("ops").get("/admin/metrics/findings")
    assert "Course list is over its budget" in seen.text
    assert "1 declared" in seen.text


def test_a_view_that_reads_too_much_is_found(site: Office) -> None:
    """Rows read per row shown stand at the view; a thousand are a finding."""
    site.run(
        "INSERT INTO courses (code, title, capacity) "
        "SELECT 'BULK-' || n, 'Course ' || n, 5 FROM generate_series(1, 11000) AS n"
    )
    site.run("ANALYZE courses")
    with opened(site.engine.url, observability={"sampled_reads": 1.0}) as office:
        office.fresh("editor").get(f"/admin/course/list?search={CANARY}")
        ops = office.fresh("ops")
        seen = ops.get("/admin/metrics")
        views = ops.client.get("/admin/metrics?format=json").json()["views"]
    site.run("DELETE FROM courses WHERE code LIKE 'BULK-%'")
    (row,) = [
        one for one in views if (one["view"], one["action"]) == ("course", "list")
    ]
    assert row["sampled"] == 1
    assert row["rows_read_each"] >= 1_000
    (line,) = [one for one in seen.rows if one[0] == "Courses, list" and len(one) == 7]
    assert int(line[5].replace(",", "")) == round(row["rows_read_each"])
    assert "Course list had the server read 1" in seen.text
    assert "An index on what is searched, filtered or sorted by" in seen.text
    assert CANARY not in seen.text


def test_a_look_costs_no_budget(site: Office) -> None:
    """A page that is looked at has as many statements as one that is not."""
    sentences = []
    for share in (0.0, 1.0):
        with opened(site.engine.url, observability={"sampled_reads": share}) as office:
            seen = office.fresh("ops").get("/admin/course/list")
            sentences.append(re.findall(r"(\d+) statements,", seen.text))
            keeper = office.backoffice.keeper
            assert ("reads" in keeper.recorder.overhead) == bool(share)
            known = keeper.picture().top_statements(limit=100)
            assert not [one for one in known if "pg_stat_get_xact" in one.text]
    assert sentences[0] == sentences[1]


def test_the_statements_of_one_view(site: Office) -> None:
    """A view's line leads to its statements alone."""
    site.browser("editor").get("/admin/course/list")
    ops = site.browser("ops")
    href = next(
        one for one in ops.get("/admin/metrics").hrefs() if "view=course" in one
    )
    seen = ops.get(href.partition("#")[0])
    assert "of Courses, since" in seen.text
    places = {row[1] for row in seen.rows if len(row) == 8} - {"View"}
    assert places
    assert all(one.startswith("Courses") for one in places)


def test_how_tables_grow_is_told(site: Office) -> None:
    """Since a week ago, per model and in all; the page's statements stay as few."""
    keeper, ops = site.backoffice.keeper, site.browser("ops")
    site.run("DELETE FROM backoffice_table_sizes")
    keeper.measure()
    site.run(
        "INSERT INTO backoffice_table_sizes "
        "SELECT at - interval '6 days', name, row_count, data_size / 2, index_size / 2 "
        "FROM backoffice_table_sizes"
    )
    keeper.measure()
    seen = ops.get("/admin/metrics")
    data = ops.client.get("/admin/metrics?format=json").json()
    tables = ops.get("/admin/metrics/tables")
    sizes = {one["name"]: one for one in data["tables"]}
    largest = sizes["public.report_cards"]
    whole = largest["data_size"] + largest["index_size"]
    assert whole == site.value("SELECT pg_total_relation_size('report_cards')")
    assert largest["growth"] == pytest.approx(whole / 2, abs=1)
    assert re.search(r"Database [\d.]+ MB, \+[\d.]+ MB in 6 days", seen.text)
    assert re.search(r"Grows most \w+, \+[\d.]+ [kM]B in 6 days", seen.text)
    assert "In 6 days" in tables.text
    assert 'aria-label="report_cards over 14 days, from' in tables.html


def test_indexes_worth_a_look_are_listed(site: Office) -> None:
    """Why each is, since when nobody has read it, and what to think of before."""
    ops = site.browser("ops")
    empty = ops.get("/admin/metrics/tables").text
    site.run("CREATE INDEX twice ON courses (title, id)")
    site.run("CREATE INDEX heavy ON report_cards (id, created_at, updated_at)")
    site.run(
        "INSERT INTO report_cards (student_id, semester, academic_year)"
        " SELECT id, semester, year FROM students, generate_series(1, 3) AS semester,"
        " generate_series(2027, 2100) AS year"
    )
    seen = ops.get("/admin/metrics/tables")
    site.run("DROP INDEX twice, heavy")
    site.run("DELETE FROM report_cards WHERE academic_year > 2026")

    assert "and no other begins with the same columns." in empty
    rows = {row[0]: row for row in seen.rows if len(row) == 4}
    same = "ix_courses_title_id (title, id) has the same columns"
    assert rows["twicetitle, id"][1:3] == ["Courses (courses)", same]
    assert rows["heavyid, created_at, updated_at"][2] == "never read"
    assert re.search(
        r"never read since [\d:, a-zA-Z]+, or covered by another", seen.text
    )
    assert "what replicas read is not counted here, and a rare report" in seen.text


def test_a_key_that_runs_out_is_a_warning(site: Office) -> None:
    """Named with its model, its column and what to do."""
    site.run("SELECT setval('courses_id_seq', 2000000000)")
    ops = site.browser("ops")
    seen, tables = ops.get("/admin/metrics"), ops.get("/admin/metrics/tables")
    rules = ops.get("/admin/metrics/checks")
    site.run("SELECT setval('courses_id_seq', (SELECT max(id) FROM courses))")
    words = "id needs a larger type: 93 % of integer is used"
    assert "Keys running out 1 table" in seen.text
    assert f"courses: {words}" in rules.text
    assert words in tables.text


def test_every_list_keeps_its_budget(site: Office) -> None:
    """No list costs more statements than its view declares."""
    site.backoffice.keeper.snapshots.reset("nobody")
    browser = site.fresh("admin")
    for view in site.site.views:
        assert browser.get(f"/admin/{view.identity}/list").status == 200
    found = site.backoffice.keeper.picture().findings.values()
    assert [one.text for one in found if one.kind == "over budget"] == []


def test_the_menu_tells_the_state_to_ops_alone(site: Office) -> None:
    """One line at its foot, with the word of the page."""
    page = site.browser("ops").get("/admin/metrics?format=json").response.json()
    line = f'">{page["status"].capitalize()}'
    seen = site.browser("ops").get("/admin/").response.text
    assert line in seen[seen.index('class="dot') :]
    assert 'class="dot' not in site.browser("editor").get("/admin/").response.text


class TestMachines:
    """Who may read what without a session."""

    @staticmethod
    def client(site: Office, host: str) -> TestClient:
        """A program at an address."""
        return TestClient(site.app, client=(host, 5))

    def test_this_machine_reads_all(self, site: Office) -> None:
        """Over both kinds of addresses."""
        for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            client = self.client(site, host)
            assert client.get("/metrics").status_code == 200
            assert "pools" in client.get("/healthz").json()

    def test_what_a_proxy_sends_is_not_from_here(self, site: Office) -> None:
        """A forwarding header means that somebody else asks."""
        client = self.client(site, "127.0.0.1")
        headers = {"x-forwarded-for": "127.0.0.1"}
        assert client.get("/metrics", headers=headers).status_code == 403
        assert set(client.get("/healthz", headers=headers).json()) == {"status"}

    def test_a_stranger_gets_the_word(self, site: Office) -> None:
        """And the code, which is what matters to a machine."""
        client = self.client(site, "203.0.113.9")
        answer = client.get("/healthz")
        assert set(answer.json()) == {"status"}
        assert answer.headers["content-type"].startswith("application/health+json")
        assert client.get("/metrics").status_code == 403

    def test_a_token_or_an_allowed_address_opens(self, site: Office) -> None:
        """The right token from anywhere; any address of the list without one."""
        from pydantic import SecretStr

        given = {
            "metrics_token": SecretStr("t0ken"),
            "metrics_allow": ["203.0.113.0/24"],
        }
        with opened(site.engine.url, observability=given) as office:
            far = self.client(office, "198.51.100.1")
            right = {"authorization": "Bearer t0ken"}
            assert far.get("/metrics", headers=right).status_code == 200
            wrong = {"authorization": "Bearer other"}
            assert far.get("/metrics", headers=wrong).status_code == 403
            near = self.client(office, "203.0.113.9")
            assert near.get("/metrics").status_code == 200

    def test_a_session_of_ops_opens_the_details(self, site: Office) -> None:
        """Of /healthz; an editor's gives the word."""
        assert "pools" in site.browser("ops").client.get("/healthz").json()
        assert "pools" not in site.browser("editor").client.get("/healthz").json()


def test_the_pool_of_a_request_is_told_by_the_one_who_holds(site: Office) -> None:
    """Connection, view, user and request of a page that runs stand on one line."""
    own = create_engine(site.engine.url)
    editor, ops = site.browser("editor"), site.browser("ops")
    with own.connect() as root:
        root.execute(text("LOCK TABLE schools"))
        thread = threading.Thread(target=editor.get, args=("/admin/school/list",))
        thread.start()
        while not any(
            one.blocked_by for one in read_activity(site.backoffice.ops).value or ()
        ):
            pass
        seen = ops.get("/admin/metrics/connections")
        root.rollback()
        thread.join()
    own.dispose()
    held = [row for row in seen.rows if "Schools, list" in row]
    assert held
    assert all(NAMES["editor"] in row for row in held)


def test_a_save_that_waits_is_told_for_whom(site: Office) -> None:
    """The form comes back with what was typed, and names the colleague in the way."""
    course = site.add(make_course)
    limits = {"lock_timeout": 2.0, "statement_timeout": 5.0}
    with opened(site.engine.url, database=limits) as office:
        browser = office.fresh("editor")
        page = browser.get(f"/admin/course/edit/{course.id}")
        with unit_of_work(
            office.backoffice.sessions,
            actor=Actor("7", "Grace Mensah"),
            place=Place("course", "edit"),
        ) as session:
            session.execute(
                text("SELECT 1 FROM courses WHERE id = :k FOR UPDATE"), {"k": course.id}
            )
            seen = browser.submit(page, {"title": "Typed and kept"})
    assert seen.status == 409
    assert "Grace Mensah has been writing this in Courses" in seen.text
    assert seen.form().value("title") == "Typed and kept"


def test_what_the_dead_have_counted_is_not_the_rate_of_the_living(
    office_url: URL,
) -> None:
    """Right after a restart the minutes of before are of five minutes, not of one."""
    with opened(office_url) as office:
        ops = office.fresh("ops")
        snapshots = office.backoffice.keeper.snapshots
        busy = Minute(int(time.time() // 60) - 1, calls=3000, requests=100, asked=500)
        gone = Picture()
        gone.since, gone.minutes = time.time() - 600, {busy.at: busy}
        snapshots.directory.mkdir(parents=True, exist_ok=True)
        path = snapshots.directory / RETIRED
        path.write_text(json.dumps(gone.to_json(limit=0)))
        page = ops.get("/admin/metrics").text
    found = re.search(r"Statements (\d+) per second", page)
    assert found is not None
    assert int(found[1]) <= 3100 / 240
    each = re.search(r"([\d.]+) statements each", page)
    assert each is not None
    assert 4.5 <= float(each[1]) <= 5.5


def view_that_shows(
    model: type[Any], shown: Any, pasted: str = "", **options: Any
) -> type[ModelView]:
    """A view of the model whose formatter shows this, with a line pasted into it."""
    body: dict[str, Any] = {
        "column_list": ["id", "created_at"],
        "column_formatters": {"created_at": shown},
    }
    exec(pasted, {}, body)  # noqa: S102 - as a developer pastes it
    name = f"Pasted{next(_numbers)}"
    made: Any = type(ModelView)
    body = {**body, "identity": name.lower(), **options}
    view: type[ModelView] = made(name, (ModelView,), body, model=model)
    return view


def lines_of(office: Office) -> list[str]:
    """The lines that the findings tell to paste."""
    page = office.browser("ops").get("/admin/metrics/findings").response.text
    return [html.unescape(one) for one in re.findall(r"<code>(.*?)</code>", page)]


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (Student, lambda record, _: len(record.enrollments)),
        (ReportCard, lambda record, _: record.student.school.name),
        (Text, lambda record, _: record.text[:3]),
    ],
)
def test_the_line_that_mends_it_works_when_pasted(
    office_url: URL, model: type[Any], shown: Any
) -> None:
    """A list whose formatter asks for more: a finding, its line, and it is gone."""
    with opened(office_url) as office:
        view = view_that_shows(model, shown)
        office.site.add_view(view)
        office.site.describe_views()
        page = office.browser("admin").get(f"/admin/{view.identity}/list")
        assert "cannot be shown" in page.text
        lines = lines_of(office)
    pasted = ""
    while lines:  # a way of several steps is found step by step
        (pasted,) = lines
        with opened(office_url) as office:
            view = view_that_shows(model, shown, pasted)
            office.site.add_view(view)
            office.site.describe_views()
            page = office.browser("admin").get(f"/admin/{view.identity}/list")
            further = lines_of(office)
            assert further != lines
            lines = further
    assert page.status == 200
    assert "cannot be shown" not in page.text


@pytest.mark.parametrize("path", ["nobody", "school.nobody", "enrollments.course"])
def test_what_cannot_be_loaded_is_refused(office_url: URL, path: str) -> None:
    """A name that leads nowhere, or through many records, is a mistake at the start."""
    with opened(office_url) as office:
        office.site.add_view(view_that_shows(Student, str, f"loads = [{path!r}]"))
        with pytest.raises(SettingsError, match=r"\.loads names"):
            office.site.describe_views()


def test_details_load_what_the_view_declares(office_url: URL) -> None:
    """One statement for all of them, and none of it one by one."""
    with opened(office_url) as office:
        line = 'loads = ["enrollments"]'
        view = view_that_shows(
            Student,
            lambda record, _: len(record.enrollments),
            line,
            column_details_list=["created_at", "id"],
        )
        office.site.add_view(view)
        office.site.describe_views()
        key = office.value("SELECT min(student_id) FROM enrollments")
        number = office.value(
            "SELECT count(*) FROM enrollments WHERE student_id = :k", k=key
        )
        page = office.browser("admin").get(f"/admin/{view.identity}/details/{key}")
    assert page.status == 200
    assert f" {number} " in page.text


def test_a_request_shows_what_it_asked(site: Office) -> None:
    """While a process knows it; with how often, and no value."""
    seen = site.browser("viewer").get("/admin/course/list?search=algebra")
    number = seen.response.headers["x-request-id"]
    page = site.browser("ops").get(f"/admin/metrics/request/{number}")
    assert page.status == 200
    assert "Courses, list" in page.text
    assert "SELECT" in page.text
    assert "algebra" not in page.text


def test_processes_on_another_database_are_none_of_ours(
    site: Office, empty_database: URL, tmp_path: Path
) -> None:
    """Two sites of one project: what one of them does says nothing of the other."""
    there = {"metrics_directory": str(tmp_path)}
    with (
        opened(site.engine.url, observability=there) as office,
        opened(empty_database, observability=there) as other,
    ):
        office.backoffice.keeper.snapshots.write()
        other.backoffice.keeper.snapshots.write()
        seen = office.fresh("ops").get("/admin/metrics")
    assert "1 of 1 process" in seen.text


def test_another_process_knows_it_from_a_file(site: Office, office_url: URL) -> None:
    """Whichever process answers: the request's statements are there."""
    seen = site.browser("viewer").get("/admin/course/list")
    number = seen.response.headers["x-request-id"]
    site.backoffice.keeper.snapshots.write(statements=True)
    directory = site.backoffice.settings.observability.metrics_directory
    with opened(office_url, observability={"metrics_directory": directory}) as other:
        page = other.fresh("ops").get(f"/admin/metrics/request/{number}")
    assert "What it asked" in page.text
    assert "Courses, list" in page.text


def test_an_invented_request_is_not_found(site: Office) -> None:
    """A number that nobody gave leads nowhere."""
    seen = site.browser("ops").get("/admin/metrics/request/0123456789abcdef")
    assert seen.status == 404


def test_what_another_process_has_not_told_yet_is_said(site: Office) -> None:
    """A link that works in a moment does not look like one that never will."""
    snapshots = site.backoffice.keeper.snapshots
    snapshots.write()
    pid = os.getppid()
    other = snapshots.path.with_name(f"{pid}-{process_start(pid)}.json")
    other.write_text(json.dumps({**json.loads(snapshots.path.read_text()), "pid": pid}))
    try:
        seen = site.browser("ops").get("/admin/metrics/request/0123456789abcdef")
    finally:
        other.unlink()
    assert seen.status == 404
    assert "every 10 s" in seen.text


def test_a_finding_leads_to_its_evidence(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request, with the statements, though hundreds came after it."""
    view = site.site.view_called("school")
    monkeypatch.setattr(type(view), "max_statements", 1)
    site.browser("viewer").get("/admin/school/list")
    recorder = site.backoffice.keeper.recorder
    for number in range(REQUESTS + 1):
        with observe_request(RequestLog(request_id=f"other{number}")) as log:
            log.number = 1
        recorder.record_request(log)
    findings = site.browser("ops").get("/admin/metrics/findings")
    found = re.search(
        r'School list is over.*?href="(/admin/metrics/request/[^"]+)"',
        findings.response.text,
        re.DOTALL,
    )
    assert found is not None
    page = site.browser("ops").get(found[1])
    assert page.status == 200
    assert "SELECT" in page.text
    assert "School list is over its budget" in page.text


def test_only_what_one_may_do_is_offered(site: Office) -> None:
    """To end an idle transaction needs another right than to cancel: ops lack it."""
    with site.engine.connect() as link:
        link.execute(text("SELECT 1"))
        pid = int(link.scalar(text("SELECT pg_backend_pid()")) or 0)
        pages = {
            role: site.browser(role).get("/admin/metrics/connections").response.text
            for role in ("ops", "admin")
        }
    rows = {
        role: next(row for row in page.split("<tr") if f"pid {pid}</a>" in row)
        for role, page in pages.items()
    }
    assert "End it" not in rows["ops"]
    assert "End it" in rows["admin"]


def test_the_history_tells_whose_session_was_ended(site: Office) -> None:
    """User, view, statement and when it began, with what came of it."""
    place = Place("course", "list")
    with (
        unit_of_work(
            site.backoffice.sessions, actor=Actor("7", "Bob B"), place=place
        ) as session,
        waiting(site, session.connection(), "SELECT pg_sleep(60)") as pid,
    ):
        ops = site.browser("ops")
        page = ops.get(f"/admin/metrics/connection/{pid}")
        ops.submit(page, {})
        session.rollback()
    with site.session() as read:
        entry = read.scalars(
            select(AuditEntry)
            .where(AuditEntry.label == f"session {pid}")
            .order_by(AuditEntry.id.desc())
        ).first()
    assert entry is not None
    told = {name: pair[1] for name, pair in entry.changes.items()}
    assert told["user"] == "Bob B"
    assert told["view"] == "Courses, list"
    assert told["statement"] == "SELECT pg_sleep(…)"
    assert re.match(r"\d{4}-\d\d-\d\d ", told["began"])
    assert re.fullmatch(r"[0-9a-f]{16}", told["fingerprint"])
    assert told["outcome"] == "sent"


def test_an_order_that_there_is_not_is_said(site: Office) -> None:
    """What was asked for is not silently something else."""
    page = site.browser("ops").get("/admin/metrics?top=bogus").text
    assert "There is no order 'bogus': they stand by total time." in page
    page = site.browser("ops").get("/admin/metrics?view=bogus").text
    assert "Nothing was asked for a view 'bogus': these are of all." in page


def test_a_connection_of_our_own_is_nothing_unusual(site: Office) -> None:
    """What has no limit shows no "unknown", and whose it is in words."""
    with site.backoffice.exports.connect():
        page = site.browser("ops").get("/admin/metrics").response.text
    row = next(one for one in page.split("<tr") if ", exports" in one)
    assert "unknown" not in row
    assert "no view" not in row
    assert "kept for work of our own" in row


@pytest.fixture(scope="module")
def slow(office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """A site of which all is slow, and one statement has failed."""
    with opened(office_url, observability={"slow_ms": 0}) as office:
        office.browser("editor").get("/admin/course/list")
        place = Place("course", "list")
        with (
            pytest.raises(DBAPIError),
            unit_of_work(
                office.backoffice.sessions, actor=Actor("7", "Bob"), place=place
            ) as session,
        ):
            session.execute(text("SELECT 1 / 0 FROM courses"))
        office.backoffice.keeper.flush()
        yield office


class TestSlowLog:
    """The list of what was slow or failed, and the page of each."""

    def test_an_entry_is_whole_and_leads_on(self, slow: Office) -> None:
        """Its title is words; statement and request are links; no history of it."""
        ops = slow.browser("ops")
        listed = ops.get("/admin/slow-log/list?error=22012")
        (row,) = [one for one in listed.rows if len(one) > 5]
        assert "division by zero (22012)" in row
        assert "Courses, list" in row
        assert "Bob" in row
        assert "SELECT courses" in " ".join(row)
        url = next(one for one in listed.hrefs() if "/slow-log/details/" in one)
        page = ops.get(url)
        assert page.status == 200
        assert re.search(r"<h1[^>]*>SELECT courses", page.response.text)
        assert "Nothing was changed here yet" not in page.text
        assert "<pre" in page.response.text or "mono" in page.response.text
        hrefs = list(page.hrefs())
        assert any("/admin/metrics/statement/" in one for one in hrefs)

    @pytest.mark.parametrize(
        "query",
        ["search=courses", "error=22012", "actor_label=Bob", "view=course"],
    )
    def test_it_is_searched_and_filtered(self, slow: Office, query: str) -> None:
        """By a word of the statement, by the error, by the user, by the view."""
        seen = slow.browser("ops").get(f"/admin/slow-log/list?{query}")
        assert seen.status == 200
        assert any("Bob" in row for row in seen.rows)

    def test_views_are_called_by_their_names(self, slow: Office) -> None:
        """In the filter and in its chip: no identity is shown."""
        seen = slow.browser("ops").get("/admin/slow-log/list?view=report-card")
        assert "Report cards" in seen.text
        assert "report-card" not in seen.text

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"view": "site", "action": "explains"}, "Explain reports"),
            ({"view": "site", "action": "all_history"}, "History"),
            ({"view": "site", "action": "new_page"}, "Other pages, new page"),
            ({"view": "command", "action": "seed"}, "Command line, seed"),
            ({"view": "ops", "action": "metrics"}, "Metrics"),
            ({"view": "ops", "action": "tables"}, "Metrics, tables"),
            ({}, "Outside of pages"),
            ({"reason": "slower than usual"}, "slower than usual"),
            ({"wait_ms": 900.0}, "waited for a connection"),
            ({"error": "23505", "wait_ms": 900.0}, "unique violation (23505)"),
            ({"error": "ConnectionTimeout"}, "no connection in time"),
            ({"error": "57014", "reason": "cancelled"}, "cancelled"),
        ],
    )
    def test_a_line_says_in_words_where_it_was_and_why(
        self, slow: Office, entry: dict[str, Any], words: str
    ) -> None:
        """No route, no name of a class, no view that there is not; all in its line."""
        values = {
            "total_ms": 1000.0,
            **dict.fromkeys(("wait_ms", "execute_ms", "fetch_ms", "commit_ms"), 0.0),
            "reason": "slow",
            "view": "",
            "action": "",
            "error": "",
            "request_id": uuid4().hex,
            **entry,
        }
        names, places = ", ".join(values), ", ".join(f":{one}" for one in values)
        slow.run(
            f"INSERT INTO backoffice_slow_statements (at, fingerprint, {names}) "
            f"SELECT now(), min(fingerprint), {places} FROM backoffice_statements",
            **values,
        )
        ops = slow.browser("ops")
        listed = ops.get(f"/admin/slow-log/list?search={values['request_id']}")
        (row,) = [one for one in listed.rows if len(one) > 5]
        assert words in row
        url = next(one for one in listed.hrefs() if "/slow-log/details/" in one)
        if "view" in entry:
            assert words in ops.get(url).text

    def test_an_empty_log_says_what_is_not_in_it(self, slow: Office) -> None:
        """A log is nothing that there are none of yet."""
        with slow.engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE kept AS TABLE backoffice_slow_statements")
            )
            connection.execute(text("DELETE FROM backoffice_slow_statements"))
        try:
            seen = slow.browser("ops").get("/admin/slow-log/list")
        finally:
            with slow.engine.begin() as connection:
                connection.execute(
                    text(
                        "INSERT INTO backoffice_slow_statements "
                        "OVERRIDING SYSTEM VALUE TABLE kept"
                    )
                )
                connection.execute(text("DROP TABLE kept"))
        assert "Nothing was slow or failed yet" in seen.text
        assert "No slow log" not in seen.text

    def test_its_files_hold_all_of_it(self, slow: Office) -> None:
        """CSV and JSON: with the split of the time, the request and the statement."""
        client = slow.browser("ops").client
        csv = client.get("/admin/slow-log/export/csv?error=22012").text
        head = csv.partition("\n")[0]
        for name in ("Wait, ms", "Execute, ms", "Fetch, ms", "Commit, ms", "Request"):
            assert name in head
        found = client.get("/admin/slow-log/export/json?error=22012").json()
        assert len(found) == 1
        assert found[0]["error"] == "22012"
        assert found[0]["view"] == "course"
        assert isinstance(found[0]["total_ms"], float)
        assert found[0]["statement.text"] == "SELECT ? / ? FROM courses"
        assert len(found[0]["fingerprint"]) == 16

    def test_a_head_orders_or_says_why_not(self, slow: Office) -> None:
        """Time and duration have indexes; of the others it is said that they do not."""
        seen = slow.browser("ops").get("/admin/slow-log/list").response.text
        table = seen[: seen.index("</thead>")]
        heads = re.findall(r'<th scope="col".*?</th>', table, re.DOTALL)
        heads = [one for one in heads if "data-tick-all" not in one]
        assert heads
        assert all("sortBy=" in one or "not ordered by this" in one for one in heads)

    def test_no_other_list_has_the_format(self, slow: Office) -> None:
        """What a view does not offer is not found."""
        client = slow.browser("ops").client
        assert client.get("/admin/course/export/json").status_code == 404
