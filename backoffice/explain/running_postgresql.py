"""What would PostgreSQL do with this statement? Asked so that nothing can come of it.

Every statement has a transaction of its own that is limited in time and rolled back,
and only reads, unless what writes is to be measured as well. Several statements in one
text are refused by the protocol. Errors are told by their code: their texts hold
people's values.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import Engine

from backoffice.errors import DatabaseUnavailable
from backoffice.explain.catalog_postgresql import Catalog, read_catalog
from backoffice.explain.measuring_postgresql import CALL, PREPARED, why_not_measured
from backoffice.explain.statement import (
    Caught,
    Kind,
    kind_of,
    numbered,
    only_reads,
    places,
    with_numbers,
)
from backoffice.explain.writing_postgresql import (
    not_undone,
    run_writing,
    why_not_run,
)

# One measurement at a time on a server: two would measure each other.
LOCK = 0x6261636B_65787061 & 0x7FFFFFFF_FFFFFFFF
GENERIC_PLAN_SINCE = 160_000


class How(StrEnum):
    """How a plan was got."""

    PLANNED = "planned"  # with its values, not run
    GENERIC = "generic"  # for any values, not run
    MEASURED = "measured"  # run
    UNDONE = "undone"  # run, and it writes: rolled back


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may be planned or run, and wait for locks; seconds."""

    plan: float = 3.0
    run: float = 5.0
    lock: float = 0.2


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of one statement: its plan as the server gave it, or why there is none.

    `plan` has everybody's values in it. Of what was run and writes `not_undone` says
    what the rollback has left.
    """

    caught: Caught
    kind: Kind
    how: How
    plan: Any = None
    problem: str = ""
    seconds: float = 0.0
    not_undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """All statements of one question, and what the server knows of their tables."""

    explained: tuple[Explained, ...]
    catalog: Catalog
    why_not_measured: str = ""
    why_not_written: str = ""


IsNeeded = Callable[[Caught, Any], bool]


def explain(
    engine: Engine,
    statements: Sequence[Caught],
    *,
    measure: bool = False,
    writes: bool = False,
    limits: Limits | None = None,
    is_needed: IsNeeded | None = None,
) -> Answer:
    """Plan each statement; with `measure`, run those that read.

    With `writes` as well, run those that write, and undo it. `is_needed` tells of each
    but the first whether it is wanted, given the first's plan. Uses a connection of
    `engine` and leaves nothing on it.

    Raises:
        DatabaseUnavailable: there is no connection to be had.
        Refused: a text is no statement that has a plan.
    """
    limits = limits or Limits()
    kinds = [kind_of(one.text) for one in statements]
    with _connection(engine) as driver:
        with _transaction(driver, limits.plan, limits):
            why_not = why_not_measured(driver)
            why_not_write = why_not_run(driver)
        found: list[Explained] = []
        for one, kind in zip(statements, kinds, strict=True):
            if found and is_needed is not None and not is_needed(one, found[0].plan):
                continue
            how = How.PLANNED if one.values is not None else How.GENERIC
            if measure and how is How.PLANNED:
                if writes and not only_reads(one.text):
                    how = How.PLANNED if why_not_write else How.UNDONE
                elif kind is Kind.READS and not why_not:
                    how = How.MEASURED
            found.append(_explained(driver, one, kind, limits, how))
        names = {name for one in found for name in _relations(one.plan)}
        with _transaction(driver, limits.plan, limits):
            catalog = read_catalog(driver, names)
    return Answer(tuple(found), catalog, why_not, why_not_write)


@contextmanager
def _connection(engine: Engine) -> Iterator[psycopg.Connection]:
    """A connection of its own, which ends with what was prepared on it."""
    try:
        raw = engine.raw_connection()
    except Exception as error:
        raise DatabaseUnavailable("The database has no connection to give.") from error
    try:
        driver = raw.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101 - a PostgreSQL engine
        yield driver
    finally:
        # What was prepared, and whatever was set, goes with the connection.
        raw.invalidate()


@contextmanager
def _transaction(
    driver: psycopg.Connection,
    seconds: float,
    limits: Limits,
    *,
    may_write: bool = False,
) -> Iterator[None]:
    """A transaction that only reads, unless it is to write; limited, and undone."""
    settings = {"statement_timeout": seconds, "lock_timeout": limits.lock}
    if driver.info.server_version >= 170_000:  # noqa: PLR2004
        settings["transaction_timeout"] = seconds + 1
    try:
        way = "READ WRITE" if may_write else "READ ONLY"
        driver.execute(f"SET TRANSACTION {way}".encode(), prepare=True)
        _set(driver, {name: f"{int(one * 1000)}" for name, one in settings.items()})
        yield
    finally:
        if not driver.closed:
            driver.rollback()


def _set(driver: psycopg.Connection, settings: Mapping[str, str]) -> None:
    """Set parameters for this transaction."""
    for pair in settings.items():
        driver.execute("SELECT set_config(%s, %s, true)", pair, prepare=True)


def _explained(
    driver: psycopg.Connection,
    one: Caught,
    kind: Kind,
    limits: Limits,
    how: How,
) -> Explained:
    """One statement's plan, or the reason why there is none."""
    begun = time.perf_counter()
    plan, problem = _tried(driver, one, how, limits)
    if problem == UNTYPED and one.literals:
        numbers = replace(one, text=with_numbers(one.text, one.literals))
        plan, problem = _tried(driver, numbers, how, limits)
    if problem == UNTYPED:
        problem = f"{UNTYPED} {one.remedy}"
    seconds = time.perf_counter() - begun
    left: tuple[str, ...] = ()
    if how is How.UNDONE and plan:
        with _transaction(driver, limits.plan, limits):
            left = not_undone(driver, plan)
    return Explained(one, kind, how, plan, problem, seconds, left)


