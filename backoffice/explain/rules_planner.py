"""Where was the planner wrong, and what else took the time? Rules on the whole plan."""

import re
from collections.abc import Iterable

from backoffice.explain.conditions import (
    Test,
    columns_in,
    is_understood,
    looked_at,
)
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, milliseconds, percent, series, times
from backoffice.explain.plan import Node

INFO, WARN, BAD = Severity.INFO, Severity.WARN, Severity.BAD

HOT, HOTTER, HOTTEST = 0.1, 0.4, 0.9
# What is this quick needs no place to start; what is not slow is no warning.
WORTH_STARTING, WORTH_A_WARNING = 10.0, 100.0
WORTH_STARTING_COST, WORTH_A_WARNING_COST = 1_000.0, 10_000.0
WRONG, VERY_WRONG, ABSURD = 10, 100, 1_000
WRONG_ROWS = 100
LOOPS, MANY_LOOPS = 1_000, 100_000
SLOW_PLANNING = 10.0
JIT_SHARE = 0.25
SERIALIZE_SHARE = 0.3
STALE_SHARE, STALE_ROWS = 0.1, 500
SYSTEM = ("pg_catalog", "information_schema", "pg_toast")
# What a condition says that nobody knows the number of: words, patterns, subqueries.
KNOWN = (Test.EQUAL, Test.RANGE)
GUESSED = re.compile(r"@@|~~|\bInitPlan\b|\bSubPlan\b|\$\d")


def hot_node(case: Case) -> Iterable[Finding]:
    """P1: one step takes most of it."""
    plan = case.plan
    whole = plan.execution if plan.is_measured else plan.cost
    least = WORTH_STARTING if plan.is_measured else WORTH_STARTING_COST
    warning = WORTH_A_WARNING if plan.is_measured else WORTH_A_WARNING_COST
    if whole < least:
        return
    node = max(plan.nodes, key=lambda one: one.share)
    if node.share <= HOT:
        return
    severity = WARN if node.share > HOTTER else INFO
    severity = BAD if node.share > HOTTEST else severity
    took = (
        f"{milliseconds(node.own)} of {milliseconds(whole)}"
        if plan.is_measured
        else f"cost {count(node.own)} of {count(whole)}"
    )
    yield Finding(
        "P1",
        severity if whole >= warning else INFO,
        f"One step takes {percent(node.share)} {case.part}",
        f"{node.name}: {took}.",
        "Whatever is done elsewhere can save no more than the rest.",
        "Start here; the findings on this step say how.",
        node=node.number,
        share=node.share,
    )


def misestimate(case: Case) -> Iterable[Finding]:
    """P2: far more or fewer rows than the planner had expected."""
    for node in case.plan.nodes:
        factor = misestimate_factor(node)
        if factor <= WRONG or any(
            misestimate_factor(c) > WRONG for c in node.below() if c is not node
        ):
            continue
        found, expected = node.found or 0.0, node.expected
        if node.kind == "CTE Scan" and _is_known_of_cte(case, node):
            continue
        fewer = "fewer" if expected < found else "more"
        severity = WARN if factor > VERY_WRONG else INFO
        severity = BAD if factor > ABSURD else severity
        grouped = node.kind == "Aggregate" and node.get("Group Key", None)
        scan = node if grouped else _scan_of(node)
        words, sql = _statistics_advice(case, scan)
        yield Finding(
            "P2",
            # Where nothing can be done about a guess, it is no alarm.
            severity if sql else INFO,
            f"The planner expects {times(factor)} {fewer} rows than there are",
            f"{node.name}: expected {count(expected)}, found {count(found)}.",
            "Joins, memory and the order of steps are chosen by this number.",
            words,
            sql=sql,
            node=node.number,
            share=node.share,
        )


def _is_known_of_cte(case: Case, node: Node) -> bool:
    """Whether the step that makes what a CTE scan reads is as far off itself."""
    name = f"CTE {node.get('CTE Name', '')}"
    made = [one for one in case.plan.nodes if one.get("Subplan Name", "") == name]
    return any(
        max(one.expected, one.found or 0.0)
        > WRONG * max(min(one.expected, one.found or 0.0), 1.0)
        for root in made
        for one in root.below()
        if one.is_executed
    )


def _scan_of(node: Node) -> Node:
    """The step that reads a table for this one; itself where there are several."""
    inits = [
        one for one in node.below() if one.get("Parent Relationship") == "InitPlan"
    ]
    inside = {id(one) for init in inits if init is not node for one in init.below()}
    scans = [one for one in node.below() if one.table and id(one) not in inside]
    return scans[0] if len({one.table for one in scans}) == 1 else node


def misestimate_factor(node: Node) -> float:
    """How many times off the expected rows are; 0 where that says nothing."""
    if node.found is None or not node.is_executed:
        return 0.0
    found, expected = node.found, node.expected
    if abs(found - expected) < WRONG_ROWS:
        return 0.0
    if found < expected and node.is_cut_short:
        return 0.0
    if node.kind in ("BitmapAnd", "BitmapOr", "ModifyTable"):
        return 0.0
    least = max(min(found, expected), 1.0)
    return max(found, expected) / least


