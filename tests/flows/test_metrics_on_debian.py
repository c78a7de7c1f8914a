"""The metrics on Debian's PostgreSQL 15, with pg_stat_statements and without."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from backoffice.database.migrations import upgrade
from tests.debian import debian_server
from tests.factories import make_course
from tests.office import Office, add_people, opened
from tests.projects import demo_project

PAGES = ("", "?top=new", "/connections", "/checks", "/findings", "/tables")


@pytest.fixture(scope="module", params=["plain", "pg_stat_statements", "not created"])
def debian(
    request: pytest.FixtureRequest, quick_passwords: None
) -> Iterator[tuple[Office, str]]:
    """The site on a server of its own, with people and some courses; and its kind."""
    settings = {}
    if request.param != "plain":
        settings["shared_preload_libraries"] = "pg_stat_statements"
    with debian_server(**settings) as (url, _):
        engine = create_engine(url)
        upgrade(engine, demo_project(), report=lambda _line: None)
        add_people(engine)
        if request.param == "pg_stat_statements":
            with engine.begin() as connection:
                connection.execute(text("CREATE SCHEMA counting"))
                connection.execute(
                    text("CREATE EXTENSION pg_stat_statements SCHEMA counting")
                )
        engine.dispose()
        with opened(url, observability={"sampled_reads": 1.0}) as office:
            for number in range(30):
                office.add(make_course, title=f"Course {number}")
            for _ in range(3):
                office.fresh("editor").get("/admin/course/list?search=course")
            office.backoffice.keeper.flush()
            office.backoffice.keeper.measure()
            # The first look connects, which a busy machine may not do in its deadline.
            office.browser("ops").get("/admin/metrics")
            yield office, request.param


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(debian: tuple[Office, str], page: str) -> None:
    """With every panel read."""
    seen = debian[0].browser("ops").get(f"/admin/metrics{page}")
    assert seen.status == 200, seen.text
    assert "Try again" not in seen.text


def test_all_panels_are_measured(debian: tuple[Office, str]) -> None:
    """None is unknown, and the numbers of pool, tables and views are there."""
    office, _ = debian
    data = office.browser("ops").client.get("/admin/metrics?format=json").json()
    states = {name: one["state"] for name, one in data["panels"].items()}
    assert states.pop("file") == "does not apply"
    states.pop("new")
    assert set(states.values()) == {"measured"}
    assert "unknown" not in {one["health"] for one in data["verdicts"]}
    sizes = {one["name"]: one["data_size"] for one in data["tables"]}
    assert sizes["public.courses"] == office.value("SELECT pg_table_size('courses')")
    views = {(one["view"], one["action"]): one for one in data["views"]}
    assert views["course", "list"]["sampled"] == 3
    assert views["course", "list"]["rows_read_each"] >= 1


def test_the_servers_own_numbers_stand_beside_ours(debian: tuple[Office, str]) -> None:
    """Where it counts: calls and rows of each statement, by its query id."""
    office, kind = debian
    ops = office.browser("ops")
    found = office.backoffice.keeper.picture().top_statements(view="course", limit=20)
    known = [one for one in found if one.table and one.operation in {"SELECT", "WITH"}]
    assert len(known) >= 2
    pages = [ops.get(f"/admin/metrics/statement/{one.fingerprint}") for one in known]
    if kind != "pg_stat_statements":
        assert not [page for page in pages if "As the server counts" in page.text]
        return
    for one, page in zip(known, pages, strict=True):
        rows = {row[0]: row[1:] for row in page.rows if len(row) == 3}
        # Other views send the same: who asks, for one.
        assert int(rows["Calls"][1]) >= one.calls, one.text
        assert int(rows["Rows"][1]) >= one.rows
        assert "Blocks found in memory" in rows
        (query_id,) = re.findall(r"Query id (-?\d+)", page.text)
        calls = office.value(
            "SELECT sum(calls) FROM counting.pg_stat_statements WHERE queryid = :id",
            id=int(query_id),
        )
        # Pages that were opened since ask who is there, as this one did.
        assert one.calls <= int(rows["Calls"][1]) <= calls


def test_probes_answer(debian: tuple[Office, str]) -> None:
    """All of them, and the exposition with the server's numbers."""
    machine = TestClient(debian[0].app, client=("127.0.0.1", 5))
    for path in ("/livez", "/startupz", "/readyz", "/healthz"):
        assert machine.get(path).status_code == 200, path
    assert "pg_up 1.0" in machine.get("/metrics").text
