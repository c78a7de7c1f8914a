"""Nothing comes of explaining: every way to make something of it, tried."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import Engine, NullPool, create_engine, event, text

from backoffice.errors import Refused
from backoffice.explain.measuring_postgresql import CALL, INSTALL, PREPARED, REMOVE
from backoffice.explain.running_postgresql import (
    LOCK,
    Explained,
    How,
    Limits,
    explain,
    in_words,
)
from backoffice.explain.statement import Caught, without_values

CANARY = "canary7351"
DIGEST = "SELECT count(*) || md5(string_agg(people::text || xmin, ',')) FROM people"
SHORT = Limits(plan=1.0, run=0.4)


@pytest.fixture
def untouched(lab: Engine) -> Iterator[None]:
    """Not a row of the table may be another one afterwards, nor the sequence."""
    before = state(lab)
    yield
    assert state(lab) == before


def state(lab: Engine) -> Any:
    """The rows with their versions, and the sequence."""
    with lab.connect() as connection:
        rows = connection.scalar(text(DIGEST))
        last = connection.scalar(text("SELECT last_value FROM people_id_seq"))
        return rows, last


def explained(lab: Engine, sql: str, values: Any = None, **options: Any) -> Explained:
    """What came of one statement."""
    (one,) = explain(lab, [Caught("", sql, values)], **options).explained
    return one


def node(one: Explained) -> Any:
    """The outermost step of its plan."""
    return one.plan[0]["Plan"]


WAYS = [
    pytest.param({"values": {}}, id="planned"),
    pytest.param({}, id="generic"),
    pytest.param({"values": {}, "measure": True}, id="measured"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; COMMIT; UPDATE people SET name = 'x'; COMMIT",
        "SELECT 1; DELETE FROM people",
        "SELECT 1) DELETE FROM people --",
    ],
)
@pytest.mark.usefixtures("untouched")
def test_several_statements_are_none(
    lab: Engine, sql: str, way: dict[str, Any]
) -> None:
    """The protocol itself takes one statement at a time."""
    one = explained(lab, sql, **way)
    assert one.plan is None
    assert "not one complete statement" in one.problem


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM people",
        "UPDATE people SET name = 'x'",
        "INSERT INTO people (name) VALUES ('x')",
    ],
)
@pytest.mark.usefixtures("untouched")
def test_what_writes_is_planned_and_never_run(
    lab: Engine, sql: str, way: dict[str, Any]
) -> None:
    """Not even with a rollback: sequences would be used and triggers fired."""
    one = explained(lab, sql, **way)
    assert node(one)["Node Type"] == "ModifyTable"
    assert "Actual Rows" not in node(one)
    assert one.how is not How.MEASURED


@pytest.mark.parametrize(
    "sql",
    [
        "WITH gone AS (DELETE FROM people RETURNING 1) SELECT * FROM gone",
        "SELECT nextval('people_id_seq')",
        "SELECT * FROM people FOR UPDATE",
        "SELECT setval('people_id_seq', 99)",
        (
            "SELECT set_config('transaction_read_only', 'off', true), "
            "nextval('people_id_seq')"
        ),
    ],
)
@pytest.mark.usefixtures("untouched")
def test_what_writes_behind_a_select_is_refused(lab: Engine, sql: str) -> None:
    """The transaction only reads, and the role has no other right."""
    one = explained(lab, sql, {}, measure=True)
    assert one.plan is None
    assert one.problem


@pytest.mark.parametrize(
    "sql",
    [
        (
            "SELECT set_config('role', 'postgres', true), (SELECT count(*) FROM "
            "ts_stat('SELECT to_tsvector(pg_read_file(''/etc/passwd''))'))"
        ),
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT rolpassword FROM pg_authid",
        "SELECT set_config('session_authorization', 'postgres', true)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT pg_reload_conf()",
    ],
)
def test_nobody_becomes_somebody_else(lab: Engine, sql: str) -> None:
    """The role that measures cannot be left, and may do nothing but read tables."""
    one = explained(lab, sql, {}, measure=True)
    assert one.plan is None
    assert "may not do" in one.problem or "SQLSTATE" in one.problem


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_sleep(60)",
        "SELECT set_config('statement_timeout', '0', true), pg_sleep(60)",
        "SELECT count(*) FROM people a, people b, people c",
    ],
)
def test_what_takes_long_is_stopped(lab: Engine, sql: str) -> None:
    """Whatever the statement does about its limit."""
    one = explained(lab, sql, {}, measure=True, limits=SHORT)
    assert one.plan is None
    assert one.problem == "It was stopped after 0.4 s, the most it may take."


def test_a_locked_table_is_not_waited_for(lab: Engine) -> None:
    """Not by planning either; what the locks hold up is told."""
    with lab.begin() as connection:
        connection.execute(text("LOCK TABLE people IN ACCESS EXCLUSIVE MODE"))
        one = explained(lab, "SELECT * FROM people", {})
    assert "waited for a lock" in one.problem


def test_one_statement_is_measured_at_a_time(lab: Engine) -> None:
    """The second is told so; planning goes on meanwhile."""
    with lab.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        one = explained(lab, "SELECT * FROM people", {}, measure=True)
        assert one.problem == "Another statement is being measured; one at a time."
        assert explained(lab, "SELECT * FROM people", {}).plan
        other.rollback()


def test_an_error_tells_no_value(lab: Engine) -> None:
    """The server's own text repeats what it could not read."""
    for measure in (False, True):
        one = explained(
            lab,
            "SELECT * FROM people WHERE kind = %(a)s::text::int",
            {"a": CANARY},
            measure=measure,
        )
        assert one.problem == "The database refused it (SQLSTATE 22P02)."


