"""The tree of a plan: shares, rows and names."""

from typing import Any

import pytest

from backoffice.explain.plan import read_plan
from backoffice.explain.plan_text import plan_text
from tests.explain.recorded import VERSIONS, case, recorded


@pytest.mark.parametrize("version", VERSIONS)
def test_shares_add_up(version: int) -> None:
    """Whatever the plan, measured or expected: 100 % in all, none below zero."""
    for name in recorded(version):
        if name == "catalog":
            continue
        nodes = case(version, name).plan.nodes
        assert sum(node.share for node in nodes) == pytest.approx(1.0)
        assert all(node.share >= 0 for node in nodes)


def measured(kind: str, ms: float, *below: Any, **more: Any) -> dict[str, Any]:
    """A step that took so long with all that is below it."""
    return {
        "Node Type": kind,
        "Actual Total Time": ms,
        "Actual Rows": 1,
        "Actual Loops": 1,
        "Plan Rows": 1,
        "Plans": list(below),
        **more,
    }


def test_a_ctes_time_is_not_counted_twice() -> None:
    """It is drawn at the top and runs inside of the scan that reads it."""
    cte = measured(
        "Seq Scan", 90, **{"Parent Relationship": "InitPlan", "Subplan Name": "CTE a"}
    )
    scan = measured("CTE Scan", 95, **{"CTE Name": "a"})
    plan = read_plan({"Plan": measured("Limit", 100, cte, scan)})
    own = {node.kind: node.own for node in plan.nodes}
    assert own == {"Limit": 5, "Seq Scan": 90, "CTE Scan": 5}


def test_an_initplans_time_is_taken_from_who_waits_for_it() -> None:
    """The step that uses its result, as 14 to 16 and as later versions write it."""
    for name, use in (
        ("InitPlan 1 (returns $0)", "(a = $0)"),
        ("InitPlan 1", "(a = (InitPlan 1).col1)"),
    ):
        init = measured(
            "Result", 80, **{"Parent Relationship": "InitPlan", "Subplan Name": name}
        )
        scan = measured("Index Scan", 85, **{"Index Cond": use})
        plan = read_plan({"Plan": measured("Limit", 86, init, scan)})
        own = {node.kind: node.own for node in plan.nodes}
        assert own == {"Limit": 1, "Result": 80, "Index Scan": 5}


def test_processes_share_the_time() -> None:
    """What three processes do at once takes a third."""
    scan = measured("Seq Scan", 30, **{"Actual Loops": 3, "Actual Rows": 10})
    gather = measured("Gather", 33, scan, **{"Workers Launched": 2})
    plan = read_plan({"Plan": gather})
    assert [node.own for node in plan.nodes] == [3, 30]
    assert plan.nodes[1].found == 30


def test_rows_of_18_may_be_parts() -> None:
    """Averages over rounds are no whole numbers any more."""
    scan = measured("Index Scan", 1, **{"Actual Rows": 0.25, "Actual Loops": 8})
    assert read_plan({"Plan": scan}).root.found == 2


def test_a_step_that_never_ran_has_no_share() -> None:
    """It is there, and took nothing."""
    idle = measured("Index Scan", 0, **{"Actual Loops": 0})
    plan = read_plan({"Plan": measured("Append", 5, idle)})
    assert not plan.nodes[1].is_executed
    assert plan.nodes[1].share == 0


def test_what_is_below_a_limit_costs_what_the_limit_lets_it() -> None:
    """The cost of reading all is not that of reading ten."""
    scan = {"Node Type": "Seq Scan", "Total Cost": 10_000, "Plan Rows": 1e6}
    limit = {"Node Type": "Limit", "Total Cost": 1, "Plan Rows": 10, "Plans": [scan]}
    plan = read_plan({"Plan": limit})
    assert [node.own for node in plan.nodes] == [0, 1]
    assert plan.nodes[1].is_cut_short


def test_the_text_is_postgresqls_own() -> None:
    """Arrow, costs, real numbers, details."""
    text = plan_text(case(18, "P5").plan)
    assert text.startswith("Sort  (cost=")
    assert "  ->  Seq Scan on big  (cost=" in text
    assert "Sort Method: external merge  Disk: " in text
    assert "Settings: " in text
    assert "work_mem = '64kB'" in text
    assert "Execution Time: " in text
