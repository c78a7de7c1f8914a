"""Fill a database by a plan: all of it in one transaction, or nothing.

The rows are the plan's to the byte, keys and times included; the machine, the hour
and the way they were made do not show in them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import psycopg
from sqlalchemy import Connection, Engine, Table, func, inspect, select
from sqlalchemy.exc import DBAPIError

from backoffice.database.base import OWN_PREFIX
from backoffice.errors import (
    BackofficeError,
    EnvironmentProblem,
    LockNotAvailable,
    NotPermitted,
    Refused,
)
from backoffice.seeding import postgresql, sqlite
from backoffice.seeding.plan import Plan, RefusedLine, blocks
from backoffice.seeding.stream import open_stream

FILLING = "filling"
TIDYING = "tidying"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `done` of about `total` rows, of which `table` is being filled.

    From the stage `TIDYING` on the rows are committed.
    """

    stage: str
    table: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What was done for one table."""

    table: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What a run did; `seconds` is all of it, `tidying` the VACUUM or ANALYZE."""

    tables: tuple[Filled, ...]
    seconds: float
    tidying: float
    refused: tuple[RefusedLine, ...]

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return sum(filled.rows for filled in self.tables)


def seed(
    engine: Engine,
    plan: Plan,
    *,
    reset: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SeedReport:
    """Write the plan's rows; whatever interrupts it leaves the database as it was.

    `reset` empties the plan's tables first, in the same transaction. Afterwards,
    outside of it, the planner learns about the new rows.

    Raises:
        Refused: rows stand in the plan's tables, or a table is missing.
        LockNotAvailable: somebody else writes to these tables.
        EnvironmentProblem: the disk is full, or the rows could not be made.
    """
    say = progress or _silent
    meter = Meter(plan.rows, say)
    started = time.perf_counter()
    with _explained():
        with _transaction(engine) as connection:
            check_tables(connection, plan)
            _prepare(connection, plan, reset=reset)
            if not reset:
                check_empty(connection, plan)
            _fill(connection, plan, meter)
            _finish(connection, plan)
        committed = time.perf_counter()
        for fill in plan.fills:
            say(Progress(TIDYING, fill.table.name, plan.rows, plan.rows))
            _tidy(engine, fill.table)
    ended = time.perf_counter()
    return SeedReport(
        tuple(meter.tables), ended - started, ended - committed, plan.refused
    )


def check_tables(connection: Connection, plan: Plan) -> None:
    """Raise `Refused` where a table is missing, or is not the plan's to fill."""
    there = inspect(connection)
    missing = [
        table.name
        for table in plan.resets
        if not there.has_table(table.name, schema=table.schema)
    ]
    if missing:
        raise Refused(
            message=f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} not in "
            "this database; manage.py migrate makes the tables."
        )
    known = {*plan.resets}
    for fill in plan.fills:
        assert fill.table in known, fill.table.name  # noqa: S101 - the plan's own mistake
    for table in plan.resets:
        assert not table.name.startswith(OWN_PREFIX), table.name  # noqa: S101 - same


def check_empty(connection: Connection, plan: Plan) -> None:
    """Raise `Refused` with the counts where rows stand in the plan's tables."""
    counts = {}
    for table in plan.resets:
        found = connection.scalar(select(func.count()).select_from(table)) or 0
        if found:
            counts[table.name] = found
    if not counts:
        return
    said = [
        f"{name} has {count:,} {'row' if count == 1 else 'rows'}"
        for name, count in counts.items()
    ]
    raise Refused(
        message=f"Nothing was written: {_listed(said)} already. "
        f"--reset deletes every row of {_listed([t.name for t in plan.resets])} "
        "and seeds anew."
    )


class Meter:
    """Counts what is written, and says so."""

    def __init__(self, total: int, say: Callable[[Progress], None]) -> None:
        self.tables: list[Filled] = []
        self._total = total
        self._say = say
        self._done = 0

    @contextmanager
    def filling(self, table: Table) -> Iterator[Callable[[int], None]]:
        """A function that is told of each block of the table."""
        started, before = time.perf_counter(), self._done

        def add(rows: int) -> None:
            self._done += rows
            self._say(Progress(FILLING, table.name, self._done, self._total))

        add(0)
        yield add
        seconds = time.perf_counter() - started
        self.tables.append(Filled(table.name, self._done - before, seconds))


# Plain loops, no generators: whatever is raised in one has to end the COPY before the
# transaction is rolled back, and a generator that waits would keep it open.
def _fill(connection: Connection, plan: Plan, meter: Meter) -> None:
    """Write all rows, table by table."""
    if connection.dialect.name == "postgresql":
        _copy_all(connection, plan, meter)
    else:
        _insert_all(connection, plan, meter)


def _copy_all(connection: Connection, plan: Plan, meter: Meter) -> None:
    with open_stream(plan) as stream:
        for number, made in groupby(stream, key=attrgetter("fill")):
            fill = plan.fills[number]
            with (
                meter.filling(fill.table) as add,
                postgresql.open_copy(connection, fill) as write,
            ):
                for block in made:
                    write(block.text)
                    add(block.rows)


def _insert_all(connection: Connection, plan: Plan, meter: Meter) -> None:
    for fill in plan.fills:
        with meter.filling(fill.table) as add:
            for rows in blocks(fill, plan.seed):
                sqlite.insert_rows(connection, fill.table, fill.columns, rows)
                add(len(rows))


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; on SQLite one that writes from its start."""
    with (
        engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


def _prepare(connection: Connection, plan: Plan, *, reset: bool) -> None:
    if connection.dialect.name == "postgresql":
        postgresql.prepare(connection, plan, reset=reset)
    elif reset:
        sqlite.empty(connection, plan)


def _finish(connection: Connection, plan: Plan) -> None:
    if connection.dialect.name == "postgresql":
        postgresql.finish(connection, plan)


def _tidy(engine: Engine, table: Table) -> None:
    if engine.dialect.name == "postgresql":
        postgresql.vacuum(engine, table)
    else:
        sqlite.analyze(engine, table)


@contextmanager
def _explained() -> Iterator[None]:
    """What an operator can do something about, in words."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        found = explain(error)
        if found is None:
            raise
        raise found from error


def explain(error: psycopg.Error | DBAPIError) -> BackofficeError | None:
    """The operator's part in a database error; None where it is the program's fault."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause).strip().partition("\n")[0]
    nothing = "Nothing was written"
    match cause:
        case psycopg.errors.LockNotAvailable():
            return LockNotAvailable(
                f"{nothing}: somebody else is writing to these tables; try again later."
            )
        case psycopg.errors.DiskFull():
            return EnvironmentProblem(
                f"{nothing}: the disk of the database is full ({text})."
            )
        case psycopg.errors.InsufficientPrivilege():
            return NotPermitted(
                f"{nothing}: {text}; the role that seeds owns the tables."
            )
        case psycopg.errors.FeatureNotSupported() if "truncate" in text:
            return Refused(
                message=f"{nothing}: another table refers to these rows "
                f"({cause.diag.message_detail or text})"
            )
    if "database is locked" in text:
        return LockNotAvailable(f"{nothing}: another program is writing to the file.")
    if "disk is full" in text:
        return EnvironmentProblem(f"{nothing}: the disk of the database is full.")
    return None


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _silent(_: Progress) -> None:
    """Nobody is watching."""
