"""What staff and administrators are told of who has changed what."""

import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy.orm import Session

from backoffice.admin import history_people
from backoffice.admin.pages import history, index
from backoffice.audit.recorder import add_entry
from backoffice.auth.models import User
from backoffice.database.session import ACTOR, Actor
from tests.browser import Browser, Seen, _Reader
from tests.factories import make_school, make_student
from tests.flows.actions import products, raised, run_of
from tests.flows.test_statement_budget import cost
from tests.office import NAMES, Office


def make_user(session: Session, **given: Any) -> User:
    """Somebody with an account."""
    key = uuid.uuid4()
    values = {"email": f"{key}@example.org", "role": "viewer", "password_hash": "x"}
    session.add(user := User(id=key, **{**values, **given}))
    session.flush()
    return user


def run_on(browser: Browser, keys: list[int]) -> int:
    """Raise the prices of these products; the number of the run."""
    button = "Change 1 product" if len(keys) == 1 else f"Change {len(keys)} products"
    return run_of(browser.submit(raised(browser, keys), button=button))


def lines(seen: Seen) -> list[str]:
    """The events of a history, each in a line."""
    found = seen.html.partition('<ol class="log">')[2].partition("</ol>")[0]
    texts = []
    for item in found.split("<li>")[1:]:
        reader = _Reader()
        reader.feed(item)
        texts.append(" ".join(" ".join(reader.words).split()))
    return texts


def test_a_run_is_one_line_of_the_history(site: Office) -> None:
    """On the start page too; it leads to the run, which tells of each row."""
    browser = site.browser("admin")
    number = run_on(browser, products(site, "10", "20", "30"))

    for path in ("/admin/", "/admin/history"):
        seen = browser.get(path)
        said = f"Run {number}: raise prices by 10 % changed 3 products"
        assert seen.text.count(said) == 1
        assert lines(seen)[0].startswith(NAMES["admin"])
        assert seen.link(f"Run {number}: raise prices by 10 %") == (
            f"/admin/runs/{number}"
        )
        assert "10.00" not in lines(seen)[0]


def test_a_record_tells_by_which_run_it_was_changed(site: Office) -> None:
    """Who may see the run is led to it; others read its name."""
    (key,) = products(site, "10")
    number = run_on(site.browser("editor"), [key])
    name = f"run {number}: raise prices by 10 %"

    for page in ("details", "history", "edit"):
        seen = site.browser("editor").get(f"/admin/product/{page}/{key}")
        assert "Price 10.00 became 11.00" in seen.text
        assert seen.link(name) == f"/admin/runs/{number}"
    seen = site.browser("viewer").get(f"/admin/product/history/{key}")
    assert f"by {name}" in seen.text
    assert f"/admin/runs/{number}" not in set(seen.hrefs())


def test_who_only_logs_in_has_changed_nothing(site: Office) -> None:
    """The start page keeps its few lines for changes; the history tells all."""
    student = site.add(make_student)
    editor = site.browser("editor")
    editor.submit(
        editor.get(f"/admin/student/edit/{student.id}"), {"guardian": "Xaver"}
    )
    for _ in range(index.RECENT):
        site.fresh("viewer")
    browser = site.browser("admin")

    assert "logged in" not in " ".join(lines(browser.get("/admin/")))
    assert "Xaver" in browser.get("/admin/").text
    assert "logged in" in lines(browser.get("/admin/history"))[0]


def test_a_history_is_narrowed_down(site: Office) -> None:
    """By person, list, kind and day, several at once; the form says by what."""
    browser, editor = site.browser("admin"), site.browser("editor")
    school = site.add(make_school)
    page = editor.get(f"/admin/school/edit/{school.id}")
    editor.submit(page, {"name": "Narrow Hall"})
    run_on(editor, products(site, "10", "20"))

    def found(query: str) -> list[str]:
        seen = browser.get(f"/admin/history?{query}")
        assert seen.status == 200, seen.text
        return lines(seen)

    assert "Narrow Hall" in found("view=school")[0]
    assert "changed 2 products" in found("kind=run")[0]
    assert all(NAMES["editor"] in line for line in found("by=Emil+Editor"))
    assert all(" logged in" in line for line in found("kind=login"))
    assert found("by=Emil+Editor&view=school&kind=update&at__from=2020-01-01")
    assert found("by=Ada+Admin&view=school&kind=update") == []
    assert found("at__to=2020-01-01") == []

    seen = browser.get("/admin/history?by=Emil+Editor&view=school")
    form = seen.form("/admin/history")
    assert (form.value("by"), form.value("view")) == ("Emil Editor", "school")
    assert seen.link("All changes") == "/admin/history"
    assert 'value="Vera Viewer"' in seen.html


