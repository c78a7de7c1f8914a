"""The embedded PostgreSQL as processes: make a cluster, start it, find it, stop it.

Whoever calls these holds the cluster's lock (`embedded_locks`).
"""

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGQUIT

import psutil

from backoffice.database.embedded_place import Place, as_account
from backoffice.errors import EnvironmentProblem

SUPERUSER = "postgres"
SOCKET_PORT = 5432
LONGEST_SOCKET_PATH = 107
START_SECONDS = 300
STOP_SECONDS = 120
ORPHAN_SECONDS = 5
LONGEST_LOG = 10_000_000

FULL_DISK = ("No space left on device", "Disk quota exceeded")

SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # The data of a small office are in memory; of others, on an SSD.
    "random_page_cost": "1.1",
    "compute_query_id": "on",
    "track_io_timing": "on",
    "track_activity_query_size": "16kB",
    # Office pages are many short statements: compiling them costs more than it saves.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # "Key (email)=(…) already exists" is somebody's address: the log holds no values.
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
# For data that nobody misses after a power failure: tests.
UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
# A statement's memory is kept for the next one of the connection, up to 16 MB. By
# default the C library gives blocks of 128 kB and more back to the kernel, which hands
# them out page by page: a sixth of the time of a search with thousands of hits.
# Named as in mallopt(3); other C libraries than glibc do not know them.
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A PostgreSQL that runs: its process, and where it listens.

    Without a `socket` directory it listens on loopback.
    """

    pid: int
    port: int
    socket: str


def make_cluster(place: Place, version: int, password: str, *, durable: bool) -> None:
    """Make the data directory unless it is there; half a one never takes its place.

    Raises:
        EnvironmentProblem: what stands there is of another version, or no data at
            all, and was not touched; or `initdb` failed.
    """
    if place.data.exists() and any(place.data.iterdir()):
        _check_version(place.data, version)
        _restore_owner(place)
        return
    shutil.rmtree(place.half_made, ignore_errors=True)
    place.half_made.mkdir(mode=0o700)
    place.own(place.half_made)
    data = place.half_made / "data"
    with _password_file(place, password) as file:
        done = _run(
            place,
            "initdb",
            *("-D", str(data), "-U", SUPERUSER, "-E", "UTF8", "--locale=C"),
            *("-A", "scram-sha-256", f"--pwfile={file}", "--no-instructions"),
            *_collation(version),
            *(() if durable else ("--no-sync",)),
        )
    if done.returncode != 0:
        shutil.rmtree(place.half_made, ignore_errors=True)
        raise EnvironmentProblem(_reason(place, "be set up", done.stdout))
    data.rename(place.data)
    shutil.rmtree(place.half_made, ignore_errors=True)


def start(place: Place, *, durable: bool, port: int = 0) -> Postmaster:
    """Start PostgreSQL in a session of its own and wait until it takes connections.

    It listens on a socket in the data directory, or, where that path is too long, on
    the loopback `port` (0 finds a free one).
    """
    _clear_stale(place)
    place.data.chmod(0o700)
    settings = SETTINGS | ({} if durable else UNSAFE)
    if socket_fits(place.data):
        settings |= {"listen_addresses": "", "unix_socket_permissions": "0700"}
        settings |= {"unix_socket_directories": str(place.data)}
        port = SOCKET_PORT
    else:
        settings |= {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        port = port or _free_port()
    settings["port"] = str(port)
    options = shlex.join(f"--{name}={value}" for name, value in settings.items())
    log = _open_log(place)
    try:
        begin = os.lseek(log, 0, os.SEEK_END)
        # The data directory goes by the environment: pg_ctl would hand it to a shell.
        arguments = ("start", "--silent", "--wait", f"--timeout={START_SECONDS}")
        done = _run(place, "pg_ctl", *arguments, "-o", options, output=log)
    finally:
        os.close(log)
    found = find(place)
    if done.returncode != 0 or found is None:
        said = place.log.read_bytes()[begin:].decode(errors="replace")
        raise EnvironmentProblem(_reason(place, "start", said))
    return found


def stop(place: Place) -> None:
    """Stop PostgreSQL if it runs, ending what its clients still do.

    One that recovers from a crash of its own is stopped at once: told to be fast, it
    can wait for its own reading processes without end, and the next start recovers
    from the same place.
    """
    for mode in ("immediate",) if _is_recovering(place) else ("fast", "immediate"):
        if find(place) is None:
            return
        limits = ("--silent", "--wait", f"--timeout={STOP_SECONDS}")
        _run(place, "pg_ctl", "stop", f"--mode={mode}", *limits)


READY = "database system is ready to accept connections"
CRASHED = ("terminating any other active server processes", "was interrupted")
READ_BACK = 64 * 1024


def _is_recovering(place: Place) -> bool:
    """Whether the last that the log tells of is a crash, and not that it is over."""
    said = log_since(place, max(0, log_size(place) - READ_BACK))
    return max(said.rfind(sign) for sign in CRASHED) > said.rfind(READY)


def log_size(place: Place) -> int:
    """How long PostgreSQL's log is, in bytes."""
    try:
        return place.log.stat().st_size
    except OSError:
        return 0