def loop_blow_up(case: Case) -> Iterable[Finding]:
    """P12: the inner side of a nested loop is run far more often than expected."""
    for node in case.plan.of_kind("Nested Loop"):
        if len(node.inputs) < 2:  # noqa: PLR2004 - the outer and the inner side
            continue
        outer, inner = node.inputs[0], node.inputs[-1]
        while inner.kind in ("Memoize", "Materialize") and inner.inputs:
            inner = inner.inputs[0]
        if outer.found is None or inner.loops < LOOPS:
            continue
        if misestimate_factor(outer) < WRONG or outer.found < outer.expected:
            continue
        reads = f" of {inner.table}" if inner.table else ""
        yield Finding(
            "P12",
            BAD if inner.loops >= MANY_LOOPS else WARN,
            "A nested loop runs far more rounds than the planner expected",
            f"{inner.name} was run {count(inner.loops)} times; it was expected to be "
            f"run {count(outer.expected)} times.",
            "For so many rows the planner would have chosen a hash join.",
            f"ANALYZE the tables of this join, and index what the inner side{reads} "
            "looks for.",
            node=node.number,
            share=sum(one.share for one in node.below()),
        )


def missing_workers(case: Case) -> Iterable[Finding]:
    """P16: fewer workers came than were planned."""
    for node in case.plan.of_kind("Gather", "Gather Merge"):
        planned = int(node.get("Workers Planned"))
        launched = int(node.get("Workers Launched", planned))
        if launched < planned:
            yield Finding(
                "P16",
                INFO,
                "Fewer workers came than were planned",
                f"{launched} of {planned} parallel workers were there.",
                "The plan was chosen in the hope of them; others had taken them.",
                "Raise max_parallel_workers and max_worker_processes if the machine "
                "has the cores.",
                node=node.number,
                share=node.share,
            )


def planning_dominates(case: Case) -> Iterable[Finding]:
    """P17: to plan takes longer than to run."""
    plan = case.plan
    if not plan.is_measured or plan.planning <= max(SLOW_PLANNING, plan.execution):
        return
    yield Finding(
        "P17",
        WARN,
        "Planning takes longer than running",
        f"{milliseconds(plan.planning)} to plan, {milliseconds(plan.execution)} to "
        "run.",
        "Many joins, partitions or indexes give the planner much to choose from.",
        "The driver prepares what is asked five times, then the plan is kept; drop "
        "indexes that are never used, or show fewer relations in this list.",
    )


def jit_dominates(case: Case) -> Iterable[Finding]:
    """P18: compiling takes a quarter of the time."""
    jit = case.plan.raw.get("JIT", {})
    spent = float(jit.get("Timing", {}).get("Total", 0))
    if not case.plan.execution or spent <= JIT_SHARE * case.plan.execution:
        return
    yield Finding(
        "P18",
        WARN,
        "Compiling the statement takes much of its time",
        f"{milliseconds(spent)} of {milliseconds(case.plan.execution)} went into JIT.",
        "It pays for long reports, not for pages.",
        "Switch JIT off for the application's role.",
        sql="ALTER ROLE CURRENT_USER SET jit = off",
    )


def stale_statistics(case: Case) -> Iterable[Finding]:
    """P20: a table was never analyzed, or much has changed since."""
    for name in dict.fromkeys(node.table for node in case.plan.nodes if node.table):
        facts = case.catalog.tables.get(name)
        if facts is None or facts.live < STALE_ROWS or facts.schema in SYSTEM:
            continue
        if facts.analyzed_at is None and facts.rows is None:
            seen = f"{name} has about {count(facts.live)} rows and no statistics."
        elif facts.changed > STALE_SHARE * facts.live:
            seen = (
                f"{count(facts.changed)} of {count(facts.live)} rows of {name} were "
                "written since it was last analyzed."
            )
        else:
            continue
        yield Finding(
            "P20",
            WARN,
            "The planner goes by old statistics",
            seen,
            "It chooses by what the table was like then.",
            f"ANALYZE {name}; autovacuum does it by itself if it is on and keeps up.",
            sql=f"ANALYZE {name}",
            share=max(n.share for n in case.plan.nodes if n.table == name),
        )


def disabled_node(case: Case) -> Iterable[Finding]:
    """P21: a kind of step was used although it is switched off; known from 18 on."""
    for node in case.plan.nodes:
        if node.get("Disabled", default=False):
            off = [
                name
                for name, value in case.plan.raw.get("Settings", {}).items()
                if name.startswith("enable_") and value == "off"
            ]
            yield Finding(
                "P21",
                INFO,
                "A step is used that is switched off",
                f"{node.name} was the only way left"
                + (f"; {series(off)} is off." if off else "."),
                "What is switched off costs a plan nothing but choice.",
                "Switch it on again for this role or database, unless it is meant.",
                node=node.number,
                share=node.share,
            )


