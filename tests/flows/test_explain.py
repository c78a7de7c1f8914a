"""From a list to its report: who may, what is run, and what is never kept."""

import json
from typing import Any

import pytest

from backoffice.admin.own_names import TOKEN
from backoffice.observability.fingerprints import fingerprint
from tests.browser import Browser, Seen
from tests.factories import make_student
from tests.office import Office, counted

CANARY = "canary7351"
LIST = f"/admin/student/list?search={CANARY}&guardian={CANARY}&sortBy=full_name"


def explained(browser: Browser, url: str = LIST) -> Seen:
    """Open a list, press *Explain this list*, and read the report."""
    page = browser.get(url)
    return browser.follow(browser.submit(page, action="/admin/explain"))


def measured(browser: Browser, url: str = LIST) -> Seen:
    """The same, and run what it explains."""
    page = explained(browser, url)
    button = next(f for f in page.page.forms if f.fields.get("how") == ["measure"])
    return browser.follow(browser.post("/admin/explain", button.data({})))


def test_a_list_is_explained_from_its_page(site: Office) -> None:
    """Verdict, findings, the plans of its own statements, tables, how it was run."""
    page = explained(site.browser("ops"))
    assert page.status == 200
    assert page.heading == "Students, searched, by guardian, in order of full name"
    for words in ("Findings", "Plans", "Tables and indexes touched", "How it was run"):
        assert words in page.text
    assert "Opening this page runs nothing." in page.text
    assert "at most 3 s each" in page.text
    assert "Count and choices" in page.text
    assert "guardian" in page.text


def test_what_is_searched_for_stands_in_no_address_of_a_report(site: Office) -> None:
    """The button sends it in its form: addresses are written into logs."""
    page = site.browser("ops").get(LIST)
    forms = [one for one in page.page.forms if "explain" in one.action]
    assert forms
    assert not [one.action for one in forms if CANARY in one.action]


def test_the_lists_own_statements_are_not_run(site: Office) -> None:
    """On the server, nothing but EXPLAIN reaches the list's table."""
    browser = site.browser("ops")
    page = browser.get(LIST)
    sent: list[str] = []
    with counted(site.engine) as own, counted(site.backoffice.exports) as other:
        browser.submit(page, action="/admin/explain")
        sent = [*own, *other]
    assert not [one for one in sent if "FROM students" in one]


def test_the_report_shows_the_plan_of_the_filter(site: Office) -> None:
    """Two statements have it, with the value masked for ops."""
    page = explained(site.browser("ops"))
    report = stored(site)
    with_filter = [
        one for one in report["statements"] if "guardian" in json.dumps(one["plan"])
    ]
    assert with_filter
    assert CANARY not in page.html
    assert "&#39;…&#39;" in page.html


def test_reports_are_listed(site: Office) -> None:
    """Newest first, with who asked; the menu leads there."""
    browser = site.browser("ops")
    explained(browser)
    page = browser.get("/admin/explain")
    assert page.rows[0][0].startswith("Students, searched")
    assert page.rows[0][3] == "Olga Ops"
    assert browser.get("/admin/").link("Explain reports") == "/admin/explain"


def test_the_history_leads_to_a_report(site: Office) -> None:
    """Where it says that somebody has explained something."""
    browser = site.browser("ops")
    page = explained(browser)
    report = str(page.response.url).rpartition("/admin/")[2]
    assert browser.get("/admin/history").link(page.heading) == f"/admin/{report}"


def test_text_and_json_are_there_to_copy(site: Office) -> None:
    """The same plan in PostgreSQL's two forms."""
    browser = site.browser("ops")
    url = str(explained(browser).response.url)
    assert "(cost=" in browser.get(f"{url}?form=text").html
    assert "&#34;Node Type&#34;" in browser.get(f"{url}?form=json").html
    assert browser.get(f"{url}?form=nonsense").status == 200


def test_opening_a_report_runs_nothing(site: Office) -> None:
    """It reads its row, and the session's."""
    browser = site.browser("ops")
    url = str(explained(browser).response.url)
    with counted(site.engine) as own, counted(site.backoffice.exports) as other:
        assert browser.get(url).status == 200
    assert other == []
    assert len(own) == 2
    assert not [one for one in own if "EXPLAIN" in one]


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_others_see_no_button_and_may_not_ask(site: Office, role: str) -> None:
    """Neither the list of reports, nor one of them, nor a new one."""
    url = str(explained(site.browser("ops")).response.url)
    browser = site.browser(role)
    assert "Explain this list" not in browser.get(LIST).text
    assert browser.get("/admin/explain").status == 403
    assert browser.get(url).status == 403
    before = reports(site)
    sent = {TOKEN: browser.token(), "view": "student"}
    refused = browser.post("/admin/explain", sent)
    assert refused.status == 403
    assert "admin and ops" in refused.text
    assert reports(site) == before