def log_since(place: Place, begin: int) -> str:
    """What PostgreSQL has said since its log was this long."""
    try:
        with place.log.open("rb") as file:
            file.seek(begin)
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def full_disk(place: Place, task: str, said: str) -> EnvironmentProblem | None:
    """The error for what PostgreSQL has said, where it is that its disk is full."""
    is_full = any(sign in said for sign in FULL_DISK)
    return EnvironmentProblem(_reason(place, task, said)) if is_full else None


def find(place: Place) -> Postmaster | None:
    """The PostgreSQL that runs on these data, whoever started it.

    Its file may be left from before a crash and name a process that is something
    else by now: the process has to work in our data directory.
    """
    lines = _pid_file(place)
    if lines is None or not _works_here(place, lines[0]):
        return None
    deadline = time.monotonic() + START_SECONDS
    while not (len(lines) >= 8 and lines[7].strip() == "ready"):  # noqa: PLR2004
        # It starts or recovers for somebody who was killed meanwhile.
        time.sleep(0.05)
        lines = _pid_file(place)
        if lines is None or not _works_here(place, lines[0]):
            return None
        if time.monotonic() > deadline:
            raise EnvironmentProblem(
                f"PostgreSQL does not get ready; its log is {place.log}."
            )
    return Postmaster(pid=int(lines[0]), port=int(lines[3]), socket=lines[4].strip())


def run_alone(place: Place, statements: str) -> None:
    """Run statements, one a line, on the data of a server that is down."""
    _clear_stale(place)
    place.data.chmod(0o700)
    single = ("--single", "-D", str(place.data), "postgres")
    done = _run(place, "postgres", *single, text=statements)
    if done.returncode != 0 or "ERROR:" in done.stdout:
        raise EnvironmentProblem(_reason(place, "take new passwords", done.stdout))


def socket_fits(directory: Path) -> bool:
    """Whether a socket in this directory has a name that the system and libpq take."""
    text = str(directory)
    path = f"{text}/.s.PGSQL.{SOCKET_PORT}"
    # A comma separates hosts for libpq and directories for PostgreSQL.
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and not set(text) & set(',"')


def _check_version(data: Path, version: int) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EnvironmentProblem(
            f"{data} holds files but no PostgreSQL data, and was not touched. "
            "Move it away, and a new database is made."
        ) from None
    if found != str(version):
        raise EnvironmentProblem(
            f"{data} holds data of PostgreSQL {found}, and this is PostgreSQL "
            f"{version}; nothing was touched. Dump them with PostgreSQL {found} "
            "(pg_dump), move the directory away, start again and load the dump; or "
            "move it away to begin with an empty database."
        )


def _restore_owner(place: Place) -> None:
    """A clone copied by root belongs to root, and PostgreSQL would refuse it."""
    if place.account and place.data.stat().st_uid == 0:
        for path in (*place.data.rglob("*"), place.data):
            place.own(path)


