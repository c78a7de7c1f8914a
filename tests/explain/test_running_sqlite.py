"""SQLite's own words about a plan, and what they mean."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from backoffice.errors import Refused
from backoffice.explain.findings import Searched, Severity, Subject
from backoffice.explain.report import Question, make_report
from backoffice.explain.rules_sqlite import judge
from backoffice.explain.running_postgresql import How
from backoffice.explain.running_sqlite import explain, sentences
from backoffice.explain.statement import Caught


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database with one table and one index."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE people (id INTEGER PRIMARY KEY, name, k)")
        )
        connection.execute(text("CREATE INDEX people_k ON people (k)"))
        connection.execute(text("INSERT INTO people VALUES (1, 'a', 2)"))
    return engine


def words(engine: Engine, sql: str, values: object = ()) -> list[str]:
    """The sentences of a plan."""
    (one,) = explain(engine, [Caught("", sql, values)])  # type: ignore[arg-type]
    assert one.problem == ""
    return list(sentences(one.plan))


def test_a_scan_is_found(engine: Engine) -> None:
    """And the field that causes it, in the words of the view."""
    subject = Subject(
        view="PersonAdmin",
        table="people",
        searched=(Searched("name", "people", "name", "contains"),),
        is_searched=True,
    )
    (one,) = explain(
        engine, [Caught("", "SELECT * FROM people WHERE name LIKE ?", ("%a%",))]
    )
    (finding,) = judge(one.plan, subject, one.caught.text)
    assert finding.severity is Severity.WARN
    assert "In PersonAdmin, drop `name` from column_searchable_list" in finding.advice


@pytest.mark.parametrize(
    ("sql", "rule", "code"),
    [
        (
            "WHERE p.name = ? AND p.k > ?",
            "P3",
            'Index("ix_people_name_k", "name", "k")',
        ),
        (
            "WHERE p.name = ? OR p.other = ?",
            "P3",
            'Index("ix_people_name", "name"),\nIndex("ix_people_other", "other")',
        ),
        (
            "ORDER BY p.name DESC, p.id DESC LIMIT 5",
            "P5",
            'Index("ix_people_name_id", "name", "id")',
        ),
        ("WHERE lower(p.name) GLOB ?", "P25", ""),
        ("WHERE p.name LIKE ? ESCAPE '/'", "P25", ""),
    ],
)
def test_the_statement_says_what_the_plan_does_not(
    engine: Engine, sql: str, rule: str, code: str
) -> None:
    """SQLite names the table alone: columns, order and patterns are in the text."""
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX people_k"))
        connection.execute(text("ALTER TABLE people ADD COLUMN other"))
    whole = f"SELECT * FROM people AS p {sql}"
    (one,) = explain(engine, [Caught("", whole, (1,) * whole.count("?"))])
    assert one.problem == ""
    found = {f.rule: f for f in judge(one.plan, Subject(table="people"), whole)}
    assert found[rule].code == code
    assert ("GLOB one on the column itself" in found[rule].advice) is (rule == "P25")


def test_a_page_that_stops_reading_is_no_trouble(engine: Engine) -> None:
    """In the order of the key the first rows are the page."""
    sql = "SELECT * FROM people AS p ORDER BY p.id DESC LIMIT 5"
    (one,) = explain(engine, [Caught("", sql, ())])
    assert judge(one.plan, Subject(table="people"), sql) == ()


def test_an_index_is_no_trouble(engine: Engine) -> None:
    """Looking something up is what it is for."""
    (one,) = explain(engine, [Caught("", "SELECT * FROM people WHERE k = ?", (2,))])
    assert judge(one.plan) == ()


def test_without_values_the_plan_is_for_any(engine: Engine) -> None:
    """As for a statement of the slow log."""
    (one,) = explain(engine, [Caught("", "SELECT * FROM people WHERE k = $1")])
    assert one.how is How.GENERIC
    assert any("people_k" in word for word in sentences(one.plan))


@pytest.mark.parametrize("sql", ["DELETE FROM people", "UPDATE people SET name = 'x'"])
def test_what_writes_is_planned_and_not_run(engine: Engine, sql: str) -> None:
    """Its rows are there afterwards."""
    assert words(engine, sql)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM people")) == "a"


def test_two_statements_are_refused(engine: Engine) -> None:
    """The driver takes one."""
    (one,) = explain(engine, [Caught("", "SELECT 1; DELETE FROM people", ())])
    assert one.plan is None
    assert one.problem
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM people")) == 1


def test_what_has_no_plan_is_refused(engine: Engine) -> None:
    """PRAGMA and the like are nobody's statements."""
    with pytest.raises(Refused):
        explain(engine, [Caught("", "PRAGMA user_version = 5", ())])


def test_the_report_says_that_nothing_was_run(engine: Engine) -> None:
    """And that SQLite has no EXPLAIN that measures."""
    asked = Caught("Rows", "SELECT * FROM people ORDER BY name", ())
    report = make_report(engine, Question("People", (asked,)), measure=True).report
    assert report.dialect == "sqlite"
    assert report.why_not_measured
    assert "nothing was run" in report.limits
    assert report.statements[0].plan
