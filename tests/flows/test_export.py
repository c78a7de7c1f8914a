"""The file of a list: exactly its rows, and nothing else."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import URL, func, select

from backoffice.admin.pages.export import FileOfRows
from backoffice.import_export.exporter import export_csv
from backoffice.web.middleware.request_context import BrokenOff
from tests.browser import Seen
from tests.factories import make_course, make_school, make_student
from tests.office import Office, opened


def rows_of(seen: Seen) -> list[list[str]]:
    """The lines of the file."""
    assert seen.status == 200, seen.text
    assert seen.response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(seen.response.content.decode("utf-8-sig"))))


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "status=active&status=graduated&sortBy=full_name&sort=desc",
        "search=a",
        "birth_date__from=2010-01-01&birth_date__to=2011-12-31&sortBy=code",
        "guardian__empty=yes",
    ],
)
def test_the_file_has_exactly_the_rows_of_the_list(site: Office, query: str) -> None:
    """All pages of them, in the same order, under the same heads."""
    browser = site.browser("viewer")
    listed = browser.get(f"/admin/student/list?{query}&pageSize=200")
    href = next(h for h in listed.hrefs() if "/export/csv" in h)
    head, *lines = rows_of(browser.get(href))
    assert head == listed.heads
    assert [line[0] for line in lines] == [row[0] for row in listed.rows]
    disposition = browser.get(href).response.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="student-')


def test_every_list_has_its_file(site: Office) -> None:
    """Searched, too: whatever its columns are joined from."""
    browser = site.browser("admin")
    for view in site.site.views:
        if not getattr(view, "can_export", False):
            continue
        for query in ("", "?search=a"):
            seen = browser.get(f"/admin/{view.identity}/export/csv{query}")
            assert seen.status == 200, (view.identity, query, seen.text)
            assert seen.response.content.startswith(b"\xef\xbb\xbf")


def test_the_file_is_not_cut_at_a_page(site: Office) -> None:
    """The page that one stands on does not matter."""
    browser = site.browser("viewer")
    number = site.value("SELECT count(*) FROM students")
    lines = rows_of(browser.get("/admin/student/export/csv?pageSize=20&page=2"))
    assert len(lines) == number + 1


def test_no_cell_is_a_formula(site: Office) -> None:
    """What a spreadsheet would compute is a text."""
    for at, evil in enumerate(("=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1")):
        site.add(make_course, code=f"EVIL-{at}", title=evil)
    browser = site.browser("viewer")
    for _, title, *_rest in rows_of(
        browser.get("/admin/course/export/csv?search=EVIL")
    )[1:]:
        assert title.startswith("'")


def test_nothing_is_nothing_and_an_empty_text_is_empty(site: Office) -> None:
    """No None, no Python."""
    school = site.add(make_school)
    site.add(make_student, school_id=school.id, email=None, birth_date=None)
    browser = site.browser("viewer")
    seen = browser.get(f"/admin/student/export/csv?school={school.id}")
    assert "None" not in seen.response.text
    assert "object at" not in seen.response.text
    line = rows_of(seen)[1]
    assert line[4] == ""
    assert line[2] == school.name


def test_accounts_are_exported_without_secrets(site: Office) -> None:
    """No hash in any file."""
    seen = site.browser("admin").get("/admin/account/export/csv")
    assert len(rows_of(seen)) == 5
    assert "argon2" not in seen.response.text


def test_two_files_at_once_are_the_most(site: Office) -> None:
    """The third is told to wait; when one has ended there is room again."""
    browser = site.browser("viewer")
    exports = site.site.exports
    assert exports.acquire(blocking=False)
    assert exports.acquire(blocking=False)
    seen = browser.get("/admin/course/export/csv")
    assert seen.status == 503
    assert seen.response.headers["retry-after"]
    exports.release()
    exports.release()
    for _ in range(3):
        assert browser.get("/admin/course/export/csv").status == 200


@contextmanager
def courses_that(site: Office, fail: str) -> Iterator[None]:
    """Enough courses for several chunks, of which the very first one fails so.

    It is the last one in the list's own order, and the first one by code.
    """
    site.run(
        "INSERT INTO courses (code, title, capacity) "
        "SELECT 'MANY-' || n, repeat('long ', 30), 1 FROM generate_series(1, 2000) n"
    )
    first = site.value("SELECT min(id) FROM courses")
    code = site.value("SELECT code FROM courses WHERE id = :id", id=first)
    site.run("UPDATE courses SET code = '  ' WHERE id = :id", id=first)
    site.run("ANALYZE courses")
    site.run("ALTER TABLE courses RENAME TO courses_kept")
    site.run(
        "CREATE VIEW courses AS SELECT id, code, title, enrolled, created_at, "
        f"updated_at, CASE WHEN id = {first} THEN {fail} ELSE capacity END AS capacity "
        "FROM courses_kept"
    )
    try:
        yield
    finally:
        site.run("DROP VIEW courses")
        site.run("ALTER TABLE courses_kept RENAME TO courses")
        site.run("DELETE FROM courses WHERE code LIKE 'MANY-%'")
        site.run("UPDATE courses SET code = :code WHERE id = :id", code=code, id=first)


def test_a_file_that_fails_before_its_first_rows_is_a_page(site: Office) -> None:
    """As long as nothing was sent there is a sentence, and no file."""
    browser = site.browser("viewer")
    with courses_that(site, "1 / 0"):
        for _ in range(3):
            seen = browser.get("/admin/course/export/csv?sortBy=code&sort=asc")
            assert seen.status == 400
            assert seen.heading == "That is no value for this"
            assert "content-disposition" not in seen.response.headers
    assert browser.get("/admin/course/export/csv").status == 200


def test_a_file_that_takes_too_long_to_begin_says_how_to_narrow_it(
    site: Office, office_url: URL
) -> None:
    """The limit of an export, in words."""
    slow = "length(pg_sleep(9)::text)"
    limits = {"export_timeout": 0.2}
    with courses_that(site, slow), opened(office_url, database=limits) as quick:
        seen = quick.browser("viewer").get(
            "/admin/course/export/csv?sortBy=code&sort=asc"
        )
        quick.backoffice.keeper.flush()
    logged = site.values(
        "SELECT view, action, actor_label FROM backoffice_slow_statements"
    )
    assert [*logged[0]] == ["course", "export", "Vera Viewer"]
    assert seen.status == 503
    assert seen.heading == "The export took too long and was stopped"
    assert "within 0.2 seconds" in seen.text
    assert "filter" in seen.text


def test_a_file_that_fails_later_breaks_off_and_is_logged(
    site: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a file never looks like a whole one; the log holds nobody's values."""
    browser = site.browser("viewer")
    secret = "length((SELECT full_name FROM students LIMIT 1)::int::text)"
    with courses_that(site, secret), pytest.raises(BrokenOff) as broken:
        browser.get("/admin/course/export/csv")
    assert broken.value.__suppress_context__
    assert "halfway through its answer" in caplog.text
    assert "SQLSTATE 22P02" in caplog.text
    assert "invalid input syntax" not in caplog.text
    assert browser.get("/admin/course/export/csv").status == 200


