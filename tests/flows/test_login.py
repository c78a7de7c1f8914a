"""Logging in and out, and what holds when a session ends."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from backoffice.admin.own_names import TOKEN
from backoffice.auth.clock import utc_now
from models.school import Course
from tests.browser import read
from tests.factories import make_course
from tests.office import PASSWORD, Office, log_in, opened


def end_sessions(site: Office, email: str) -> None:
    """Let the sessions of somebody expire."""
    site.run(
        "UPDATE backoffice_sessions SET expires_at = now() - interval '1 minute' "
        "WHERE user_id = (SELECT id FROM backoffice_users WHERE email = :e)",
        e=email,
    )
    site.browsers.pop(email.partition("@")[0], None)


def test_a_deep_link_leads_through_the_login_to_its_page(site: Office) -> None:
    """Nobody looks for the page again after logging in."""
    browser = site.stranger()
    asked = browser.get("/admin/course/list?search=a%26b")
    page = browser.follow(asked)
    seen = browser.submit(page, {"email": "viewer@example.org", "password": PASSWORD})
    assert seen.location == "/admin/course/list?search=a%26b"


@pytest.mark.parametrize(
    "next_",
    [
        "//evil.example",
        "https://evil.example/admin/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/admin/login",
        "/elsewhere",
        "/admin/\r\nSet-Cookie: a=b",
    ],
)
def test_the_login_leads_nowhere_else(site: Office, next_: str) -> None:
    """Only a page of this site is led to."""
    browser = site.stranger()
    page = browser.get("/admin/login?next=" + quote(next_, safe=""))
    seen = browser.submit(
        page,
        {"email": "viewer@example.org", "password": PASSWORD, "next": next_},
    )
    assert seen.location == "/admin/"


def test_a_wrong_password_says_how_many_tries_are_left(site: Office) -> None:
    """The same sentence whether the account exists or not; the e-mail stays."""
    known = log_in(site.stranger(), "viewer@example.org", "wrong password")
    site.run("DELETE FROM backoffice_login_attempts")
    unknown = log_in(site.stranger(), "nobody@example.org", "wrong password")
    assert known.status == unknown.status == 400
    assert known.notes == unknown.notes
    assert "4 tries are left" in known.notes[0]
    assert known.form().value("email") == "viewer@example.org"
    assert known.page.title.startswith("Error: Log in")


def test_too_many_failures_wait(site: Office) -> None:
    """429 with the seconds to wait, also with the right password then."""
    browser = site.stranger()
    for _ in range(5):
        seen = log_in(browser, "viewer@example.org", "wrong password")
    assert seen.status == 429
    seen = log_in(browser, "viewer@example.org")
    assert seen.status == 429
    assert "Too many logins have failed" in seen.notes[0]
    assert 0 < int(seen.response.headers["retry-after"]) <= 300


def test_logging_out_kills_the_cookie(site: Office) -> None:
    """The same cookie, sent again, is worth nothing; the history knows of both."""
    browser = site.fresh("viewer")
    cookie = browser.client.cookies["backoffice_session"]
    page = browser.get("/admin/")
    out = browser.submit(page, action="/admin/logout")
    assert out.location == "/admin/login"
    assert "You are logged out." in browser.follow(out).notes
    thief = site.stranger()
    thief.client.cookies.set("backoffice_session", cookie)
    assert thief.get("/admin/").location.startswith("/admin/login")
    assert site.value("SELECT count(*) FROM backoffice_audit WHERE action='logout'") > 0


def test_a_link_to_the_logout_only_asks(site: Office) -> None:
    """GET shows a button; a stranger is led to the login page."""
    browser = site.fresh("viewer")
    asked = browser.get("/admin/logout")
    assert asked.status == 200
    assert browser.get("/admin/").status == 200
    assert site.stranger().get("/admin/logout").location == "/admin/login"
    assert site.stranger().post("/admin/logout", {}).location == "/admin/login"


def test_a_login_gives_a_new_session(site: Office) -> None:
    """The cookie before is not the cookie after, and the old session has ended."""
    browser = site.fresh("viewer")
    old = browser.client.cookies["backoffice_session"]
    stranger = site.stranger()
    page = stranger.get("/admin/login")
    visitor = stranger.client.cookies["backoffice_visitor"]
    sent = page.form().data({"email": "viewer@example.org", "password": PASSWORD})
    both = f"backoffice_visitor={visitor}; backoffice_session={old}"
    seen = stranger.post("/admin/login", sent, headers={"cookie": both})
    assert seen.status == 303
    assert stranger.client.cookies["backoffice_session"] != old
    assert browser.get("/admin/").status == 303


def test_a_forged_cookie_is_nobody(site: Office) -> None:
    """A token without our signature, or with somebody else's, opens nothing."""
    token = site.fresh("admin").client.cookies["backoffice_session"]
    for cookie in ("", "x", token[:-2], token.split(".")[0], "é" * 40, "a." * 500):
        browser = site.stranger()
        seen = browser.get(
            "/admin/", headers={"cookie": f"backoffice_session={cookie}".encode()}
        )
        assert seen.location == "/admin/login?next=%2Fadmin%2F"


