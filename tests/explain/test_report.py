"""A report is stored without anybody's values, and read as it was made."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

from backoffice.database.session import ACTOR, Actor
from backoffice.errors import RecordNotFound
from backoffice.explain.memory import KEPT_REPORTS, KEPT_SECONDS, Memory
from backoffice.explain.models import ExplainReport
from backoffice.explain.report import (
    Question,
    latest,
    load,
    make_report,
    store,
)
from backoffice.explain.running_postgresql import Limits
from backoffice.explain.statement import Caught
from backoffice.explain.telling import all_findings

CANARY = "canary7351"
ASKED = Caught(
    "Rows",
    "SELECT * FROM students WHERE full_name ILIKE %(a)s::text AND id > 73511",
    {"a": f"%{CANARY}%"},
)


@pytest.fixture
def engine_of_demo(demo_session: Session) -> Engine:
    """Connections that end with their use, on the demo's tables."""
    bind = demo_session.get_bind()
    return create_engine(bind.engine.url, poolclass=NullPool)


def test_what_is_stored_holds_no_value(
    demo_session: Session, engine_of_demo: Engine
) -> None:
    """Neither text nor number, in no column and in no finding."""
    made = make_report(engine_of_demo, Question("Students", (ASKED,)))
    assert CANARY in json.dumps(made.plans)
    number = store(demo_session, made.report)
    row = demo_session.get(ExplainReport, number)
    assert row is not None
    stored = json.dumps(
        [row.content, row.title, row.verdict], default=str, ensure_ascii=False
    )
    assert CANARY not in stored
    assert "7351" not in stored
    assert "'%…%'" in stored


def test_a_report_is_read_as_it_was_made(
    demo_session: Session, engine_of_demo: Engine
) -> None:
    """Nothing is asked of the database but the row itself."""
    demo_session.info[ACTOR] = Actor("1", "Olga Ops")
    made = make_report(engine_of_demo, Question("Students", (ASKED,)))
    number = store(demo_session, made.report)
    demo_session.expire_all()
    row, report = load(demo_session, number)
    assert report == made.report
    assert row.actor_label == "Olga Ops"
    assert [one.id for one in latest(demo_session, limit=1)] == [number]
    assert number not in [
        one.id for one in latest(demo_session, limit=5, before=number)
    ]


def test_a_report_that_is_not_there(demo_session: Session) -> None:
    """It says so."""
    with pytest.raises(RecordNotFound):
        load(demo_session, 987_654_321)


def test_a_statement_without_a_plan_says_why(engine_of_demo: Engine) -> None:
    """The report is there all the same."""
    bad = Caught("Rows", "SELECT * FROM nowhere", {})
    report = make_report(engine_of_demo, Question("x", (bad,))).report
    assert report.verdict.startswith("There is no plan: It names a table")
    assert report.severity == 0


def test_a_statement_that_is_not_sent_is_left_out(engine_of_demo: Engine) -> None:
    """The first plan tells which of the others a page would send."""
    seen: list[Any] = []

    def is_needed(one: Caught, plan: Any) -> bool:
        seen.append(plan[0]["Plan"]["Node Type"])
        return one.title == "Rows"

    other = Caught("Others", "SELECT 1", {})
    count = Caught("Count", "SELECT count(*) FROM students", {})
    question = Question("x", (count, other, ASKED), is_needed=is_needed)
    report = make_report(engine_of_demo, question).report
    assert [one.title for one in report.statements] == ["Count", "Rows"]
    assert len(seen) == 2


def test_the_same_advice_is_given_once(engine_of_demo: Engine) -> None:
    """Two statements with one trouble are one finding."""
    with engine_of_demo.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    report = make_report(engine_of_demo, Question("x", (ASKED, ASKED))).report
    headings = [one.heading for _, one in all_findings(report) if one.rule != "P1"]
    assert len(headings) == len(set(headings))


class Clock:
    """A clock that goes when it is told to."""

    now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def test_values_are_forgotten_after_a_quarter_of_an_hour() -> None:
    """To the second, and not before."""
    clock = Clock()
    memory = Memory(clock)
    memory.keep(1, (ASKED,), (None,))
    clock.now += KEPT_SECONDS - 1
    assert memory.recall(1) is not None
    clock.now += 1
    assert memory.recall(1) is None


