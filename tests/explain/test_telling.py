"""Each thing is told once: a list has several statements, and a step several rules."""

from typing import Any

from backoffice.explain.findings import Finding, Severity
from backoffice.explain.report import Report, StatementReport
from backoffice.explain.telling import all_findings

WIDE = "CREATE INDEX CONCURRENTLY ix_a_b_c ON a (b, c)"
NARROW = "CREATE INDEX CONCURRENTLY ix_a_b ON a (b)"


def finding(rule: str, node: int = 1, sql: str = "", **more: Any) -> Finding:
    """A finding of a rule on a step."""
    found = {"severity": Severity.WARN, "share": 0.5, **more}
    code = f"Index({sql})" if sql else ""
    return Finding(
        rule,
        heading=rule,
        evidence="",
        why="",
        advice=f"Do {rule} {sql}.",
        code=code,
        sql=sql,
        node=node,
        **found,
    )


def told(*statements: tuple[Finding, ...]) -> list[Finding]:
    """What a report of these statements tells."""
    reports = tuple(
        StatementReport(f"{n}", "", "reads", "planned", findings=found)
        for n, found in enumerate(statements)
    )
    report = Report("", "", "postgresql", "", "planned", "", 1, reports, (), {}, "")
    return [found for _, found in all_findings(report)]


def rules(*findings: Finding) -> list[str]:
    """The rules that are told of one statement."""
    return [one.rule for one in told(findings)]


def test_where_to_start_is_said_by_what_stands_there() -> None:
    """P1 names a step; a finding on the same step says the same and more."""
    assert rules(finding("P1", 2), finding("P3", 2)) == ["P3"]
    assert rules(finding("P3", 3), finding("P1", 2, share=0.8)) == ["P3", "P1"]
    assert rules(finding("P12", 1, share=0.9), finding("P1", 2, share=0.8)) == ["P12"]
    assert rules(finding("P1", 2, severity=Severity.INFO)) == ["P1"]


def test_files_are_written_by_the_step_that_is_named() -> None:
    """That there were some is told only where nobody knows whose."""
    assert rules(finding("P9", 0), finding("P6", 4)) == ["P6"]
    assert rules(finding("P9", 0)) == ["P9"]


def test_a_sort_in_vain_needs_no_memory() -> None:
    """It is to go, so it is not to be made quicker."""
    assert rules(finding("P24", 2), finding("P5", 2)) == ["P24"]


def test_an_index_is_named_once_and_the_widest_is() -> None:
    """The count needs the filter, the page also its order: one index has both."""
    rows, count = told((finding("P3", sql=WIDE),), (finding("P3", sql=NARROW),))
    assert rows.sql == WIDE
    assert count.sql == count.code == ""
    assert count.advice == "The index ix_a_b_c serves here, too."


def test_indexes_that_begin_differently_are_both_named() -> None:
    """Neither can take the place of the other."""
    other = "CREATE INDEX CONCURRENTLY ix_a_c ON a (c)"
    found = told((finding("P3", sql=WIDE),), (finding("P3", sql=other),))
    assert [one.sql for one in found] == [WIDE, other]
