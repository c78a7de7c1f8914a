"""What ops see while the pool is full, the catalogue locked, or the database away.

Every page answers within its deadlines, says what is wrong, and never says "0" or "OK"
of what it could not read.
"""

import html
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import psycopg
import pytest
from playwright.sync_api import Route, sync_playwright
from sqlalchemy import URL, create_engine, text
from starlette.testclient import TestClient

from backoffice.admin.assets import all_assets
from backoffice.admin.ops_answer import VIEWER_DEADLINE
from backoffice.admin.ops_pass import VALID_FOR
from backoffice.database.migrations import upgrade
from backoffice.observability.judgement import RULES
from backoffice.observability.ops_connection import (
    DEADLINE,
    OpsReader,
    make_ops_engine,
)
from backoffice.web.endpoints import FURTHER
from tests.browser import Seen
from tests.frozen import Send, freezing_server
from tests.office import Office, add_people, opened
from tests.projects import demo_project

CHROMIUM = shutil.which("chromium") or ""
PROBES = ("/livez", "/readyz", "/healthz", "/metrics")


@pytest.fixture
def small(office_url: URL) -> Iterator[Office]:
    """The site with three connections."""
    pool = {"pool_size": 2, "max_overflow": 1, "pool_timeout": 0.2}
    with opened(office_url, database=pool) as office:
        yield office


