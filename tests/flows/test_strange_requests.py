"""Keys, pages, bytes and methods that nobody should send: pages, never a 500."""

import json
from urllib.parse import quote, urlencode

import pytest

from backoffice.admin.own_names import STATE, TOKEN
from tests.factories import make_course, make_student
from tests.office import Office, opened

KEYS = [
    "abc",
    "1.0",
    "-1",
    "0",
    "1;2",
    "9" * 5000,
    "99999999999999999999",
    "2147483648",
    "9223372036854775808",
    "%20",
    "1%00",
    "1/2",
    "../1",
    "%F0%9F%92%A9",
    "NaN",
    "1e3",
    "+1",
    " 1",
    "٣",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_bad_key_is_not_found(site: Office, key: str) -> None:
    """On every page of a record: 404 as a page; NUL is no address at all."""
    browser = site.browser("admin")
    for page in ("details", "edit", "delete", "history"):
        seen = browser.get(f"/admin/student/{page}/{key}")
        assert seen.status == (400 if "%00" in key else 404), page
        assert seen.heading
        assert "Traceback" not in seen.html


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "9" * 18, "%D9%A3", "-1"])
def test_a_bad_number_is_not_found(site: Office, number: str) -> None:
    """However long it is, also where it stands in an address of ours."""
    browser = site.browser("admin")
    for page in ("runs", "explain", "metrics/connection"):
        seen = browser.get(f"/admin/{page}/{number}")
        assert (seen.status, bool(seen.heading)) == (404, True), page


@pytest.mark.parametrize("key", ["abc", "12", "x" * 36, "0" * 32])
def test_a_bad_uuid_is_not_found(site: Office, key: str) -> None:
    """Keys of accounts are of another kind."""
    assert site.browser("admin").get(f"/admin/account/details/{key}").status == 404


def test_a_record_that_is_not_there_is_not_found(site: Office) -> None:
    """Also where something is sent to it."""
    browser = site.browser("editor")
    assert browser.get("/admin/student/details/123456789").status == 404
    sent = {TOKEN: browser.token(), STATE: "x"}
    assert browser.post("/admin/student/edit/123456789", sent).status == 404
    assert browser.post("/admin/student/delete/123456789", sent).status == 404