def test_a_person_is_found_by_a_part_of_name_or_e_mail(site: Office) -> None:
    """In any case, after a new name and without an account too; % and _ are letters."""
    olga = site.add(make_user, name="Olga Oldname", email="o.petrova@example.org")
    with site.session() as session:
        session.info[ACTOR] = Actor(str(olga.id), "Olga Oldname")
        add_entry(session, action="update", label="under the old name")
        session.info[ACTOR] = Actor(None, "root at the command line")
        add_entry(session, action="update", label="without an account")
        session.commit()
    site.run(
        "UPDATE backoffice_users SET name = 'Olga Newname', deleted_at = now() "
        "WHERE email = 'o.petrova@example.org'"
    )
    admin, ops = site.browser("admin"), site.browser("ops")

    def found(browser: Browser, typed: str) -> str:
        return " ".join(lines(browser.get(f"/admin/history?by={quote_plus(typed)}")))

    for typed in ("newNAME", "PETROVA@", "Olga Oldname"):
        assert "under the old name" in found(admin, typed)
    assert "without an account" in found(admin, "root at the command line")
    for typed in ("%", "_", "nobody at all"):
        assert found(admin, typed) == ""
    # Addresses are the accounts', which are for administrators alone.
    assert "under the old name" in found(ops, "newname")
    assert found(ops, "petrova@") == ""


def test_who_is_meant_by_a_part_is_said(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many people, that they are too many, or that there is nobody."""
    monkeypatch.setattr(history_people, "MOST", 2)
    browser = site.browser("admin")
    for number in (1, 10, 2):
        site.add(make_user, name=f"Zoë Twin {number}")

    def said(typed: str) -> str:
        return browser.get(f"/admin/history?by={typed}").text

    assert "2 people have “twin 1” in their name or e-mail." in said("twin+1")
    assert "More than 2 people have “Zo” in their name or e-mail." in said("Zo")
    assert "What 2 of them have done is shown; type more of it." in said("Zo")
    assert "people have" not in said("Twin+2")
    assert "Nobody has “zzz” in their name or e-mail" in said("zzz")
    hint = 'placeholder="part of a name"'
    assert hint in site.browser("ops").get("/admin/history").html


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("view=nothing", "“nothing” is no list with a history here."),
        ("kind=eaten", "“eaten” is nothing that the history knows."),
        ("at__from=yesterday", "From: “yesterday” is no day; 2026-01-31 is one."),
        ("at__from=2026-02-02&at__to=2026-02-01", "2026-02-01 is backwards."),
        ("before=x", "“x” is no place in the history."),
        ("by=Ann&by=Ben", "Person is given twice."),
        ("bye=Ann", "bye is not a filter of the history; by is."),
    ],
)
def test_what_is_wrong_in_the_address_is_said(
    site: Office, query: str, sentence: str
) -> None:
    """And it never shows everything."""
    seen = site.browser("admin").get(f"/admin/history?{query}")

    assert seen.status == 400
    assert sentence in seen.text
    assert lines(seen) == []


def test_a_narrowed_history_is_paged(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs and entries alike, each once, with what it is narrowed down by."""
    monkeypatch.setattr(history, "PAGE", 2)
    browser = site.browser("ops")
    editor = site.browser("editor")
    for price in ("1", "2", "3"):
        (key,) = products(site, price)
        run_on(editor, [key])
        page = editor.get(f"/admin/product/edit/{key}")
        editor.submit(page, {"stock": "77"})

    seen, told = browser.get("/admin/history?view=product&by=Emil+Editor"), []
    for _ in range(3):
        told += lines(seen)
        seen = browser.get(seen.link("Older"))
    assert len(set(told)) == len(told) == 6
    assert ["run" in line.lower() for line in told] == [False, True] * 3
    assert seen.form("/admin/history").value("by") == "Emil Editor"
    assert lines(browser.get(seen.link("Newest")))[:2] == told[:2]


def test_lists_that_a_role_may_not_see_are_not_offered(site: Office) -> None:
    """Nor does their name in an address say anything of them."""
    path = "/admin/history"
    admin, ops = site.browser("admin"), site.browser("ops")
    assert "account" in admin.get(path).form(path).choices["view"]
    assert "account" not in ops.get(path).form(path).choices["view"]
    assert "slow-log" not in ops.get(path).form(path).choices["view"]

    refused = ops.get(f"{path}?view=account")

    assert refused.status == 400
    assert "“account” is no list with a history here." in refused.text


def test_runs_cost_the_histories_no_statement(site: Office) -> None:
    """The start page, the history, and the pages of a record that a run has changed."""
    browser = site.browser("admin")
    plain, changed = products(site, "10", "20")
    for key in (plain, changed):
        page = browser.get(f"/admin/product/edit/{key}")
        browser.submit(page, {"price": Decimal("12.5")})
    run_on(browser, [changed])

    assert cost(site, browser, "/admin/") <= 4
    assert cost(site, browser, "/admin/history") <= 3
    assert cost(site, browser, "/admin/history?by=Ada+Admin&view=product") <= 3
    for name in ("details", "edit", "history"):
        few = cost(site, browser, f"/admin/product/{name}/{plain}")
        assert cost(site, browser, f"/admin/product/{name}/{changed}") == few