def test_a_stranger_is_led_to_the_login(site: Office) -> None:
    """As everywhere."""
    stranger = site.stranger()
    assert stranger.get("/admin/explain").location.startswith("/admin/login")
    assert stranger.get("/admin/explain/1").location.startswith("/admin/login")


def test_getting_an_address_never_explains(site: Office) -> None:
    """A link can be followed by anything; only a form with its token asks."""
    browser = site.browser("admin")
    before = reports(site)
    browser.get("/admin/explain?view=student&query=search%3Da")
    assert browser.get("/admin/explain/new").status == 404
    assert browser.post("/admin/explain", {"view": "student"}).status == 403
    assert reports(site) == before


def test_ops_may_not_run_what_they_explain(site: Office) -> None:
    """There is no button, and the form is refused."""
    browser = site.browser("ops")
    page = explained(browser)
    assert "Run and measure" not in page.text
    number = str(page.response.url).rpartition("/")[2]
    sent = {TOKEN: browser.token(), "report": number, "how": "measure"}
    assert browser.post("/admin/explain", sent).status == 403


def test_an_administrator_measures(site: Office) -> None:
    """By a role that only reads; the report says so."""
    page = measured(site.fresh("admin"))
    assert "measured" in page.text
    assert "by a role that only reads, rolled back" in page.text
    assert "ms for 1 statement; 1 more as expected, not run." in page.text
    assert stored(site)["how"] == "measured"


def test_measuring_is_rationed(site: Office) -> None:
    """The seventh within a minute is refused, and plans are not."""
    site.run("DELETE FROM backoffice_explain_reports")
    browser = site.fresh("admin")
    page = explained(browser)
    number = str(page.response.url).rpartition("/")[2]
    sent = {TOKEN: browser.token(), "report": number, "how": "measure"}
    for _ in range(6):
        assert browser.post("/admin/explain", sent).status == 303
    refused = browser.post("/admin/explain", sent)
    assert "6 measurements a minute" in refused.text
    assert browser.post("/admin/explain", {**sent, "how": "plan"}).status == 303
    site.run("DELETE FROM backoffice_explain_reports")


def test_values_are_shown_to_those_who_may_see_them(site: Office) -> None:
    """The administrator sees them, also in what ops asked for; ops do not."""
    site.run("DELETE FROM backoffice_explain_reports")
    page = explained(site.browser("ops"))
    url = str(page.response.url)
    assert "masked; admin may see them until" in page.text
    own = site.browser("admin").get(url)
    assert CANARY in own.html
    assert "never stored" in own.text
    assert CANARY not in site.browser("ops").get(url).html


def test_values_are_nowhere_but_in_memory(site: Office) -> None:
    """No table of ours has them, and a process that starts anew does not know them."""
    page = measured(site.fresh("admin"))
    for table in (
        "backoffice_explain_reports",
        "backoffice_audit",
        "backoffice_slow_statements",
        "backoffice_statements",
    ):
        found = site.value(
            f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%{CANARY}%'"
        )
        assert found == 0, table
    url = str(page.response.url)
    number = int(url.rpartition("/")[2])
    site.site.explained._kept.clear()
    later = site.browser("admin").get(url)
    assert CANARY not in later.html
    assert "no longer kept" in later.text
    assert "Explain again" not in later.text
    sent = {TOKEN: site.browser("admin").token(), "report": str(number)}
    refused = site.browser("admin").post("/admin/explain", sent)
    assert "are not kept any more" in refused.text


def test_every_run_is_audited(site: Office) -> None:
    """Who, what list, which report; measured ones as such."""
    page = measured(site.fresh("admin"))
    number = str(page.response.url).rpartition("/")[2]
    entries = site.values(
        "SELECT action, actor_label, view, key FROM backoffice_audit "
        "WHERE table_name = 'backoffice_explain_reports' ORDER BY id DESC LIMIT 2"
    )
    assert tuple(entries[0]) == ("explain_measured", "Ada Admin", "student", number)
    assert entries[1][0] == "explain"
    told = site.browser("admin").get("/admin/history").text
    assert "run and measured" in told
    assert "backoffice explain reports" not in told


