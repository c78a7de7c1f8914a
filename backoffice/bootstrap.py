"""The one object that everything above works with, and how it is put together."""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from sqlalchemy import URL, Engine, MetaData, NullPool, QueuePool
from sqlalchemy.orm import Session, sessionmaker

import backoffice.audit.models
import backoffice.auth.models
import backoffice.bulk.models
import backoffice.explain.models
import backoffice.observability.models  # noqa: F401 - makes our own tables known
from backoffice.database.base import Base
from backoffice.database.embedded import embedded_postgres
from backoffice.database.engine import database_url, make_engine
from backoffice.database.migrations import ProjectMigrations, revision_files
from backoffice.database.secret_names import hide_secrets
from backoffice.database.session import make_sessions
from backoffice.errors import BackofficeError, EnvironmentProblem, SettingsError
from backoffice.observability.health import Pulse, migrations_question
from backoffice.observability.judging import Judging
from backoffice.observability.keeper import Keeper, make_flush_engine
from backoffice.observability.ops_connection import OpsReader, make_ops_engine
from backoffice.observability.pool import observed_pool
from backoffice.project_module import import_project_module
from backoffice.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Backoffice:
    """Settings, engine and sessions of one project, in one process.

    `exports` and `jobs` are engines of their own without a pool: for what an export or
    a worker holds, no page waits. `keeper` observes all three; `ops` asks the database
    over a connection of its own, also while all others are in use; `judging` says how
    all is. `notice` is what the embedded server has to say at its start, or "".
    """

    root: Path
    settings: Settings
    engine: Engine
    exports: Engine
    jobs: Engine
    sessions: sessionmaker[Session]
    # Whoever prints the whole of it, as in a log, prints no key.
    secret_key: str = field(repr=False)
    project: ProjectMigrations
    is_embedded: bool
    keeper: Keeper
    ops: OpsReader
    pulse: Pulse
    judging: Judging
    notice: str = ""


@contextmanager
def open_backoffice(
    root: Path,
    *,
    application_name: str = "backoffice",
    statement_timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
    kind: str = "command",
) -> Iterator[Backoffice]:
    """The project in `root`, its database running; all of it closed at the end.

    Where no database is named the embedded PostgreSQL is started, or joined. What this
    process does is reported as that of a `kind` (server, worker, command, shell); an
    empty one reports nothing.

    Raises:
        SettingsError: the settings, or the modules they name, cannot be used.
        EnvironmentProblem: the embedded server cannot be started.
    """
    settings = load_settings(root, environ)
    project = load_project(root, settings)
    given = settings.database.url.get_secret_value()
    if given:
        url = database_url(given)
        opened = assemble(
            root,
            settings,
            url,
            project,
            application_name,
            statement_timeout,
            kind=kind,
        )
        with observed(opened):
            yield opened
        return
    with embedded_postgres(root) as server:
        opened = assemble(
            root,
            settings,
            server.url,
            project,
            application_name,
            statement_timeout,
            is_embedded=True,
            notice=server.notice,
            kind=kind,
        )
        with observed(opened):
            yield opened


@contextmanager
def observed(opened: Backoffice) -> Iterator[None]:
    """Report what the process does, if it has a kind; close everything at the end."""
    if opened.keeper.snapshots.kind:
        opened.keeper.start()
    try:
        yield
    finally:
        close(opened)


def assemble(  # noqa: PLR0913 - it is where everything comes together
    root: Path,
    settings: Settings,
    url: URL,
    project: ProjectMigrations,
    application_name: str,
    statement_timeout: float | None = None,
    *,
    is_embedded: bool = False,
    notice: str = "",
    kind: str = "server",
) -> Backoffice:
    """The object, over a database that is there already.

    It observes itself; that it reports to the other processes is the keeper's `start`.
    """
    database = settings.database
    engine = make_engine(
        url,
        database,
        application_name=application_name,
        statement_timeout=statement_timeout,
        poolclass=observed_pool(NullPool if database.pool == "null" else QueuePool),
    )
    exports = make_engine(
        url,
        database.model_copy(update={"pool": "null"}),
        application_name=f"{application_name} export",
        statement_timeout=database.export_timeout,
        poolclass=observed_pool(NullPool),
    )
    jobs = make_engine(
        url,
        database.model_copy(update={"pool": "null"}),
        application_name="backoffice jobs",
        statement_timeout=database.export_timeout,
        poolclass=observed_pool(NullPool),
    )
    keeper = Keeper(
        settings.observability,
        root
        / settings.observability.metrics_directory
        / meeting_place(url, is_embedded=is_embedded),
        kind=kind,
        revision=newest_revision(project) if kind == "server" else "",
        flush_engine=make_flush_engine(url, database),
    )
    hide_secrets(project.metadata)
    keeper.recorder.values.secrecy.learn(project.metadata)
    keeper.observe(engine)
    keeper.observe(exports, name="exports")
    keeper.observe(jobs, name="jobs")
    ops = OpsReader(make_ops_engine(url, database))
    # The files are read when somebody asks first.
    pulse = Pulse(ops, migrations=cache(partial(migrations_question, project)))
    judging = Judging(keeper, ops, pulse, settings)
    if kind == "server":
        keeper.rounds = judging.round
    return Backoffice(
        root=root,
        settings=settings,
        engine=engine,
        exports=exports,
        jobs=jobs,
        sessions=make_sessions(engine),
        secret_key=secret_key(root, settings),
        project=project,
        is_embedded=is_embedded,
        keeper=keeper,
        ops=ops,
        pulse=pulse,
        judging=judging,
        notice=notice,
    )


