"""Which migrations a database has had, which are due, and how to apply or undo them.

Alembic does the work, on two branches: `backoffice`, shipped in this package for our
own tables, and the project's, whose first revision depends on ours. What a database
has had stands in `backoffice_alembic_version`, so that a project that runs Alembic by
itself keeps its own table; its directory, known by its `env.py`, is left alone.

A revision is named by its id, which is also its file's name (`0002_add_phones`), or by
any beginning of it that fits one revision only; `heads` is all, `zero` is nothing, and
`project@zero` nothing of the project's. Down to a revision means without what follows
it on its branch, and without what depends on that.
"""

import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, Engine, MetaData, text
from sqlalchemy.exc import DBAPIError, OperationalError

from backoffice.database.engine import is_unmade
from backoffice.database.migration_defaults import (
    HEADS,
    LOCK_TIMEOUT,
    PROJECT_ZERO,
    WAIT,
    ZERO,
)
from backoffice.database.migration_lock import only_migration
from backoffice.errors import DatabaseUnavailable, LockNotAvailable, MigrationProblem

VERSION_TABLE = "backoffice_alembic_version"
BRANCH = "backoffice"

OWN_DIRECTORY = Path(__file__).parent.parent / "migrations"

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class ProjectMigrations:
    """Where a project's revisions are, and the tables that they should end in.

    `directory` is None for a project that has none, or has nothing to migrate.
    """

    directory: Path | None
    metadata: list[MetaData]


class Direction(StrEnum):
    """Which way a revision is run."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its id, what it is for, and whether this database has had it."""

    id: str
    title: str
    branch: str
    is_applied: bool
    path: Path


@dataclass(frozen=True, slots=True)
class Step:
    """One revision that would be run, and which way."""

    revision: Revision
    direction: Direction

    def __str__(self) -> str:
        sign = "+" if self.direction is Direction.UP else "-"
        return f"{sign} {self.revision.id}: {self.revision.title}"


def migrate(
    engine: Engine,
    project: ProjectMigrations,
    *,
    target: str = HEADS,
    report: Callable[[str], None],
    lock_timeout: float = LOCK_TIMEOUT,
    wait: float = WAIT,
    direction: Direction | None = None,
) -> list[Revision]:
    """Bring the database to `target`, up or down, and say each revision that was run.

    Each revision is a transaction of its own: where one fails, what came before it
    stands, and nothing of it does. `wait` seconds are waited for another migration.

    Raises:
        MigrationProblem: there is no such revision, or one of them failed.
        LockNotAvailable: a table, or the other migration, was busy for too long.
        DatabaseUnavailable: there was no connection.
    """
    script = revision_files(project)
    with (
        _connection(engine) as connection,
        in_words(),
        only_migration(connection, report, wait=wait),
        _limits(connection, lock_timeout),
        _whole_transaction(connection),
    ):
        return _run(connection, script, target, direction, report)


def upgrade(
    engine: Engine,
    project: ProjectMigrations,
    *,
    target: str = HEADS,
    report: Callable[[str], None],
    lock_timeout: float = LOCK_TIMEOUT,
    wait: float = WAIT,
) -> list[Revision]:
    """Apply what is missing up to `target`; as `migrate`, but never undoes anything."""
    return migrate(
        engine,
        project,
        target=target,
        report=report,
        lock_timeout=lock_timeout,
        wait=wait,
        direction=Direction.UP,
    )


def downgrade(
    engine: Engine,
    project: ProjectMigrations,
    *,
    target: str,
    report: Callable[[str], None],
    lock_timeout: float = LOCK_TIMEOUT,
    wait: float = WAIT,
) -> list[Revision]:
    """Undo what came after `target`; as `migrate`, but never applies anything."""
    return migrate(
        engine,
        project,
        target=target,
        report=report,
        lock_timeout=lock_timeout,
        wait=wait,
        direction=Direction.DOWN,
    )


def history(engine: Engine, project: ProjectMigrations) -> list[Revision]:
    """Every revision in the order it is applied, ours first."""
    script = revision_files(project)
    return _revisions(script, _applied(script, _heads_now(engine)))


