"""The commands that only look, and the shell."""

import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from backoffice.bootstrap import secret_key
from backoffice.cli.main import run_command_line
from backoffice.errors import EnvironmentProblem
from backoffice.settings import load_settings
from tests.cli.conftest import MODELS, Manage
from tests.cli.test_acting import write
from tests.cli.test_database_commands import rows_in

LOANS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)

class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)

class Loan(Base):
    __tablename__ = "loans"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
"""
# The second index has a part of the rows only.
LOANS_TABLES = (
    "CREATE TABLE books (id integer PRIMARY KEY)",
    "CREATE TABLE people (id integer PRIMARY KEY)",
    "CREATE TABLE loans (id integer PRIMARY KEY, book_id integer, person_id integer)",
    "CREATE INDEX ON loans (book_id)",
    "CREATE INDEX ON loans (person_id) WHERE id > 7",
)


def test_config_masks_secrets(manage: Manage) -> None:
    """Secrets are never printed, whether for people or for machines."""
    for said in (manage("config"), manage("config", "--json")):
        assert said.code == 0
        assert "this secret" not in said.out
        assert "••••••" in said.out


def test_config_says_where_from(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting comes with its origin."""
    monkeypatch.setenv("BACKOFFICE_WEB__PORT", "8765")

    found = json.loads(manage("config", "--json").out)

    assert found["web.port"] == {"value": 8765, "origin": "BACKOFFICE_WEB__PORT"}
    assert found["app.title"] == {"value": "Tiny", "origin": "settings.toml"}
    assert found["web.host"] == {"value": "127.0.0.1", "origin": "default"}


def test_routes(manage: Manage) -> None:
    """Addresses are listed with their methods."""
    said = manage("routes")

    assert said.code == 0
    assert "/livez" in said.out


def test_routes_for_machines(manage: Manage) -> None:
    """The same as JSON."""
    paths = [route["path"] for route in json.loads(manage("routes", "--json").out)]

    assert "/livez" in paths


def test_check_finds_nothing(manage: Manage) -> None:
    """A project in order has no findings."""
    said = manage("check")

    assert (said.code, said.out) == (0, "No findings.\n")


def test_check_finds_views_that_are_missing(manage: Manage, root: Path) -> None:
    """Views that cannot be imported are an error."""
    text = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(text.replace("tiny_admin", "no_such_admin"))

    said = manage("check")

    assert said.code == 1
    assert "no_such_admin" in said.err


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        pytest.param(
            "views = []\nviews = viws", 2, "NameError: name 'viws'", id="name"
        ),
        pytest.param("views = []\n\nviews = [", 3, "SyntaxError: '['", id="syntax"),
        pytest.param(
            "from tiny_models import Thingy", 1, "ImportError: cannot", id="import"
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "routes", "check in models"])
def test_a_mistake_in_a_module_is_told_by_its_place(
    manage: Manage, root: Path, command: str, code: str, line: int, said: str
) -> None:
    """File, line and error in a sentence, and the project's own lines; no others."""
    name = f"wrong_{command.replace(' ', '_')}_{line}"
    which = "tiny_models" if "models" in command else "tiny_admin"
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace(f'"{which}"', f'"{name}"'))
    (root / f"{name}.py").write_text(code)
    told = manage(command.split(maxsplit=1)[0])
    assert told.code == 1
    assert f"{name}.py, line {line}: {said}" in told.err
    assert told.err.count("File ") == 1
    assert "Traceback" not in told.err


