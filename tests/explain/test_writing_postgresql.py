"""What writes is run only when that is asked for, and leaves what is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backoffice.explain.running_postgresql import (
    LOCK,
    Explained,
    How,
    Limits,
    explain,
)
from backoffice.explain.statement import Caught

SHORT = Limits(plan=1.0, run=0.4)
DIGEST = "SELECT count(*) || md5(string_agg(people::text || xmin, ',')) FROM people"
TRIGGER = """
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER people_stamp BEFORE UPDATE ON people
  FOR EACH ROW EXECUTE FUNCTION stamp();
"""


@pytest.fixture(scope="module", autouse=True)
def a_trigger(lab: Engine) -> None:
    """One that fires on each changed row."""
    with lab.begin() as connection:
        connection.execute(text(TRIGGER))


@pytest.fixture(autouse=True)
def untouched(lab: Engine) -> Iterator[None]:
    """Not a row of the table may be another one afterwards, whatever was run."""
    before = rows(lab)
    yield
    assert rows(lab) == before


def rows(lab: Engine) -> Any:
    """All rows with their versions."""
    with lab.connect() as connection:
        return connection.scalar(text(DIGEST))


def run(engine: Engine, sql: str, values: Any = None, **options: Any) -> Explained:
    """What came of one statement that was to be run and undone."""
    given = {} if values is None else values
    (one,) = explain(
        engine, [Caught("", sql, given)], measure=True, writes=True, **options
    ).explained
    return one


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("UPDATE people SET name = 'x' WHERE kind = %(a)s::int", "people_stamp"),
        ("DELETE FROM people WHERE kind = %(a)s::int", "until the next vacuum"),
        (
            "INSERT INTO people (name, kind) SELECT name, %(a)s::int FROM people",
            "Numbers that it took from people_id_seq are not given back.",
        ),
        (
            (
                "WITH a AS (UPDATE people SET kind = 9 WHERE kind = %(a)s::int "
                "RETURNING 1) SELECT count(*) FROM a"
            ),
            "people_stamp",
        ),
    ],
)
def test_what_writes_is_measured_and_undone(plain: Engine, sql: str, left: str) -> None:
    """Times and rows are real, the rows are as they were, and what stays is named."""
    one = run(plain, sql, {"a": 3})
    assert one.problem == ""
    assert one.how is How.UNDONE
    assert one.plan[0]["Execution Time"] > 0
    assert "Actual Rows" in one.plan[0]["Plan"]
    assert left in " ".join(one.not_undone)


def test_what_only_reads_is_still_run_by_the_reading_role(plain: Engine) -> None:
    """It gets no more rights because others of the report write."""
    one = run(plain, "SELECT * FROM people", {})
    assert one.how in (How.MEASURED, How.PLANNED)
    assert one.not_undone == ()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE people SET name = 'x'; COMMIT",
        "DELETE FROM people; COMMIT; SELECT 1",
        "UPDATE people SET name = 'x' RETURNING 1) SELECT 1 --",
    ],
)
def test_several_statements_are_none(plain: Engine, sql: str) -> None:
    """The protocol takes one: a COMMIT cannot follow."""
    one = run(plain, sql)
    assert one.plan is None
    assert "not one complete statement" in one.problem


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE people SET name = 'x' WHERE pg_sleep(60) IS NOT NULL",
        (
            "UPDATE people SET name = "
            "set_config('statement_timeout', '0', true) || pg_sleep(60)"
        ),
    ],
)
def test_what_takes_long_is_stopped(plain: Engine, sql: str) -> None:
    """Whatever it does about its limit."""
    one = run(plain, sql, limits=SHORT)
    assert one.problem == "It was stopped after 0.4 s, the most it may take."


def test_a_locked_row_is_not_waited_for(lab: Engine, plain: Engine) -> None:
    """Staff who hold it go on, and it is said."""
    with lab.connect() as other:
        other.execute(text("SELECT * FROM people WHERE id = 1 FOR UPDATE"))
        one = run(plain, "UPDATE people SET kind = 1 WHERE id = 1")
        other.rollback()
    assert "waited for a lock" in one.problem


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE people SET name = set_config('role', 'postgres', true)",
        "UPDATE people SET name = pg_read_file('/etc/passwd')",
        "UPDATE pg_class SET relname = 'x'",
    ],
)
def test_it_has_no_more_rights_than_the_application(plain: Engine, sql: str) -> None:
    """What the application may not do is refused, without a word of what was read."""
    one = run(plain, sql)
    assert one.plan is None
    assert one.problem


def test_without_values_it_is_not_run(plain: Engine) -> None:
    """There is nothing to run it with."""
    (one,) = explain(
        plain,
        [Caught("", "UPDATE people SET name = $1")],
        measure=True,
        writes=True,
    ).explained
    assert one.how is How.GENERIC


def test_a_superuser_runs_nothing_that_writes(lab: Engine) -> None:
    """It could do more than write rows; the plan is there all the same."""
    sql = Caught("", "UPDATE people SET name = 'x'", {})
    answer = explain(lab, [sql], measure=True, writes=True)
    assert "is a superuser here" in answer.why_not_written
    assert answer.explained[0].how is How.PLANNED
    assert answer.explained[0].plan


def test_one_statement_is_run_at_a_time(lab: Engine, plain: Engine) -> None:
    """The second is told so."""
    with lab.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        one = run(plain, "UPDATE people SET name = 'x'")
        other.rollback()
    assert one.problem == "Another statement is being measured; one at a time."


def test_what_is_checked_at_the_end_is_checked(lab: Engine, plain: Engine) -> None:
    """A deferred constraint speaks, though there is no commit."""
    with lab.begin() as connection:
        connection.execute(
            text(
                "ALTER TABLE people ADD CONSTRAINT once UNIQUE (name) "
                "DEFERRABLE INITIALLY DEFERRED"
            )
        )
    one = run(plain, "UPDATE people SET name = 'the same'")
    assert "there already" in one.problem
