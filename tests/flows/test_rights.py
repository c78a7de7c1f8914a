"""Who may do what, on every address there is."""

import re
import uuid
from collections.abc import Iterator

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from backoffice.admin.own_names import TOKEN
from backoffice.auth.permissions import Role
from models.school import Course
from tests.browser import Browser
from tests.factories import make_course
from tests.office import NAMES, PASSWORD, ROLES, Office

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", *UNSAFE)
# Addresses that answer strangers: machines' probes, the login, and its looks.
PUBLIC = {
    "/",
    "/admin",
    "/livez",
    "/readyz",
    "/healthz",
    "/startupz",
    "/metrics",
    "/admin/login",
    "/admin/theme",
}
TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""
# What a request may leave behind without having changed anything.
TRACES = {
    "backoffice_login_attempts",
    "backoffice_sessions",
    "backoffice_slow_statements",
    "backoffice_snapshots",
}


def routes_of(site: Office) -> Iterator[tuple[str, set[str]]]:
    """Every path template of the application, and the methods that it takes."""

    def walk(routes: list[object], prefix: str) -> Iterator[tuple[str, set[str]]]:
        for route in routes:
            if isinstance(route, Mount):
                yield from walk(list(route.routes or ()), prefix + route.path)
                if not route.routes:
                    yield prefix + route.path + "/{path}", {"GET", "HEAD"}
            elif isinstance(route, Route):
                yield prefix + route.path, set(route.methods or METHODS)

    yield from walk(list(site.app.routes), "")


def addresses(site: Office) -> list[tuple[str, frozenset[str]]]:
    """Every route as real addresses: of a student, and of an account."""
    student = site.value("SELECT min(id) FROM students")
    account = site.value("SELECT id FROM backoffice_users WHERE role = 'viewer'")
    found = []
    for template, methods in routes_of(site):
        for identity, key in (("student", student), ("account", account)):
            path = template.replace("{identity}", identity)
            path = path.replace("{pk:path}", str(key))
            path = path.replace("{rest:path}", "nowhere").replace("{path}", "x.css")
            path = re.sub(r"\{\w+(:whole)?\}", "1", path)
            found.append((path, methods))
    return sorted({(path, frozenset(methods)) for path, methods in found})


def whole(site: Office) -> dict[str, object]:
    """Every table's rows, as one number each."""
    return {
        name: site.value(f'SELECT sum(hashtextextended(t::text, 0)) FROM "{name}" t')
        for (name,) in site.values(TABLES)
        if name not in TRACES
    }


def test_every_address_is_known_here(site: Office) -> None:
    """A new route has to be looked at before it is served: add it to the list."""
    found = {path for path, _ in routes_of(site)}
    assert {path for path in found if "/metrics" not in path} == {
        "/",
        "/admin",
        "/livez",
        "/readyz",
        "/healthz",
        "/startupz",
        "/admin/assets/{path}",
        "/admin/",
        "/admin/login",
        "/admin/logout",
        "/admin/theme",
        "/admin/account",
        "/admin/account/close",
        "/admin/account/close-others",
        "/admin/history",
        "/admin/explain",
        "/admin/explain/{number}",
        "/admin/runs",
        "/admin/runs/{run:whole}",
        "/admin/{identity}/actions",
        "/admin/{identity}/actions/{token}",
        "/admin/{identity}/actions/{token}/rows",
        "/admin/{identity}/list",
        "/admin/{identity}/export/csv",
        "/admin/{identity}/export/json",
        "/admin/{identity}/ajax/lookup",
        "/admin/{identity}/details/{pk:path}",
        "/admin/{identity}/history/{pk:path}",
        "/admin/{identity}/create",
        "/admin/{identity}/edit/{pk:path}",
        "/admin/{identity}/delete/{pk:path}",
        "/admin/{rest:path}",
    }


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_nothing_changes_without_a_token(site: Office, role: str) -> None:
    """Every route with every method, GET among them, by everybody: no row differs."""
    browser = site.fresh(role) if role != "nobody" else site.stranger()
    before = whole(site)
    for path, _ in addresses(site):
        for method in METHODS:
            seen = browser.client.request(method, path)
            assert seen.status_code < 500, (method, path)
            if method in UNSAFE:
                assert seen.status_code >= 300, (method, path)
    assert whole(site) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"referer": "https://evil.example/admin/"},
        {},
    ],
)
def test_nothing_changes_from_another_site(
    site: Office, headers: dict[str, str]
) -> None:
    """With the right token too: where the request comes from is asked first."""
    browser = site.browser("admin")
    token = browser.token()
    before = whole(site)
    for path, methods in addresses(site):
        for method in UNSAFE:
            seen = browser.client.request(
                method, path, data={TOKEN: token}, headers=headers
            )
            assert seen.status_code == 403, (method, path)
        del methods
    assert whole(site) == before