@pytest.mark.parametrize("command", ["check", "migrate", "showmigrations"])
def test_revisions_that_are_not_there_are_not_passed_over(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A directory that is misspelt does not look like a project without revisions."""
    monkeypatch.setenv("BACKOFFICE_APP__MIGRATIONS", "migration")

    said = manage(command)

    assert said.code == 1
    assert "app.migrations is 'migration'; there is no such directory" in said.err


def test_check_finds_an_action_for_nobody(manage: Manage, root: Path) -> None:
    """A permission that no role has hides an action from everybody."""
    # A name of its own: a module of the same name may have been imported before.
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_admin", "rename_admin"))
    (root / "rename_admin.py").write_text(
        """
from tiny_models import Thing
from backoffice.admin.actions import action
from backoffice.admin.model_view import ModelView

class ThingAdmin(ModelView, model=Thing):
    column_list = [Thing.name]

    @action("Rename", permission="thing:rename")
    def rename(self):
        return {Thing.name: "renamed"}

views = [ThingAdmin]
"""
    )

    said = manage("check", "--json")

    found = json.loads(said.out)
    assert (said.code, [one["id"] for one in found]) == (1, ["views.E003"])
    assert "'thing:rename', which nobody has" in found[0]["text"]


def test_check_before_deployment(manage: Manage) -> None:
    """`--deploy` counts warnings as mistakes."""
    said = manage("check", "--deploy", "--json")

    found = {one["id"] for one in json.loads(said.out)}
    assert said.code == 1
    assert {"deploy.W003", "deploy.W004"} <= found
    assert "deploy.W001" not in found


def test_check_of_the_database(manage: Manage) -> None:
    """`--database` says what is not migrated."""
    said = manage("check", "--database", "--json")

    assert said.code == 1
    assert "database.E002" in said.out


def test_check_of_a_database_in_order(migrated: Manage) -> None:
    """A migrated database lacks an administrator, which is no error."""
    said = migrated("check", "--database", "--json")

    assert said.code == 0
    assert {one["id"] for one in json.loads(said.out)} >= {"database.W002"}


def test_a_project_without_pytest_is_told_how_to_get_it(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a Makefile there is no `make install`."""
    monkeypatch.setitem(sys.modules, "pytest", None)

    said = manage("test")

    assert said.code == 1
    assert said.err == (
        f"Error: pytest is not installed; `{sys.executable} -m pip install pytest` "
        "installs it.\n"
    )


def test_a_directory_without_a_project_is_told_as_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in the wrong place hears of the file that is not there, not of modules."""
    monkeypatch.setenv("BACKOFFICE_APP__MODELS", "no_such_models")

    code = run_command_line(["check"], tmp_path, "backoffice")

    assert code == 1
    told = f"Error: There is no settings.toml in {tmp_path}, nor in a directory above"
    assert capfd.readouterr().err.startswith(told)


def test_an_index_that_only_the_database_has_is_one(
    manage: Manage, root: Path, empty_database: URL
) -> None:
    """Of tables that are another's, the models need not tell everything."""
    (root / "loan_models.py").write_text(LOANS)
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_models", "loan_models"))
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        for statement in LOANS_TABLES:
            connection.execute(text(statement))
    engine.dispose()

    def found(*words: str) -> list[str]:
        told = json.loads(manage("check", "--json", *words).out)
        return [one["text"] for one in told if one["id"] == "models.W001"]

    of_person = "loans.person_id refers to people and has no index."
    assert sorted(found()) == [
        "loans.book_id refers to books and has no index.",
        of_person,
    ]
    assert found("--database") == [of_person]


def test_check_as_a_role_that_owns_no_table(
    manage: Manage, root: Path, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the tables could not be compared hides none of the other findings."""
    settings = (root / "settings.toml").read_text()
    (root / "settings.toml").write_text(settings.replace("tiny_models", "touched"))
    touched = f"""{MODELS.replace("TinyBase", "TouchedBase")}
    updated_at: Mapped[str] = mapped_column(String(40), info={{"touched": True}})
"""
    (root / "touched.py").write_text(touched)
    manage("migrate")
    owner = create_engine(empty_database)
    with owner.begin() as link:
        link.execute(text("CREATE ROLE owns_nothing LOGIN PASSWORD 'plain'"))
        link.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO owns_nothing"))
    url = empty_database.set(username="owns_nothing", password="plain")
    monkeypatch.setenv(
        "BACKOFFICE_DATABASE__URL", url.render_as_string(hide_password=False)
    )
    try:
        said = manage("check", "--database", "--json")
    finally:
        with owner.begin() as link:
            link.execute(text("DROP OWNED BY owns_nothing"))
            link.execute(text("DROP ROLE owns_nothing"))
        owner.dispose()

    found = {one["id"] for one in json.loads(said.out)}
    assert said.code == 0
    assert found >= {"database.I003", "database.W002"}


def test_check_of_an_unreachable_database(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer is a finding, not a traceback."""
    url = "postgresql://someone:hushhush@127.0.0.1:1/nothing"
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", url)

    said = manage("check", "--database")

    assert said.code == 1
    assert "cannot be reached" in said.err


def test_an_empty_slow_log_says_of_what(migrated: Manage, empty_database: URL) -> None:
    """A view that is misspelt does not look like one that is well."""
    # On a machine with much to do the migrations themselves were slow.
    write(empty_database, "DELETE FROM backoffice_slow_statements")
    assert migrated("slowlog").out == "Nothing was slow, and nothing has failed.\n"
    assert "of a view 'account'" in migrated("slowlog", "--view", "account").out
    assert migrated("slowlog", "--view", "command").code == 0
    wrong = migrated("slowlog", "--view", "acount")
    assert wrong.code == 2
    assert "no view 'acount'. Did you mean account? Known: account" in wrong.err


def test_shell_has_the_models(migrated: Manage) -> None:
    """Models, session and engine are at hand; only results are printed."""
    said = migrated("shell", "-c", "print(session.query(Thing).count(), engine.name)")

    assert (said.code, said.out, said.err) == (0, "0 postgresql\n", "")


def test_shell_shows_errors_of_the_code_alone(migrated: Manage) -> None:
    """What went wrong begins at the code's own first line; the return code is 1."""
    said = migrated("shell", "-c", "def half(n):\n    return n / 0\nhalf(1)")

    assert said.code == 1
    assert said.err.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert 'File "-c", line 3' in said.err.splitlines()[1]
    assert "typer" not in said.err


def test_shell_takes_models_that_import_everything(
    migrated: Manage, root: Path
) -> None:
    """A module of models may hold names that only look like bases."""
    with (root / "tiny_models.py").open("a") as file:
        file.write("\nfrom sqlalchemy.orm import *\n")

    assert migrated("shell", "-c", "print(Thing.__name__)").out == "Thing\n"


def test_a_command_has_a_limit_of_its_own(
    migrated: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page's: a command may take as long as it needs, or as the settings say."""
    show = ("shell", "-c", "print(session.scalar(text('SHOW statement_timeout')))")

    assert migrated(*show).out == "0\n"
    monkeypatch.setenv("BACKOFFICE_DATABASE__COMMAND_TIMEOUT", "7")
    assert migrated(*show).out == "7s\n"


def test_shell_reads_the_input(migrated: Manage) -> None:
    """Code can be piped in."""
    said = migrated("shell", stdin="print(6 * 7)\n")

    assert said.out == "42\n"


def test_shell_hands_on_the_return_code(migrated: Manage) -> None:
    """The code's own return code is the command's."""
    assert migrated("shell", "-c", "import sys; sys.exit(3)").code == 3


def test_shell_writes(migrated: Manage, empty_database: URL) -> None:
    """What is committed stands, with its entry in the audit."""
    migrated("shell", "-c", "session.add(Thing(id=1, name='A')); session.commit()")

    assert rows_in(empty_database, "SELECT name FROM things") == [("A",)]
    audit = "SELECT table_name, view FROM backoffice_audit"
    assert rows_in(empty_database, audit) == [("things", "command")]


def test_sandbox_takes_everything_back(migrated: Manage, empty_database: URL) -> None:
    """In the sandbox even what was committed is gone at the end."""
    said = migrated(
        *("shell", "--sandbox", "-c"),
        "session.add(Thing(id=1, name='A')); session.commit();"
        "print(session.query(Thing).count())",
    )

    assert said.out == "1\n"
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]


ALONE = "execution_options(isolation_level='AUTOCOMMIT')"
WRITE = "execute(text(\"INSERT INTO things VALUES (1, 'A')\"))"


@pytest.mark.parametrize(
    "code",
    [
        f"with engine.begin() as connection:\n connection.{WRITE}",
        f"with engine.connect().{ALONE} as connection:\n connection.{WRITE}",
        f"session.{WRITE}\nsession.execute(text('COMMIT'))",
        f"session.{WRITE}\nsession.execute(text('/* all */ end ; begin'))",
        f"session.{WRITE}\nsession.execute(text('select 1; Commit'))",
        f"session.{WRITE}\nsession.execute(text(\"PREPARE TRANSACTION 'p'\"))",
    ],
)
def test_sandbox_has_no_way_around(
    migrated: Manage, empty_database: URL, code: str
) -> None:
    """What ends its transaction, or is outside of it, could not be taken back."""
    said = migrated("shell", "--sandbox", "-c", code)

    assert said.code == 1
    assert "In the sandbox only" in said.err
    assert rows_in(empty_database, "SELECT count(*) FROM things") == [(0,)]


def test_sandbox_takes_words_for_what_they_are(migrated: Manage) -> None:
    """A text, a function's body and a savepoint end no transaction."""
    said = migrated(
        *("shell", "--sandbox", "-c"),
        "session.execute(text(\"SELECT '; commit' -- ; end\"))\n"
        "session.execute(text('DO $$ BEGIN PERFORM 1; END $$'))\n"
        "session.execute(text('SAVEPOINT mine'))\n"
        "session.execute(text('ROLLBACK TO SAVEPOINT mine'))\n"
        "with session.begin_nested() as nested:\n nested.rollback()\n"
        "print('done')",
    )

    assert (said.code, said.out) == (0, "done\n"), said.err


def test_a_key_that_cannot_be_read_is_no_key_that_cannot_be_written(
    root: Path,
) -> None:
    """The sentence says what is in the way, and whose it has to be."""
    settings = load_settings(root, {"BACKOFFICE_WEB__SECRET_KEY": ""})
    (root / "var" / "secret_key").mkdir(parents=True)

    with pytest.raises(EnvironmentProblem, match=r"secret_key cannot be read .* own"):
        secret_key(root, settings)
