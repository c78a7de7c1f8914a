"""How commands are found, and what a mistake looks like."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backoffice.cli.catalogue import GROUPS, Command, commands
from backoffice.cli.main import find_root, run_command_line
from tests.cli.conftest import Manage

ROOT = Path(__file__).parent.parent.parent


def test_help_lists_every_command_with_a_line(manage: Manage) -> None:
    """Without arguments all commands are listed, in groups, each with its summary."""
    said = manage()

    assert said.code == 0
    for command in commands():
        assert f"  {command.name} " in said.out
        assert command.summary in said.out
        assert command.group in GROUPS


@pytest.mark.parametrize("command", commands(), ids=lambda one: one.name)
def test_every_command_explains_itself(manage: Manage, command: object) -> None:
    """`COMMAND --help` begins with the line that the list shows."""
    name, summary = command.name, command.summary  # type: ignore[attr-defined]
    if name == "test":
        pytest.skip("its help is pytest's")

    said = manage(name, "--help")

    assert said.code == 0
    assert summary[:60] in " ".join(said.out.split())


def test_help_imports_nothing_heavy() -> None:
    """The list of commands costs neither SQLAlchemy nor the site."""
    code = (
        "import sys; from pathlib import Path;"
        "from backoffice.cli.main import run_command_line;"
        "run_command_line(['--help'], Path('.'), 'manage.py');"
        "print([m for m in ('sqlalchemy', 'typer', 'starlette') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"


HEAVY = ("alembic", "backoffice.bootstrap", "psycopg", "sqlalchemy", "starlette")
_HEAVY_OF = f"""
import sys; from pathlib import Path
from backoffice.cli.main import run_command_line
code = run_command_line(sys.argv[1:], Path("."), "manage.py")
print(code, *[name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("argument", "code"), [("--help", "0"), ("--no-such-option", "2")]
)
@pytest.mark.parametrize("command", commands(), ids=lambda one: one.name)
def test_what_a_command_takes_is_said_without_its_imports(
    command: Command, argument: str, code: str
) -> None:
    """`COMMAND --help`, or a mistyped option, waits for no database library."""
    taken = getattr(importlib.import_module(command.module), "CONTEXT", {})
    is_handed_on = argument != "--help" or taken.get("help_option_names") == []
    if taken.get("ignore_unknown_options") and is_handed_on:
        pytest.skip("what it takes is another program's")

    done = subprocess.run(
        [sys.executable, "-c", _HEAVY_OF, command.name, argument],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == code


def test_a_closed_output_is_no_fault() -> None:
    """Started with stdout closed, a command does its work without a traceback."""
    code = (
        "import sys; from pathlib import Path;"
        "from backoffice.cli.main import run_command_line;"
        f"sys.exit(run_command_line(['config'], Path({str(ROOT)!r}), 'manage.py'))"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_unknown_command(manage: Manage) -> None:
    """A mistyped command is a usage error, with what may have been meant."""
    said = manage("migrat")

    assert said.code == 2
    assert "Did you mean migrate" in said.err
    assert said.out == ""


def test_unknown_option(manage: Manage) -> None:
    """A mistyped option is a usage error."""
    said = manage("config", "--jsn")

    assert said.code == 2
    assert "--jsn" in said.err


def test_mistake_of_an_operator_is_a_sentence(manage: Manage) -> None:
    """What the operator can put right comes without a traceback, and ends with 1."""
    said = manage("migrate", "0007_nothing")

    assert said.code == 1
    assert said.err.startswith("Error: There is no revision '0007_nothing'")
    assert "Traceback" not in said.err


def test_traceback_on_request(manage: Manage) -> None:
    """`--traceback` shows where it comes from, wherever it stands."""
    with pytest.raises(Exception, match="no revision"):
        manage("migrate", "0007_nothing", "--traceback")


def test_broken_settings_name_every_mistake(manage: Manage, root: Path) -> None:
    """A broken settings file is said in sentences, all at once."""
    with (root / "settings.toml").open("a") as file:
        file.write('port = "soon"\nprot = 8000\n')

    said = manage("config")

    assert said.code == 1
    assert "web.port is 'soon'" in said.err
    assert "web.prot is not a setting" in said.err


def test_unreachable_database_is_a_sentence(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is not there is an operator's matter; no password is shown."""
    url = "postgresql://someone:hushhush@127.0.0.1:1/nothing"
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", url)

    said = manage("showmigrations")

    assert said.code == 1
    assert said.err.startswith("Error: ")
    assert "Traceback" not in said.err
    assert "hushhush" not in said.err


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("127.0.0.1:hush/name", "is not a database URL"),
        ("hush@127.0.0.1/name", "in a user name or a password it is written as %40"),
        ("127.0.0.1/name?sslmoed=x", 'invalid connection option "sslmoed"'),
    ],
)
def test_a_url_that_cannot_be_is_a_sentence(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, end: str, told: str
) -> None:
    """A password that was not written as URLs want it is shown in no part."""
    monkeypatch.setenv("BACKOFFICE_DATABASE__URL", f"postgresql://one:secret@{end}")

    said = manage("showmigrations")

    assert said.code == 1
    assert said.err.startswith("Error: database.url ")
    assert told in said.err
    assert "hush" not in said.err
    assert "Traceback" not in said.err


def test_missing_tables_name_the_command(manage: Manage) -> None:
    """Who works on a database without tables is told which command makes them."""
    said = manage("createsuperuser", "--email", "a@example.org", "--password-stdin")

    assert said.code == 1
    assert "manage.py migrate" in said.err


def test_version(manage: Manage) -> None:
    """`--version` is one line."""
    said = manage("--version")

    assert said.code == 0
    assert said.out.startswith("backoffice ")


def test_closed_pipe_is_no_error() -> None:
    """A reader that has seen enough makes no noise."""
    done = subprocess.run(
        ["sh", "-c", '"$0" "$1" --help | true', sys.executable, ROOT / "manage.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""


def test_script_without_packages_names_the_command() -> None:
    """Where the packages are missing, `manage.py` says how to get them."""
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", _WITHOUT_PACKAGES, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "`make install`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clone_without_packages_names_the_command(tmp_path: Path) -> None:
    """The same where our own package is there and those that it needs are not."""
    (tmp_path / "backoffice").symlink_to(ROOT / "backoffice")
    for name in ("manage.py", "Makefile", "settings.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "manage.py"), "migrate"],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "is not installed here; `make install`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_an_output_that_is_full_is_a_sentence() -> None:
    """`config > file` on a full disk ends with 1 and says why."""
    done = subprocess.run(
        ["sh", "-c", '"$0" "$1" config >/dev/full', sys.executable, ROOT / "manage.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: What this prints cannot be written")
    assert "Traceback" not in done.stderr


def test_commands_are_named_as_they_are_typed(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where there is no `manage.py`, no message names one."""
    assert run_command_line(["run"], root, "backoffice") == 1
    said = capfd.readouterr().err
    assert "`backoffice migrate`" in said
    assert "manage.py" not in said


_WITHOUT_PACKAGES = """
import runpy, shutil, sys, tempfile
copy = tempfile.mkdtemp()
shutil.copy(sys.argv[1] + "/manage.py", copy)
sys.argv = ["manage.py"]
runpy.run_path(copy + "/manage.py", run_name="__main__")
"""


def test_root_is_the_nearest_with_settings(tmp_path: Path) -> None:
    """From anywhere inside a project, its directory is found."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "settings.toml").touch()

    assert find_root(inner) == tmp_path


def test_root_without_settings_is_here(tmp_path: Path) -> None:
    """Without a settings file the project is where we are."""
    assert find_root(tmp_path) == tmp_path
