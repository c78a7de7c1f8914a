"""Actions from a terminal: shown, refused, run at once or by a worker, and watched."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.cli.conftest import Manage
from tests.cli.test_database_commands import rows_in
from tests.cli.test_serving import RUN, SOURCE
from tests.jobs.orders import until

ADMIN = """
from backoffice.admin.actions import Parameter, action
from backoffice.admin.model_view import ModelView
from tiny_models import Thing

class ThingAdmin(ModelView, model=Thing):
    column_filters = [Thing.name]

    @action("Rename", title="Rename to {name}", parameters=[Parameter("name", "Name")])
    def rename(self, name):
        return {Thing.name: name}

    @action("Number", parameters=[Parameter("first", "First", "integer", default="1")])
    def number(self, first):
        return {Thing.name: str(first)}

    @action("Print", answers=True)
    def print_them(self, call, selected):
        raise AssertionError("it was run")
"""
NAMES = "SELECT name FROM things ORDER BY id"
BEFORE = [("a",), ("a",), ("b",), ("b",), ("b",)]


@pytest.fixture
def things(
    migrated: Manage, root: Path, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> Manage:
    """Five things, a view of them with two actions, and three at once at most."""
    (root / "acting_admin.py").write_text(ADMIN)
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_admin", "acting_admin"))
    monkeypatch.setenv("BACKOFFICE_BULK__AT_ONCE", "3")
    write(
        empty_database,
        "INSERT INTO things VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, 'b'), (5, 'b')",
    )
    return migrated


def write(url: URL, statement: str) -> None:
    """Write past the commands."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_dry_run_shows_and_changes_nothing(
    things: Manage, empty_database: URL
) -> None:
    """What would happen, row by row, in the words of the page; and no run is left."""
    said = things(
        "run", "thing", "rename", "--query", "name=a", "--set", "name=z", "--dry-run"
    )

    assert said.code == 0
    assert "Rename to z: all things with name a" in said.out
    assert "2 things will change." in said.out
    assert "a -> z" in said.out
    assert "UPDATE things SET name" in said.out
    assert rows_in(empty_database, NAMES) == BEFORE
    assert rows_in(empty_database, "SELECT count(*) FROM backoffice_runs") == [(0,)]


@pytest.mark.parametrize("more", [[], ["--query", ""], ["--query", "", "--dry-run"]])
def test_an_action_that_answers_with_a_page_is_refused(
    things: Manage, empty_database: URL, more: list[str]
) -> None:
    """A terminal shows no page: it says where one does, and nothing is run."""
    said = things("run", "thing", "print-them", *more)

    assert said.code == 2
    words = " ".join(said.err.split())
    assert "“Print” changes nothing: it answers with a page" in words
    assert "/admin/thing/list" in words
    assert rows_in(empty_database, "SELECT count(*) FROM backoffice_selections") == [
        (0,)
    ]


def test_a_dry_run_of_what_is_refused_says_so(things: Manage) -> None:
    """The return code tells a script, the text tells which rows and why."""
    long = "x" * 101
    said = things(
        "run",
        "thing",
        "rename",
        "--query",
        "name=a",
        "--set",
        f"name={long}",
        "--dry-run",
    )

    assert said.code == 1
    assert "refused" in said.out
    assert "100" in said.out


def test_few_are_run_at_once(things: Manage, empty_database: URL) -> None:
    """Exactly the chosen, in the name of whoever typed it."""
    said = things(
        "run", "thing", "rename", "--query", "name=a", "--set", "name=z", "--yes"
    )

    assert said.code == 0
    assert "2 things were changed." in said.out
    assert rows_in(empty_database, NAMES) == [("z",), ("z",), ("b",), ("b",), ("b",)]
    audit = "SELECT DISTINCT actor_label, action FROM backoffice_audit"
    assert "at the command line" in str(rows_in(empty_database, audit)[0])