def slow_serialization(case: Case) -> Iterable[Finding]:
    """P22: to write the rows as text takes a third of the time; known from 17 on."""
    serialization = case.plan.raw.get("Serialization", {})
    spent = float(serialization.get("Time", 0))
    if not case.plan.execution or spent <= SERIALIZE_SHARE * case.plan.execution:
        return
    view = case.subject.view
    yield Finding(
        "P22",
        INFO,
        "Writing the rows takes much of the time",
        f"{milliseconds(spent)} of {milliseconds(case.plan.execution)} for "
        f"{count(float(serialization.get('Output Volume', 0)))} kB.",
        "Long texts and documents are unpacked and written out for every row.",
        "Show fewer or shorter columns"
        + (f" in column_list of {view}." if view else "."),
    )


def sorted_count(case: Case) -> Iterable[Finding]:
    """P24: rows are put in order only to be counted."""
    for node in case.plan.of_kind("Aggregate"):
        outputs = [str(one) for one in node.get("Output", [])]
        if node.get("Strategy", "Plain") != "Plain" or not outputs:
            continue
        if not all("count(" in one and "ORDER BY" not in one for one in outputs):
            continue
        below = node.inputs[0] if node.inputs else None
        while below is not None and below.kind in (
            "Subquery Scan",
            "Gather",
            "Gather Merge",
        ):
            below = below.inputs[0]
        if below is None or below.kind not in ("Sort", "Incremental Sort"):
            continue
        rows = below.found if below.found is not None else below.expected
        yield Finding(
            "P24",
            BAD,
            "Rows are sorted only to be counted",
            f"{count(rows)} rows are sorted before the count.",
            "A count is the same in any order, and PostgreSQL sorts what it is told "
            "to sort.",
            "Take the order out of the counted statement: .order_by(None).",
            code="select(func.count()).select_from(statement.order_by(None).subquery())",
            node=below.number,
            share=below.share,
        )


def _statistics_advice(case: Case, node: Node) -> tuple[str, str]:
    """ANALYZE, or statistics on several columns that belong together."""
    facts = case.table(node)
    if facts is None:
        return _grouped_advice(case, node)
    is_fresh = facts.analyzed_at is not None and (
        facts.changed <= STALE_SHARE * max(facts.live, 1)
    )
    condition = node.condition("Filter", "Index Cond", "Recheck Cond")
    looked = looked_at(condition, facts.columns)
    if GUESSED.search(condition) or any(one.test is Test.WRAPPED for one in looked):
        return (
            (
                "How many rows a word, a pattern, an expression or a subquery finds "
                "is a guess, which no statistics mend. It matters where another plan "
                "would be quicker."
            ),
            "",
        )
    columns = columns_in(condition, facts.columns)
    given = [one.column for one in looked if one.is_constant and one.test in KNOWN]
    if len(given) > 1 and is_understood(condition, facts.columns):
        name = f"st_{node.table}_{'_'.join(given)}"[:63]
        return (
            (
                f"The planner takes {series(given)} for independent. Let it look at "
                "them together, then analyze."
            ),
            (
                f"CREATE STATISTICS {name} ON {', '.join(given)} FROM {node.table};\n"
                f"ANALYZE {node.table}"
            ),
        )
    if not is_fresh:
        return f"ANALYZE {node.table}.", f"ANALYZE {node.table}"
    if len(columns) == 1 and given:
        (column,) = columns
        return (
            (
                f"Its statistics are fresh, so let more values of {column} be counted, "
                "then analyze."
            ),
            (
                f"ALTER TABLE {node.table} ALTER COLUMN {column} SET STATISTICS 1000;\n"
                f"ANALYZE {node.table}"
            ),
        )
    words = (
        f"The statistics of {node.table} are fresh: what it goes by is a guess. It "
        "matters where another plan would be quicker."
    )
    return words, ""


_OWN_KEY = re.compile(r'\(*(?:(?:\w+|"[^"]+")\.)?(?P<column>\w+|"[^"]+")\)*')


def _grouped_advice(case: Case, node: Node) -> tuple[str, str]:
    """How many groups several columns make is known where they are counted together."""
    keys = [str(key) for key in node.get("Group Key", [])]
    tables = {one.table for one in node.below() if one.table}
    facts = case.catalog.tables.get(next(iter(tables))) if len(tables) == 1 else None
    matches = [_OWN_KEY.fullmatch(key) for key in keys]
    names = [one["column"].strip('"') for one in matches if one is not None]
    if facts is None or len(names) < 2 or len(names) < len(keys):  # noqa: PLR2004
        return "ANALYZE the tables below this step.", ""
    if any(name not in facts.columns for name in names):
        return "ANALYZE the tables below this step.", ""
    name = f"st_{facts.name}_{'_'.join(names)}"[:63]
    return (
        (
            f"The planner takes {series(names)} for independent and counts too many "
            "groups. Let it count them together, then analyze."
        ),
        (
            f"CREATE STATISTICS {name} (ndistinct) ON {', '.join(names)} "
            f"FROM {facts.name};\nANALYZE {facts.name}"
        ),
    )