@pytest.fixture(scope="module")
def frozen(office_url: URL) -> Iterator[tuple[Office, Send]]:
    """The site on a server that can be frozen, with people and no rows.

    Its database is called as the other one of this module, for processes to meet by
    that name.
    """
    with freezing_server() as (server_url, send):
        server = create_engine(server_url, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{office_url.database}"'))
        server.dispose()
        url = server_url.set(database=office_url.database)
        engine = create_engine(url)
        upgrade(engine, demo_project(), report=lambda _line: None)
        add_people(engine)
        engine.dispose()
        with opened(url, database={"pool_timeout": 0.2}) as office:
            yield office, send


@contextmanager
def held(office: Office, number: int) -> Iterator[None]:
    """So many connections of the staff's pool are somebody's meanwhile."""
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(office.engine.connect())
        yield


def machine(office: Office) -> TestClient:
    """A program on this machine."""
    return TestClient(office.app, client=("127.0.0.1", 5))


@contextmanager
def waits(office: Office) -> Iterator[list[float]]:
    """How long each wait for the ops connection may be that begins meanwhile."""
    reader = office.backoffice.ops
    limits: list[float] = []
    within = reader._within

    def noted(deadline: float, work: Any) -> Any:
        limits.append(deadline)
        return within(deadline, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_within", noted)
        yield limits


def test_a_full_pool_is_named_with_its_share(small: Office) -> None:
    """With every connection held the page answers, and says whose pool it is."""
    browser = small.browser("ops")
    with held(small, 3):
        seen = browser.get("/admin/metrics")
    assert seen.status == 200
    assert "Unhealthy" in seen.text
    assert "uses 3 of its 3 connections (100 %)" in seen.text


def test_exactly_four_fifths_are_healthy(office_url: URL) -> None:
    """Four of five are not above 80 %, five are."""
    pool = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 0.2}
    with opened(office_url, database=pool) as office:
        client = machine(office)
        with held(office, 4):
            fine = client.get("/healthz").json()["pools"][0]
        with held(office, 5):
            full = client.get("/healthz")
    assert (fine["utilization_percent"], fine["healthy"]) == (80.0, True)
    assert full.status_code == 503
    assert full.json()["pools"][0]["healthy"] is False


def test_who_was_turned_away_is_counted(small: Office) -> None:
    """A request without a connection is a timeout of the pool, by its view."""
    browser = small.browser("viewer")
    with held(small, 3):
        assert browser.get("/admin/course/list").status == 503
    status = small.backoffice.keeper.pools()[0]
    assert status.timeouts == 1
    sums = small.backoffice.keeper.picture().top_statements("failing")
    assert [(one.view, one.operation) for one in sums] == [("course", "CONNECT")]


def test_probes_answer_while_the_pool_is_full(small: Office) -> None:
    """All four, without a connection of the pool; a full pool is still ready."""
    client = machine(small)
    with held(small, 3):
        codes = {path: client.get(path).status_code for path in PROBES}
        exposed = client.get("/metrics").text
    assert codes == {"/livez": 200, "/readyz": 200, "/healthz": 503, "/metrics": 200}
    assert 'connection_count{db_client_connection_pool_name="default"' in exposed
    assert "pg_up 1.0" in exposed


def test_all_threads_taken_hold_nobody_up(small: Office) -> None:
    """With every turn of the staff's pages taken the ops page and probes answer."""
    cookies = dict(small.browser("ops").client.cookies)

    async def play() -> list[httpx.Response]:
        limiters = (small.site.limiter, small.site.threads)
        taken = [
            (limiter, object())
            for limiter in limiters
            for _ in range(int(limiter.total_tokens))
        ]
        for limiter, holder in taken:
            await limiter.acquire_on_behalf_of(holder)
        transport = httpx.ASGITransport(app=small.app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", cookies=cookies
        ) as client:
            seen = [await client.get(path) for path in ("/admin/metrics", *PROBES)]
        for limiter, holder in taken:
            limiter.release_on_behalf_of(holder)
        return seen

    assert [one.status_code for one in anyio.run(play)] == [200] * 5


def test_threads_that_never_end_are_no_life(
    small: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at work for a minute, others waiting, and none has ended."""
    codes: list[int] = []

    async def play() -> None:
        limiter = small.site.limiter
        taken = [object() for _ in range(int(limiter.total_tokens))]
        for holder in taken:
            await limiter.acquire_on_behalf_of(holder)
        transport = httpx.ASGITransport(app=small.app, client=("127.0.0.1", 5))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
            anyio.create_task_group() as tasks,
        ):
            codes.append((await client.get("/livez")).status_code)
            tasks.start_soon(limiter.acquire_on_behalf_of, object())
            await anyio.lowlevel.checkpoint()
            codes.append((await client.get("/livez")).status_code)
            monkeypatch.setattr(small.site.answering, "ended_at", float("-inf"))
            codes.append((await client.get("/livez")).status_code)
            for holder in taken:
                limiter.release_on_behalf_of(holder)
            codes.append((await client.get("/livez")).status_code)

    anyio.run(play)
    assert codes == [200, 200, 500, 200]


def test_what_was_read_last_is_shown_dated(small: Office) -> None:
    """Sizes of a moment ago stay, with when they were read, while none can be."""
    browser = small.browser("ops")
    browser.get("/admin/metrics")
    own = create_engine(small.engine.url)
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE pg_catalog.pg_class"))
        seen = browser.get("/admin/metrics")
    own.dispose()
    assert re.search(r"Largest table \w+, [\d.]+ [kM]B", seen.text)
    assert re.search(
        r"Table sizes, dead rows: timed out.{0,40}\. Last read \d\d:\d\d:\d\d",
        seen.text,
    )


def test_probes_answer_while_the_catalogue_is_locked(small: Office) -> None:
    """All four, over the connection that they had: the database is there."""
    assert machine(small).get("/readyz").status_code == 200
    small.backoffice.pulse._cache.clear()
    own = create_engine(small.engine.url)
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE pg_catalog.pg_class"))
        codes = [machine(small).get(path).status_code for path in PROBES]
    own.dispose()
    assert codes == [200] * 4


def test_a_locked_catalogue_leaves_panels_unread(small: Office) -> None:
    """Sizes that cannot be read are said to be timed out, and the rest is there."""
    browser = small.browser("ops")
    browser.get("/admin/metrics")
    own = create_engine(small.engine.url)
    with own.begin() as connection:
        connection.execute(text("LOCK TABLE pg_catalog.pg_class"))
        with waits(small) as limits:
            seen = browser.get("/admin/metrics")
    own.dispose()
    assert seen.status == 200
    assert "Table sizes, dead rows: timed out" in seen.text
    # Who asks, and all panels together: there is no third wait.
    assert len(limits) == 2
    assert limits[0] == VIEWER_DEADLINE
    assert limits[1] < DEADLINE


def test_each_statement_of_the_ops_connection_has_a_limit(small: Office) -> None:
    """Its own, and one for locks: the server ends what the page would wait for."""
    with small.backoffice.ops.engine.connect() as link:
        limits = {
            name: link.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "lock_timeout", "application_name")
        }
    assert limits == {
        "statement_timeout": "300ms",
        "lock_timeout": "200ms",
        "application_name": "backoffice-ops",
    }


def test_a_frozen_database_leaves_the_page_open(frozen: tuple[Office, Send]) -> None:
    """Whom the database knew a moment ago may read on, and is told so."""
    office, send = frozen
    browser = office.fresh("ops")
    assert browser.get("/admin/metrics").status == 200
    send(signal.SIGSTOP)
    try:
        with waits(office) as limits:
            seen = browser.get("/admin/metrics")
        codes = [machine(office).get(path).status_code for path in PROBES]
        exposed = machine(office).get("/metrics").text
    finally:
        send(signal.SIGCONT)
    assert seen.status == 200, seen.text
    assert "the database does not answer" in seen.text
    assert "The database does not say who you are" in seen.text
    assert codes == [200, 503, 503, 200]
    assert "pg_up 0.0" in exposed
    # The first waited to its end for who asks; the second had what was left.
    assert len(limits) == 2
    assert sum(limits) <= DEADLINE


def test_the_cookie_for_bad_times_is_for_reading_only(
    frozen: tuple[Office, Send],
) -> None:
    """While it is all that is left nothing can be ended or reset."""
    office, send = frozen
    browser = office.fresh("admin")
    page = browser.get("/admin/metrics")
    send(signal.SIGSTOP)
    try:
        seen = browser.submit(page, action="/admin/metrics/reset")
        shown = browser.get("/admin/metrics")
    finally:
        send(signal.SIGCONT)
    assert seen.status == 503
    assert shown.status == 200
    with pytest.raises(AssertionError):
        shown.form("/admin/metrics/reset")


def test_the_cookie_opens_nothing_without_its_session(
    frozen: tuple[Office, Send],
) -> None:
    """A stolen cookie, or one that outlived a logout, leads to the login."""
    office, send = frozen
    known = office.fresh("ops")
    known.get("/admin/metrics")
    thief = office.stranger()
    thief.client.cookies.set(
        "backoffice_ops", known.client.cookies["backoffice_ops"], path="/"
    )
    send(signal.SIGSTOP)
    try:
        seen = thief.get("/admin/metrics")
    finally:
        send(signal.SIGCONT)
    assert seen.status == 303
    assert seen.location.startswith("/admin/login")


def test_the_cookie_is_nobodys_who_may_not_see(frozen: tuple[Office, Send]) -> None:
    """An editor gets none, and is refused."""
    office, _send = frozen
    browser = office.fresh("editor")
    seen = browser.get("/admin/metrics")
    assert seen.status == 403
    assert "the role admin or ops" in seen.text
    assert "backoffice_ops" not in browser.client.cookies


def test_the_cookie_does_not_prolong_itself(frozen: tuple[Office, Send]) -> None:
    """Written for ten minutes at the last check, it is not written by what it opens."""
    office, send = frozen
    browser = office.fresh("ops")
    first = browser.get("/admin/").response.headers.get_list("set-cookie")
    assert not any("backoffice_ops" in one for one in first) or str(VALID_FOR) in str(
        first
    )
    send(signal.SIGSTOP)
    try:
        sent = browser.get("/admin/metrics").response.headers.get_list("set-cookie")
    finally:
        send(signal.SIGCONT)
    assert not any("backoffice_ops" in one for one in sent)


def test_a_database_that_is_not_there(office_url: URL) -> None:
    """With nothing at its address probes say so, and nothing of the address."""
    with opened(office_url) as office:
        gone = office_url.set(database="there_is_no_such_database")
        reader = OpsReader(make_ops_engine(gone, office.backoffice.settings.database))
        office.backoffice.pulse._reader = reader
        answers = {path: machine(office).get(path) for path in PROBES}
        reader.engine.dispose()
    assert answers["/livez"].status_code == 200
    assert answers["/readyz"].status_code == 503
    assert answers["/healthz"].json()["status"] == "fail"
    assert "pg_up 0.0" in answers["/metrics"].text
    assert "there_is_no_such" not in answers["/readyz"].text


def test_a_clock_that_was_set_back_is_told(
    office_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour back: no page breaks, no number is negative, and the metrics say so."""
    with opened(office_url, observability={"slow_ms": 0}) as office:
        browser = office.fresh("ops")
        keeper = office.backoffice.keeper
        browser.get("/admin/course/list")
        keeper.report()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 3_600)
        keeper.recorder.clock = keeper.clock_watch._clock = time.time
        browser.get("/admin/course/list")
        keeper.report()
        keeper.flush()
        keeper.measure()
        seen = browser.get("/admin/metrics")
        data = browser.client.get("/admin/metrics?format=json").json()
        fingerprint = data["statements"][0]["fingerprint"]
        others = [
            browser.get(f"/admin/metrics/{page}")
            for page in (f"statement/{fingerprint}", "checks", "tables", "connections")
        ]
        exposed = machine(office).get("/metrics").text
        minutes = [one.at for one in keeper.recorder.minutes]
    assert [one.status for one in others] == [200] * 4
    assert "Warning" in seen.text
    assert "it was set back by 3,600 s" in others[1].text
    for one in (seen, *others):
        assert not re.search(r"[-\N{MINUS SIGN}]\d[\d.,]* ?(ms|s|min|h|%)", one.text)
    assert not re.search(r"^\w\S* -", exposed, re.MULTILINE)
    assert minutes == sorted(minutes)
    assert minutes[-1] <= (now() - 3_600) // 60 + 1


def foot_of(seen: Seen) -> str:
    """What stands at the foot of the menu."""
    found = re.search(r'<span class="dot \w+">(.*?)</span>', seen.response.text)
    assert found is not None
    return found[1]


def test_the_menu_says_what_the_page_says(frozen: tuple[Office, Send]) -> None:
    """A database that does not answer is not "Healthy, pool 0 %"."""
    office, send = frozen
    browser = office.fresh("ops")
    browser.get("/admin/")
    send(signal.SIGSTOP)
    try:
        seen = browser.get("/admin/metrics")
        other = browser.get("/admin/metrics/findings")
    finally:
        send(signal.SIGCONT)
    assert re.search(r"Unhealthy[^:]*: the database does not answer\.", seen.text)
    assert foot_of(seen) == foot_of(other) == "Unhealthy: database"


def test_the_round_of_one_is_the_word_of_all(
    frozen: tuple[Office, Send], office_url: URL
) -> None:
    """Judged without anybody looking, by one process; the others' menus say it."""
    office, send = frozen
    directory = office.backoffice.settings.observability.metrics_directory
    with opened(office_url, observability={"metrics_directory": directory}) as other:
        browser = other.fresh("ops")
        send(signal.SIGSTOP)
        try:
            office.backoffice.judging.look()
            seen = browser.get("/admin/course/list")
        finally:
            send(signal.SIGCONT)
    assert foot_of(seen) == "Unhealthy: database"


def test_the_probe_looks_at_all_that_the_page_looks_at(small: Office) -> None:
    """Each of its rules is a check."""
    checks = machine(small).get("/healthz").json()["checks"]
    own = {"pool:default:utilization", "database:connection", "database:migrations"}
    assert set(checks) == own | set(FURTHER.values())
    assert {*FURTHER, "utilization", "connection", "migrations"} == {
        rule.name for rule in RULES
    }


def test_a_pool_without_a_limit_says_what_it_cannot(office_url: URL) -> None:
    """Neither healthy nor not: it has no limit to be measured by."""
    database = {"pool": "null"}
    with opened(office_url, database=database) as office, office.engine.connect():
        pool = machine(office).get("/healthz").json()["pools"][0]
    assert pool["healthy"] is None
    assert "has no limit but the server's" in pool["cannot"][0]


def test_a_server_that_refuses_moves_the_errors(office_url: URL) -> None:
    """Each page is a 503; the tile, the pool and /metrics count, with the code."""
    with opened(office_url) as office:
        ops, viewer = office.fresh("ops"), office.fresh("viewer")
        office.engine.dispose()
        with pytest.MonkeyPatch.context() as patch:
            gone = office_url.set(database="there_is_no_such_database")
            name, options = office.engine.dialect.create_connect_args(gone)
            patch.setattr(
                office.engine.dialect,
                "connect",
                lambda *_a, **_k: psycopg.connect(*name, **options),
            )
            seen = viewer.get("/admin/course/list")
        assert seen.status == 503
        page = ops.get("/admin/metrics").text
        assert re.search(r"Errors 1 in 60 min", page)
        exposed = machine(office).get("/metrics").text
        failing = ops.get("/admin/metrics?top=failing").text
    name = 'backoffice_pool_refused_total{db_client_connection_pool_name="default"}'
    assert f"{name} 1.0" in exposed
    assert "CONNECT" in failing


def test_a_server_that_does_not_answer_is_a_503(frozen: tuple[Office, Send]) -> None:
    """A connection that came too late is no fault of the page."""
    office, send = frozen
    browser = office.fresh("viewer")
    office.engine.dispose()
    send(signal.SIGSTOP)
    try:
        seen = browser.get("/admin/course/list")
    finally:
        send(signal.SIGCONT)
    assert seen.status == 503
    failed = office.backoffice.keeper.picture().top_statements("failing")
    assert [one.operation for one in failed] == ["CONNECT"]


def house_of(seen: Seen) -> str:
    """What stands under "Housekeeping"."""
    found = re.search(r'id="house".*?</section>', seen.response.text, re.DOTALL)
    assert found is not None
    return html.unescape(re.sub(r"<[^>]+>", " ", found[0]))


def test_what_was_known_is_shown_dated(frozen: tuple[Office, Send]) -> None:
    """Sizes and connections of the last reading; what was not checked is unknown."""
    office, send = frozen
    browser = office.fresh("ops")
    browser.get("/admin/metrics")
    send(signal.SIGSTOP)
    try:
        found = house_of(browser.get("/admin/metrics"))
    finally:
        send(signal.SIGCONT)
    assert re.search(r"Database .* PostgreSQL 15.*, as of \d\d:\d\d:\d\d", found)
    assert re.search(r"Connections .* of \d+, as of", found)
    assert re.search(r"Largest table .*, as of", found)
    assert "Settings at odds none" not in " ".join(found.split())


def test_logging_in_without_a_connection_says_what_is_open(small: Office) -> None:
    """With the pool full nobody can log in; who is logged in may look at once."""
    browser = small.stranger()
    with held(small, 3):
        seen = browser.get("/admin/login")
    assert seen.status == 503
    assert "whoever is logged in already can open the metrics now" in seen.text


def test_in_trouble_what_is_no_cause_is_folded_up(small: Office) -> None:
    """Statements and views in a line each, unless somebody asks for them."""
    browser = small.fresh("ops")
    browser.get("/admin/course/list")
    with held(small, 3):
        folded = browser.get("/admin/metrics").response.text
        asked = browser.get("/admin/metrics?top=slowest").response.text
    calm = browser.get("/admin/metrics?top=total").response.text
    assert '<details class="card fold" id="statements">' in folded
    assert re.search(r"\d+\s% of the time is \w+", folded)
    assert '<section class="card" id="statements">' in asked
    assert '<section class="card" id="statements">' in calm


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="There is no Chromium on this machine.")
def test_in_trouble_the_page_is_two_screens(small: Office) -> None:
    """With a full pool, everything slow and a lock waited for: 1,800 pixels at most."""
    ops = small.fresh("ops")
    for name in ("course", "student", "order", "product", "post"):
        ops.get(f"/admin/{name}/list")
    small.backoffice.keeper.recorder.slow_ns = 0
    ops.get("/admin/school/list")
    small.backoffice.keeper.flush()
    with held(small, 3):
        drawn = ops.get("/admin/metrics").html
    assert "Unhealthy" in drawn

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        asset = all_assets().files.get(name)
        if asset is None:
            route.fulfill(body=drawn, content_type="text/html; charset=utf-8")
        else:
            route.fulfill(body=asset.body, content_type=asset.media_type)

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.route("**/*", answer)
        page.goto("http://backoffice.test/admin/metrics")
        height = page.evaluate("document.documentElement.scrollHeight")
        width = page.evaluate("document.documentElement.scrollWidth")
        overflow = page.evaluate(
            "[...document.querySelectorAll('.box')]"
            ".filter(one => one.scrollWidth > one.clientWidth).length"
        )
        chromium.close()
    assert height <= 1_800
    assert width == 1_280
    assert overflow == 0
