"""What would SQLite do with this statement? EXPLAIN QUERY PLAN, and what it says.

SQLite tells no costs and measures nothing: its plan is a tree of sentences.
"""

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine

from backoffice.explain.findings import NOBODY, Finding, Severity, Subject
from backoffice.explain.running_postgresql import Explained, How
from backoffice.explain.statement import Caught, kind_of

LIMIT = 3.0
STEPS = 10_000
# Where EXPLAIN's JSON has a "Node Type", SQLite has a sentence.
STEP = "Detail"

_SCAN = re.compile(r"SCAN (?:TABLE )?(?P<table>\w+)(?P<index> USING .*)?$")
_MADE = re.compile(r"(?:MATERIALIZE|CO-ROUTINE) (\w+)")


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


def judge(plan: Any, subject: Subject = NOBODY) -> tuple[Finding, ...]:
    """What in a plan of SQLite's is worth a look."""
    found = []
    # What the statement itself makes is no table.
    made = {m.group(1) for s in sentences(plan) if (m := _MADE.match(s))}
    made |= {"CONSTANT"}
    for number, sentence in enumerate(sentences(plan), 1):
        scan = _SCAN.match(sentence)
        if scan and not scan.group("index") and scan.group("table") not in made:
            table = scan.group("table")
            found.append(_scan(table, number, subject))
        elif sentence.startswith("USE TEMP B-TREE FOR ORDER BY"):
            found.append(
                Finding(
                    "P5",
                    Severity.INFO,
                    "The rows are sorted",
                    "No index gives them in the order of the list.",
                    "All matching rows are read before the first is shown.",
                    "An index on the columns of the order, in their order.",
                    node=number,
                )
            )
        elif "AUTOMATIC" in sentence:
            found.append(
                Finding(
                    "P3",
                    Severity.WARN,
                    "An index is built for this statement alone",
                    sentence,
                    "It is thrown away afterwards and built again the next time.",
                    "Declare it in the model.",
                    node=number,
                )
            )
    return tuple(sorted(found, key=lambda one: -one.severity))


def _scan(table: str, number: int, subject: Subject) -> Finding:
    fields = [f"`{one.path}`" for one in subject.searched if one.mode == "contains"]
    advice = "Add an index on the columns of its filter to the model."
    if fields and subject.is_searched:
        advice = (
            f"In {subject.view}, drop {', '.join(fields)} from column_searchable_list, "
            "or give a mode that an index serves in column_search_modes."
        )
    return Finding(
        "P3",
        Severity.WARN if table == subject.table else Severity.INFO,
        "A whole table is read",
        f"{table} is read row by row.",
        "That takes longer with every row that is added to it.",
        advice,
        node=number,
    )