def _tried(
    driver: psycopg.Connection, one: Caught, how: How, limits: Limits
) -> tuple[Any, str]:
    """The plan in a transaction of its own, or why there is none."""
    is_run = how in (How.MEASURED, How.UNDONE)
    seconds = limits.run if is_run else limits.plan
    if driver.closed:
        return None, "The connection was lost before."
    try:
        with _transaction(driver, seconds, limits, may_write=how is How.UNDONE):
            if is_run and not _is_alone(driver):
                return None, "Another statement is being measured; one at a time."
            _set(driver, one.settings)
            if how is How.MEASURED:
                return _measured(driver, one), ""
            if how is How.UNDONE:
                return _undone(driver, one), ""
            if how is How.GENERIC:
                return _generic(driver, one), ""
            return _planned(driver, one), ""
    except psycopg.Error as error:
        return None, in_words(error, seconds)


def _planned(driver: psycopg.Connection, one: Caught) -> Any:
    """The plan for these values, which travel beside the text."""
    options = ", ".join(_options(driver.info.server_version))
    # The driver's places are for values; the options are our own words.
    text = f"EXPLAIN ({options}, FORMAT JSON) {one.text}"
    found = driver.execute(text.encode(), one.values, prepare=True).fetchone()
    return found[0] if found else None


def _generic(driver: psycopg.Connection, one: Caught) -> Any:
    """The plan for any values."""
    text = one.text
    version = driver.info.server_version
    options = ", ".join(_options(version))
    _prepare(driver, text)
    if version >= GENERIC_PLAN_SINCE:
        # Only a text that was prepared, so is one statement, goes this way: values
        # that are not there cannot be bound, and without them nothing else forbids two.
        explain = f"EXPLAIN (GENERIC_PLAN, {options}, FORMAT JSON) {text}"
        found = driver.execute(explain.encode()).fetchone()
    else:
        driver.execute("SET LOCAL plan_cache_mode = force_generic_plan", prepare=True)
        nulls = ", ".join(["NULL"] * places(text))
        listed = f"({nulls})" if nulls else ""
        explain = f"EXPLAIN ({options}, FORMAT JSON) EXECUTE {PREPARED}{listed}"
        found = driver.execute(explain.encode(), prepare=True).fetchone()
    _forget(driver)
    return found[0] if found else None


