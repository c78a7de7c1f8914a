"""What statements ran with: who sees it, until when, and where it is never found."""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import inspect, text
from starlette.testclient import TestClient

from backoffice.admin.actions import Selected, action
from backoffice.admin.call import Call, Data, Reply
from backoffice.admin.own_names import DO, SET, TOKEN
from backoffice.errors import SettingsError
from backoffice.observability.fingerprints import fingerprint
from backoffice.observability.recorder import Recorder
from tests.browser import Browser, Form, Seen
from tests.factories import make_order, make_product, make_report_card, make_student
from tests.office import NAMES, Office, opened

CANARY = "canary9182"
LIST = f"/admin/student/list?guardian={CANARY}"
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def slow(office_url: Any, quick_passwords: None) -> Iterator[Office]:
    """A site on which every statement is slow."""
    with opened(office_url, observability={"slow_ms": 0}) as office:
        yield office


def recorder(office: Office) -> Recorder:
    """What the office's process has seen."""
    return office.backoffice.keeper.recorder


def footer(seen: Seen) -> Form:
    """The form at the foot of a page that explains its statements."""
    return next(f for f in seen.page.forms if "request" in f.fields)


def searched(office: Office, role: str = "editor") -> tuple[str, str]:
    """Somebody looks for the canary: the list's statement, and the request."""
    seen = office.browser(role).get(LIST)
    assert seen.status == 200
    request = seen.response.headers["x-request-id"]
    (found,) = [
        call.fingerprint
        for call in recorder(office).values.of_request(request)
        if CANARY in repr(call.values)
    ]
    office.backoffice.keeper.flush()
    office.backoffice.keeper.report()
    return found, request


def entry(office: Office, name: str, request: str) -> str:
    """The address of a line of the slow log."""
    number = office.value(
        "SELECT id FROM backoffice_slow_statements "
        "WHERE fingerprint = :f AND request_id = :r",
        f=name,
        r=request,
    )
    return f"/admin/slow-log/details/{number}"


def places(office: Office, name: str, request: str) -> list[str]:
    """The three pages that show values."""
    return [
        f"/admin/metrics/statement/{name}",
        f"/admin/metrics/request/{request}",
        entry(office, name, request),
    ]


def explained(browser: Browser, **fields: str) -> Seen:
    """Ask for a report on a statement, and read it."""
    sent = {TOKEN: browser.token(), **fields}
    return browser.follow(browser.post("/admin/explain", sent))


def later(office: Office, minutes: float) -> Any:
    """The clock of the office's memory, so much later."""
    now = perf_counter_ns()
    return lambda: now + int(minutes * MINUTE)


# Where it is, and where not