def test_a_remembered_statement_is_explained_for_any_values(site: Office) -> None:
    """By its name, several in one report."""
    names = [
        remember(site, "SELECT id FROM students WHERE code = %(code_1)s::VARCHAR"),
        remember(site, "SELECT id FROM courses WHERE capacity > ? AND id IN (?, ?)"),
    ]
    browser = site.browser("ops")
    sent: dict[str, Any] = {TOKEN: browser.token(), "fingerprint": names}
    page = browser.follow(browser.post("/admin/explain", sent))
    assert page.heading == "2 statements"
    assert "expected for any values, not run" in page.text
    assert names[0] in page.text
    report = stored(site)
    assert [one["how"] for one in report["statements"]] == ["generic", "generic"]
    assert [one["problem"] for one in report["statements"]] == ["", ""]


def test_what_is_not_known_is_not_explained(site: Office) -> None:
    """A statement, a view or a report of no name is not found; SQL is not taken."""
    browser = site.browser("admin")
    token = browser.token()
    for sent in (
        {"fingerprint": "nothing"},
        {"view": "nothing"},
        {"view": "student' OR 1=1"},
        {"report": "9999999999999999999999"},
        {"sql": "SELECT 1", "text": "SELECT 1"},
    ):
        assert browser.post("/admin/explain", {TOKEN: token, **sent}).status == 404
    assert browser.get("/admin/explain/999999").status == 404
    assert browser.get("/admin/explain/1'--").status == 404


@pytest.mark.parametrize("how", ["plan", "measure"])
def test_a_query_that_the_list_refuses_is_answered_as_the_list_does(
    site: Office, how: str
) -> None:
    """400, each mistake in a sentence, and the way back; no report is made."""
    browser = site.browser("admin")
    query = "nonsense=1&sortBy=nothing"
    listed = browser.get(f"/admin/student/list?{query}")
    before = reports(site)
    sent = {TOKEN: browser.token(), "view": "student", "query": query, "how": how}
    bad = browser.post("/admin/explain", sent)
    assert (bad.status, listed.status) == (400, 400)
    assert bad.heading == "Nothing is explained"
    assert "is not a filter of this list" in bad.text
    assert "nothing" in bad.text
    assert bad.link("Back to the list") == "/admin/student/list"
    assert reports(site) == before


def test_a_view_that_one_may_not_see_is_not_explained(site: Office) -> None:
    """Accounts are for administrators."""
    browser = site.browser("ops")
    sent = {TOKEN: browser.token(), "view": "account"}
    assert browser.post("/admin/explain", sent).status == 403


def test_whatever_stands_in_a_plan_is_text(site: Office) -> None:
    """Markup in a value is no markup on the page."""
    site.add(make_student, full_name="<script>alert(1)</script>")
    url = "/admin/student/list?guardian=%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    browser = site.browser("admin")
    first = str(explained(browser, url).response.url)
    for form in ("tree", "text", "json"):
        html = browser.get(f"{first}?form={form}").html
        assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_without_the_role_the_page_says_what_to_run(site: Office) -> None:
    """Measuring is off, and an administrator of the database can turn it on."""
    site.run("DROP SCHEMA backoffice_explain CASCADE")
    page = explained(site.browser("admin"))
    assert "Measuring is off." in page.text
    assert "CREATE ROLE backoffice_explain NOLOGIN" in page.text
    assert "Run and measure" not in page.text
    assert "Measuring is off." not in explained(site.browser("ops")).text


def reports(site: Office) -> int:
    """How many reports there are."""
    return int(site.value("SELECT count(*) FROM backoffice_explain_reports"))


def stored(site: Office) -> Any:
    """The newest report as it is stored."""
    return site.value(
        "SELECT content FROM backoffice_explain_reports ORDER BY id DESC LIMIT 1"
    )


def remember(site: Office, text: str) -> str:
    """A statement of the log, by its name."""
    found = fingerprint(text)
    site.run(
        "INSERT INTO backoffice_statements (fingerprint, text, operation, table_name, "
        "first_seen, last_seen) VALUES (:f, :t, :o, :r, now(), now()) "
        "ON CONFLICT DO NOTHING",
        f=found.id,
        t=found.text,
        o=found.operation,
        r=found.table,
    )
    return found.id
