"""What would PostgreSQL do with this statement? Asked so that nothing can come of it.

Every statement has a transaction of its own that only reads, is limited in time, and
is rolled back. Several statements in one text are refused by the protocol. Errors are
told by their code: their texts hold people's values.
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
    places,
    with_numbers,
)

# One measurement at a time on a server: two would measure each other.
LOCK = 0x6261636B_65787061 & 0x7FFFFFFF_FFFFFFFF
GENERIC_PLAN_SINCE = 160_000


class How(StrEnum):
    """How a plan was got."""

    PLANNED = "planned"  # with its values, not run
    GENERIC = "generic"  # for any values, not run
    MEASURED = "measured"  # run


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may be planned or run, and wait for locks; seconds."""

    plan: float = 3.0
    run: float = 5.0
    lock: float = 0.2


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of one statement: its plan as the server gave it, or why there is none.

    `plan` has everybody's values in it.
    """

    caught: Caught
    kind: Kind
    how: How
    plan: Any = None
    problem: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """All statements of one question, and what the server knows of their tables."""

    explained: tuple[Explained, ...]
    catalog: Catalog
    why_not_measured: str = ""


IsNeeded = Callable[[Caught, Any], bool]


def explain(
    engine: Engine,
    statements: Sequence[Caught],
    *,
    measure: bool = False,
    limits: Limits | None = None,
    is_needed: IsNeeded | None = None,
) -> Answer:
    """Plan each statement; with `measure`, run those that read.

    `is_needed` tells of each but the first whether it is wanted, given the first's
    plan. What writes is never run. Uses a connection of `engine` and leaves nothing
    on it.

    Raises:
        DatabaseUnavailable: there is no connection to be had.
        Refused: a text is no statement that has a plan.
    """
    limits = limits or Limits()
    kinds = [kind_of(one.text) for one in statements]
    with _connection(engine) as driver:
        with _transaction(driver, limits.plan, limits):
            why_not = why_not_measured(driver)
        found: list[Explained] = []
        for one, kind in zip(statements, kinds, strict=True):
            if found and is_needed is not None and not is_needed(one, found[0].plan):
                continue
            is_run = measure and not why_not and kind is Kind.READS
            is_run = is_run and one.values is not None
            found.append(_explained(driver, one, kind, limits, is_run=is_run))
        names = {name for one in found for name in _relations(one.plan)}
        with _transaction(driver, limits.plan, limits):
            catalog = read_catalog(driver, names)
    return Answer(tuple(found), catalog, why_not)


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
    driver: psycopg.Connection, seconds: float, limits: Limits
) -> Iterator[None]:
    """A transaction that only reads, is limited, and is undone."""
    settings = {"statement_timeout": seconds, "lock_timeout": limits.lock}
    if driver.info.server_version >= 170_000:  # noqa: PLR2004
        settings["transaction_timeout"] = seconds + 1
    try:
        driver.execute("SET TRANSACTION READ ONLY", prepare=True)
        for name, limit in settings.items():
            driver.execute(
                "SELECT set_config(%s, %s, true)",
                [name, f"{int(limit * 1000)}"],
                prepare=True,
            )
        yield
    finally:
        if not driver.closed:
            driver.rollback()


def _explained(
    driver: psycopg.Connection,
    one: Caught,
    kind: Kind,
    limits: Limits,
    *,
    is_run: bool,
) -> Explained:
    """One statement's plan, or the reason why there is none."""
    how = How.MEASURED if is_run else How.PLANNED
    if one.values is None:
        how = How.GENERIC
    begun = time.perf_counter()
    plan, problem = _tried(driver, one, how, limits)
    if problem == UNTYPED and one.literals:
        numbers = replace(one, text=with_numbers(one.text, one.literals))
        plan, problem = _tried(driver, numbers, how, limits)
    return Explained(one, kind, how, plan, problem, time.perf_counter() - begun)


def _tried(
    driver: psycopg.Connection, one: Caught, how: How, limits: Limits
) -> tuple[Any, str]:
    """The plan in a transaction of its own, or why there is none."""
    seconds = limits.run if how is How.MEASURED else limits.plan
    if driver.closed:
        return None, "The connection was lost before."
    try:
        with _transaction(driver, seconds, limits):
            if how is How.MEASURED:
                return _measured(driver, one)
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


def _measured(driver: psycopg.Connection, one: Caught) -> tuple[Any, str]:
    """The plan of a run by a role that can only read, or who is in the way."""
    lock = driver.execute(
        "SELECT pg_try_advisory_xact_lock(%s::bigint)", [LOCK], prepare=True
    ).fetchone()
    if not lock or not lock[0]:
        return None, "Another statement is being measured; one at a time."
    text, names = numbered(one.text)
    options = ", ".join(["ANALYZE", "WAL", *_options(driver.info.server_version)])
    if driver.info.server_version >= 170_000:  # noqa: PLR2004
        options += ", SERIALIZE TEXT"
    # This connection is new: planned once before, it knows the tables as others do.
    _planned(driver, one)
    _prepare(driver, text)
    given = _texts(driver, one.values, names)
    found = driver.execute(CALL, [given, options], prepare=True).fetchone()
    _forget(driver)
    return (found[0] if found else None), ""


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
UNTYPED = (
    "Without its values the type of one of them is not known. Run it once more and "
    "explain it within 15 minutes, with its values."
)
_WORDS = {
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