QUERIES = [
    "page=0",
    "page=-1",
    "page=abc",
    "page=99999999999999999999",
    "pageSize=0",
    "pageSize=100000",
    "sortBy=password_hash",
    "sortBy=full_name;drop",
    "sortBy=full_name&sort=sideways",
    "status=unknown",
    "school=abc",
    "school=99999999999999999999999",
    "birth_date__from=yesterday",
    "birth_date__to=2012-02-30",
    "nonsense=1",
    "search=" + "x" * 400,
    "search=a&search=b",
    "school__empty=maybe",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_bad_query_says_so_and_lists_nothing(site: Office, query: str) -> None:
    """What is wrong stands on the page; no row is shown, and none exported."""
    browser = site.browser("viewer")
    seen = browser.get(f"/admin/student/list?{query}")
    assert seen.status == 400
    assert not [row for row in seen.rows if len(row) > 2]
    file = browser.get(f"/admin/student/export/csv?{query}")
    if not query.startswith(("page", "pageSize")):
        assert file.status == 400
        assert "Nothing is exported" in file.heading


def test_a_page_past_the_end_says_how_long_the_list_is(site: Office) -> None:
    """404, no rows, and the ways to the first page and to the last."""
    browser = site.browser("viewer")
    seen = browser.get("/admin/school/list?page=999")
    assert seen.status == 404
    assert "The list is not that long" in seen.text
    assert seen.link("First page") == "/admin/school/list"
    assert "Last page" not in [label for label, _ in seen.page.links]
    seen = browser.get("/admin/student/list?pageSize=20&page=999")
    last = browser.get(seen.link("Last page"))
    assert (last.status, bool(last.rows)) == (200, True)
    assert "Next" not in [label for label, _ in last.page.links]


@pytest.mark.parametrize(
    "path", ["/admin/student/list?search=%00", "/admin/%FF", "/%C3%28"]
)
def test_bytes_that_are_no_text_are_refused(site: Office, path: str) -> None:
    """400 as a page."""
    assert site.browser("viewer").get(path).status == 400


def test_a_form_of_bytes_that_are_no_text_saves_nothing(site: Office) -> None:
    """400 as a page; the record keeps the name that it has."""
    key = site.value("SELECT min(id) FROM schools")
    name = site.value("SELECT name FROM schools WHERE id = :k", k=key)
    browser = site.browser("editor")
    form = browser.get(f"/admin/school/edit/{key}").form()
    body = urlencode(form.data({"name": "Broken"}), doseq=True)
    seen = browser.post(
        form.action,
        headers={"content-type": "application/x-www-form-urlencoded"},
        content=body.replace("Broken", "Br%F6ken"),
    )
    assert seen.status == 400
    assert "no UTF-8 text" in seen.text
    assert site.value("SELECT name FROM schools WHERE id = :k", k=key) == name


def test_a_list_that_is_not_there_is_not_found(site: Office) -> None:
    """And so is a view's page that there is not."""
    browser = site.browser("admin")
    for path in (
        "/admin/nothing/list",
        "/admin/student/nothing",
        "/admin/student/import",
        "/admin/student/export/json",
        "/admin/student/1/notes/download/",
        "/admin/nothing",
        "/nothing",
        "/static/x",
    ):
        seen = browser.get(path)
        assert seen.status == 404, path
        assert seen.heading == "Not found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_an_unknown_method_is_refused_as_a_page(site: Office, method: str) -> None:
    """405, and what would be right in `Allow`."""
    browser = site.browser("admin")
    here = {"sec-fetch-site": "same-origin"}
    seen = browser.client.request(method, "/admin/student/list", headers=here)
    assert seen.status_code == 405
    assert "<h1" in seen.text
    assert "This address does not take what was sent." in seen.text
    assert 'href="/admin/">To the start</a>' in seen.text
    assert "GET" in seen.headers["allow"]


def test_a_request_that_is_turned_away_has_a_way_on(site: Office) -> None:
    """Before any page is asked there is no menu: a button leads to the start."""
    seen = site.browser("admin").get("/admin/student/list?search=%ff")
    assert seen.status == 400
    assert seen.link("To the start") == "/"


def test_a_view_alone_leads_to_its_list(site: Office) -> None:
    """As people type it; what was asked for stays."""
    browser = site.browser("viewer")
    assert browser.get("/admin/student").location == "/admin/student/list"
    metrics = site.browser("ops").get("/admin/metrics/?top=failing")
    assert metrics.location == "/admin/metrics?top=failing"
    away = browser.get("/admin//elsewhere.example/")
    assert away.location in ("", "/admin/elsewhere.example")
    seen = browser.get("/admin/report-card/?semester=3")
    assert seen.location == "/admin/report-card/list?semester=3"
    assert site.stranger().get("/admin/student").location.startswith("/admin/login")


def test_machines_get_json(site: Office) -> None:
    """Refusals and faults in a form that a script reads."""
    browser = site.browser("admin")
    for path, status in (
        ("/admin/student/details/abc", 404),
        ("/admin/nothing", 404),
        ("/nothing", 404),
    ):
        seen = browser.client.get(path, headers={"accept": "application/json"})
        assert seen.status_code == status
        assert set(seen.json()) == {"error", "detail"}


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/admin/school/list?page=0", 400, "There is no page “0”"),
        ("/admin/school/list?page=999", 404, "The list is not that long. It has "),
        ("/admin/student/list?status=gone", 400, "Status: gone is not one of: "),
        ("/admin/student/export/csv?status=gone", 400, "gone is not one of: "),
        ("/admin/history?nothing=1", 400, "nothing is not a filter"),
    ],
)
def test_machines_get_json_for_what_is_wrong_in_an_address(
    site: Office, path: str, status: int, detail: str
) -> None:
    """The sentences of the page, and no page."""
    browser = site.browser("admin")
    seen = browser.client.get(path, headers={"accept": "application/json"})
    assert seen.status_code == status
    assert set(seen.json()) == {"error", "detail"}
    assert detail in seen.json()["detail"]


def test_machines_are_told_what_would_be_right_in_the_headers(site: Office) -> None:
    """As people's browsers are: the methods that there are, when to try again."""
    browser = site.browser("viewer")
    headers = {"accept": "application/json", "sec-fetch-site": "same-origin"}
    seen = browser.client.request("PUT", "/admin/student/list", headers=headers)
    assert (seen.status_code, seen.json()["error"]) == (405, "Not this way")
    assert "GET" in seen.headers["allow"]
    assert site.site.exports.acquire(blocking=False)
    assert site.site.exports.acquire(blocking=False)
    try:
        seen = browser.client.get("/admin/course/export/csv", headers=headers)
    finally:
        site.site.exports.release()
        site.site.exports.release()
    assert (seen.status_code, seen.headers["retry-after"]) == (503, "5")
    assert "2 run at a time" in seen.json()["detail"]


def test_machines_get_json_for_a_form_that_is_refused(site: Office) -> None:
    """Each field with its sentence."""
    browser = site.browser("editor")
    page = browser.get("/admin/school/create")
    seen = browser.post(
        "/admin/school/create",
        page.form().data({"name": ""}),
        headers={"accept": "application/json"},
    )
    assert seen.status == 400
    assert seen.response.json()["error"] == "New school"
    assert "Name: " in seen.response.json()["detail"]


def test_a_body_that_is_too_large_is_refused(site: Office) -> None:
    """413 as a page, and nothing is read on."""
    browser = site.browser("editor")
    seen = browser.post("/admin/course/create", {"title": "x" * 10_100_000})
    assert seen.status == 413
    assert "10 MB" in seen.text


