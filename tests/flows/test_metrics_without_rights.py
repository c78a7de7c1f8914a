"""What is said where the database's role may not see what other roles do."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape as html
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from tests.factories import make_course
from tests.office import Office, opened

ROLES = ("plain_site", "plain_other")


@pytest.fixture(scope="module")
def plain(server: Engine, office_url: URL, quick_passwords: None) -> Iterator[Office]:
    """The site as a role of its own database, as an own server gives it: no more."""
    engine = create_engine(office_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as link:
        for role in ROLES:
            link.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'plain'"))
            link.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
            link.execute(text(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    site = office_url.set(username=ROLES[0], password="plain")
    with opened(site, database={"lock_timeout": 3.0}) as office:
        yield office
    with engine.connect() as link:
        for role in ROLES:
            link.execute(text(f"DROP OWNED BY {role}"))
            link.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@contextmanager
def other(office: Office, role: str = ROLES[1]) -> Iterator[Connection]:
    """A session of another role, in a transaction."""
    url = office.engine.url.set(username=role, password="plain")
    # Without a pool: closed even where the test fails in between.
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as link:
        link.execute(text("SELECT 1"))
        yield link


def lock(link: Connection, key: Any) -> int:
    """Lock a course's row; the session's pid."""
    link.execute(text("UPDATE courses SET title = title WHERE id = :id"), {"id": key})
    return int(link.scalar(text("SELECT pg_backend_pid()")) or 0)


def live_of(office: Office) -> str:
    """What stands under "Live now"."""
    page = office.browser("ops").get("/admin/metrics").response.text
    found = re.search(r'id="live".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_whom_it_may_not_see_is_not_nobody(plain: Office) -> None:
    """The panel, both checks and the probe say what is missing: never zero or OK."""
    with other(plain):
        assert re.search(r"no rights to see \d session", live_of(plain))
        assert "nobody waits" not in live_of(plain)
        page = plain.browser("ops").get("/admin/metrics?format=json").response.json()
        by_rule = {one["rule"]: one for one in page["verdicts"]}
        for rule in ("locks", "sessions"):
            assert by_rule[rule]["health"] == "unknown"
            assert "grant pg_monitor" in by_rule[rule]["text"]
        machine = TestClient(plain.app, client=("127.0.0.1", 1))
        health = machine.get("/healthz").json()
        assert health["checks"]["database:lock_wait"][0]["status"] == "unknown"
        assert health["status"] == "warn"


def test_all_connections_are_counted(plain: Office) -> None:
    """Those of other roles, too."""
    every = "SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL"

    def is_counted() -> bool:
        number = plain.value(every)
        with other(plain), other(plain):
            page = plain.browser("ops").get("/admin/metrics?format=json")
        verdicts = page.response.json()["verdicts"]
        text_of = {one["rule"]: one["text"] for one in verdicts}
        found = re.match(r"at most (\d+) of", text_of["server connections"])
        assert found is not None
        return bool(int(found[1]) >= number + 2)

    # Sessions of earlier tests may still be ending, and be counted before alone.
    assert any(is_counted() for _ in range(20))


def test_a_wait_is_seen_all_the_same(plain: Office) -> None:
    """Who waits for whom stands in the locks, which every role may read."""
    course = plain.add(make_course)
    with other(plain) as first, other(plain) as second:
        pid = lock(first, course.id)
        thread = threading.Thread(target=lock, args=(second, course.id))
        thread.start()
        try:
            while f">pid {pid}</a>" not in (found := live_of(plain)):
                assert thread.is_alive()
            assert f"waits for {pid}" in found
            assert "sessions of other roles: grant pg_monitor" in found
            assert (
                plain.browser("ops").get(f"/admin/metrics/connection/{pid}").status
                == 200
            )
        finally:
            first.rollback()
            thread.join()


@contextmanager
def waiting(office: Office, blocker: Connection, waiter: Connection) -> Iterator[int]:
    """One waits for the other meanwhile; the pid of who waits."""
    course = office.add(make_course)
    lock(blocker, course.id)
    pid = int(waiter.scalar(text("SELECT pg_backend_pid()")) or 0)

    def wait() -> None:
        with suppress(DBAPIError):  # where it is cancelled
            lock(waiter, course.id)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        while f">pid {pid}</a>" not in live_of(office):
            assert thread.is_alive()
        yield pid
    finally:
        blocker.rollback()
        thread.join()


def line_of(office: Office, pid: int, role: str = "admin") -> str:
    """What stands in a session's line of "Live now"."""
    page = office.browser(role).get("/admin/metrics").response.text
    return next(one for one in page.split("<tr") if f">pid {pid}</a>" in one)