def test_cookies_are_hard_to_steal(site: Office, office_url: object) -> None:
    """HttpOnly, SameSite, the whole site; Secure where there is only HTTPS."""
    del office_url
    page = site.stranger().get("/admin/login")
    visitor = page.response.headers["set-cookie"]
    assert "HttpOnly" in visitor
    assert "SameSite=lax" in visitor
    seen = log_in(site.stranger(), "viewer@example.org")
    session = seen.response.headers["set-cookie"]
    assert re.search("HttpOnly", session)
    assert re.search("SameSite=lax", session)
    assert "Secure" not in session
    with opened(site.engine.url, web={"https_only": True}) as strict:
        browser = strict.stranger()
        browser.client.base_url = "https://testserver"
        cookie = browser.get("/admin/login").response.headers["set-cookie"]
        assert "Secure" in cookie


def test_the_login_form_belongs_to_its_browser(site: Office) -> None:
    """A token from another browser's login page does not log this one in."""
    page = site.stranger().get("/admin/login")
    victim = site.stranger()
    victim.get("/admin/login")
    seen = victim.submit(page, {"email": "viewer@example.org", "password": PASSWORD})
    assert seen.status == 403
    assert "backoffice_session" not in victim.client.cookies


def test_a_session_that_ended_keeps_what_was_typed(site: Office) -> None:
    """The form goes along through the login, and is sent after a question."""
    course = site.add(make_course)
    browser = site.fresh("editor")
    page = browser.get(f"/admin/course/edit/{course.id}?search=a")
    end_sessions(site, "editor@example.org")
    asked = browser.submit(page, {"title": "Typed\nbefore"})
    assert asked.status == 401
    assert "what you typed is kept" in asked.text
    wrong = browser.submit(asked, {"email": "editor@example.org", "password": "wrong"})
    assert wrong.status == 400
    back = browser.submit(wrong, {"email": "editor@example.org", "password": PASSWORD})
    assert back.status == 200
    assert back.form().value("title") == "Typed\nbefore"
    saved = browser.submit(back)
    assert saved.location == "/admin/course/list?search=a"
    assert site.read(Course, course.id).title == "Typed\nbefore"


def test_a_kept_form_is_ours_or_nothing(site: Office) -> None:
    """A resume that was not signed here is as if it were not there."""
    browser = site.stranger()
    page = browser.get("/admin/login")
    forged = '["/admin/course/create", [["title", "Forged"]]]'
    seen = browser.submit(
        page,
        {"email": "editor@example.org", "password": PASSWORD, "resume": forged},
    )
    assert seen.location == "/admin/"


def test_passwords_are_not_kept_for_later(site: Office) -> None:
    """A form with passwords in it is typed again after the session has ended."""
    browser = site.fresh("viewer")
    page = browser.get("/admin/account")
    end_sessions(site, "viewer@example.org")
    asked = browser.submit(
        page,
        {"old": PASSWORD, "new": "seven swans swim", "again": "seven swans swim"},
        action="/admin/account",
    )
    assert asked.status == 401
    assert "resume" not in asked.form("/admin/login").fields
    assert PASSWORD not in asked.html


def test_machines_are_told_in_json(site: Office) -> None:
    """Who accepts JSON gets no page."""
    client = TestClient(site.app, follow_redirects=False)
    seen = client.get("/admin/course/list", headers={"accept": "application/json"})
    assert (seen.status_code, seen.json()) == (401, {"error": "Log in first."})