@contextmanager
def _password_file(place: Place, password: str) -> Iterator[Path]:
    """A file that `initdb` can read, for as long as it takes."""
    descriptor, name = tempfile.mkstemp(dir=place.half_made)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        place.own(path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _collation(version: int) -> tuple[str, ...]:
    """Order by code point and case by Unicode, the same on every machine."""
    if version < 17:  # noqa: PLR2004 - the builtin provider came with 17
        return ()
    return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def _run(
    place: Place,
    program: str,
    *arguments: str,
    text: str | None = None,
    output: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """One of PostgreSQL's programs, away from our terminal and its Ctrl-C."""
    return subprocess.run(
        [str(place.programs / program), *arguments],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Settings of other PostgreSQLs (PGPORT, PGOPTIONS, …) are none of its business.
        env={"PATH": os.defpath, "LC_ALL": "C", "PGDATA": str(place.data)} | MEMORY,
        cwd="/",
        start_new_session=True,
        umask=0o077,
        check=False,
        **as_account(place.account),
    )


def _pid_file(place: Place) -> list[str] | None:
    try:
        lines = (place.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return lines if lines and lines[0].strip().isdigit() else None


def _works_here(place: Place, pid: str) -> bool:
    """Whether this process is a PostgreSQL in our data directory."""
    return int(pid) in _working_here(place, int(pid))


def _working_here(place: Place, pid: int | None = None) -> set[int]:
    """Those of our account's processes (or of this one) that serve our data."""
    if place.account:
        # Root may not look into other users' processes in a container; they may.
        asked = subprocess.run(
            ["/bin/sh", "-c", _LOOK, "sh", str(place.data), str(pid or "[1-9]*")],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **as_account(place.account),
        )
        return {int(line) for line in asked.stdout.split()}
    found = set()
    for process in psutil.process_iter() if pid is None else _existing(pid):
        try:
            if process.name() == "postgres" and place.data.samefile(process.cwd()):
                found.add(process.pid)
        except (psutil.Error, OSError):
            continue  # it has ended, or is somebody else's
    return found


_LOOK = """
for process in /proc/$2; do
    read -r name <"$process/comm" || continue
    [ "$name" = postgres ] && [ "$process/cwd" -ef "$1" ] && echo "${process#/proc/}"
done 2>/dev/null
"""


def _existing(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.Error:
        return []


def _clear_stale(place: Place) -> None:
    """Remove what a crash has left behind: no postmaster of ours is alive.

    PostgreSQL itself refuses to start where the number in `postmaster.pid` belongs to
    any process of the same user by now, and while children of the dead one go on.
    """
    for path in (place.data / "postmaster.pid", *place.data.glob(".s.PGSQL.*")):
        path.unlink(missing_ok=True)
    begun = time.monotonic()
    deadline = begun + ORPHAN_SECONDS
    # One that even SIGKILL does not end PostgreSQL itself will find, and say so.
    while (orphans := _working_here(place)) and time.monotonic() < 2 * deadline - begun:
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL if time.monotonic() > deadline else SIGQUIT)
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _open_log(place: Place) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    if place.log.exists() and place.log.stat().st_size > LONGEST_LOG:
        flags |= os.O_TRUNC
    log = os.open(place.log, flags, 0o600)
    place.own(place.log)
    return log


def _reason(place: Place, task: str, said: str) -> str:
    """Why PostgreSQL failed, in one sentence, from what it said."""
    if any(sign in said for sign in FULL_DISK):
        return (
            f"The disk of {place.home} is full: PostgreSQL could not {task}. "
            "Make room (100 MB at least) and start again; the data are unharmed."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [
        line
        for line in lines
        if any(word in line for word in ("FATAL:", "PANIC:", "error:", "ERROR:"))
    ]
    last = (telling or lines or ["it said nothing"])[-1]
    return f"PostgreSQL could not {task}: {last} (its log is {place.log})"