def test_a_form_of_too_many_fields_is_refused(site: Office) -> None:
    """400 as a page."""
    browser = site.browser("editor")
    sent = {f"f{number}": "x" for number in range(2_000)}
    assert browser.post("/admin/course/create", sent).status == 400


def test_a_file_where_a_text_belongs_is_refused(site: Office) -> None:
    """400 as a page."""
    browser = site.browser("editor")
    course = site.add(make_course)
    seen = browser.client.post(
        f"/admin/course/edit/{course.id}",
        files={"title": ("x.txt", b"content")},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert seen.status_code == 400


def test_nul_and_depth_are_refused_on_their_fields(site: Office) -> None:
    """A character that nothing can store; a document nested a hundred thousand deep."""
    browser = site.browser("editor")
    page = browser.get("/admin/text-analysis/create")
    seen = browser.submit(page, {"text": "a\x00b"})
    assert (seen.status, list(seen.errors)) == (400, ["text"])
    for document in (
        "[" * 100_000 + "]" * 100_000,
        '{"a": NaN}',
        '{"a": "\\u0000"}',
        "{'a': 1}",
    ):
        seen = browser.submit(page, {"text": "fine", "emotions": document})
        assert (seen.status, list(seen.errors)) == (400, ["emotions"])


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("price", "NaN"),
        ("price", "1e400"),
        ("price", "1.239"),
        ("price", "-1"),
        ("price", "99999999999"),
        ("stock", "2147483648"),
        ("stock", "1.5"),
        ("stock", "x"),
        ("name", "n" * 201),
        ("name", ""),
    ],
)
def test_a_value_that_does_not_fit_is_said_on_its_field(
    site: Office, field: str, text: str
) -> None:
    """What was typed stays; no SQL, no other column."""
    browser = site.browser("editor")
    page = browser.get("/admin/product/create")
    good = {"name": "Fits", "category": "Office", "price": "1.00", "stock": "1"}
    seen = browser.submit(page, {**good, field: text})
    assert (seen.status, list(seen.errors)) == (400, [field])
    assert seen.form().value(field) == text
    for word in ("INSERT", "psycopg", "DETAIL", "constraint", "ck_", "Traceback"):
        assert word not in seen.text


def test_a_lookup_survives_any_term(site: Office) -> None:
    """Wildcards, quotes, kilobytes and emptiness find what is there, or nothing."""
    browser = site.browser("editor")
    for term in (
        "%",
        "_",
        "\\",
        "'",
        '"',
        "x" * 5_000,
        "",
        " ",
        "💩",
        "99999999999999",
    ):
        path = f"/admin/report-card/ajax/lookup?field=student&term={quote(term)}"
        seen = browser.client.get(path)
        assert seen.status_code == 200, term
        assert len(json.loads(seen.text)["choices"]) <= 20
    assert browser.get("/admin/report-card/ajax/lookup?field=nothing").status == 404
    assert browser.get("/admin/report-card/ajax/lookup").status == 404


def test_wildcards_in_a_search_are_letters(site: Office) -> None:
    """A percent sign finds a percent sign."""
    site.add(make_course, title="Hundred % sure")
    browser = site.browser("viewer")
    seen = browser.get("/admin/course/list?search=%25")
    assert [row[1] for row in seen.rows] == ["Hundred % sure"]
    assert browser.get("/admin/course/list?search=_%25_").rows == []


def test_markup_in_values_is_text(site: Office) -> None:
    """In lists, details, forms, lookups, errors, messages and the history."""
    evil = "<img src=x onerror=alert(1)>\"'"
    student = site.add(make_student, full_name=evil, guardian="</textarea><b>")
    browser = site.browser("editor")
    for path in (
        f"/admin/student/list?school={student.school_id}",
        f"/admin/student/details/{student.id}",
        f"/admin/student/edit/{student.id}",
        f"/admin/student/delete/{student.id}",
        f"/admin/student/history/{student.id}",
        f"/admin/student/list?search={quote(evil)}",
        f"/admin/student/list?{quote(evil)}=1",
        f"/admin/student/details/{quote(evil, safe='')}",
    ):
        html = browser.get(path).html
        assert "<img" not in html, path
        assert "<b>" not in html, path


def test_hosts_that_are_not_ours_are_refused(site: Office) -> None:
    """An address is never built from a host that anybody has sent."""
    with opened(site.engine.url, web={"allowed_hosts": ["office.example.org"]}) as own:
        browser = own.stranger()
        seen = browser.get("/admin/", headers={"host": "evil.example"})
        assert seen.status == 400
        assert (
            browser.get("/admin/", headers={"host": "office.example.org"}).status == 303
        )
    for href in site.browser("viewer").get("/admin/").hrefs():
        assert href.startswith(("/", "#"))
