"""What would SQLite do with this statement? EXPLAIN QUERY PLAN.

SQLite tells no costs and measures nothing: its plan is a tree of sentences.
"""

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine

from backoffice.explain.running_postgresql import Explained, How
from backoffice.explain.statement import Caught, kind_of

LIMIT = 3.0
STEPS = 10_000
# Where EXPLAIN's JSON has a "Node Type", SQLite has a sentence.
STEP = "Detail"


def explain(engine: Engine, statements: Sequence[Caught]) -> tuple[Explained, ...]:
    """The plan of each statement; none is run, and none could write."""
    raw = engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - a SQLite engine
        driver.execute("PRAGMA query_only = ON")
        return tuple(_explained(driver, one) for one in statements)
    finally:
        raw.invalidate()


def _explained(driver: sqlite3.Connection, one: Caught) -> Explained:
    kind = kind_of(one.text)
    how = How.PLANNED if one.values is not None else How.GENERIC
    begun = time.monotonic()
    driver.set_progress_handler(lambda: time.monotonic() - begun > LIMIT, STEPS)
    plan, problem = None, ""
    try:
        text = one.text
        values: Any = one.values
        if values is None:
            text, values = re.sub(r"\$\d+|%\([^)]*\)s", "?", text), ()
            values = [None] * text.count("?")
        # sqlite3 executes one statement and refuses the rest.
        rows = driver.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
        plan = _tree(rows)
    except sqlite3.Error as error:
        # The driver's own errors, several statements among them, have no name.
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        problem = f"The database refused it ({name})."
    finally:
        driver.set_progress_handler(None, 0)
    return Explained(one, kind, how, plan, problem, time.monotonic() - begun)


def _tree(rows: Iterable[tuple[int, int, int, str]]) -> dict[str, Any]:
    """The rows (id, parent, unused, sentence) as a tree."""
    root: dict[str, Any] = {STEP: "QUERY PLAN", "Plans": []}
    nodes = {0: root}
    for number, parent, _, sentence in rows:
        node: dict[str, Any] = {STEP: sentence, "Plans": []}
        nodes[number] = node
        nodes.get(parent, root)["Plans"].append(node)
    return root


def sentences(plan: Any) -> Iterable[str]:
    """Every step's sentence, from above."""
    yield str(plan[STEP])
    for inner in plan["Plans"]:
        yield from sentences(inner)