def pending(engine: Engine, project: ProjectMigrations) -> list[Revision]:
    """The revisions that this database has not had, in the order they are applied."""
    return [
        revision for revision in history(engine, project) if not revision.is_applied
    ]


def is_at_head(engine: Engine, project: ProjectMigrations) -> bool:
    """Whether this database has had every revision."""
    return not pending(engine, project)


def plan(
    engine: Engine, project: ProjectMigrations, *, target: str = HEADS
) -> list[Step]:
    """What `migrate` would run; runs nothing."""
    script = revision_files(project)
    heads = _heads_now(engine)
    with in_words():
        steps = _steps(script, heads, find_target(script, target), None)
        applied = _applied(script, heads)
    return [_step(script, step, applied) for step in steps]


def sql(
    dialect: Dialect,
    project: ProjectMigrations,
    *,
    target: str = HEADS,
    backwards: bool = False,
) -> str:
    """The SQL of one revision, or of all for `heads`; needs no database.

    Raises:
        MigrationProblem: there is no such revision.
    """
    script = revision_files(project)
    with in_words():
        found = find_target(script, target)
        if found in (ZERO, PROJECT_ZERO):
            raise MigrationProblem(
                f"{found} is no revision; name one, or heads for all."
            )
        chosen = _ordered(script) if found == HEADS else [script.get_revision(found)]
        up = [
            MigrationStep.upgrade_from_script(script.revision_map, one)
            for one in chosen
        ]
        down = [
            MigrationStep.downgrade_from_script(script.revision_map, one)
            for one in reversed(chosen)
        ]
        steps = down if backwards else up
        before = steps[0].from_revisions_no_deps if steps else ()
        return _as_sql(dialect, script, steps, before)


def revision_files(project: ProjectMigrations) -> ScriptDirectory:
    """Our revisions and the project's.

    Raises:
        MigrationProblem: a file cannot be read as a revision.
    """
    locations = [OWN_DIRECTORY / "versions"]
    own = project_versions(project)
    if own is not None:
        locations.append(own)
    with in_words():
        script = ScriptDirectory(
            str(OWN_DIRECTORY),
            "%(rev)s",
            version_locations=locations,
            messaging_opts={"quiet": True},
        )
        try:
            script.get_heads()
        except CommandError:
            raise
        except Exception as error:
            # A revision is the project's own Python; its import may raise anything.
            raise MigrationProblem(
                f"A file in {' or '.join(map(str, locations))} cannot be read as a "
                f"revision: {type(error).__name__}: {error}"
            ) from error
    return script


def project_versions(project: ProjectMigrations) -> Path | None:
    """Where the project's revisions for us are, or None where Alembic is its own."""
    directory = project.directory
    if directory is None or (directory / "env.py").exists():
        return None
    return directory / "versions"


def find_target(script: ScriptDirectory, target: str) -> str:
    """The id that `target` is or begins, or `heads` or `zero`.

    Raises:
        MigrationProblem: none or several begin so.
    """
    if target in (HEADS, ZERO, PROJECT_ZERO):
        return target
    ids = [one.revision for one in _ordered(script)]
    fitting = [one for one in ids if one == target] or [
        one for one in ids if one.startswith(target)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise MigrationProblem(
            f"{target!r} begins several revisions: {', '.join(fitting)}."
        )
    raise MigrationProblem(
        f"There is no revision {target!r}; there are {', '.join(ids)}, heads and zero."
    )


def migration_context(
    connection: Connection, script: ScriptDirectory, **options: Any
) -> MigrationContext:
    """Alembic's context on `connection`, with everything that is always so."""
    return MigrationContext.configure(
        connection=connection,
        opts={
            "script": script,
            "version_table": VERSION_TABLE,
            "transaction_per_migration": True,
            "transactional_ddl": True,
            **options,
        },
    )


def for_text(dialect: Dialect) -> Dialect:
    """The dialect as for a script: a "%" in it is no driver's placeholder."""
    kind: Any = type(dialect)
    named: Dialect = kind(paramstyle="named")
    return named


def _run(
    connection: Connection,
    script: ScriptDirectory,
    target: str,
    direction: Direction | None,
    report: Callable[[str], None],
) -> list[Revision]:
    """Run the steps one by one; those that were run are reported as they end."""
    done: list[Revision] = []
    running = ""

    def steps(heads: tuple[str, ...], _context: object) -> Iterator[RevisionStep]:
        nonlocal running
        for step in _steps(script, heads, find_target(script, target), direction):
            running = _id(step)
            yield step
            report(f"{'Applied' if step.is_upgrade else 'Undid'} {running}")
            done.append(_revision(script.get_revision(running), step.is_upgrade))

    context = migration_context(connection, script, fn=steps)
    try:
        with Operations.context(context), context.begin_transaction():
            context.run_migrations()
        if target == ZERO:
            _forget(connection)
    except DBAPIError as error:
        raise _failed(running, error) from error
    return done


def _forget(connection: Connection) -> None:
    """Nothing is left: what a database has had is nothing, and no table says so."""
    transaction = nullcontext() if connection.in_transaction() else connection.begin()
    with transaction:
        connection.execute(text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))


