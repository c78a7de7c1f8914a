"""What somebody learns of values that they may not see: nothing, from no plan."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import URL

from backoffice.admin.own_names import TOKEN
from backoffice.auth import permissions
from tests.browser import Browser, Form, Seen
from tests.office import Office, opened

LIST = "/admin/student/list"
GENERIC = "Generic plan: the role ops may not see its values."
Asking = Callable[[Office, Browser, str, str], Seen]


@pytest.fixture(scope="module")
def slow(each_office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """A site on which every statement is slow, on each kind of server."""
    with opened(each_office_url, observability={"slow_ms": 0}) as office:
        office.run("ANALYZE students")
        yield office


def looked(office: Office, query: str, role: str = "editor") -> tuple[str, str]:
    """Somebody looks at a list: the name of its statement, and of the request."""
    seen = office.browser(role).get(f"{LIST}?{query}")
    assert seen.status == 200
    request = seen.response.headers["x-request-id"]
    calls = office.backoffice.keeper.recorder.values.of_request(request)
    name = next(one.fingerprint for one in calls if "FROM students" in one.text)
    office.backoffice.keeper.flush()
    office.backoffice.keeper.report()
    return name, request


def posted(browser: Browser, form: Form, **more: Any) -> Seen:
    """Send a form of a page, and read the report that it leads to."""
    return browser.follow(browser.post(form.action, {**form.data({}), **more}))


def of_its_page(office: Office, browser: Browser, name: str, request: str) -> Seen:
    """From the page of the statement."""
    page = browser.get(f"/admin/metrics/statement/{name}")
    return browser.follow(browser.submit(page, action="/admin/explain"))


def of_its_request(office: Office, browser: Browser, name: str, request: str) -> Seen:
    """From the page of the request."""
    page = browser.get(f"/admin/metrics/request/{request}")
    form = next(f for f in page.page.forms if f.fields.get("fingerprint") == [name])
    return posted(browser, form)


def of_the_slow_log(office: Office, browser: Browser, name: str, request: str) -> Seen:
    """As an action on its line of the slow log."""
    key = office.value(
        "SELECT id FROM backoffice_slow_statements "
        "WHERE fingerprint = :f AND request_id = :r",
        f=name,
        r=request,
    )
    sent = {TOKEN: browser.token(), "action": "explain", "which": "ticked", "id": key}
    return browser.follow(browser.post("/admin/slow-log/actions", sent))


def of_the_report(office: Office, browser: Browser, name: str, request: str) -> Seen:
    """Once more from a report that an administrator has asked for."""
    report = of_its_page(office, office.fresh("admin"), name, request)
    page = browser.get(str(report.response.url))
    form = next(f for f in page.page.forms if f.fields.get("how") == ["plan"])
    return posted(browser, form)


@pytest.mark.parametrize(
    "ask", [of_its_page, of_its_request, of_the_slow_log, of_the_report]
)
def test_the_plan_of_a_call_is_the_same_whatever_its_value(
    slow: Office, ask: Asking
) -> None:
    """For ops: neither its rows nor its way hint at what somebody looked for."""
    found: dict[str, list[Any]] = {"ops": [], "admin": []}
    for word in ("an", "nobody-is-called-this"):
        name, request = looked(slow, f"search={word}")
        for role, plans in found.items():
            report = ask(slow, slow.fresh(role), name, request)
            assert (GENERIC in report.text) is (role == "ops")
            plans.append(stored(slow))
    ops, admin = found["ops"], found["admin"]
    assert [one["how"] for one in ops + admin] == ["generic"] * 2 + ["planned"] * 2
    assert costs(ops[0]) == costs(ops[1])
    assert "$1" in str(ops[0]["statements"][0]["plan"])
    assert costs(admin[0]) != costs(admin[1])


def test_the_foot_of_ones_own_page_is_planned_for_any_values(slow: Office) -> None:
    """What a page's statements ran with was not all typed by who looks at it."""
    ops = slow.browser("ops")
    page = ops.get(f"{LIST}?guardian=mother")
    form = next(f for f in page.page.forms if "request" in f.fields)
    names = [value for _, value, _ in form.buttons]
    report = posted(ops, form, fingerprint=names)
    assert report.text.count(GENERIC) == len(names)
    assert [one["how"] for one in stored(slow)["statements"]] == ["generic"] * 2
    assert [one["problem"] for one in stored(slow)["statements"]] == ["", ""]


