"""Which findings of a report are told? All that say something, each thing once."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from backoffice.explain.findings import Finding, Severity
from backoffice.explain.judging import in_order
from backoffice.explain.report import Report, StatementReport

Told = tuple[StatementReport, Finding]

# What went to disk, each by itself: that files were written is no news then.
ON_DISK = frozenset({"P5", "P6", "P7", "P8"})
_INDEX = re.compile(
    r"CREATE INDEX CONCURRENTLY (?P<name>\S+) ON (?P<place>\S+(?: USING \w+)?) "
    r"\((?P<keys>.*)\)"
)


def all_findings(report: Report) -> tuple[Told, ...]:
    """Every finding with its statement, the worst first; what repeats another is not.

    An index is named once, where it is the widest of those that begin alike.
    """
    found = [(one, f) for one in report.statements for f in _telling(one.findings)]
    owners = {id(finding): one for one, finding in found}
    ordered = in_order(finding for _, finding in found)
    seen: set[tuple[str, str, str]] = set()
    kept: list[Told] = []
    for finding in ordered:
        key = (finding.rule, finding.heading, finding.advice + finding.code)
        if finding.rule != "P1" and key in seen:
            continue
        seen.add(key)
        kept.append((owners[id(finding)], finding))
    return tuple(_indexes_once(kept))


def _telling(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Those of one statement that say more than another of them."""
    rules = {one.rule for one in findings}
    sorted_in_vain = {one.node for one in findings if one.rule == "P24"}
    others = [one for one in findings if one.rule not in ("P1", "P20")]
    for one in findings:
        if one.rule == "P1" and (
            any(_says_more(other, one) for other in others)
            or (one.severity is Severity.INFO and others)
        ):
            continue  # that finding has the step, and says why it is slow
        if one.rule == "P9" and rules & ON_DISK:
            continue
        if one.rule == "P5" and one.node in sorted_in_vain:
            continue
        yield one


def _says_more(other: Finding, first: Finding) -> bool:
    """Whether a finding is on the step where to start, or on one that has it inside."""
    is_wider = other.share >= first.share and other.severity >= first.severity
    return other.node == first.node or is_wider


def _indexes_once(told: Sequence[Told]) -> Iterator[Told]:
    """The findings, of whose indexes each is named once."""
    named: set[str] = set()
    wanted = [index for _, finding in told for index in _indexes(finding)]
    for owner, finding in told:
        own = _indexes(finding)
        serving = [_widest(one, wanted) for one in own]
        if own and all(
            other != one or one[0] in named
            for one, other in zip(own, serving, strict=True)
        ):
            names = ", ".join(dict.fromkeys(other[0] for other in serving))
            noun = "index" if len(own) == 1 else "indexes"
            verb = "serves" if len(own) == 1 else "serve"
            advice = f"The {noun} {names} {verb} here, too."
            yield owner, replace(finding, advice=advice, code="", sql="")
            continue
        named |= {one[0] for one in own}
        yield owner, finding


Index = tuple[str, str, tuple[str, ...]]


def _indexes(finding: Finding) -> list[Index]:
    """Name, place and keys of each index that a finding advises."""
    return [
        (match["name"], match["place"], tuple(match["keys"].split(", ")))
        for match in _INDEX.finditer(finding.sql)
    ]


def _widest(one: Index, all_of_them: Iterable[Index]) -> Index:
    """The index that has this one's keys in front, and the most of them."""
    _, place, keys = one
    serving = [
        other
        for other in all_of_them
        if other[1] == place and other[2][: len(keys)] == keys
    ]
    return max(serving, key=lambda other: len(other[2]), default=one)