def test_values_of_few_reports_are_kept() -> None:
    """The memory is bounded: the oldest goes first."""
    memory = Memory(Clock())
    for number in range(KEPT_REPORTS + 5):
        memory.keep(number, (), ())
    assert memory.recall(4) is None
    assert memory.recall(5) is not None


def test_values_of_large_reports_make_room() -> None:
    """It is bounded in bytes, too; what was forgotten takes none."""
    clock = Clock()
    memory = Memory(clock, most=10_000)
    long = Caught("Rows", "SELECT 1", {"a": "x" * 3_000})
    for number in range(5):
        memory.keep(number, (long,), ())
    assert memory.recall(1) is None
    assert memory.recall(4) is not None
    assert 3_000 < memory.bytes <= 10_000
    clock.now += KEPT_SECONDS
    memory.forget()
    assert memory.bytes == 0


def test_what_a_report_leaves_out_counts_as_well() -> None:
    """Of one for any values those that were known are in its question."""
    memory = Memory(Clock(), most=10_000)
    long = Caught("Rows", "SELECT 1", {"a": "x" * 3_000})
    memory.keep(1, (Caught("Rows", "SELECT 1"),), (), Question("Rows", (long,)))
    assert memory.bytes > 3_000


def test_without_minutes_no_report_is_remembered() -> None:
    """It is a setting."""
    memory = Memory(Clock(), seconds=0)
    memory.keep(1, (ASKED,), (None,))
    assert memory.recall(1) is None


@pytest.mark.parametrize(
    ("condition", "values", "order"),
    [
        ("guardian = %(a)s::text", {"a": "nobody"}, "id"),
        ("guardian = %(a)s::text AND birth_date > '2012-01-01'", {"a": "x"}, "id"),
        ("birth_date < %(a)s::date", {"a": "1990-01-01"}, "id"),
        ("guardian = %(a)s::text", {"a": "parent 7"}, "birth_date, id"),
        ("birth_date > %(a)s::date", {"a": "1999-01-01"}, "guardian, id"),
    ],
)
def test_the_advice_works(
    demo_engine: Engine, condition: str, values: Any, order: str
) -> None:
    """The index, made as it is written, takes the finding and the cost away."""
    own = create_engine(demo_engine.url, poolclass=NullPool)
    with own.begin() as connection:
        connection.execute(text(STUDENTS))
        connection.execute(text("ANALYZE students"))
    sql = f"SELECT * FROM students WHERE {condition} ORDER BY {order} LIMIT 51"
    question = Question("Students", (Caught("Rows", sql, values),))
    before = make_report(own, question).report.statements[0]
    (finding,) = [one for one in before.findings if one.rule in ("P3", "P4", "P14")]
    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(finding.sql))
    after = make_report(own, question).report.statements[0]
    assert not [one for one in after.findings if one.rule in ("P3", "P4", "P14")]
    assert after.cost is not None
    assert before.cost is not None
    assert after.cost * 10 < before.cost


STUDENTS = """
INSERT INTO schools (name) VALUES ('A school');
INSERT INTO students (code, full_name, class_name, birth_date, guardian, school_id)
  SELECT 'S' || g, 'name ' || g, '7A', date '2000-01-01' + g % 5000,
         'parent ' || g % 9000, (SELECT id FROM schools)
  FROM generate_series(1, 20000) g"""


def test_what_took_too_long_is_told_as_it_is_expected(lab: Engine) -> None:
    """Of what cannot be measured somebody most wants to know why."""
    slow = Caught("Rows", "SELECT count(*) FROM people a, people b, people c", {})
    limits = Limits(plan=1.0, run=0.2)
    report = make_report(lab, Question("", (slow,)), measure=True, limits=limits).report
    (one,) = report.statements
    assert one.problem == "It was stopped after 0.2 s, the most it may take."
    assert one.how == "planned"
    assert "P26" in [found.rule for found in one.findings]