def test_a_page_says_before_that_the_plan_will_be_generic(slow: Office) -> None:
    """Beside the button, where others read whose values it would take."""
    name, _ = looked(slow, "search=mother")
    url = f"/admin/metrics/statement/{name}"
    assert GENERIC in slow.browser("ops").get(url).text
    assert "With the values of" not in slow.browser("ops").get(url).text
    assert GENERIC not in slow.browser("admin").get(url).text


def test_what_one_has_typed_oneself_is_planned_as_it_is(slow: Office) -> None:
    """A list is explained as it stands in the address; others get it for any values."""
    ops, admin = slow.browser("ops"), slow.browser("admin")
    page = ops.get(f"{LIST}?guardian=mother")
    own = ops.follow(ops.submit(page, action="/admin/explain"))
    assert stored(slow)["how"] == "planned"
    assert GENERIC not in own.text
    again = next(f for f in own.page.forms if f.fields.get("how") == ["plan"])
    posted(ops, again)
    assert stored(slow)["how"] == "planned"
    page = admin.get(f"{LIST}?guardian=mother")
    theirs = admin.follow(admin.submit(page, action="/admin/explain"))
    seen = ops.get(str(theirs.response.url))
    again = next(f for f in seen.page.forms if f.fields.get("how") == ["plan"])
    assert GENERIC in posted(ops, again).text
    assert stored(slow)["how"] == "generic"
    assert [one["problem"] for one in stored(slow)["statements"] if one["problem"]] == (
        []
    )


def test_who_may_see_values_goes_on_from_a_report_without(slow: Office) -> None:
    """The button of what ops have asked for plans it with what it ran with."""
    name, request = looked(slow, "search=canary5533")
    ops, admin = slow.browser("ops"), slow.browser("admin")
    report = of_its_page(slow, ops, name, request)
    assert [b for f in report.page.forms for b in f.buttons if "values" in b[2]] == []
    page = admin.get(str(report.response.url))
    assert "none: the plan is for any" in page.text
    assert "canary5533" not in page.html
    asked = admin.submit(
        page, action="/admin/explain", button="Explain with its values"
    )
    shown = admin.follow(asked)
    assert "With the values of" in shown.text
    assert "canary5533" in shown.html


def test_who_measures_has_to_see_the_values(
    slow: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them nothing can be run: it is said who could; one's own list can be."""
    rights = permissions.OPS | {"ops:analyze"}
    monkeypatch.setattr(permissions, "OPS", rights)
    name, request = looked(slow, "search=mother")
    ops = slow.fresh("ops")
    report = of_its_page(slow, ops, name, request)
    assert "Run and measure" not in report.text
    said = (
        "To be measured a statement is run with its values, and the role ops may not "
        "see those; admin may."
    )
    assert said in report.text
    number = urlsplit(str(report.response.url)).path.rpartition("/")[2]
    before = slow.value("SELECT count(*) FROM backoffice_explain_reports")
    for asked in ({"report": number}, {"fingerprint": name, "request": request}):
        sent = {TOKEN: ops.token(), "how": "measure", **asked}
        refused = ops.post("/admin/explain", sent)
        assert (refused.status, said in refused.text) == (403, True)
    assert slow.value("SELECT count(*) FROM backoffice_explain_reports") == before
    sent = {TOKEN: ops.token(), "view": "student", "how": "measure"}
    ops.post("/admin/explain", sent)
    assert stored(slow)["how"] == "measured"


def costs(report: Any) -> list[tuple[Any, ...]]:
    """What the plans of a report expect, step by step."""

    def of(node: Any) -> Iterator[tuple[Any, ...]]:
        yield node["Node Type"], node["Plan Rows"], node["Total Cost"]
        for inner in node.get("Plans", ()):
            yield from of(inner)

    return [step for one in report["statements"] for step in of(one["plan"]["Plan"])]


def stored(office: Office) -> Any:
    """The newest report as it is stored."""
    return office.value(
        "SELECT content FROM backoffice_explain_reports ORDER BY id DESC LIMIT 1"
    )
