"""How is a report drawn? From its stored data, and values from memory for who may."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from backoffice.admin.presentation_explain import (
    FindingView,
    PlanView,
    Step,
    StepFact,
    TouchedRow,
)
from backoffice.admin.words import moment, plural, shortened, size
from backoffice.explain import running_sqlite
from backoffice.explain.findings import Finding, Severity
from backoffice.explain.numbers import (
    NBSP,
    count,
    kilobytes,
    milliseconds,
    pages,
    percent,
    times,
)
from backoffice.explain.plan import Node, Plan, read_plan
from backoffice.explain.plan_text import plan_text
from backoffice.explain.report import Report, StatementReport, TableReport
from backoffice.explain.rules_planner import WRONG, misestimate_factor
from backoffice.explain.telling import all_findings

TONES = {Severity.INFO: "", Severity.WARN: "warn", Severity.BAD: "bad"}
HOW = {
    "measured": ("measured", "ok"),
    "undone": ("run and rolled back", "ok"),
    "planned": ("expected, not run", ""),
    "generic": ("expected for any values, not run", ""),
}
HOT = 0.4
HOT_FROM = 10.0  # ms; what is quicker is nobody's trouble
HOT_COST = 1_000.0
LEAST = 0.01

_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
    "Filter",
)


def findings_of(report: Report) -> tuple[FindingView, ...]:
    """Every finding, the worst first."""
    several = sum(1 for one in report.statements if one.plan) > 1
    return tuple(
        _finding(one, finding, is_named=several)
        for one, finding in all_findings(report)
    )


def _finding(one: StatementReport, finding: Finding, *, is_named: bool) -> FindingView:
    return FindingView(
        tone=TONES[finding.severity],
        heading=finding.heading,
        where=one.title if is_named else "",
        evidence=finding.evidence,
        why=finding.why,
        advice=finding.advice,
        code=finding.code,
        sql=finding.sql,
    )


def plans_of(report: Report, known: Sequence[Any] = ()) -> tuple[PlanView, ...]:
    """Each statement's plan; `known` are the plans with their values, for who may."""
    found = []
    for at, one in enumerate(report.statements):
        own = known[at] if at < len(known) else None
        data = own if own is not None else one.plan
        if report.dialect == "postgresql" and isinstance(data, list):
            data = data[0]
        draw = _sqlite if report.dialect == "sqlite" else _postgresql
        found.append(draw(one, data, at + 1))
    return tuple(found)


def _postgresql(one: StatementReport, data: Any, number: int) -> PlanView:
    plan = read_plan(data) if data else None
    how, tone = HOW[one.how]
    numbers = ""
    if plan is not None:
        numbers = (
            f"{milliseconds(plan.execution)}, planned in {milliseconds(plan.planning)}"
            if plan.is_measured
            else f"cost {count(plan.cost)}"
        )
    return PlanView(
        id=f"plan-{number}",
        title=one.title,
        note=one.note,
        how=how if plan is not None else "no plan",
        how_tone=tone if plan is not None else "warn",
        numbers=numbers,
        verdict=one.verdict,
        problem=one.problem,
        left=one.not_undone,
        sql=one.text,
        text=plan_text(plan) if plan is not None else "",
        json=json.dumps([data], indent=2, ensure_ascii=False) if data else "",
        root=step_of(plan.root, plan) if plan is not None else None,
        is_measured=plan is not None and plan.is_measured,
    )


def _sqlite(one: StatementReport, data: Any, number: int) -> PlanView:
    return PlanView(
        id=f"plan-{number}",
        title=one.title,
        note=one.note,
        how="SQLite's own words" if data else "no plan",
        how_tone="" if data else "warn",
        numbers="",
        verdict=one.verdict,
        problem=one.problem,
        sql=one.text,
        text="\n".join(_indented(data, 0)) if data else "",
        json=json.dumps(data, indent=2, ensure_ascii=False) if data else "",
        root=_sqlite_step(data) if data else None,
        is_measured=False,
        has_rows=False,
    )


def _indented(data: Mapping[str, Any], depth: int) -> Iterator[str]:
    yield "  " * depth + str(data[running_sqlite.STEP])
    for inner in data["Plans"]:
        yield from _indented(inner, depth + 1)


def _sqlite_step(data: Mapping[str, Any]) -> Step:
    sentence = str(data[running_sqlite.STEP])
    word, _, rest = sentence.partition(" ")
    return Step(
        name=word,
        target=rest,
        is_hot=word == "SCAN" and " USING " not in sentence,
        children=tuple(_sqlite_step(inner) for inner in data["Plans"]),
    )


# The tree