def test_many_are_run_here_where_no_worker_is(
    things: Manage, empty_database: URL
) -> None:
    """The run is queued for a worker, and done by the command as nobody is there."""
    said = things("run", "thing", "number", "--query", "", "--yes")

    assert said.code == 0
    assert "5 things were changed." in said.out
    assert rows_in(empty_database, NAMES) == [("1",)] * 5
    assert rows_in(empty_database, "SELECT state FROM backoffice_runs") == [("done",)]


def test_many_are_run_by_a_worker_that_is_there(
    things: Manage, root: Path, empty_database: URL
) -> None:
    """Whoever watches may go: the run goes on, and where to look for it is said."""
    write(
        empty_database,
        "INSERT INTO procrastinate_workers (last_heartbeat) "
        "VALUES (now() + interval '1 hour')",
    )
    command = [sys.executable, "-c", RUN, str(SOURCE), "run", "thing", "number"]
    with subprocess.Popen(
        [*command, "--query", "", "--yes"],
        cwd=root,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "0 of 5 rows met" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "It goes on without this command." in rest
    assert "manage.py runs" in rest
    waiting = "SELECT state, wish FROM backoffice_runs"
    assert rows_in(empty_database, waiting) == [("waiting", "")]
    assert "1 batch" in things("runworker", "--once").out
    assert rows_in(empty_database, NAMES) == [("1",)] * 5


def test_runs_say_who_is_missing(things: Manage, empty_database: URL) -> None:
    """A run that nobody takes up waits for a worker; with one there it just waits."""
    things("run", "thing", "number", "--query", "", "--yes")
    write(
        empty_database,
        "UPDATE backoffice_runs SET state = 'waiting', finished_at = NULL",
    )

    alone = things("runs")
    assert "waiting for a worker" in alone.out
    assert "manage.py runworker" in alone.out
    write(empty_database, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    assert json.loads(things("runs", "--json").out)[0]["state"] == "waiting"


def test_a_machine_reads_what_came_of_it(things: Manage) -> None:
    """One document: what was found out before, and the run."""
    said = things(
        "run",
        "thing",
        "rename",
        "--query",
        "name=b",
        "--set",
        "name=z",
        "--yes",
        "--json",
    )

    found = json.loads(said.out)
    assert (found["count"], found["changed"], found["refused"]) == (3, 3, [])
    assert found["sample"][0]["before"] == {"name": "b"}
    assert (found["run"]["state"], found["run"]["changed"]) == ("done", 3)


def test_nobody_is_asked_where_nobody_is(things: Manage, empty_database: URL) -> None:
    """Without a terminal and without --yes nothing is run."""
    said = things("run", "thing", "rename", "--query", "name=a", "--set", "name=z")

    assert said.code == 1
    assert "--yes goes on" in said.err
    assert rows_in(empty_database, NAMES) == BEFORE


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("thin", "rename"), "Did you mean thing?", id="view"),
        pytest.param(("thing", "renam"), "Did you mean rename?", id="action"),
        pytest.param(
            ("thing",),
            "Known: delete-selected, edit-selected, number, print-them, rename.",
            id="no action",
        ),
        pytest.param(("thing", "number"), "--query '' takes all", id="no query"),
        pytest.param(
            ("thing", "number", "--query", "nam=a"),
            "nam is not a filter of this list",
            id="query",
        ),
        pytest.param(
            ("thing", "rename", "--query", ""),
            "--set name: A value is required.",
            id="nothing told",
        ),
        pytest.param(
            ("thing", "number", "--query", "", "--set", "first=one"),
            "--set first: one is not a whole number.",
            id="wrong kind",
        ),
        pytest.param(
            ("thing", "number", "--query", "", "--set", "last=1"),
            "--set 'last' is nothing it is told. Known: first.",
            id="unknown name",
        ),
        pytest.param(
            ("thing", "edit-selected", "--query", ""),
            "--set at least one of name.",
            id="nothing to edit",
        ),
        pytest.param(("--dry-run",), "options are for VIEW and ACTION", id="nothing"),
    ],
)
def test_a_mistake_is_said_with_what_there_is(
    things: Manage, empty_database: URL, arguments: tuple[str, ...], sentence: str
) -> None:
    """The return code is that of a mistyped command, and nothing is left of it."""
    said = things("run", *arguments)

    assert said.code == 2
    assert sentence in said.err
    left = "SELECT count(*) FROM backoffice_selections"
    assert rows_in(empty_database, left) == [(0,)]