def test_the_last_use_of_a_session_is_noted_once_a_minute(site: Office) -> None:
    """Most requests write nothing; the first after a minute does."""
    browser = site.fresh("viewer")
    site.run("UPDATE backoffice_sessions SET last_seen_at = now() - interval '1 hour'")
    browser.get("/admin/course/list")
    oldest = site.value(
        "SELECT max(last_seen_at) FROM backoffice_sessions s "
        "JOIN backoffice_users u ON u.id = s.user_id WHERE u.role = 'viewer'"
    )
    assert utc_now() - oldest < timedelta(minutes=5)


def test_the_access_log_says_whom_it_served(
    site: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with the person, and without the query string."""
    browser = site.browser("viewer")
    with caplog.at_level("INFO", "backoffice.access"):
        browser.get("/admin/course/list?search=secret")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "backoffice.access"]
    assert "viewer@example.org" in line
    assert "secret" not in line


def test_sessions_are_listed_and_ended(site: Office) -> None:
    """One's other sessions are seen, ended one by one or all, and told of."""
    one, two, three = (site.fresh("ops") for _ in range(3))
    page = one.get("/admin/account")
    assert page.text.count("this one") == 1
    other = page.form("/admin/account/close").buttons[0]
    seen = one.post("/admin/account/close", {TOKEN: one.token(), "session": other[1]})
    assert "The session has ended." in one.follow(seen).notes
    one.post("/admin/account/close-others", {TOKEN: one.token()})
    assert one.get("/admin/").status == 200
    assert [b.get("/admin/").status for b in (two, three)] == [303, 303]
    told = site.value(
        "SELECT count(*) FROM backoffice_audit WHERE action LIKE 'session%'"
    )
    assert told >= 2


def test_nobody_ends_somebody_elses_session(site: Office) -> None:
    """A session id of another person is as if it were not there."""
    victim, thief = site.fresh("editor"), site.fresh("viewer")
    stolen = site.value(
        "SELECT s.id FROM backoffice_sessions s JOIN backoffice_users u "
        "ON u.id = s.user_id WHERE u.role = 'editor' ORDER BY s.created_at DESC LIMIT 1"
    )
    thief.post("/admin/account/close", {TOKEN: thief.token(), "session": stolen})
    assert victim.get("/admin/").status == 200


def test_ones_password_is_changed_with_the_old_one(site: Office) -> None:
    """A wrong old one, two different new ones, a weak one: each on its field."""
    browser = site.fresh("viewer")
    other = site.fresh("viewer")
    page = browser.get("/admin/account")
    new = "seven swans swim"
    for changes, where in (
        ({"old": "wrong", "new": new, "again": new}, "old"),
        ({"old": PASSWORD, "new": new, "again": "else"}, "again"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "new"),
    ):
        seen = browser.submit(page, changes, action="/admin/account")
        assert (seen.status, list(seen.errors)) == (400, [where])
    good = {"old": PASSWORD, "new": new, "again": new}
    assert browser.submit(page, good, action="/admin/account").status == 303
    assert browser.get("/admin/").status == 200
    assert other.get("/admin/").status == 303
    assert log_in(site.stranger(), "viewer@example.org", new).status == 303
    back = {"old": new, "new": PASSWORD, "again": PASSWORD}
    browser.submit(browser.get("/admin/account"), back, action="/admin/account")
    assert log_in(site.stranger(), "viewer@example.org").status == 303


def test_who_is_deactivated_is_out_at_once(site: Office) -> None:
    """The next request of an open session leads to the login page."""
    admin = site.browser("admin")
    page = admin.get("/admin/account/create")
    made = {
        "name": "Temp",
        "email": "temp@example.org",
        "role": "viewer",
        "is_active": "true",
        "password": PASSWORD,
    }
    assert admin.submit(page, made).status == 303
    browser = site.stranger()
    assert log_in(browser, "TEMP@example.org").status == 303
    key = site.value("SELECT id FROM backoffice_users WHERE email = 'temp@example.org'")
    edit = admin.get(f"/admin/account/edit/{key}")
    assert admin.submit(edit, {"is_active": None}).status == 303
    assert browser.get("/admin/").status == 303
    assert log_in(site.stranger(), "temp@example.org").status == 400


def test_a_login_that_comes_late_reads_as_a_page(site: Office) -> None:
    """A login form without its cookie is refused as a page, not a fault."""
    page = site.stranger().get("/admin/login")
    client = TestClient(site.app, follow_redirects=False)
    here = {"sec-fetch-site": "same-origin"}
    sent = page.form().data({})
    seen = read(client.post("/admin/login", data=sent, headers=here))
    assert seen.status == 403
    assert seen.heading