@pytest.mark.parametrize("role", ["ops", "admin"])
def test_what_may_not_be_signalled_is_not_offered(
    plain: Office, server: Engine, role: str
) -> None:
    """It is said why: in its line, and on its page; with the grant it is offered."""
    site, needs = ROLES[0], "grant pg_signal_backend to the database's role"
    browser = plain.browser(role)
    with server.connect() as link:
        link.execute(text(f"GRANT pg_monitor TO {site}"))
    try:
        with (
            other(plain) as first,
            other(plain) as second,
            waiting(plain, first, second) as pid,
        ):
            line = line_of(plain, pid, role)
            assert "Cancel…" not in line
            assert f"no rights to signal the role {ROLES[1]}: {needs}" in html(line)
            page = browser.get(f"/admin/metrics/connection/{pid}")
            assert "It cannot be ended from here: no rights to signal" in page.text
            assert not [f for f in page.page.forms if "connection" in f.action]
            with server.connect() as link:
                link.execute(text(f"GRANT pg_signal_backend TO {site}"))
            assert "Cancel…" in line_of(plain, pid, role)
            page = browser.get(f"/admin/metrics/connection/{pid}")
            assert "cannot be ended" not in page.text
            ended = browser.submit(page, button="Cancel its statement")
            assert "The cancel was sent." in browser.follow(ended).text
    finally:
        with server.connect() as link:
            link.execute(text(f"REVOKE pg_monitor, pg_signal_backend FROM {site}"))


def test_a_superusers_session_is_no_ones_to_end(plain: Office, server: Engine) -> None:
    """Also with pg_signal_backend; that of the site's own role is, without it."""
    site = ROLES[0]
    with server.connect() as link:
        link.execute(text(f"GRANT pg_monitor, pg_signal_backend TO {site}"))
    try:
        url = server.url.set(database=plain.engine.url.database)
        engine = create_engine(url, poolclass=NullPool)
        with (
            other(plain) as first,
            engine.connect() as second,
            waiting(plain, first, second) as pid,
        ):
            assert "Cancel…" not in line_of(plain, pid)
            page = plain.browser("admin").get(f"/admin/metrics/connection/{pid}")
            assert "is a superuser, and only a superuser may signal it" in page.text
    finally:
        with server.connect() as link:
            link.execute(text(f"REVOKE pg_monitor, pg_signal_backend FROM {site}"))
    with (
        other(plain, site) as first,
        other(plain, site) as second,
        waiting(plain, first, second) as pid,
    ):
        assert "Cancel…" in line_of(plain, pid)


def test_what_may_not_be_seen_is_not_offered_to_be_ended(plain: Office) -> None:
    """Its statement is not known, so nothing could name it; it is said what helps."""
    with other(plain) as link:
        pid = int(link.scalar(text("SELECT pg_backend_pid()")) or 0)
        page = plain.browser("admin").get(f"/admin/metrics/connection/{pid}")
        assert "no rights to see what it does: grant pg_monitor" in page.text
        assert not [f for f in page.page.forms if "connection" in f.action]


def test_the_one_in_the_way_of_a_save_has_a_page(plain: Office) -> None:
    """A role that may not see it names no one, and its link leads somewhere."""
    course = plain.add(make_course)
    ops = plain.browser("admin")
    form = ops.get(f"/admin/course/edit/{course.id}")
    with other(plain) as first:
        pid = lock(first, course.id)
        seen = ops.submit(form, {"title": "Another"})
        assert seen.status == 409
        assert "Somebody else has been writing this" in seen.text
        assert ops.get(f"/admin/metrics/connection/{pid}").status == 200
        first.rollback()
