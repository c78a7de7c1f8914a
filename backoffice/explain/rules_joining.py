"""Which join reads a whole table to find a few rows of it?"""

import re
from collections.abc import Iterable

from backoffice.explain.advice import WORTH_AN_INDEX, existing_index, index_name
from backoffice.explain.conditions import parts
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, percent, series
from backoffice.explain.plan import Node

# Steps that hand on what they get, between a join and the scan below it.
_THROUGH = ("Hash", "Sort", "Materialize", "Gather", "Gather Merge")
# So much of the plan it has to be, and so few of the rows may be wanted.
HOT, FEW = 0.3, 0.02
READ = 1_000


def join_discards(case: Case) -> Iterable[Finding]:
    """P3: a table is read as a whole, and few of its rows find their partner."""
    for node in case.plan.of_kind("Hash Join", "Merge Join", "Nested Loop"):
        if len(node.inputs) < 2:  # noqa: PLR2004 - a join has two sides
            continue
        for side, other in (node.inputs, node.inputs[::-1]):
            scan = _scan(side)
            facts = case.table(scan) if scan is not None else None
            if scan is None or facts is None or (facts.rows or 0) < WORTH_AN_INDEX:
                continue
            read, kept = _rows(scan), _rows(node)
            few = read * FEW
            share = sum(one.share for one in side.below()) + node.share
            if read < READ or kept > few or _rows(other) > few or share < HOT:
                continue
            names = _own_columns(node, str(scan.get("Alias", "")), facts.columns)
            if not names or existing_index(facts, names):
                continue
            yield _finding(case, node, scan, names, share)


def _finding(
    case: Case, node: Node, scan: Node, names: list[str], share: float
) -> Finding:
    read, kept = _rows(scan), _rows(node)
    is_repeated = any(one.kind == "Recursive Union" for one in node.ancestors())
    rounds = f"of {count(scan.loops)} rounds" if scan.loops > 1 else "round"
    again = f" It is read anew in each {rounds}." if is_repeated else ""
    reads = "are" if case.plan.is_measured else "would be"
    index = index_name(scan.table, names)
    quoted = ", ".join(f'"{name}"' for name in names)
    return Finding(
        "P3",
        Severity.WARN,
        "A whole table is read to join a few rows of it",
        f"{count(read)} rows of {scan.table} {reads} read for {count(kept)} that find "
        f"their partner: {percent(1 - kept / read)} for nothing.{again}",
        "Without an index on what it is joined by, all of it is looked through.",
        f"Add an index on {series(names)} to {case.owner(scan.table)}.",
        f'Index("{index}", {quoted})',
        f"CREATE INDEX CONCURRENTLY {index} ON {scan.table} ({', '.join(names)})",
        scan.number,
        share,
    )


def _scan(side: Node) -> Node | None:
    """The scan of a whole table that a side of a join is, without a filter."""
    node = side
    while node.kind in _THROUGH and len(node.inputs) == 1:
        node = node.inputs[0]
    return node if node.kind == "Seq Scan" and not node.get("Filter") else None


def _own_columns(node: Node, alias: str, columns: Iterable[str]) -> list[str]:
    """The bare columns of one side that the join compares for being equal."""
    known = set(columns)
    bare = re.compile(
        rf'\(*(?:"?{re.escape(alias)}"?)\.(\w+|"[^"]+")\)*(?:::[\w ]+)?\)*'
    )
    found: list[str] = []
    for part in parts(node.condition("Hash Cond", "Merge Cond", "Join Filter")):
        for one in part.split(" = "):
            match = bare.fullmatch(one)
            if match and match.group(1).strip('"') in known and " = " in part:
                found.append(match.group(1).strip('"'))
    return list(dict.fromkeys(found))


def _rows(node: Node) -> float:
    return node.found if node.found is not None else node.expected
