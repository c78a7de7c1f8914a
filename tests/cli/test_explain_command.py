"""Explaining from a terminal: a list by its query string, a statement by its name."""

import json
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.cli.conftest import Manage

VIEWS = """
from backoffice.admin.model_view import ModelView
from tiny_models import Thing

class ThingAdmin(ModelView, model=Thing):
    column_searchable_list = [Thing.name]
    column_filters = [Thing.name]

views = [ThingAdmin]
"""
SEEN = """
INSERT INTO backoffice_statements (fingerprint, text, operation, table_name,
  first_seen, last_seen)
VALUES ('0123456789abcdef', 'SELECT id FROM things WHERE name = %(name_1)s::VARCHAR',
  'SELECT', 'things', now(), now());
INSERT INTO backoffice_statement_hours (at, fingerprint, view, source, calls, errors,
  timeouts, row_count, wait_ns, execute_ns, fetch_ns, commit_ns, histogram)
VALUES (now(), '0123456789abcdef', 'thing', 'here', 1, 0, 0, 1, 0, 1, 0, 0, '{}');
INSERT INTO things (id, name) SELECT g, 'thing ' || g FROM generate_series(1, 20000) g;
ANALYZE things;
"""

SLEPT = """
INSERT INTO backoffice_statements (fingerprint, text, operation, table_name,
  first_seen, last_seen)
VALUES ('fedcba9876543210', 'SELECT pg_sleep(?)', 'SELECT', '', now(), now());
INSERT INTO backoffice_slow_statements (at, total_ms, wait_ms, execute_ms, fetch_ms,
  commit_ms, reason, fingerprint)
SELECT now(), ms, 0, ms, 0, 0, 'slow', 'fedcba9876543210'
FROM unnest(ARRAY[1500.0, 700.0]) AS ms;
"""


@pytest.fixture
def explain(migrated: Manage, root: Path, empty_database: URL) -> Manage:
    """The project with a view, many things, and a statement that was seen."""
    (root / "thing_views.py").write_text(VIEWS)
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_admin", "thing_views"))
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        connection.execute(text(SEEN))
    engine.dispose()
    return migrated


def test_a_list_is_explained_by_its_query(explain: Manage) -> None:
    """As JSON, with its statements; the value that was searched for is not in it."""
    query = "search=canary6617&name=canary6617"
    said = explain("explain", "--view", "thing", "--query", query, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["title"] == "Things, searched, by name"
    assert found["how"] == "planned"
    assert "canary6617" not in said.out


def test_why_the_database_cannot_be_reached_is_told(
    explain: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types commands has to mend it, and is told the reason."""
    url = "postgresql://someone:hushhush@127.0.0.1:1/nothing"
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", url)

    said = explain("explain", "--view", "thing")

    assert said.code == 1
    assert said.err.startswith("Error: No connection to the database: ")
    assert "hushhush" not in said.err


def test_a_statement_is_explained_by_its_name(explain: Manage) -> None:
    """For any values, which is said, and in the words of the view that ran it."""
    said = explain("explain", "0123456789abcdef")
    assert said.code == 0, said.err
    assert "Generic plan: its values are not known" in said.out
    assert "the model Thing" in said.out
    assert 'Index("ix_things_name", "name")' in said.out


def test_what_took_long_is_not_called_quick(
    explain: Manage, empty_database: URL
) -> None:
    """Its plan is quick, and its time known from the slow log: both are said."""
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        connection.execute(text(SLEPT))
    engine.dispose()
    said = explain("explain", "fedcba9876543210")
    assert said.code == 0, said.err
    assert said.out.startswith(
        "Nothing stands out in the plan, yet it took up to 1,500\u00a0ms: look at "
    )
    assert "quick" not in said.out


@pytest.mark.parametrize("options", [(), ("--measure",)])
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE things SET name=%(name)s::VARCHAR WHERE id = ?", "Update on"),
        ("INSERT INTO things (id, name) VALUES (?, %(name)s::VARCHAR)", "Insert on"),
        ("DELETE FROM things WHERE things.id IN (…)", "Delete on"),
        (
            (
                "WITH gone AS (DELETE FROM things WHERE id = ? RETURNING id) "
                "INSERT INTO things (id) SELECT id + ? FROM gone"
            ),
            "Delete on",
        ),
        ("SELECT id FROM things WHERE id = ? FOR UPDATE", "LockRows"),
    ],
)
def test_what_writes_is_planned_and_never_run(
    explain: Manage,
    empty_database: URL,
    sql: str,
    words: str,
    options: tuple[str, ...],
) -> None:
    """By its name, as on its page; no row of the table is another one afterwards."""
    engine = create_engine(empty_database)
    rows = text("SELECT count(*), md5(string_agg(t::text || xmin, '')) FROM things t")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO backoffice_statements (fingerprint, text, operation, "
                "table_name, first_seen, last_seen) "
                "VALUES ('00000000000000aa', :sql, '', 'things', now(), now())"
            ),
            {"sql": sql},
        )
        before = connection.execute(rows).one()
    said = explain("explain", "00000000000000aa", *options)
    with engine.connect() as connection:
        after = connection.execute(rows).one()
    engine.dispose()
    assert said.code == 0, said.err
    assert words in said.out
    assert "actual time" not in said.out
    assert before == after


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--view", "thingy"), "Did you mean thing? Known: account,"),
        (("--view", "nothing-like-it"), "thing."),
        (("0123456789abcdee",), "Did you mean 0123456789abcdef?"),
        (("x",), "no statement is known as 'x'. Seen last:"),
        ((), "either a FINGERPRINT or --view"),
        (("0123456789abcdef", "--view", "thing"), "either a FINGERPRINT or --view"),
    ],
)
def test_an_unknown_name_ends_with_2_and_the_known_ones(
    explain: Manage, arguments: tuple[str, ...], words: str
) -> None:
    """A view or a statement that there is not."""
    said = explain("explain", *arguments)
    assert said.code == 2
    assert words in " ".join(said.err.split())


def test_a_query_that_the_list_refuses_is_no_report(explain: Manage) -> None:
    """It is said what is wrong, and nothing is kept."""
    said = explain("explain", "--view", "thing", "--query", "nonsense=1")
    assert said.code == 1
    assert "nonsense is not a filter" in said.err


def test_it_is_written_who_explained(explain: Manage, empty_database: URL) -> None:
    """The report and its entry are kept as those of the page."""
    explain("explain", "0123456789abcdef")
    engine = create_engine(empty_database)
    with engine.connect() as connection:
        entry = connection.execute(
            text("SELECT action, actor_label FROM backoffice_audit ORDER BY id DESC")
        ).first()
    engine.dispose()
    assert entry is not None
    assert entry.action == "explain"
    assert "at the command line" in entry.actor_label
