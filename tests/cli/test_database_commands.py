"""The commands that work on tables and rows."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, inspect, text

from backoffice.database.availability import wait_for_database
from tests.cli.conftest import Manage


def rows_in(url: URL, query: str) -> list[tuple[object, ...]]:
    """What the database holds, past our own code."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_migrate_applies_everything(manage: Manage, empty_database: URL) -> None:
    """`migrate` makes our tables and the project's, and says each revision."""
    said = manage("migrate")

    assert said.code == 0
    assert "Applied 0001_things" in said.out
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]


def test_migrate_twice(migrated: Manage) -> None:
    """A second time there is nothing to do, and that is no failure."""
    said = migrated("migrate")

    assert (said.code, said.out) == (0, "Nothing to migrate.\n")


def test_migrate_check(manage: Manage, empty_database: URL) -> None:
    """`--check` tells a script by its return code, and changes nothing."""
    assert manage("migrate", "--check").code == 1
    assert rows_in(empty_database, "SELECT to_regclass('things')") == [(None,)]
    assert manage("migrate").code == 0
    assert manage("migrate", "--check").code == 0


def test_migrate_plan(manage: Manage, empty_database: URL) -> None:
    """`--plan` says what would run, and runs nothing."""
    said = manage("migrate", "--plan")

    assert said.code == 0
    assert "+ 0001_things" in said.out
    assert rows_in(empty_database, "SELECT to_regclass('things')") == [(None,)]


def test_migrate_plan_says_on_what_others_would_wait(
    migrated: Manage, root: Path
) -> None:
    """Each statement that locks a table which is there, with the table's size."""
    (root / "migrations/versions/0002_note.py").write_text(
        "from alembic import op\n"
        "revision, down_revision = '0002_note', '0001_things'\n"
        "branch_labels = depends_on = None\n"
        "def upgrade():\n"
        "    op.execute('ALTER TABLE things ADD COLUMN note text')\n"
        "    op.execute('CREATE TABLE notes (id integer PRIMARY KEY)')\n"
        "def downgrade():\n"
        "    op.execute('DROP TABLE notes')\n"
        "    op.execute('ALTER TABLE things DROP COLUMN note')\n"
    )

    said = migrated("migrate", "--plan")

    assert said.out.splitlines()[1:] == [
        "    ALTER TABLE things ADD COLUMN note text",
        (
            "      ACCESS EXCLUSIVE on things (never analyzed, 0.0 MB): "
            "nobody reads or writes it meanwhile"
        ),
    ]