def test_values_are_bound(lab: Engine) -> None:
    """They are in no text that is sent, and the plan is one for them."""
    sent: list[str] = []

    def note(_dbapi: Any, _record: Any) -> None:
        class Noting(psycopg.Cursor[Any]):
            def execute(self, query: Any, *args: Any, **kw: Any) -> Any:
                sent.append(str(query))
                return super().execute(query, *args, **kw)

        _dbapi.cursor_factory = Noting

    engine = create_engine(lab.url, poolclass=NullPool)
    event.listen(engine, "connect", note)
    for measure in (False, True):
        one = explained(
            engine,
            "SELECT * FROM people WHERE name = %(a)s::text AND kind = %(b)s::int",
            {"a": CANARY, "b": None},
            measure=measure,
        )
        assert one.problem == ""
    assert sent
    assert CANARY not in " ".join(sent)


@pytest.mark.parametrize(
    ("sql_type", "value"),
    [
        ("int", 5),
        ("int[]", [1, 2]),
        ("text[]", ["a", 'b"c', None]),
        ("numeric", Decimal("1.50")),
        ("date", date(2001, 2, 3)),
        ("timestamptz", datetime(2001, 2, 3, 4, 5, tzinfo=UTC)),
        ("interval", timedelta(days=2, seconds=3)),
        ("uuid", UUID(int=7)),
        ("bytea", b"\x00\xff'"),
        ("boolean", True),
        ("text", "it's \\ $1 %s"),
        ("text", None),
        ("jsonb", Jsonb({"a": [1, None]})),
        ("float8", 1e300),
    ],
)
def test_a_value_of_any_type_is_measured_as_it_is(
    lab: Engine, sql_type: str, value: Any
) -> None:
    """The function gets texts; each becomes what the driver would have sent."""
    sql = f"SELECT %(a)s::{sql_type} IS NOT DISTINCT FROM %(b)s::{sql_type}"
    planned = explained(
        lab, f"SELECT 1 WHERE ({sql})", {"a": value, "b": value}, measure=True
    )
    assert planned.problem == ""
    assert planned.plan[0]["Plan"]["Actual Rows"] == 1


def test_a_statement_without_values_has_a_generic_plan(lab: Engine) -> None:
    """On every version: `$1` stays `$1`."""
    one = explained(lab, "SELECT * FROM people WHERE id = $1 AND name LIKE $2")
    assert one.how is How.GENERIC
    assert "$1" in node(one)["Index Cond"]