def test_a_search_is_in_memory_only(
    slow: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """In no table, log, metric, snapshot, address; on no page of others than admin."""
    with caplog.at_level(logging.DEBUG):
        name, request = searched(slow)
        asked = {"fingerprint": name, "request": request}
        reports = [explained(slow.fresh(role), **asked) for role in ("ops", "admin")]
        assert CANARY in reports[1].html
        owns = [urlsplit(str(one.response.url)).path for one in reports]
        pages = [
            *places(slow, name, request),
            *("/admin/metrics", "/admin/metrics?format=json"),
            *(f"/admin/metrics/{one}" for one in ("findings", "checks", "tables")),
            *("/admin/slow-log/list", "/admin/explain"),
            *(f"{own}{form}" for own in owns for form in ("", "?form=json")),
        ]
        for role in ("ops", "editor", "viewer"):
            seen = [slow.browser(role).get(url) for url in pages]
            assert not [one.response.url for one in seen if CANARY in one.html]
        for url in pages:
            shown = slow.browser("admin").get(url)
            # In an address only where the list itself has it.
            hrefs = [href for href in shown.hrefs() if CANARY in href]
            assert {urlsplit(href).path for href in hrefs} <= {"/admin/student/list"}
    ours = [one for one in caplog.records if not one.name.startswith("httpx")]
    assert ours
    assert CANARY not in "\n".join(one.getMessage() for one in ours)
    machine = TestClient(slow.app, client=("127.0.0.1", 5))
    for url in ("/metrics", "/healthz", "/readyz"):
        assert CANARY not in machine.get(url).text
    written = slow.backoffice.keeper.snapshots.directory
    files = [one for one in Path(written).iterdir() if one.is_file()]
    assert files
    assert not [one.name for one in files if CANARY in one.read_text()]
    with slow.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            found = connection.scalar(
                text(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE :c'),
                {"c": f"%{CANARY}%"},
            )
            assert found == 0, table


def test_who_may_see_values_sees_them_with_their_end(slow: Office) -> None:
    """On the page of the statement, of the request, and of the slow call."""
    name, request = searched(slow)
    admin = slow.browser("admin")
    for url in places(slow, name, request):
        seen = admin.get(url)
        assert f"'{CANARY}'" in seen.text, url
        assert re.search(r"until \d\d:\d\d, never stored", seen.text, re.IGNORECASE)
        assert CANARY not in slow.browser("ops").get(url).html
        assert "Values it ran with" not in slow.browser("ops").get(url).text


def test_that_values_are_seen_is_written_once_for_each_page(slow: Office) -> None:
    """Who has seen those of which statements; who does not see them writes nothing."""
    name, request = searched(slow)
    before = seen_entries(slow)
    for url in places(slow, name, request):
        slow.browser("ops").get(url)
    assert seen_entries(slow) == before
    for url in places(slow, name, request):
        slow.browser("admin").get(url)
    found = seen_entries(slow)[len(before) :]
    assert len(found) == 3
    assert {one[0] for one in found} == {NAMES["admin"]}
    assert all(name in one[1]["statements"][1] for one in found)
    assert found[1][1]["request"] == [None, request]
    history = slow.browser("admin").get("/admin/history").text
    assert f"Statement {name} values seen" in history


def test_a_report_that_shows_values_is_seen_as_well(slow: Office) -> None:
    """Its values are in the memory, and who looks at them in the history."""
    name, request = searched(slow)
    page = explained(slow.browser("admin"), fingerprint=name, request=request)
    before = len(seen_entries(slow))
    own = slow.browser("admin").get(str(page.response.url))
    assert CANARY in own.html
    assert len(seen_entries(slow)) == before + 1


def test_where_it_cannot_be_written_nothing_is_shown(slow: Office) -> None:
    """No values without the entry that says who saw them."""
    name, request = searched(slow)
    slow.run("ALTER TABLE backoffice_audit RENAME TO elsewhere")
    try:
        seen = slow.browser("admin").get(f"/admin/metrics/statement/{name}")
    finally:
        slow.run("ALTER TABLE elsewhere RENAME TO backoffice_audit")
    assert CANARY not in seen.html
    assert "could not be written to the history" in seen.text
    assert CANARY in slow.browser("admin").get(places(slow, name, request)[0]).html


def test_after_a_quarter_of_an_hour_they_are_gone(
    slow: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so, and the statement is planned for any values."""
    name, request = searched(slow)
    monkeypatch.setattr(recorder(slow).values, "_clock", later(slow, 15.1))
    admin = slow.browser("admin")
    for url in places(slow, name, request):
        seen = admin.get(url)
        assert CANARY not in seen.html
        assert "not known any more" in seen.text, url
    report = explained(admin, fingerprint=name, request=request)
    assert "Generic plan: the values are not known any more" in report.text


def test_memory_is_emptied_unasked(
    slow: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to look for old values to be gone, of calls and of reports."""
    name, request = searched(slow)
    explained(slow.browser("admin"), fingerprint=name, request=request)
    kept = slow.site.explained
    monkeypatch.setattr(recorder(slow).values, "_clock", later(slow, 15.1))
    monkeypatch.setattr(kept, "_clock", lambda: time.time() + 901)
    assert CANARY in repr(kept._kept)
    slow.backoffice.keeper.report()
    assert kept.bytes == 0
    assert CANARY not in repr(kept._kept)
    assert recorder(slow).values.bytes == 0
    newest = [one.newest for one in recorder(slow).statements.values()]
    assert CANARY not in repr(newest)


def test_a_session_is_in_no_memory(slow: Office) -> None:
    """The digest that the cookie is known by is left out of what is shown."""
    seen = slow.browser("ops").get("/admin/course/list")
    request = seen.response.headers["x-request-id"]
    digest = slow.value("SELECT id FROM backoffice_sessions LIMIT 1")
    calls = recorder(slow).values.of_request(request)
    asked = next(one for one in calls if "backoffice_sessions" in one.text)
    assert asked.withheld == ("digest",)
    assert digest not in repr(calls)
    page = slow.browser("admin").get(f"/admin/metrics/request/{request}")
    assert "Not kept, because secret, long or no plain value: digest." in page.text


def test_another_process_says_where_they_are(slow: Office) -> None:
    """It does not know them, explains for any values, and names who has them."""
    name, request = searched(slow)
    known = slow.backoffice.keeper.slow_log.process
    with opened(slow.engine.url) as other:
        other.backoffice.keeper.slow_log.process = "elsewhere:1"
        admin = other.browser("admin")
        shown = admin.get(entry(slow, name, request))
        assert CANARY not in shown.html
        words = f"The values are in the memory of the process that ran it ({known})"
        assert words in shown.text
        page = admin.get(f"/admin/metrics/statement/{name}")
        assert CANARY not in page.html
        assert words in page.text
        button = next(f for f in page.page.forms if "at" in f.fields)
        report = admin.follow(admin.post("/admin/explain", button.data({})))
        assert f"({known}), and this is elsewhere:1" in report.text
        assert "planned for any values" in report.text


def test_keeping_no_values_is_a_setting(slow: Office) -> None:
    """Then nobody sees any, and it is said why."""
    with opened(
        slow.engine.url, observability={"keep_values_minutes": 0, "slow_ms": 0}
    ) as other:
        browser = other.browser("admin")
        request = browser.get(LIST).response.headers["x-request-id"]
        assert recorder(other).values.of_request(request) == ()
        other.backoffice.keeper.flush()
        name = next(
            key
            for key, _ in recorder(other).statements
            if "guardian" in recorder(other).fingerprint_called(key).text  # type: ignore[union-attr]
        )
        seen = browser.get(f"/admin/metrics/statement/{name}")
        assert "No values are kept here" in seen.text
        assert "keep_values_minutes is 0" in explained(browser, fingerprint=name).text


# Where an EXPLAIN may start


def test_a_statement_is_explained_with_the_values_it_ran_with(slow: Office) -> None:
    """From its page, by who may see them; masked for who may not."""
    name, _ = searched(slow)
    admin = slow.browser("admin")
    page = admin.get(f"/admin/metrics/statement/{name}")
    assert re.search(r"With the values of \d\d:\d\d:\d\d, Students, list\.", page.text)
    report = admin.follow(admin.submit(page, action="/admin/explain"))
    assert report.heading == "SELECT students"
    assert re.search(r"With the values of \d\d:\d\d:\d\d, Students", report.text)
    assert "1 statement, as the planner expects it" in report.text
    assert "the model Student" in report.text or "Nothing stands out" in report.text
    assert CANARY in report.html
    assert CANARY not in slow.browser("ops").get(str(report.response.url)).html


def test_a_certain_call_is_explained_with_its_own_values(slow: Office) -> None:
    """Not with those of a newer one."""
    name, request = searched(slow)
    slow.browser("editor").get("/admin/student/list?guardian=somebody-else")
    admin = slow.browser("admin")
    page = admin.get(f"/admin/metrics/request/{request}")
    form = next(f for f in page.page.forms if f.fields.get("fingerprint") == [name])
    report = admin.follow(admin.post("/admin/explain", form.data({})))
    assert CANARY in report.html
    assert "somebody-else" not in report.html


def test_the_foot_of_a_page_explains_its_statements(site: Office) -> None:
    """Each with the values of that page; what has no plan has no button."""
    admin = site.browser("admin")
    page = admin.get(LIST)
    form = footer(page)
    names = [value for _, value, _ in form.buttons]
    assert len(names) == 2
    assert "COMMIT" in page.text
    report = admin.follow(
        admin.post("/admin/explain", {**form.data({}), "fingerprint": [names[1]]})
    )
    assert "With the values of" in report.text
    assert CANARY in report.html


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_others_have_no_such_button(site: Office, role: str) -> None:
    """Neither do they see the cost, nor may they ask."""
    page = site.browser(role).get(LIST)
    assert not [f for f in page.page.forms if f.action == "/admin/explain"]
    name = next(key for key, _ in recorder(site).statements)
    sent = {TOKEN: site.browser(role).token(), "fingerprint": name}
    assert site.browser(role).post("/admin/explain", sent).status == 403


def test_a_statement_that_was_not_written_yet_is_known(site: Office) -> None:
    """The log is written every ten seconds; who looks at the foot does not wait."""
    admin = site.browser("admin")
    form = footer(admin.get("/admin/author/list?search=ab"))
    names = [value for _, value, _ in form.buttons]
    site.run("DELETE FROM backoffice_slow_statements")
    site.run("DELETE FROM backoffice_statement_hours")
    site.run("DELETE FROM backoffice_statements")
    recorder(site).values.clear()
    for stats in recorder(site).statements.values():
        stats.newest = None
    report = explained(admin, fingerprint=names[-1])
    assert "Generic plan: the values are not known any more" in report.text


def test_an_update_is_explained_before_it_runs(site: Office) -> None:
    """The very statement, its history with it; nothing is changed or measured."""
    keys = [site.add(make_product, category="Explained").id for _ in range(2)]
    versions = (
        "SELECT xmin::text FROM products WHERE category = 'Explained' ORDER BY id"
    )
    before = site.values(versions)
    admin = site.browser("admin")
    page = chosen(admin, "product", "edit-selected", keys)
    page = admin.follow(admin.submit(page, {SET: ["stock"], "stock": "77"}))
    asked = admin.submit(page, button="Explain this update")
    report = admin.follow(asked)
    assert report.heading == "Edit fields of the selected, before it runs"
    for words in ("The chosen rows", "The update, with its history", "Update on"):
        assert words in report.text
    assert "Insert on backoffice_audit" in report.text
    assert [one["kind"] for one in stored(site)["statements"]] == ["reads", "reads"]
    assert site.values(versions) == before
    assert stored(site)["how"] == "planned"
    number = urlsplit(str(report.response.url)).path.rpartition("/")[2]
    sent = {TOKEN: admin.token(), "report": number, "how": "measure"}
    measured = admin.follow(admin.post("/admin/explain", sent))
    assert "It would write, so it was not run." in measured.text
    assert site.values(versions) == before
    update = stored(site)["statements"][1]
    assert update["how"] == "planned"
    assert "Actual Rows" not in str(update["plan"])


def test_an_update_is_planned_as_it_runs(site: Office) -> None:
    """Each row looked up by its key, on the preflight and in its report; it is said."""
    keys = [one[0] for one in site.values("SELECT id FROM products")]
    site.run("ANALYZE products")
    admin = site.browser("admin")
    page = chosen(admin, "product", "edit-selected", keys)
    page = admin.follow(admin.submit(page, {SET: ["stock"], "stock": "77"}))
    own = page.text.rpartition("How the rows are found")[2]
    assert "Nested Loop" in own
    assert "Hash Join" not in own
    for name in ("enable_hashjoin", "enable_mergejoin"):
        assert f"{name} = 'off'" in own
    report = admin.follow(admin.submit(page, button="Explain this update"))
    update = stored(site)["statements"][1]
    assert "Hash Join" not in str(update["plan"])
    assert update["plan"]["Settings"]["enable_hashjoin"] == "off"
    assert "with enable_hashjoin off and enable_mergejoin off." in report.text
    assert "enable_hashjoin" not in stored(site)["settings"]
    read = stored(site)["statements"][0]
    assert "enable_hashjoin" not in str(read["plan"])


def test_a_deletion_is_explained_without_its_tick(site: Office) -> None:
    """The very statement, planned as it runs; the record stays."""
    key = site.add(make_product).id
    admin = site.browser("admin")
    page = chosen(admin, "product", "delete-selected", [key])
    report = admin.follow(admin.submit(page, button="Explain how the rows are found"))
    assert "The deletion" in report.text
    assert "Delete on products" in report.text
    assert "with enable_hashjoin off and enable_mergejoin off." in report.text
    assert site.value("SELECT count(*) FROM products WHERE id = :id", id=key) == 1


def test_of_a_function_it_is_explained_how_records_are_found(site: Office) -> None:
    """What it does with each is said not to be known."""
    key = site.add(make_order).id
    admin = site.browser("admin")
    page = chosen(admin, "order", "cancel", [key])
    report = admin.follow(admin.submit(page, button="Explain how the rows are found"))
    assert "Each record, before it is changed" in report.text
    assert "is not known before" in report.text
    assert site.value("SELECT status FROM orders WHERE id = :id", id=key) != "cancelled"


def test_who_may_not_explain_has_no_such_button(site: Office) -> None:
    """An editor runs actions and sees no plans."""
    key = site.add(make_product).id
    editor = site.browser("editor")
    page = chosen(editor, "product", "delete-selected", [key])
    assert "Explain" not in page.text
    sent = {TOKEN: editor.token(), DO: "explain"}
    assert editor.post(str(page.response.url), sent).status == 403


def test_lines_of_the_slow_log_are_explained_together(slow: Office) -> None:
    """One report for all that are ticked, each once; what has no plan is named."""
    name, request = searched(slow)
    slow.browser("ops").get("/admin/course/list?search=a")
    slow.backoffice.keeper.flush()
    keys = slow.values(
        "SELECT id FROM backoffice_slow_statements WHERE request_id = :r OR id IN "
        "(SELECT max(id) FROM backoffice_slow_statements s "
        " JOIN backoffice_statements t USING (fingerprint) WHERE t.text = 'COMMIT')",
        r=request,
    )
    admin = slow.browser("admin")
    listed = admin.get("/admin/slow-log/list")
    assert "Explain" in [b[2] for b in listed.form("/admin/slow-log/actions").buttons]
    report = chosen(admin, "slow-log", "explain", [one[0] for one in keys])
    assert "2 statements" in report.heading or "3 statements" in report.heading
    assert "With the values of" in report.text
    assert "is left out. Only SELECT" in " ".join(report.notes)
    assert CANARY in report.html
    assert name in report.text


def test_one_line_of_the_slow_log_is_explained_from_its_page(slow: Office) -> None:
    """The same action stands on its details."""
    name, request = searched(slow)
    admin = slow.browser("admin")
    page = admin.get(entry(slow, name, request))
    asked = admin.submit(page, action="/admin/slow-log/actions", button="Explain")
    assert "With the values of" in admin.follow(asked).text


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_the_slow_log_is_explained_by_ops_alone(slow: Office, role: str) -> None:
    """As it is read by them alone."""
    browser = slow.browser(role)
    sent = {TOKEN: browser.token(), "action": "explain", "id": "1"}
    assert browser.post("/admin/slow-log/actions", sent).status == 403


def test_all_that_match_are_explained_by_what_they_took(slow: Office) -> None:
    """The ten that took longest, and it is said of how many."""
    for number in range(12):
        sql = f"SELECT a{number} FROM students WHERE id = %(id_1)s::INTEGER"
        slow.run(
            "INSERT INTO backoffice_statements (fingerprint, text, operation, "
            "table_name, first_seen, last_seen) VALUES (:f, :t, 'SELECT', 'students', "
            "now(), now())",
            f=fingerprint(sql).id,
            t=sql,
        )
        slow.run(
            "INSERT INTO backoffice_slow_statements (at, total_ms, wait_ms, "
            "execute_ms, fetch_ms, commit_ms, reason, fingerprint, view) "
            "VALUES (now(), :ms, 0, 0, 0, 0, 'slow', :f, 'batch-analysis')",
            ms=1000 + number,
            f=fingerprint(sql).id,
        )
    ops = slow.browser("ops")
    report = chosen(ops, "slow-log", "explain", None, "view=batch-analysis")
    assert report.heading == "10 statements"
    assert "The 10 that took longest of 12 statements." in " ".join(report.notes)


# Actions that answer


def test_an_action_answers_with_a_page(site: Office) -> None:
    """Told the year, at an address of its own; a viewer may, for nothing is changed."""
    student = site.add(make_student, full_name="Paper Person")
    site.add(make_report_card, student_id=student.id, academic_year=2024, science=91)
    site.add(make_report_card, student_id=student.id, academic_year=2025, science=92)
    viewer = site.browser("viewer")
    listed = viewer.get("/admin/student/list")
    assert "Report cards to print…" in [
        b[2] for b in listed.form("/admin/student/actions").buttons
    ]
    asked = chosen(viewer, "student", "print-report-cards", [student.id])
    assert asked.heading == "Report cards to print"
    wrong = viewer.submit(asked, {"year": "1"})
    assert (wrong.status, "year" in wrong.errors) == (400, True)
    told = viewer.submit(asked, {"year": "2025"}, button="Show")
    page = viewer.follow(told)
    assert page.heading == "Report cards of 2025/26"
    assert "Paper Person" in page.text
    assert "92" in page.text
    assert "91" not in [cell for row in page.page.rows for cell in row]
    again = viewer.get(told.location)
    assert again.text.count("Paper Person") == page.text.count("Paper Person")


def test_an_answer_is_bounded(site: Office) -> None:
    """More records than fit are refused with a sentence."""
    browser = site.browser("editor")
    many = [site.add(make_student).id for _ in range(201)]
    asked = chosen(browser, "student", "print-report-cards", many)
    told = browser.follow(browser.submit(asked, {"year": ""}))
    assert "More than 200 students are chosen" in told.text


def test_an_answer_cannot_write(site: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transaction only reads, whatever its function does."""
    view = site.site.view_called("course")
    assert view is not None
    key = site.value("SELECT min(id) FROM courses")

    @action("Sneak", answers=True)
    def sneak(self: Any, call: Call, selected: Selected) -> Reply:
        for one in selected.records(call.session, most=5):
            one.title = "Sneaked"
        call.session.flush()
        return Data({})

    added(site, monkeypatch, sneak)
    browser = site.browser("editor")
    answer = chosen(browser, "course", "sneak", [key])
    assert answer.status in (409, 500, 503)
    assert site.value("SELECT count(*) FROM courses WHERE title = 'Sneaked'") == 0


def test_what_starts_something_is_never_started_by_an_address(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The POST of the button does; following the selection's address asks first."""
    begun: list[str] = []

    @action("Begin", answers=True, starts=True, permission="edit")
    def begin(self: Any, call: Call, selected: Selected) -> Reply:
        begun.append(selected.words)
        return Data({"begun": True})

    added(site, monkeypatch, begin)
    editor = site.browser("editor")
    key = site.value("SELECT min(id) FROM courses")
    started = chosen(editor, "course", "begin", [key])
    assert started.response.json() == {"begun": True}
    assert begun == ["1 ticked course"]
    token = site.value("SELECT token FROM backoffice_selections WHERE action = 'begin'")
    page = editor.get(f"/admin/course/actions/{token}")
    assert page.status == 200
    assert len(begun) == 1
    editor.submit(page, button="Show")
    assert len(begun) == 2
    viewer = site.browser("viewer")
    sent = {TOKEN: viewer.token(), "action": "begin", "id": str(key)}
    assert viewer.post("/admin/course/actions", sent).status == 403
    assert len(begun) == 2


def test_an_action_that_starts_has_to_answer() -> None:
    """What it began has an address to lead to."""
    with pytest.raises(SettingsError, match="let it answer"):
        action("Wrong", starts=True)


# Parts


def chosen(
    browser: Browser, view: str, name: str, keys: list[Any] | None, query: str = ""
) -> Seen:
    """Tick rows of a list, and choose an action."""
    sent: dict[str, Any] = {
        TOKEN: browser.token(),
        "action": name,
        "query": query,
        "which": "all" if keys is None else "ticked",
        "id": [str(key) for key in keys or ()],
    }
    return browser.follow(browser.post(f"/admin/{view}/actions", sent))


def added(site: Office, monkeypatch: pytest.MonkeyPatch, method: Any) -> None:
    """Give the courses one more action."""
    view = site.site.view_called("course")
    assert view is not None
    spec = method._backoffice_action
    monkeypatch.setattr(type(view), spec.method, method, raising=False)
    monkeypatch.setattr(view, "actions", {**view.actions, spec.name: spec})


def stored(site: Office) -> Any:
    """The newest report as it is stored."""
    return site.value(
        "SELECT content FROM backoffice_explain_reports ORDER BY id DESC LIMIT 1"
    )


def seen_entries(office: Office) -> list[Any]:
    """Who has seen which values, in order."""
    return [
        tuple(one)
        for one in office.values(
            "SELECT actor_label, changes FROM backoffice_audit "
            "WHERE action = 'values_seen' ORDER BY id"
        )
    ]


def test_the_moment_of_a_call_is_that_of_its_line(slow: Office) -> None:
    """To the microsecond: so a line of the log finds its values."""
    name, request = searched(slow)
    at = slow.value(
        "SELECT at FROM backoffice_slow_statements "
        "WHERE fingerprint = :f AND request_id = :r",
        f=name,
        r=request,
    )
    assert isinstance(at, datetime)
    call = recorder(slow).find_call(name, request, at.astimezone(UTC))
    assert call is not None
    assert call.at == at