def meeting_place(url: URL, *, is_embedded: bool = False) -> str:
    """Where in the directory of all metrics the processes on this database meet.

    Pools and statements of another database, served from the same project, are none of
    theirs. It is known by its name: a worker may reach it past the pooler that pages go
    through, and the embedded server listens elsewhere at each start.
    """
    if is_embedded:
        return "embedded"
    name = url.database or ""
    if url.get_backend_name() == "sqlite":
        name = os.path.realpath(name)
    known = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{url.get_backend_name()}-{known}"


def close(opened: Backoffice) -> None:
    """Report for the last time, and give every connection back."""
    opened.keeper.stop()
    for engine in (opened.engine, opened.exports, opened.jobs, opened.ops.engine):
        engine.dispose()


def newest_revision(project: ProjectMigrations) -> str:
    """The newest migrations that this code knows, as one word; "" without any."""
    try:
        return ",".join(sorted(revision_files(project).get_heads()))
    except BackofficeError:
        return ""  # the command for migrations says what is wrong with them


def load_project(root: Path, settings: Settings) -> ProjectMigrations:
    """Import the project's tables; where its revisions are, and its metadata.

    Raises:
        SettingsError: the settings name a module or a directory that is not there.
    """
    module = import_project_module(root, settings.app.models, "app.models")
    directory = root / settings.app.migrations if settings.app.migrations else None
    if directory is not None and not directory.is_dir():
        # Named and not there is a slip: the project's own tables would be left out.
        if "migrations" in settings.app.model_fields_set:
            raise SettingsError(
                f"app.migrations is {settings.app.migrations!r}; there is no such "
                f'directory in {root}. Make it, or set it to "" for none.'
            )
        directory = None
    return ProjectMigrations(directory=directory, metadata=metadata_of(module))


def metadata_of(module: ModuleType) -> list[MetaData]:
    """Ours first, then each other metadata that the module's tables belong to."""
    found = [Base.metadata]
    for value in vars(module).values():
        metadata = getattr(value, "metadata", None)
        if isinstance(metadata, MetaData) and metadata not in found:
            found.append(metadata)
    return found


def secret_key(root: Path, settings: Settings) -> str:
    """The key that signs; made once and kept in `var/secret_key` where none is set."""
    given = settings.web.secret_key.get_secret_value()
    if given:
        return given
    path = root / "var" / "secret_key"
    try:
        path.parent.mkdir(exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read_key(path)
        with os.fdopen(descriptor, "w") as file:
            key = secrets.token_urlsafe(48)
            file.write(key)
    except OSError as error:
        verb = "read" if path.exists() else "written"
        raise EnvironmentProblem(
            f"{path} cannot be {verb} ({error.strerror}); "
            f"let {_whoever_runs_this()} own {path.parent}, "
            "or set BACKOFFICE_WEB__SECRET_KEY."
        ) from error
    return key


def _whoever_runs_this() -> str:
    with suppress(KeyError, ImportError):
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    return "whoever runs this"


def _read_key(path: Path) -> str:
    """The kept key; an empty file is what a full disk leaves."""
    key = path.read_text().strip()
    if len(key) < 32:  # noqa: PLR2004 - what token_urlsafe(48) never falls below
        raise EnvironmentProblem(
            f"{path} holds no usable key; delete it and a new one is made "
            "(everybody has to log in again)."
        )
    return key