def test_what_cannot_be_planned_without_its_values_says_who_has_them(
    lab: Engine,
) -> None:
    """Where the server cannot tell the type of one of them."""
    sql = "SELECT %(a)s + %(b)s"
    bare = without_values(
        Caught("", sql, {"a": 1, "b": 2}), "", "admin may.", "postgresql"
    )
    (one,) = explain(lab, [bare]).explained
    assert one.problem == (
        "Without its values the type of one of them is not known. admin may."
    )
    assert explained(lab, "SELECT $1 + $2").problem.endswith("with its values.")


def test_a_statement_without_values_is_not_measured(lab: Engine) -> None:
    """There is nothing to run it with."""
    one = explained(lab, "SELECT * FROM people WHERE id = $1", measure=True)
    assert one.how is How.GENERIC
    assert "Actual Rows" not in node(one)


def test_a_measured_plan_has_everything(lab: Engine) -> None:
    """Times, buffers and WAL; what later versions add, there."""
    one = explained(
        lab, "SELECT * FROM people WHERE kind = %(a)s::int", {"a": 3}, measure=True
    )
    assert one.how is How.MEASURED
    assert node(one)["Rows Removed by Filter"] > 2_000
    assert node(one)["Shared Hit Blocks"] > 0
    with lab.connect() as connection:
        version = connection.connection.driver_connection.info.server_version  # type: ignore[union-attr]
    assert ("Serialization" in one.plan[0]) is (version >= 170_000)


def test_the_rest_goes_on_after_a_refusal(lab: Engine) -> None:
    """One bad statement of several takes nothing from the others."""
    answer = explain(
        lab,
        [
            Caught("", "SELECT * FROM nothing_here", {}),
            Caught("", "SELECT * FROM people", {}),
        ],
        measure=True,
    )
    first, second = answer.explained
    assert "not there any more" in first.problem
    assert second.plan
    assert answer.catalog.tables["people"].rows == 3000


def test_what_is_no_statement_reaches_no_server() -> None:
    """It is refused before a connection is asked for."""
    nowhere = create_engine("postgresql+psycopg://nobody@/none?host=/nonexistent")
    with pytest.raises(Refused):
        explain(nowhere, [Caught("", "COMMIT", {})])


def test_the_connection_is_not_used_again(lab: Engine) -> None:
    """Whatever was set or prepared on it ends with it."""
    pooled = create_engine(lab.url, pool_size=1, max_overflow=0)
    explain(pooled, [Caught("", "SELECT * FROM people WHERE id = $1")])
    with pooled.connect() as connection:
        left = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
        mode = connection.scalar(text("SHOW plan_cache_mode"))
    pooled.dispose()
    assert (left, mode) == (0, "auto")


@pytest.mark.parametrize("values", [None, {}])
@pytest.mark.parametrize("measure", [False, True])
def test_a_statement_is_planned_with_the_settings_it_runs_with(
    lab: Engine, *, values: Any, measure: bool
) -> None:
    """It alone; the next one is planned as ever."""
    sql = "SELECT * FROM people WHERE id = 5"
    off = {"enable_indexscan": "off", "enable_bitmapscan": "off"}
    one = Caught("", sql, values, settings=off)
    answer = explain(lab, [one, Caught("", sql, values)], measure=measure)
    first, second = answer.explained
    assert (node(first)["Node Type"], first.problem) == ("Seq Scan", "")
    assert node(second)["Node Type"] == "Index Scan"


