"""What is wrong with this plan? Every rule asked, the worst first; and one sentence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain

from backoffice.explain import (
    rules_joining,
    rules_memory,
    rules_planner,
    rules_reading,
    rules_repeating,
    rules_writing,
)
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, milliseconds, percent
from backoffice.explain.plan import Node

Rule = Callable[[Case], Iterable[Finding]]

RULES: dict[str, Rule] = {
    "P1": rules_planner.hot_node,
    "P2": rules_planner.misestimate,
    "P3": lambda case: chain(
        rules_reading.scan_discards(case), rules_joining.join_discards(case)
    ),
    "P4": rules_reading.index_discards,
    "P5": rules_memory.sort_spill,
    "P6": rules_memory.hash_spill,
    "P7": rules_memory.aggregate_spill,
    "P8": rules_memory.stored_on_disk,
    "P9": rules_memory.temporary_files,
    "P10": rules_reading.lossy_bitmap,
    "P11": rules_reading.heap_fetches,
    "P12": lambda case: chain(
        rules_planner.loop_blow_up(case), rules_repeating.repeated_subquery(case)
    ),
    "P13": rules_reading.large_offset,
    "P14": rules_reading.wrong_order,
    "P15": rules_reading.or_across_join,
    "P16": rules_planner.missing_workers,
    "P17": rules_planner.planning_dominates,
    "P18": rules_planner.jit_dominates,
    "P19": rules_writing.slow_triggers,
    "P20": rules_planner.stale_statistics,
    "P21": rules_planner.disabled_node,
    "P22": rules_planner.slow_serialization,
    "P23": rules_memory.memoize_thrash,
    "P24": rules_planner.sorted_count,
    "P25": rules_reading.open_search,
    "P26": rules_repeating.every_pair,
}


def judge(case: Case) -> tuple[Finding, ...]:
    """All findings on a plan: by how much they matter, then by their share."""
    found = [finding for rule in RULES.values() for finding in rule(case)]
    most = _most(case)
    capped = [
        one
        if one.rule == "P24" or (one.rule == "P19" and not case.plan.is_measured)
        else replace(one, severity=min(one.severity, most))
        for one in found
    ]
    return in_order(_placed(case, one, capped) for one in capped)


def _placed(case: Case, one: Finding, found: Sequence[Finding]) -> Finding:
    """P1 says where, and others what: alone it is no alarm, and promises nothing."""
    if one.rule != "P1":
        return one
    node = case.plan.nodes[one.node - 1]
    near = {node.number, *(n.number for n in node.ancestors())}
    near |= {n.number for n in node.below()}
    said = [
        other.severity for other in found if other.rule != "P1" and other.node in near
    ]
    worst = max(said, default=Severity.INFO)
    if worst is not Severity.INFO:
        return replace(one, severity=min(one.severity, worst))
    # Measured it is slow, whoever knows why; of what is expected it says nothing.
    most = Severity.WARN if case.plan.is_measured else Severity.INFO
    alone = (
        "No rule knows a quicker way: it is the work that was asked for. A narrower "
        "filter or search asks for less."
    )
    advice = one.advice if said else alone
    return replace(one, severity=min(one.severity, most), advice=advice)


def _most(case: Case) -> Severity:
    """How much anything in this plan can matter: nobody waits for what is quick."""
    plan = case.plan
    spent = plan.execution + plan.planning if plan.is_measured else plan.cost
    remark, warning = (
        (rules_planner.WORTH_STARTING, rules_planner.WORTH_A_WARNING)
        if plan.is_measured
        else (rules_planner.WORTH_STARTING_COST, rules_planner.WORTH_A_WARNING_COST)
    )
    if spent < remark:
        return Severity.INFO
    return Severity.WARN if spent < warning else Severity.BAD


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; P1 only says where, so others of its weight come before it."""
    return tuple(
        sorted(
            findings,
            key=lambda one: (
                -one.severity,
                one.rule == "P1",
                -one.share,
                int(one.rule[1:]),
            ),
        )
    )


def verdict(
    case: Case, findings: tuple[Finding, ...], took: float | None = None
) -> str:
    """The plan in one sentence that can be read aloud.

    `took` is the longest that the statement is known to have taken, in milliseconds.
    """
    plan = case.plan
    node = max(plan.nodes, key=lambda one: one.share)
    worst = [one for one in findings if one.severity is not Severity.INFO]
    if not worst:
        return _good(case, findings, took)
    own = [one for one in worst if one.node == node.number and one.rule != "P1"]
    if own and node.share >= 0.1:  # noqa: PLR2004 - a tenth is worth naming
        return f"{percent(node.share)} {case.part} is {_doing(case, node)}."
    first = next((one for one in worst if one.rule != "P1"), worst[0])
    if first.rule == "P1":
        return f"{percent(node.share)} {case.part} is {_doing(case, node)}."
    if first.share >= 0.1:  # noqa: PLR2004
        return f"{first.heading}: {percent(first.share)} {case.part}."
    return f"{first.heading}."


def is_unexplained(took: float | None, ran: float | None = None) -> bool:
    """Whether it took long, and far longer than where it `ran` just now."""
    if took is None or took < rules_planner.WORTH_A_WARNING:
        return False
    return ran is None or ran * 2 < took


def unexplained(took: float, ran: float | None = None) -> str:
    """What is said of a statement whose time its plan does not account for."""
    where = "look at waits and locks on its page of the metrics"
    if ran is not None:
        return (
            f"Nothing stands out: it ran in {milliseconds(ran)}, yet it took up to "
            f"{milliseconds(took)} before; {where}."
        )
    return (
        f"Nothing stands out in the plan, yet it took up to {milliseconds(took)}: "
        f"{where}, or measure it."
    )


def _good(case: Case, findings: tuple[Finding, ...], took: float | None) -> str:
    plan = case.plan
    ran = plan.execution if plan.is_measured else None
    if took is not None and is_unexplained(took, ran):
        return unexplained(took, ran)
    if findings:
        first = next((one for one in findings if one.rule != "P1"), findings[0])
        return f"{_mild(case)} Worth knowing: {first.heading}."
    scans = [node for node in plan.nodes if node.table and node.is_executed]
    if plan.is_measured:
        return f"Nothing stands out: it ran in {milliseconds(plan.execution)}."
    if scans and all(node.kind != "Seq Scan" for node in scans):
        return "Nothing stands out: every table is read by an index."
    if plan.cost < rules_planner.WORTH_STARTING_COST:
        return "Nothing stands out: the planner expects this to be quick."
    return "Nothing stands out."


def _mild(case: Case) -> str:
    """A plan of which there is something to be told, and nothing that is bad."""
    plan = case.plan
    if plan.is_measured:
        return f"It ran in {milliseconds(plan.execution)}."
    if plan.cost < rules_planner.WORTH_STARTING_COST:
        return "The planner expects this to be quick."
    return "Nothing here looks wrong."


def _doing(case: Case, node: Node) -> str:
    """What a step does, as the rest of a sentence."""
    if node.kind == "Seq Scan":
        removed, share = rules_reading.discards(case, node)
        says = f"a sequential scan of {node.table}"
        if removed > 0 and share > rules_reading.DISCARDS:
            return f"{says} that throws away {percent(share)} of what it reads"
        return says
    if node.kind in ("Sort", "Incremental Sort"):
        below = node.inputs[0] if node.inputs else node
        rows = below.found if below.found is not None else below.expected
        return f"the sorting of {count(rows)} rows"
    return f"the {node.name}"