def _failed(revision: str, error: DBAPIError) -> Exception:
    """What to say of a revision that the database stopped."""
    if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        return LockNotAvailable(
            f"{revision or 'The migration'} needs a table that others are using, and "
            "did not get it in time; nothing of it was applied. Run it again."
        )
    reason = str(error.orig).strip().partition("\n")[0]
    return MigrationProblem(
        f"{revision or 'The migration'} failed, and nothing of it was applied: {reason}"
    )


def _steps(
    script: ScriptDirectory,
    heads: Sequence[str],
    target: str,
    direction: Direction | None,
) -> list[RevisionStep]:
    """What leads from `heads` to `target`; nothing where that is the other way."""
    applied = _applied(script, heads)
    is_down = target in (ZERO, PROJECT_ZERO) or target in applied
    if direction is not None and is_down is not (direction is Direction.DOWN):
        return []
    if not is_down:
        current: Any = tuple(heads)
        steps = script._upgrade_revs(target, current)  # noqa: SLF001
        return sorted(steps, key=lambda step: _is_projects(script, step))
    return [
        MigrationStep.downgrade_from_script(script.revision_map, one)
        for one in reversed(_ordered(script))
        if one.revision in applied and _is_undone(script, one, target)
    ]


def _is_undone(script: ScriptDirectory, one: Script, target: str) -> bool:
    """Whether going down to `target` takes this revision with it."""
    if target == ZERO:
        return True
    if target == PROJECT_ZERO:
        return not _is_own(one)
    # What came after it on its branch, and whatever depends on one of those.
    before = _applied(script, [one.revision])
    return any(
        target in _as_tuple(script.get_revision(later).down_revision)
        for later in before
    )


def _applied(script: ScriptDirectory, heads: Iterable[str]) -> set[str]:
    """The ids of `heads` and of everything before them, dependencies included."""
    found: set[str] = set()
    waiting = list(heads)
    while waiting:
        revision = _known(script, waiting.pop())
        if revision.revision not in found:
            found.add(revision.revision)
            waiting.extend(revision._all_down_revisions)  # noqa: SLF001
    return found


def _known(script: ScriptDirectory, revision: str) -> Script:
    """The file of a revision that the database has had."""
    try:
        return script.get_revision(revision)
    except CommandError as error:
        raise MigrationProblem(
            f"The database has had the migration {revision}, and there is no file of "
            "it here; a newer version of the code has migrated it."
        ) from error


def _ordered(script: ScriptDirectory) -> list[Script]:
    """Every revision, in the order they would be applied to an empty database."""
    steps = _steps(script, (), HEADS, Direction.UP)
    return [script.get_revision(_id(step)) for step in steps]


def _is_projects(script: ScriptDirectory, step: RevisionStep) -> bool:
    """Ours are run first: the project's may need them, and never the reverse."""
    return not _is_own(script.get_revision(_id(step)))


def _revisions(script: ScriptDirectory, applied: set[str]) -> list[Revision]:
    return [_revision(one, one.revision in applied) for one in _ordered(script)]