def test_two_at_once_do_not_disturb_each_other(lab: Engine) -> None:
    """Plans are asked for in parallel, each on a connection of its own."""
    problems: list[str] = []

    def work() -> None:
        one = explained(lab, "SELECT * FROM people WHERE id = %(a)s::int", {"a": 1})
        problems.append(one.problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [""] * 4


# The function itself, without what stands around it


@pytest.fixture
def driver(lab: Engine) -> Iterator[psycopg.Connection]:
    """A connection of the application's role, past everything of ours."""
    raw = lab.raw_connection()
    found = raw.driver_connection
    assert isinstance(found, psycopg.Connection)
    yield found
    raw.invalidate()


def test_the_function_measures_in_reading_transactions_alone(
    driver: psycopg.Connection,
) -> None:
    """Whoever calls it."""
    driver.execute(f"PREPARE {PREPARED} AS SELECT 1")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        driver.execute(CALL, [[], "ANALYZE"])


@pytest.mark.parametrize(
    "options", ["ANALYZE) SELECT 1; --", "ANALYZE, FORMAT XML; COMMIT", "", "analyze"]
)
def test_the_function_takes_options_and_nothing_else(
    driver: psycopg.Connection, options: str
) -> None:
    """No statement can be smuggled in with them."""
    driver.execute("SET TRANSACTION READ ONLY")
    driver.execute(f"PREPARE {PREPARED} AS SELECT 1")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        driver.execute(CALL, [[], options])


def test_the_function_quotes_its_values(driver: psycopg.Connection) -> None:
    """What looks like SQL in a value stays a value."""
    driver.execute("SET TRANSACTION READ ONLY")
    driver.execute(f"PREPARE {PREPARED} AS SELECT 1 WHERE $1::text LIKE '%;%'")
    row = driver.execute(CALL, [["'); DELETE FROM people; --"], "ANALYZE"]).fetchone()
    assert row is not None
    assert row[0][0]["Plan"]["Actual Rows"] == 1


def test_the_function_of_a_superuser_does_nothing(lab: Engine) -> None:
    """It would be a way past everything: it refuses, and measuring is off."""
    with lab.begin() as connection:
        connection.execute(
            text(
                "ALTER FUNCTION backoffice_explain.measure(text[], text) "
                "OWNER TO CURRENT_USER"
            )
        )
    try:
        answer = explain(lab, [Caught("", "SELECT 1", {})], measure=True)
        assert "superuser" in answer.why_not_measured
        assert answer.explained[0].how is How.PLANNED
    finally:
        with lab.begin() as connection:
            connection.execute(text(INSTALL))


def test_without_the_role_measuring_is_off(empty_database: Any) -> None:
    """Plans are there all the same, and it is said why."""
    engine = create_engine(empty_database, poolclass=NullPool)
    answer = explain(engine, [Caught("", "SELECT 1", {})], measure=True)
    assert "not set up" in answer.why_not_measured
    assert answer.explained[0].how is How.PLANNED
    assert answer.explained[0].plan


def test_the_set_up_can_be_repeated_and_undone(empty_database: Any) -> None:
    """Twice is once; undone, nothing of it is in the database."""
    engine = create_engine(empty_database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(INSTALL))
        connection.execute(text(INSTALL))
    sql = Caught("", "SELECT 1", {})
    assert explain(engine, [sql], measure=True).explained[0].how is How.MEASURED
    with engine.begin() as connection:
        connection.execute(text(REMOVE))
        left = connection.scalar(text("SELECT count(*) FROM pg_default_acl"))
    assert left == 0
    assert explain(engine, [sql], measure=True).why_not_measured


def test_a_table_made_later_can_be_measured(empty_database: Any) -> None:
    """A project's own migrations come after ours."""
    engine = create_engine(empty_database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(INSTALL))
        connection.execute(text("CREATE TABLE later (id int)"))
    one = explained(engine, "SELECT * FROM later", {}, measure=True)
    assert one.how is How.MEASURED
    assert one.problem == ""


def test_accounts_cannot_be_read_by_who_measures(demo_engine: Engine) -> None:
    """Passwords are hashed, and out of reach all the same."""
    engine = create_engine(demo_engine.url, poolclass=NullPool)
    one = explained(engine, "SELECT * FROM backoffice_users", {}, measure=True)
    assert "may not do" in one.problem
    one = explained(engine, "SELECT * FROM students", {}, measure=True)
    assert one.problem == ""


def test_a_lost_connection_is_said_in_words() -> None:
    """An error without a code is none of the server's."""
    assert in_words(psycopg.OperationalError("x"), 1) == (
        "The database did not answer to the end."
    )
