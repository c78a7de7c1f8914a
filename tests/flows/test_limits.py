"""How long a statement may run and wait in a request's own transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, Engine, event

from tests.office import opened

NATURE = ("transaction_read_only", "transaction_isolation")
LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@contextmanager
def limits_seen(
    engine: Engine, names: tuple[str, ...] = LIMITS
) -> Iterator[list[tuple[str, ...]]]:
    """What SHOW says of the limits beside each statement, in its transaction."""
    found: list[tuple[str, ...]] = []

    def look(connection: Any, *_rest: Any) -> None:
        driver = connection.connection.driver_connection
        found.append(tuple(driver.execute(f"SHOW {n}").fetchone()[0] for n in names))

    event.listen(engine, "after_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(engine, "after_cursor_execute", look)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, ("5s", "3s", "30s")),
        (
            {
                "statement_timeout": 0.25,
                "lock_timeout": 2,
                "idle_in_transaction_timeout": 60,
            },
            ("250ms", "2s", "1min"),
        ),
    ],
)
def test_a_request_has_the_limits_of_the_settings(
    office_url: URL, quick_passwords: None, given: Any, shown: tuple[str, ...]
) -> None:
    """Every statement of a list, a form and a save runs under all three."""
    del quick_passwords
    with opened(office_url, database=given) as office:
        browser = office.browser("editor")
        key = office.value("SELECT min(id) FROM schools")
        with limits_seen(office.engine) as found:
            assert browser.get("/admin/school/list").status == 200
            page = browser.get(f"/admin/school/edit/{key}")
            name = f"Named within {shown[0]}"
            assert browser.submit(page, {"name": name}).status == 303
        assert len(found) > 6
        assert set(found) == {shown}


def test_a_page_that_is_opened_cannot_write(
    office_url: URL, quick_passwords: None
) -> None:
    """PostgreSQL would refuse it: a GET only reads, and all of one moment."""
    del quick_passwords
    with opened(office_url) as office:
        browser = office.browser("editor")
        key = office.value("SELECT min(id) FROM students")
        paths = (
            "list",
            "create",
            *(f"{p}/{key}" for p in ("details", "edit", "delete")),
        )
        with limits_seen(office.engine, NATURE) as read:
            for path in paths:
                assert browser.get(f"/admin/student/{path}").status == 200, path
        form = browser.get(f"/admin/student/edit/{key}")
        with limits_seen(office.engine, NATURE) as written:
            assert browser.submit(form, {"guardian": "Once more"}).status == 303
    assert set(read) == {("on", "repeatable read")}
    assert set(written) == {("off", "read committed")}


def test_an_export_has_a_limit_of_its_own(
    office_url: URL, quick_passwords: None
) -> None:
    """A file may take minutes; it waits for a lock no longer than a page."""
    del quick_passwords
    with opened(office_url, database={"export_timeout": 90}) as office:
        browser = office.browser("viewer")
        with limits_seen(office.backoffice.exports) as found:
            assert browser.get("/admin/school/export/csv").status == 200
    assert set(found) == {("90s", "3s", "30s")}
