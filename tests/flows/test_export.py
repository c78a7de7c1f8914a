"""The file of a list: exactly its rows, and nothing else."""

import csv
import io
from collections.abc import Iterator

import pytest

from tests.browser import Seen
from tests.factories import make_course, make_school, make_student
from tests.office import Office


def rows_of(seen: Seen) -> list[list[str]]:
    """The lines of the file."""
    assert seen.status == 200, seen.text
    assert seen.response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(seen.response.content.decode())))


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