def test_every_post_asks_for_the_token(site: Office) -> None:
    """No token, another session's, or a made-up one: the same refusal everywhere."""
    browser, other = site.browser("admin"), site.fresh("admin")
    posts = [path for path, methods in addresses(site) if "POST" in methods]
    assert len(posts) > 8
    for path in posts:
        for token in ("", "made.up", other.token()):
            seen = browser.post(path, {TOKEN: token})
            assert seen.status == 403, path
            assert "too old" in seen.heading


def test_the_token_may_come_as_a_header(site: Office) -> None:
    """Scripts send it so; without a valid one they are refused as well."""
    browser = site.fresh("editor")
    course = site.add(make_course)
    form = browser.get(f"/admin/course/edit/{course.id}").form()
    sent = form.data({"title": "By script"})
    token = sent.pop(TOKEN)[0]
    assert browser.post(form.action, sent).status == 403
    seen = browser.post(form.action, sent, headers={"x-csrf-token": token})
    assert seen.status == 303


def test_a_stranger_learns_nothing(site: Office) -> None:
    """Whatever is asked for, there or not, leads to the same page: the login."""
    client = TestClient(site.app, follow_redirects=False)
    for path, methods in addresses(site):
        if path in PUBLIC or "/assets/" in path:
            continue
        seen = client.get(path)
        if "GET" not in methods:
            assert seen.status_code in {303, 405}, path
            continue
        assert seen.status_code == 303, path
        assert seen.headers["location"].startswith("/admin/login")
        assert not seen.content
    real, none = (
        client.get(f"/admin/student/details/{key}").status_code for key in (1, 10**9)
    )
    assert real == none
    assert client.get("/admin/no-such-view/list").status_code == 303


def test_a_stranger_sees_no_names_on_the_login_page(site: Office) -> None:
    """No menu, no person, no version."""
    seen = site.stranger().get("/admin/login")
    for word in ("Students", "Users", "SQLAdmin", "PostgreSQL", *NAMES.values()):
        assert word not in seen.text


EXPECTED = {
    # role: student list, create, edit, delete, account list, history of all
    "admin": (200, 200, 200, 200, 200, 200),
    "ops": (200, 403, 403, 403, 403, 200),
    "editor": (200, 200, 200, 200, 403, 403),
    "viewer": (200, 403, 403, 403, 403, 403),
}


@pytest.mark.parametrize("role", ROLES)
def test_roles_hold_on_addresses(site: Office, role: str) -> None:
    """Typed by hand, each address answers by role; a form that is sent as well."""
    browser = site.browser(role)
    key = site.value("SELECT min(id) FROM students")
    paths = (
        "/admin/student/list",
        "/admin/student/create",
        f"/admin/student/edit/{key}",
        f"/admin/student/delete/{key}",
        "/admin/account/list",
        "/admin/history",
    )
    assert tuple(browser.get(path).status for path in paths) == EXPECTED[role]
    token = browser.token()
    for path, status in zip(paths[1:4], EXPECTED[role][1:4], strict=True):
        sent = browser.post(path, {TOKEN: token})
        assert (sent.status == 403) == (status == 403), path


@pytest.mark.parametrize("role", ROLES)
def test_pages_draw_only_what_one_may_do(site: Office, role: str) -> None:
    """No link of a page leads to a refusal."""
    browser = site.browser(role)
    key = site.value("SELECT min(id) FROM students")
    seen: set[str] = set()
    for path in (
        "/admin/",
        "/admin/student/list",
        f"/admin/student/details/{key}",
        f"/admin/student/history/{key}",
        "/admin/order-item/list",
        "/admin/course/list",
    ):
        page = browser.get(path)
        assert page.status == 200, path
        seen |= {
            href
            for href in page.hrefs()
            if href.startswith("/admin/")
            and "/export/" not in href
            # What was measured a moment ago has no page of its own yet.
            and "/metrics/" not in href
        }
    kinds: dict[str, str] = {}
    for href in sorted(seen):
        bare = href.partition("?")[0]
        kind = "/".join("#" if p.isdigit() else p for p in bare.split("/"))
        kinds.setdefault(kind, href)
    for href in kinds.values():
        assert browser.get(href).status == 200, href


def test_a_refusal_says_which_role_it_needs(site: Office) -> None:
    """Who one is, what is missing, and who can change that."""
    seen = site.browser("viewer").get("/admin/student/create")
    assert seen.status == 403
    assert "You are a viewer; changing Students needs the role editor" in seen.text