def test_editing_many_sets_what_is_named(things: Manage, empty_database: URL) -> None:
    """The action that every view has takes its fields by name."""
    said = things(
        "run", "thing", "edit-selected", "--query", "name=a", "--set", "name=e", "--yes"
    )

    assert said.code == 0
    assert rows_in(empty_database, NAMES)[:2] == [("e",), ("e",)]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_of_its_own_works_until_it_is_told_to_stop(
    things: Manage, root: Path, empty_database: URL, told: signal.Signals
) -> None:
    """It takes what is queued, and ends cleanly, leaving no word of itself."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(SOURCE), "runworker"],
        cwd=root,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "waits for work" in process.stdout.readline()
        present = "SELECT count(*) FROM procrastinate_workers"
        until(lambda: rows_in(empty_database, present) == [(2,)])
        assert things("run", "thing", "number", "--query", "", "--yes").code == 0
        process.send_signal(told)
        assert process.stdout.read() == "Stopped; 1 batch done.\n"
        assert process.wait() == 0
    assert rows_in(empty_database, present) == [(0,)]
    assert rows_in(empty_database, NAMES) == [("1",)] * 5


def test_a_run_is_steered_and_taken_back(things: Manage, empty_database: URL) -> None:
    """Cancelled, gone on with, looked at, taken back; what cannot be asked is said."""
    assert things("run", "thing", "number", "--query", "", "--yes").code == 0
    refused = things("runs", "1", "resume")
    assert refused.code == 2
    assert "run 1 is done, so it cannot resume" in refused.err
    write(
        empty_database,
        "UPDATE backoffice_runs SET state = 'cancelled', met = 3, changed = 3;"
        "UPDATE things SET name = 'b' WHERE id > 3;"
        "UPDATE backoffice_run_rows r SET version = t.xmin::text FROM things t"
        " WHERE r.key = t.id::text",
    )
    said = things("runs", "1", "resume")
    assert said.code == 0
    assert "5 things were changed." in said.out
    assert rows_in(empty_database, NAMES) == [("1",)] * 5
    write(empty_database, "UPDATE things SET name = 'new' WHERE id = 2")
    back = things("runs", "1", "undo", "--yes")
    assert back.code == 0
    assert "1 row was changed since" in back.out
    assert rows_in(empty_database, NAMES)[:3] == [("a",), ("new",), ("b",)]
    shown = things("runs", "2")
    assert "new: Somebody changed it meanwhile." in shown.out
    assert "taken back in part by run 2\n" in things("runs").out
    assert things("runs", "77").code == 2
    assert things("runs", "1", "dance").code == 2


def test_runs_are_narrowed_down_as_on_their_page(things: Manage) -> None:
    """By state and list; what was told and executed stands there; a typo is said."""
    things("run", "thing", "rename", "--query", "name=a", "--set", "name=z", "--yes")
    found = json.loads(things("runs", "--state", "done", "--json").out)
    assert [(one["told"], one["outcome"]) for one in found] == [({"name": "z"}, "")]
    said = things("runs", "--view", "thing", "--sql").out
    assert "name=z" in said
    assert "UPDATE things SET name='z'" in said
    assert "No run is like this." in things("runs", "--state", "open").out
    wrong = things("runs", "--state", "lost")
    assert wrong.code == 2
    assert "--state is one of open, waiting" in wrong.err
    wrong = things("runs", "--view", "things")
    assert wrong.code == 2
    assert "there is no view 'things'. Did you mean thing?" in wrong.err
