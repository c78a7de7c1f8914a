"""Another project's models, served from the installed wheel."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, inspect, text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PASSWORD = "a long enough password"
EMAIL = "owner@example.org"


def chinook_script() -> Path:
    """Where Chinook's script lies; without it there is nothing to serve."""
    places = (
        os.environ.get("BACKOFFICE_DATASETS", ""),
        str(ROOT.parent / "shared/data"),
    )
    for place in filter(None, places):
        script = Path(place) / "chinook" / "Chinook_PostgreSql.sql"
        if script.is_file():
            return script
    pytest.skip("the Chinook script is not in $BACKOFFICE_DATASETS or ../shared/data")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it would be installed: built as a wheel and unpacked."""
    target = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "backoffice"
    # Built from a copy: the build leaves traces beside the sources.
    tracked = subprocess.run(
        ["git", "ls-files", "backoffice", "pyproject.toml", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", target, source
    )
    (built,) = target.glob("*.whl")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--target", target / "site", built),
    )
    return target / "site"


@pytest.fixture
def project(
    wheel: Path, empty_database: URL, tmp_path: Path
) -> Iterator[tuple[Path, dict[str, str], Engine]]:
    """Chinook's directory and environment, its tables filled, ours not yet made."""
    script = chinook_script().read_text(encoding="utf-8")
    statements = re.sub(r"(?m)^(DROP|CREATE) DATABASE.*;$|^\\c .*$", "", script)
    engine = create_engine(empty_database)
    with engine.begin() as connection:
        # Many statements in one string: only the simple protocol takes them.
        connection.connection.driver_connection.execute(statements)  # type: ignore[union-attr]
    directory = tmp_path / "chinook"
    shutil.copytree(HERE / "chinook", directory)
    environment = {
        **os.environ,
        "PYTHONPATH": str(wheel),
        "BACKOFFICE_DATABASE__URL": empty_database.render_as_string(
            hide_password=False
        ),
        "BACKOFFICE_SUPERUSER_EMAIL": EMAIL,
        "BACKOFFICE_SUPERUSER_PASSWORD": PASSWORD,
    }
    yield directory, environment, engine
    engine.dispose()


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command and show what it said where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done  # type: ignore[no-any-return]


def command(project: tuple[Path, dict[str, str], Engine], *words: str) -> str:
    """What a command of the installed package says in that project."""
    directory, environment, _ = project
    code = "from backoffice.cli.main import main; main()"
    return run(
        sys.executable, "-c", code, *words, cwd=directory, env=environment
    ).stdout


def test_migrate_makes_our_tables_only(
    project: tuple[Path, dict[str, str], Engine],
) -> None:
    """The project's own tables are after `migrate` as they were before."""
    _, _, engine = project
    before = {name: inspect(engine).get_columns(name) for name in names(engine)}

    command(project, "migrate")

    after = names(engine)
    # Ours, and those of the job queue.
    own = ("backoffice_", "procrastinate_")
    assert {name for name in after if not name.startswith(own)} == set(before)
    assert any(name == "backoffice_users" for name in after)
    for name, columns in before.items():
        assert str(inspect(engine).get_columns(name)) == str(columns)


def test_site_serves_their_models(
    project: tuple[Path, dict[str, str], Engine],
) -> None:
    """Lists, details, forms and saves work on a schema that knows nothing of us."""
    command(project, "migrate")
    command(project, "createsuperuser")
    directory, environment, engine = project
    environment = {
        **environment,
        "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(directory)]),
    }
    done = run(
        sys.executable,
        HERE / "visit_chinook.py",
        directory,
        EMAIL,
        PASSWORD,
        cwd=directory,
        env=environment,
    )

    assert "visited" in done.stdout
    with engine.connect() as connection:
        title = connection.scalar(text("SELECT title FROM album WHERE album_id = 1"))
        moved = connection.scalar(
            text("SELECT count(*) FROM playlist_track WHERE playlist_id = 9999")
        )
    assert title == "For Those About To Rock, We Salute You"
    assert moved == 0


def names(engine: Engine) -> list[str]:
    """The tables of the database."""
    return inspect(engine).get_table_names()