def _is_alone(driver: psycopg.Connection) -> bool:
    """Whether nothing else is measured now; nothing else is until the rollback."""
    lock = driver.execute(
        "SELECT pg_try_advisory_xact_lock(%s::bigint)", [LOCK], prepare=True
    ).fetchone()
    return bool(lock and lock[0])


def _measured(driver: psycopg.Connection, one: Caught) -> Any:
    """The plan of a run by a role that can only read."""
    text, names = numbered(one.text)
    options = _run_options(driver)
    # This connection is new: planned once before, it knows the tables as others do.
    _planned(driver, one)
    _prepare(driver, text)
    given = _texts(driver, one.values, names)
    found = driver.execute(CALL, [given, options], prepare=True).fetchone()
    _forget(driver)
    return found[0] if found else None


def _undone(driver: psycopg.Connection, one: Caught) -> Any:
    """The plan of a run by the application's own role, in a transaction that ends."""
    _planned(driver, one)
    explain = f"EXPLAIN ({_run_options(driver)}, FORMAT JSON) {one.text}"
    return run_writing(driver, explain, one.values)


def _run_options(driver: psycopg.Connection) -> str:
    """What EXPLAIN tells of a run."""
    version = driver.info.server_version
    options = ", ".join(["ANALYZE", "WAL", *_options(version)])
    return f"{options}, SERIALIZE TEXT" if version >= 170_000 else options  # noqa: PLR2004


def _options(version: int) -> list[str]:
    """What EXPLAIN tells besides, without running anything."""
    options = ["VERBOSE", "SETTINGS", "BUFFERS", "SUMMARY"]
    return [*options, "MEMORY"] if version >= 170_000 else options  # noqa: PLR2004


def _prepare(driver: psycopg.Connection, text: str) -> None:
    """Let the server take the text as one statement: of two it takes none."""
    driver.execute("DEALLOCATE ALL", prepare=False)
    driver.execute(f"PREPARE {PREPARED} AS {text}".encode(), prepare=True)


def _forget(driver: psycopg.Connection) -> None:
    driver.execute(f"DEALLOCATE {PREPARED}", prepare=False)


def _texts(
    driver: psycopg.Connection, values: Any, names: Sequence[str]
) -> list[str | None]:
    """The values as PostgreSQL writes them, in the order of their places."""
    by_name = (
        values
        if isinstance(values, Mapping)
        else {str(at): value for at, value in enumerate(values or (), 1)}
    )
    transformer = Transformer(driver)
    found: list[str | None] = []
    for name in names:
        value = by_name[name]
        if value is None:
            found.append(None)
            continue
        dumped = transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        found.append(None if dumped is None else bytes(dumped).decode())
    return found


def _relations(plan: Any) -> Iterator[tuple[str, str]]:
    """Schema and name of every table in a plan."""
    if isinstance(plan, Mapping):
        if "Relation Name" in plan:
            yield str(plan.get("Schema", "")), str(plan["Relation Name"])
        for inner in plan.values():
            yield from _relations(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _relations(inner)


# Of a statement without its values even its numbers are unknown.
UNTYPED = "Without its values the type of one of them is not known."
_WORDS = {
    "23505": "It would write a row that is there already, so it was stopped.",
    "25006": "It would write, so it was not run.",
    "25P04": "It was stopped: the time for it was over.",
    "42501": "The role that measures may not do what this statement does. It reads "
    "tables and nothing else.",
    "42601": "It is not one complete statement, so it was refused.",
    "42703": "It names a column that is not there any more.",
    "42P01": "It names a table that is not there any more.",
    "42725": UNTYPED,
    "42804": UNTYPED,
    "42883": UNTYPED,
    "42P18": UNTYPED,
    "55P03": "It waited for a lock for longer than it may.",
    "57014": "It was stopped after {seconds:g} s, the most it may take.",
}


def in_words(error: psycopg.Error, seconds: float) -> str:
    """What went wrong by its code; the server's own text may hold values."""
    code = error.sqlstate or ""
    if code in _WORDS:
        return _WORDS[code].format(seconds=seconds)
    if not code:
        return "The database did not answer to the end."
    return f"The database refused it (SQLSTATE {code})."