def test_migrate_waits_for_a_database_that_starts(
    manage: Manage,
    server: Engine,
    empty_database: URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what it waits for, and goes on as soon as there is a connection."""
    late = f"{empty_database.database}_late"
    url = empty_database.set(database=late)
    monkeypatch.setenv(
        "BACKOFFICE_DATABASE__URL", url.render_as_string(hide_password=False)
    )
    in_vain = manage("migrate", "--wait-db", "0.01")
    assert in_vain.code == 1
    assert "No connection to the database within 0.01 seconds" in in_vain.err
    assert manage("check", "--database", "--wait", "0.01").code == 1

    def make(line: str) -> None:
        assert line.startswith("Waiting for the database: ")
        with server.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{late}"'))

    engine = create_engine(url)
    try:
        wait_for_database(engine, 60, make)
        assert manage("migrate", "--wait-db", "60").code == 0
        assert manage("check", "--database", "--wait", "60").code == 0
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{late}" WITH (FORCE)'))


def test_migrate_to_zero_asks(migrated: Manage, empty_database: URL) -> None:
    """Tables are not dropped where nobody can be asked."""
    said = migrated("migrate", "zero")

    assert "This drops every table that migrations have made" in said.err
    assert said.code == 1
    assert "--yes" in said.err
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]


def test_migrate_to_zero(migrated: Manage, empty_database: URL) -> None:
    """`migrate zero --yes` takes everything back."""
    assert migrated("migrate", "zero", "--yes").code == 0

    assert rows_in(empty_database, "SELECT to_regclass('things')") == [(None,)]


def test_showmigrations(migrated: Manage) -> None:
    """Each revision is listed with whether the database has had it."""
    assert "[X] 0001_things" in migrated("showmigrations").out


def test_showmigrations_for_machines(manage: Manage) -> None:
    """The same as JSON."""
    found = json.loads(manage("showmigrations", "--json").out)

    [ours] = [one for one in found if one["branch"] == "project"]
    assert (ours["id"], ours["applied"]) == ("0001_things", False)


def test_sqlmigrate_prints_sql(manage: Manage, empty_database: URL) -> None:
    """A revision's SQL is printed and not run."""
    said = manage("sqlmigrate", "0001_things")

    assert "CREATE TABLE things" in said.out
    assert rows_in(empty_database, "SELECT to_regclass('things')") == [(None,)]


def test_sqlmigrate_backwards(manage: Manage) -> None:
    """So is the SQL that undoes it."""
    assert "DROP TABLE things" in manage("sqlmigrate", "0001", "--backwards").out


def test_makemigrations_without_changes(migrated: Manage, root: Path) -> None:
    """Where the tables are as the models say, nothing is written."""
    del migrated
    # In a process of its own: other tests have put their tables on our metadata.
    code = "from backoffice.cli.main import main; main()"
    said = subprocess.run(
        [sys.executable, "-c", code, "makemigrations", "--check"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout) == (0, "No changes.\n")
    assert len(list((root / "migrations/versions").glob("*.py"))) == 1


def test_makemigrations_check_finds_drift(
    migrated: Manage, empty_database: URL, root: Path
) -> None:
    """A column that the database lacks ends `--check` with 1, and writes nothing."""
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE things DROP COLUMN name"))
    engine.dispose()

    said = migrated("makemigrations", "--check")

    assert said.code == 1
    assert "name" in said.out
    assert len(list((root / "migrations/versions").glob("*.py"))) == 1


def test_seed(migrated: Manage, empty_database: URL) -> None:
    """The project's sizes are options, and its rows are there afterwards."""
    said = migrated("seed", "--things", "3")

    assert said.code == 0
    assert "Wrote 3 rows" in said.out
    assert rows_in(empty_database, "SELECT max(name) FROM things") == [("Thing 3",)]


def test_seed_twice_is_refused(migrated: Manage, empty_database: URL) -> None:
    """Rows that are there are not doubled."""
    migrated("seed")

    said = migrated("seed")

    assert said.code == 1
    assert "--reset" in said.err
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(5,)]


def test_seed_reset_asks(migrated: Manage, empty_database: URL) -> None:
    """In a database of one's own rows are replaced with --yes only."""
    migrated("seed")

    assert migrated("seed", "--things", "2", "--reset").code == 1
    assert migrated("seed", "--things", "2", "--reset", "--yes").code == 0
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(2,)]


def test_seed_needs_tables(manage: Manage) -> None:
    """Before migrating, `seed` names the command that comes first."""
    said = manage("seed")

    assert said.code == 1
    assert "manage.py migrate" in said.err


def test_flush_asks(migrated: Manage, empty_database: URL) -> None:
    """Rows are not deleted where nobody can be asked."""
    migrated("seed")

    said = migrated("flush")

    assert said.code == 1
    assert "things: 5" in said.err
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(5,)]


def test_flush_keeps_the_tables(migrated: Manage, empty_database: URL) -> None:
    """All rows go, accounts too, and what was migrated stays so."""
    migrated("seed")
    migrated(
        *("createsuperuser", "--email", "a@example.org", "--password-stdin"),
        stdin="four random words here\n",
    )

    assert migrated("flush", "--yes").code == 0

    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]
    assert rows_in(empty_database, "SELECT count(*) FROM backoffice_users") == [(0,)]
    assert migrated("migrate", "--check").code == 0


def test_flush_can_keep_accounts(migrated: Manage, empty_database: URL) -> None:
    """`--keep-accounts` empties the project's tables only."""
    migrated("seed")
    migrated(
        *("createsuperuser", "--email", "a@example.org", "--password-stdin"),
        stdin="four random words here\n",
    )

    assert migrated("flush", "--yes", "--keep-accounts").code == 0

    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]
    assert rows_in(empty_database, "SELECT count(*) FROM backoffice_users") == [(1,)]


