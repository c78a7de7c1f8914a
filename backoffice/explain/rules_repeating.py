"""What is done once for each row of something else? Rules on subqueries and pairs."""

import re
from collections.abc import Iterable, Iterator

from backoffice.explain.advice import advise_index
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count
from backoffice.explain.plan import Node

WARN = Severity.WARN

# From so many rounds on it matters, or from fewer that are slow.
ROUNDS, FEW_ROUNDS = 1_000, 10
SLOW = 100.0  # ms
HOT = 0.4
PAIRS = 10_000
_NOT_IN = re.compile(r"NOT \(+(?:ANY \(|SubPlan )")


def repeated_subquery(case: Case) -> Iterable[Finding]:
    """P12: a subquery is run for each row, and its own work is not small."""
    for node in case.plan.nodes:
        parent = node.parent
        if parent is None or node.get("Parent Relationship", "") != "SubPlan":
            continue
        share = sum(one.share for one in node.below())
        rounds = node.loops if case.plan.is_measured else _rows_tested(case, parent)
        is_slow = case.plan.is_measured and node.total >= SLOW and rounds >= FEW_ROUNDS
        if share < HOT or not (rounds >= ROUNDS or is_slow):
            continue
        if _is_hashed(parent, node):
            continue
        runs = "was run" if case.plan.is_measured else "is expected to run"
        inner = _work(node)
        if _NOT_IN.search(parent.condition("Filter", "Join Filter")):
            yield Finding(
                "P12",
                WARN,
                "NOT IN compares each row with all of a subquery",
                f"The subquery on {inner.table or 'the other side'} {runs} "
                f"{count(rounds)} times, once for each row of {parent.table}.",
                "A NULL in the subquery makes NOT IN never true, so the planner may "
                "not join the two.",
                "Use NOT EXISTS instead, which is joined: "
                "~select(…).where(inner.key == outer.key).exists().",
                node=node.number,
                share=share,
            )
            continue
        advice = advise_index(case, inner) if inner.kind == "Seq Scan" else None
        has_index = advice is not None and bool(advice.code)
        yield Finding(
            "P12",
            WARN,
            "A subquery is run once for each row",
            f"{inner.name} {runs} {count(rounds)} times.",
            "What it costs is paid for each row of the list.",
            (
                f"Add {advice.words} to {case.owner(inner.table)}."
                if advice is not None and has_index
                else "Join the rows to one grouped subquery instead: it is read once."
            ),
            advice.code if advice is not None and has_index else "",
            advice.sql if advice is not None and has_index else "",
            node.number,
            share,
        )


def every_pair(case: Case) -> Iterable[Finding]:
    """P26: two tables are joined by nothing at all."""
    for node in case.plan.of_kind("Nested Loop"):
        if len(node.inputs) < 2 or node.get("Join Type", "Inner") != "Inner":  # noqa: PLR2004
            continue
        outer, inner = node.inputs[0], node.inputs[-1]
        if node.get("Join Filter", "") or _refers(inner, outer):
            continue
        left = _rows(outer)
        right = _rows(inner) / max(inner.loops, 1.0)
        if left < 2 or right < 2 or left * right < PAIRS:  # noqa: PLR2004
            continue
        tables = [_work(side).table or side.name for side in (outer, inner)]
        yield Finding(
            "P26",
            WARN,
            "Every row is paired with every other",
            f"{count(left)} rows of {tables[0]} and {count(right)} of {tables[1]} make "
            f"{count(left * right)} pairs.",
            "Nothing joins the two: the number of pairs grows with both.",
            "Say how they belong together: .join(…) with its condition, or a "
            "relationship in place of a second table.",
            node=node.number,
            share=sum(one.share for one in node.below()),
        )


def _rows(node: Node) -> float:
    return node.found if node.found is not None else node.expected


def _rows_tested(case: Case, parent: Node) -> float:
    """For how many rows a subquery would run: of a filter for all that are read."""
    facts = case.table(parent)
    if "SubPlan" in parent.condition("Filter") and facts is not None and facts.rows:
        return float(facts.rows)
    return parent.expected


def _is_hashed(parent: Node, node: Node) -> bool:
    """Whether the subquery is run once, and looked up for each row."""
    name = str(node.get("Subplan Name", ""))
    return f"hashed {name}" in str([v for k, v in parent.raw.items() if k != "Plans"])


def _work(node: Node) -> Node:
    """The step below that takes most of the time."""
    scans = [one for one in node.below() if one.table]
    return max(scans or [node], key=lambda one: one.share)


def _refers(inner: Node, outer: Node) -> bool:
    """Whether the inner side looks for what the outer one has found."""
    names = {str(one.get("Alias", "")) for one in outer.below()} - {""}
    if not names:
        return True  # nobody knows what it is called
    listed = "|".join(re.escape(name) for name in names)
    mark = re.compile(rf'(?<![\w"])"?(?:{listed})"?\.')
    return any(mark.search(text) for one in inner.below() for text in _texts(one))


def _texts(node: Node) -> Iterator[str]:
    for key, value in node.raw.items():
        if key != "Output":
            yield str(value)