def _revision(script: Script, is_applied: bool) -> Revision:  # noqa: FBT001
    return Revision(
        id=script.revision,
        title=script.doc,
        branch=BRANCH if _is_own(script) else "project",
        is_applied=is_applied,
        path=Path(script.path),
    )


def _is_own(script: Script) -> bool:
    """Whether a revision came with this package."""
    return Path(script.path).is_relative_to(OWN_DIRECTORY.resolve())


def _step(script: ScriptDirectory, step: RevisionStep, applied: set[str]) -> Step:
    revision = _id(step)
    return Step(
        _revision(script.get_revision(revision), revision in applied),
        Direction.UP if step.is_upgrade else Direction.DOWN,
    )


def _id(step: RevisionStep) -> str:
    """The id of the one revision that a step runs."""
    (revision,) = step.info.up_revision_ids
    return str(revision)


def _as_sql(
    dialect: Dialect,
    script: ScriptDirectory,
    steps: Sequence[MigrationStep],
    before: Sequence[str],
) -> str:
    """What the steps would send, as a script."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect=for_text(dialect),
        opts={
            "script": script,
            "version_table": VERSION_TABLE,
            "transaction_per_migration": True,
            "transactional_ddl": True,
            "as_sql": True,
            "output_buffer": written,
            "literal_binds": True,
            "starting_rev": list(before) or None,
            "fn": lambda _heads, _context: steps,
        },
    )
    with Operations.context(context), context.begin_transaction():
        context.run_migrations()
    return written.getvalue()


def _heads(connection: Connection) -> tuple[str, ...]:
    """What the database has had; nothing where there is no table of it."""
    context = MigrationContext.configure(
        connection=connection, opts={"version_table": VERSION_TABLE}
    )
    return tuple(context.get_current_heads())


def _heads_now(engine: Engine) -> tuple[str, ...]:
    """The same, of a database that is only looked at."""
    if is_unmade(engine.url):
        return ()
    with _connection(engine) as connection, in_words():
        return _heads(connection)


@contextmanager
def _limits(connection: Connection, lock_timeout: float) -> Iterator[None]:
    """Statements may run as long as they need, and wait for others only briefly."""
    if connection.dialect.name != "postgresql":
        yield
        return
    with connection.begin():
        connection.execute(
            text(
                "SELECT set_config('statement_timeout', '0', false),"
                " set_config('idle_in_transaction_session_timeout', '0', false),"
                " set_config('lock_timeout', :lock, false)"
            ),
            {"lock": f"{int(lock_timeout * 1000)}ms"},
        )
    try:
        yield
    finally:
        # The pool's next user has limits of its own, which this connection lost.
        connection.invalidate()


@contextmanager
def _whole_transaction(connection: Connection) -> Iterator[None]:
    """On SQLite one transaction for all, which is also the lock against a second.

    Tables are made anew there when they change. Foreign keys rest meanwhile, or a
    DROP TABLE would delete what points at its rows; at the end they are looked at.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    # In a transaction the pragma would be ignored, and SQLAlchemy begins one at once.
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    # Who reads does not wait for who writes, from now on; where somebody else has the
    # file open it cannot be changed, and the metrics page says so.
    with suppress(sqlite3.OperationalError):
        driver.execute("PRAGMA journal_mode = WAL")
    connection.execution_options(sqlite_begin="IMMEDIATE")
    try:
        with connection.begin():
            yield
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken:
                raise MigrationProblem(
                    f"A row of {broken[0]} would point at a row of {broken[2]} that is "
                    "not there; nothing was migrated."
                )
    finally:
        connection.execution_options(sqlite_begin="")
        driver.execute("PRAGMA foreign_keys = ON")


def _as_tuple(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


@contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    """A connection, or a sentence why there is none."""
    try:
        connection = engine.connect()
    except OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise DatabaseUnavailable(f"No connection to the database: {reason}") from error
    with connection:
        yield connection


@contextmanager
def in_words() -> Iterator[None]:
    """Alembic's own refusals as ours."""
    try:
        yield
    except CommandError as error:
        raise MigrationProblem(f"{error}".rstrip(".") + ".") from error