def step_of(node: Node, plan: Plan) -> Step:
    """A step with all below it."""
    factor = misestimate_factor(node)
    is_slow = node.own >= HOT_FROM if plan.is_measured else plan.cost >= HOT_COST
    name = node.title
    return Step(
        name=name,
        target=node.name.removeprefix(name).strip(),
        more=_more(node),
        width=round(node.share * 100),
        share=_bar_words(node.share),
        found=_found(node),
        expected=count(node.expected),
        tone="warn" if factor > WRONG else "",
        is_hot=node.share > HOT and is_slow,
        label=str(node.get("Subplan Name", "")),
        facts=tuple(_facts(node, plan)),
        children=tuple(step_of(child, plan) for child in node.children),
    )


def _bar_words(share: float) -> str:
    """A share in the width of a column."""
    return f"{share * 100:.0f}{NBSP}%" if not 0 < share < LEAST else f"<1{NBSP}%"


def _found(node: Node) -> str:
    if node.found is None:
        return ""
    return count(node.found) if node.is_executed else "never run"


def _more(node: Node) -> str:
    """A few words beside the name: what it sorts by, how many workers came."""
    if node.kind in ("Sort", "Incremental Sort"):
        keys = ", ".join(str(key) for key in node.get("Sort Key", []))
        method = node.get("Sort Method", "")
        return f"{keys}; {method}" if method else keys
    if node.kind in ("Gather", "Gather Merge"):
        planned = node.get("Workers Planned")
        launched = node.get("Workers Launched", None)
        return (
            f"{launched} workers of {planned}"
            if launched is not None
            else f"{planned} workers"
        )
    return ""


def _facts(node: Node, plan: Plan) -> Iterable[StepFact]:
    """What opens below a step."""
    for key in _CONDITIONS:
        if node.raw.get(key):
            yield StepFact(key, str(node.raw[key]), is_code=True)
    if node.raw.get("Group Key"):
        yield StepFact("Group key", ", ".join(map(str, node.raw["Group Key"])), True)  # noqa: FBT003
    if node.removed:
        read = node.removed + (node.found or 0)
        yield StepFact(
            "Thrown away", f"{count(node.removed)} rows, {percent(node.removed / read)}"
        )
    factor = misestimate_factor(node)
    if factor > WRONG:
        fewer = "fewer" if node.expected < (node.found or 0) else "more"
        yield StepFact("Expected", f"{times(factor)} {fewer} rows than were found")
    yield from _work(node)
    if plan.is_measured and node.is_executed:
        rounds = f" in {count(node.loops)} rounds" if node.loops > 1 else ""
        yield StepFact("Time", f"{milliseconds(node.own)} of its own{rounds}")
    else:
        yield StepFact("Cost", f"{count(node.own)} of {count(plan.cost)}")


def _work(node: Node) -> Iterable[StepFact]:
    """Pages, memory and disk."""
    hit, read = node.get("Shared Hit Blocks"), node.get("Shared Read Blocks")
    if hit or read:
        more = f", {count(read)} of them not in memory" if read else ""
        yield StepFact("Read", f"{pages(hit + read)}{more}, with what is below")
    if node.get("Temp Written Blocks"):
        yield StepFact("Written to disk", pages(node.get("Temp Written Blocks")))
    if node.raw.get("Sort Space Type"):
        place = "memory" if node.raw["Sort Space Type"] == "Memory" else "disk"
        yield StepFact(
            "Sorted in", f"{kilobytes(node.get('Sort Space Used'))} of {place}"
        )
    if node.get("Hash Batches"):
        used = kilobytes(node.get("Peak Memory Usage"))
        yield StepFact("Hashed in", f"{node.get('Hash Batches')} batches, {used}")


# What is touched


def touched_of(report: Report) -> tuple[TouchedRow, ...]:
    """Tables by size, each with the indexes in use; of the others the names."""
    rows: list[TouchedRow] = []
    unused: list[str] = []
    for one in report.tables:
        if not one.is_index:
            rows += _unused(unused)
            unused = []
        if one.is_index and not one.is_used:
            unused.append(one.name)
        else:
            rows.append(_touched(one))
    return (*rows, *_unused(unused))


def _unused(names: Sequence[str]) -> Iterator[TouchedRow]:
    if names:
        yield TouchedRow(", ".join(names), "", "", "not used here", is_index=True)


def _touched(one: TableReport) -> TouchedRow:
    if one.is_index:
        on = shortened(one.used_by, 80)
        return TouchedRow(one.name, on, size(one.size), "used here", is_index=True)
    if one.analyzed_at:
        analyzed = moment(datetime.fromisoformat(one.analyzed_at), with_time=True).text
    else:
        analyzed = "never" if one.rows is None else "not known"
    if one.changed:
        analyzed += f", {plural(one.changed, 'change')} since"
    return TouchedRow(
        one.name,
        count(one.rows) if one.rows is not None else "unknown",
        size(one.size),
        analyzed,
    )