@pytest.mark.parametrize(
    ("role", "page", "sentence"),
    [
        ("viewer", "create", "You are a viewer; changing Users needs the role admin"),
        ("ops", "list", "You are ops; seeing Users needs the role admin"),
    ],
)
def test_a_refusal_names_no_role_that_is_refused_too(
    site: Office, role: str, page: str, sentence: str
) -> None:
    """Accounts are the administrators' alone, and nobody is sent for less."""
    assert sentence in site.browser(role).get(f"/admin/account/{page}").text


def test_an_error_page_is_no_dead_end(site: Office) -> None:
    """It leads to the list it was about, where one may see that; else to the start."""
    admin, viewer = site.browser("admin"), site.browser("viewer")
    gone = admin.get("/admin/student/details/99999999")
    assert (gone.status, gone.link("All students")) == (404, "/admin/student/list")
    nowhere = admin.get("/admin/nowhere")
    assert (nowhere.status, nowhere.link("To the start")) == (404, "/admin/")
    closed = viewer.get("/admin/account/list")
    assert (closed.status, closed.link("To the start")) == (403, "/admin/")


def test_what_a_view_rules_out_is_no_matter_of_roles(site: Office) -> None:
    """An admin is not sent to an administrator."""
    for action, done in (("create", "created"), ("edit/1", "changed")):
        seen = site.browser("admin").get(f"/admin/order-item/{action}")
        assert seen.status == 403
        assert f"Order lines cannot be {done} here" in seen.text
        assert "administrator" not in seen.text


def test_a_role_holds_from_the_next_request_on(site: Office) -> None:
    """Who is no editor any more cannot save the form that is still open."""
    admin = site.browser("admin")
    made = {
        "name": "Shortly Editor",
        "email": "shortly@example.org",
        "role": "editor",
        "is_active": "true",
        "password": PASSWORD,
    }
    admin.submit(admin.get("/admin/account/create"), made)
    browser = site.stranger()
    page = browser.get("/admin/login")
    browser.submit(page, {"email": "shortly@example.org", "password": PASSWORD})
    course = site.add(make_course)
    form = browser.get(f"/admin/course/edit/{course.id}")
    key = account(site, "shortly@example.org")
    edit = admin.get(f"/admin/account/edit/{key}")
    assert admin.submit(edit, {"role": "viewer"}).status == 303
    assert browser.submit(form, {"title": "Too late"}).status == 403
    assert site.read(Course, course.id).title != "Too late"


def account(site: Office, email: str) -> uuid.UUID:
    """The key of somebody's account."""
    found = site.value("SELECT id FROM backoffice_users WHERE email = :e", e=email)
    assert isinstance(found, uuid.UUID)
    return found


def change_account(browser: Browser, key: uuid.UUID, **changes: str | None) -> object:
    """Edit an account; what is said of it."""
    page = browser.get(f"/admin/account/edit/{key}")
    return browser.submit(page, changes)


def test_the_last_admin_stays(site: Office) -> None:
    """Neither demoted, nor deactivated, nor deleted, by the form or by force."""
    admin = site.browser("admin")
    key = account(site, "admin@example.org")
    for changes in ({"role": "viewer"}, {"is_active": None}):
        page = admin.get(f"/admin/account/edit/{key}")
        seen = admin.submit(page, changes)
        assert seen.status == 400
        assert next(iter(changes)) in seen.errors
    last = "This is the last active administrator; make another one first."
    assert last in admin.get(f"/admin/account/edit/{key}").text
    preview = admin.get(f"/admin/account/delete/{key}")
    assert last in preview.text
    assert preview.heading == "Ada Admin (admin@example.org) cannot be deleted"
    assert "Delete 1 record" not in preview.text
    assert "What hangs on" not in preview.text
    assert admin.submit(preview, {"sure": "yes"}).status == 409
    found = "SELECT role, is_active, deleted_at FROM backoffice_users WHERE id = :k"
    assert site.values(found, k=key) == [("admin", True, None)]
    assert admin.get("/admin/account/list").status == 200


def test_who_is_not_the_last_admin_is_told_of_oneself(site: Office) -> None:
    """Another administrator can; the page says so before anybody tries."""
    admin = site.browser("admin")
    other = {"email": "second@example.org", "name": "Second", "role": "admin"}
    page = admin.get("/admin/account/create")
    assert admin.submit(page, {**other, "password": "ten green bottles"}).status == 303
    own, second = (account(site, f"{n}@example.org") for n in ("admin", "second"))
    assert "another administrator can" in admin.get(f"/admin/account/delete/{own}").text
    preview = admin.get(f"/admin/account/delete/{second}")
    assert preview.heading.startswith("Delete Second")
    # Meanwhile the other one has become the last.
    site.run("UPDATE backoffice_users SET is_active = false WHERE id = :k", k=own)
    try:
        refused = admin.submit(preview, {"sure": "yes"})
    finally:
        site.run("UPDATE backoffice_users SET is_active = true WHERE id = :k", k=own)
    assert refused.status in {303, 401, 403}
    assert (
        site.value("SELECT deleted_at FROM backoffice_users WHERE id = :k", k=second)
        is None
    )
    assert admin.submit(preview, {"sure": "yes"}).status == 303