def test_who_goes_away_leaves_nothing_running(site: Office) -> None:
    """The statement is stopped, and the turn is free for somebody else."""
    call = SimpleNamespace(site=site.site)
    rows = export_csv(site.backoffice.exports, select(func.pg_sleep(60)), ["n"])
    response = FileOfRows(call, rows, "n.csv", "text/csv")  # type: ignore[arg-type]
    assert site.site.exports.acquire(blocking=False)

    async def gone() -> dict[str, str]:
        while not site.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%pg_sleep%'"
        ):
            await anyio.lowlevel.checkpoint()
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(message)

    anyio.run(response, {"type": "http", "method": "GET"}, gone, send)
    assert site.site.exports.acquire(blocking=False)
    assert site.site.exports.acquire(blocking=False)
    site.site.exports.release()
    site.site.exports.release()


def test_an_export_that_fails_gives_its_turn_back(
    site: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away costs no turn, and is a page."""

    def broken(*_args: object, **_kwargs: object) -> Iterator[bytes]:
        raise ConnectionError("gone")

    browser = site.browser("viewer")
    with monkeypatch.context() as patch:
        patch.setattr("backoffice.admin.pages.export.export_csv", broken)
        for _ in range(3):
            assert browser.get("/admin/course/export/csv").status == 500
    assert browser.get("/admin/course/export/csv").status == 200


def test_a_head_request_reads_no_rows(site: Office) -> None:
    """The same headers, no file; the turn is given back."""
    browser = site.browser("viewer")
    for _ in range(4):
        seen = browser.client.head("/admin/course/export/csv")
        assert seen.status_code == 200
        assert seen.headers["content-disposition"].startswith("attachment")
        assert not seen.content