def test_flush_on_sqlite(
    manage: Manage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's tables are emptied as well, its triggers kept."""
    url = f"sqlite:///{tmp_path}/data.db"
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", url)
    manage("migrate")
    manage(
        *("createsuperuser", "--email", "a@example.org", "--password-stdin"),
        stdin="four random words here\n",
    )
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    engine = create_engine(url)
    with engine.connect() as connection:
        before = connection.execute(text(triggers)).fetchall()

    said = manage("flush", "--yes")

    assert said.code == 0, said.err
    with engine.connect() as connection:
        assert connection.execute(text(triggers)).fetchall() == before
        users = connection.scalar(text("SELECT count(*) FROM backoffice_users"))
        assert users == 0
        assert "things" in inspect(connection).get_table_names()
    engine.dispose()


def test_a_sqlite_file_that_cannot_be_is_named(
    manage: Manage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file, and what is in the way."""
    place = tmp_path / "nowhere" / "office.db"
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", f"sqlite:///{place}")

    said = manage("migrate")

    assert said.code == 1
    assert f"there is no directory {place.parent}" in said.err


def test_a_file_that_is_no_database_is_named(
    manage: Manage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused in a sentence, and stays as it is."""
    place = tmp_path / "letter.txt"
    place.write_text("Dear Sir or Madam")
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", f"sqlite:///{place}")

    said = manage("migrate")

    assert said.code == 1
    assert said.err == (
        f"Error: database.url names the file {place}, which is no SQLite database.\n"
    )
    assert place.read_text() == "Dear Sir or Madam"


@pytest.mark.parametrize(
    "words",
    [["run"], ["showmigrations"], ["migrate", "--plan"], ["check", "--database"]],
)
def test_who_only_looks_leaves_a_sqlite_file_as_it_is(
    manage: Manage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """None is made, and one that is there keeps its bytes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BACKOFFICE_WEB__PORT", str(free.getsockname()[1]))
    place, other = tmp_path / "none.db", tmp_path / "theirs.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER PRIMARY KEY)")
    before = other.read_bytes()

    for one in (place, other):
        monkeypatch.setenv("BACKOFFICE_DATABASE__URL", f"sqlite:///{one}")
        said = manage(*words)
        told = said.out + said.err
        assert "backoffice_0001_accounts" in told or "migrations are due" in told

    assert not place.exists()
    assert other.read_bytes() == before


def test_seed_that_is_interrupted_says_so(
    migrated: Manage, root: Path, empty_database: URL
) -> None:
    """Nothing is written, and both are said."""
    seeding = root / "tiny_seeding.py"
    made = 'yield number + 1, f"Thing {number + 1}"'
    stopped = f"{made}\n            if number == 2: raise KeyboardInterrupt"
    seeding.write_text(seeding.read_text().replace(made, stopped))
    sys.modules.pop("tiny_seeding", None)  # read anew

    said = migrated("seed")
    sys.modules.pop("tiny_seeding", None)  # for whoever comes after

    assert said.code == 130
    assert "nothing is written, the tables are as they were" in said.err
    assert said.err.endswith("Interrupted.\n")
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]


def test_dbshell_runs_psql(migrated: Manage) -> None:
    """What stands after `--` goes to psql, and its answer to the output."""
    said = migrated("dbshell", "--", "-At", "-c", "SELECT 6 * 7")

    assert (said.code, said.out) == (0, "42\n")


def test_dbshell_hands_on_the_return_code(migrated: Manage) -> None:
    """Psql's return code is the command's."""
    assert migrated("dbshell", "--", "-c", "SELECT nothing").code == 1


@pytest.mark.parametrize(
    "command",
    [
        ("flush", "--yes"),
        ("seed",),
        ("createsuperuser", "--email", "a@example.org", "--password-stdin"),
    ],
    ids=lambda command: command[0],
)
def test_a_database_that_takes_no_changes_is_one_sentence(
    migrated: Manage, empty_database: URL, command: tuple[str, ...]
) -> None:
    """Whatever an operator tries on a replica; nothing of the driver's beside it."""
    engine = create_engine(empty_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = empty_database.database
        connection.execute(
            text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        )
    engine.dispose()

    said = migrated(*command, stdin="four wild geese fly\n")

    assert said.code == 1
    assert "The database takes no changes" in said.err
    assert "Traceback" not in said.err
    assert "psycopg" not in said.err
    assert said.err.count("Error") == 1