def test_nobody_lifts_themselves(site: Office) -> None:
    """The addresses of accounts are closed to all but admins, whatever is sent."""
    for role in ("ops", "editor", "viewer"):
        browser = site.browser(role)
        key = account(site, f"{role}@example.org")
        sent = {TOKEN: browser.token(), "role": "admin"}
        for path in (
            f"/admin/account/edit/{key}",
            "/admin/account/create",
            f"/admin/account/delete/{key}",
        ):
            assert browser.post(path, sent).status == 403, (role, path)
        for path in (
            f"/admin/account/details/{key}",
            f"/admin/account/history/{key}",
            "/admin/account/export/csv",
            "/admin/account/ajax/lookup?filter=role",
        ):
            assert browser.get(path).status == 403, (role, path)
    roles = "SELECT role FROM backoffice_users WHERE email = 'viewer@example.org'"
    assert site.value(roles) == Role.VIEWER


def test_accounts_are_made_and_refused_in_words(site: Office) -> None:
    """A weak password, an address that is taken, a role that there is not."""
    admin = site.browser("admin")
    page = admin.get("/admin/account/create")
    good = {
        "name": "New Person",
        "email": "new.person@example.org",
        "role": "viewer",
        "password": PASSWORD,
    }
    for changes, field in (
        ({"password": "short"}, "password"),
        ({"email": "VIEWER@example.org"}, "email"),
        ({"email": "no address"}, "email"),
        ({"role": "king"}, "role"),
    ):
        seen = admin.submit(page, {**good, **changes})
        assert (seen.status, list(seen.errors)) == (400, [field])
        assert PASSWORD not in seen.html
    assert admin.submit(page, good).status == 303
    key = account(site, "new.person@example.org")
    shown = admin.get(f"/admin/account/details/{key}")
    assert "argon2" not in shown.html
    told = admin.get(f"/admin/account/history/{key}")
    assert "argon2" not in told.html
    assert PASSWORD not in told.html


def test_a_deleted_persons_entries_stay(site: Office) -> None:
    """The history names them after their account has gone."""
    admin = site.browser("admin")
    made = {
        "name": "Leaving Soon",
        "email": "leaving@example.org",
        "role": "editor",
        "is_active": "true",
        "password": PASSWORD,
    }
    admin.submit(admin.get("/admin/account/create"), made)
    browser = site.stranger()
    page = browser.get("/admin/login")
    browser.submit(page, {"email": "leaving@example.org", "password": PASSWORD})
    course = site.add(make_course)
    form = browser.get(f"/admin/course/edit/{course.id}")
    assert browser.submit(form, {"title": "A last change"}).status == 303
    key = account(site, "leaving@example.org")
    gone = admin.submit(admin.get(f"/admin/account/delete/{key}"), {"sure": "yes"})
    assert gone.status == 303
    assert admin.get(f"/admin/account/details/{key}").status == 404
    assert "Leaving Soon" in admin.get(f"/admin/course/history/{course.id}").text
    assert browser.get("/admin/").status == 303


def test_strict_headers_stand_on_every_answer(site: Office) -> None:
    """Pages, refusals, redirects and files alike."""
    browser = site.browser("viewer")
    for path in ("/admin/", "/admin/nowhere", "/admin/student/create", "/nowhere"):
        headers = browser.get(path).response.headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"]
        assert "no-store" in headers["cache-control"]


def test_no_page_needs_what_the_policy_forbids(site: Office) -> None:
    """No inline script, style or handler, and nothing from elsewhere."""
    browser = site.browser("admin")
    key = site.value("SELECT min(id) FROM students")
    for path in (
        "/admin/",
        "/admin/student/list",
        f"/admin/student/edit/{key}",
        f"/admin/student/details/{key}",
        f"/admin/student/delete/{key}",
        "/admin/account",
    ):
        html = browser.get(path).html
        for word in (
            "<script>",
            " style=",
            " onclick=",
            "javascript:",
            "//cdn",
            "<style",
        ):
            assert word not in html, (path, word)


def test_who_prints_the_application_prints_no_key(site: Office) -> None:
    """A log or a shell that shows all of it has nothing to sign cookies with."""
    key = site.backoffice.secret_key
    assert key
    assert key not in repr(site.backoffice)
