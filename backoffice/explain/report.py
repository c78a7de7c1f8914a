"""A report: what was asked, what the plans say of it, and what to do, in plain data.

It is made of masked plans alone, so no text in it can hold anybody's value.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from backoffice.database.session import ACTOR, Actor
from backoffice.errors import RecordNotFound
from backoffice.explain import rules_sqlite, running_postgresql, running_sqlite
from backoffice.explain.catalog_postgresql import Catalog, TableFacts
from backoffice.explain.findings import NOBODY, Case, Finding, Severity, Subject
from backoffice.explain.judging import (
    is_unexplained,
    judge,
    unexplained,
    verdict,
)
from backoffice.explain.masking import mask_plan, mask_text
from backoffice.explain.models import ExplainReport
from backoffice.explain.plan import read_plan
from backoffice.explain.running_postgresql import (
    Answer,
    Explained,
    How,
    IsNeeded,
    Limits,
)
from backoffice.explain.statement import Caught

LONGEST_TEXT = 20_000
MOST_STATEMENTS = 20


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be explained: statements, and what the admin knows of them.

    `title` is shown and stored: it must not hold values. `is_needed` tells, from the
    first statement's plan, whether a later one would be sent at all. `query` is the
    list's query string: it is remembered with the values, and never stored. `subjects`
    are those of single statements, by fingerprint; `left_out` says what was asked for
    and has no plan. `typed_by` is the account that has typed the values, those of a
    list or an action; of calls it is nobody. `took` is the longest that statements are
    known to have taken, in milliseconds, by fingerprint.
    """

    title: str
    statements: tuple[Caught, ...]
    subject: Subject = NOBODY
    is_needed: IsNeeded | None = None
    query: str = ""
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    typed_by: str = ""
    took: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatementReport:
    """One statement: its text and plan without values, and what was found."""

    title: str
    text: str
    kind: str
    how: str
    note: str = ""
    fingerprint: str = ""
    plan: Any = None
    problem: str = ""
    verdict: str = ""
    milliseconds: float | None = None
    cost: float | None = None
    findings: tuple[Finding, ...] = ()
    not_undone: tuple[str, ...] = ()
    # The longest that it is known to have taken.
    took: float | None = None

    @property
    def is_unexplained(self) -> bool:
        """Whether it took long, and no step of its plan does."""
        return bool(self.plan) and is_unexplained(self.took, self.milliseconds)


@dataclass(frozen=True, slots=True)
class TableReport:
    """A table or an index that the plans touch."""

    name: str
    rows: float | None
    size: int
    analyzed_at: str = ""
    changed: int = 0
    used_by: str = ""
    is_index: bool = False
    is_used: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page of a report shows."""

    title: str
    identity: str
    dialect: str
    version: str
    how: str
    verdict: str
    severity: int
    statements: tuple[StatementReport, ...]
    tables: tuple[TableReport, ...]
    settings: Mapping[str, str]
    limits: str
    why_not_measured: str = ""
    left_out: tuple[str, ...] = ()
    why_not_written: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A report with what must not be stored: the plans as the server gave them."""

    report: Report
    plans: tuple[Any, ...]


def make_report(
    engine: Engine,
    question: Question,
    *,
    measure: bool = False,
    writes: bool = False,
    limits: Limits | None = None,
) -> Made:
    """Explain the statements of a question; with `measure`, run those that read.

    With `writes` as well, run those that write, and undo it.

    Raises:
        Refused: a text is no statement that has a plan.
        DatabaseUnavailable: there is no connection to be had.
    """
    limits = limits or Limits()
    statements = question.statements[:MOST_STATEMENTS]
    if engine.dialect.name != "postgresql":
        return _of_sqlite(engine, question, statements)
    answer = running_postgresql.explain(
        engine,
        statements,
        measure=measure,
        writes=writes,
        limits=limits,
        is_needed=question.is_needed,
    )
    answer = _with_expected(engine, answer, limits)
    reports = tuple(
        _statement(one, answer.catalog, question) for one in answer.explained
    )
    settings: dict[str, str] = {}
    for one in answer.explained:
        if one.plan:
            own = one.caught.settings
            found = one.plan[0].get("Settings", {}).items()
            settings.update({name: to for name, to in found if name not in own})
    # Measuring sets it; of a list's tables it says nothing.
    settings.pop("search_path", None)
    report = Report(
        title=question.title,
        identity=question.subject.identity,
        dialect="postgresql",
        version=answer.catalog.version,
        how=_how(reports),
        verdict=_verdict(reports),
        severity=_severity(reports),
        statements=reports,
        tables=_tables(answer.catalog, answer.explained),
        settings=settings,
        limits=_limits(answer.explained, limits),
        why_not_measured=answer.why_not_measured,
        left_out=question.left_out,
        why_not_written=answer.why_not_written,
    )
    return Made(report, tuple(one.plan for one in answer.explained))


def _with_expected(engine: Engine, answer: Answer, limits: Limits) -> Answer:
    """The answer with the expected plan of each statement whose run came to nothing.

    What takes too long to be measured is what somebody most wants to know of.
    """
    failed = [one for one in answer.explained if _has_failed(one)]
    if not failed:
        return answer
    planned = running_postgresql.explain(
        engine, [one.caught for one in failed], limits=limits
    )
    found = dict(zip(map(id, failed), planned.explained, strict=True))
    explained = tuple(
        replace(one, plan=found[id(one)].plan, how=found[id(one)].how)
        if id(one) in found
        else one
        for one in answer.explained
    )
    tables = {**planned.catalog.tables, **answer.catalog.tables}
    return replace(
        answer,
        explained=explained,
        catalog=replace(planned.catalog, tables=tables),
    )


def _has_failed(one: Explained) -> bool:
    """Whether a statement was run, and has no plan of it."""
    return one.how in (How.MEASURED, How.UNDONE) and one.plan is None


def _limits(explained: Sequence[Explained], limits: Limits) -> str:
    """How long each statement might take, and who ran it."""
    hows = {one.how for one in explained}
    if How.UNDONE in hows:
        return (
            f"at most {limits.run:g} s each, one at a time, what reads by a role that "
            "only reads, what writes by the application's own, rolled back"
        )
    if How.MEASURED in hows:
        return (
            f"at most {limits.run:g} s each, one at a time, by a role that only reads, "
            "rolled back"
        )
    return (
        f"at most {limits.plan:g} s each, in a transaction that only reads; nothing "
        "was run"
    )


def _subject(question: Question, caught: Caught) -> Subject:
    return question.subjects.get(caught.fingerprint, question.subject)


def _statement(one: Explained, catalog: Catalog, question: Question) -> StatementReport:
    """One statement's part, from its masked plan."""
    took = question.took.get(one.caught.fingerprint)
    bare = StatementReport(
        title=one.caught.title,
        text=mask_text(one.caught.text)[:LONGEST_TEXT],
        kind=one.kind.value,
        how=one.how.value,
        note=one.caught.note,
        fingerprint=one.caught.fingerprint,
        problem=one.problem,
        not_undone=one.not_undone,
        took=took,
    )
    if not one.plan:
        return bare
    masked = mask_plan(one.plan[0])
    case = Case(read_plan(masked), catalog, _subject(question, one.caught))
    findings = judge(case)
    return replace(
        bare,
        plan=masked,
        verdict=verdict(case, findings, took),
        milliseconds=case.plan.execution if case.plan.is_measured else None,
        cost=case.plan.cost,
        findings=findings,
    )


def _of_sqlite(
    engine: Engine, question: Question, statements: Sequence[Caught]
) -> Made:
    explained = running_sqlite.explain(engine, statements)
    reports = []
    for one in explained:
        subject = _subject(question, one.caught)
        text = mask_text(one.caught.text)[:LONGEST_TEXT]
        findings = rules_sqlite.judge(one.plan, subject, text) if one.plan else ()
        took = question.took.get(one.caught.fingerprint)
        first = "Nothing stands out."
        if findings:
            first = f"{findings[0].heading}."
        elif took is not None and is_unexplained(took):
            first = unexplained(took)
        reports.append(
            StatementReport(
                title=one.caught.title,
                text=text,
                kind=one.kind.value,
                how=one.how.value,
                note=one.caught.note,
                fingerprint=one.caught.fingerprint,
                plan=mask_plan(one.plan, "Node Type"),
                problem=one.problem,
                verdict=first if one.plan else "",
                findings=findings,
                took=took,
            )
        )
    found = tuple(reports)
    report = Report(
        title=question.title,
        identity=question.subject.identity,
        dialect="sqlite",
        version=sqlite3.sqlite_version,
        how=_how(found),
        verdict=_verdict(found),
        severity=_severity(found),
        statements=found,
        tables=(),
        settings={},
        limits=f"at most {running_sqlite.LIMIT:g} s each; nothing was run",
        why_not_measured="SQLite has no EXPLAIN that measures.",
        left_out=question.left_out,
    )
    return Made(report, tuple(one.plan for one in explained))


def _how(reports: Sequence[StatementReport]) -> str:
    """How the most telling plan of a report was got."""
    found = {one.how for one in reports if one.plan}
    for how in (How.UNDONE, How.MEASURED, How.PLANNED):
        if how.value in found:
            return how.value
    return How.GENERIC.value


def _verdict(reports: Sequence[StatementReport]) -> str:
    """The sentence of the statement that matters most."""
    planned = [one for one in reports if one.plan]
    if not planned:
        return "There is no plan: " + (reports[0].problem if reports else "nothing.")
    worst = max(planned, key=_weight)
    said = worst.verdict
    if len(planned) > 1 and (worst.findings or worst.is_unexplained):
        said = f"{worst.title}: {said[:1].lower()}{said[1:]}" if said else worst.title
    return said


def _weight(one: StatementReport) -> tuple[int, bool, bool, float]:
    """What has something to be told comes before what has not, so that it is told."""
    is_measured = one.milliseconds is not None
    time = one.milliseconds or one.cost or 0.0
    return _severity([one]), bool(one.findings), is_measured, time


def _severity(reports: Sequence[StatementReport]) -> int:
    found = [int(f.severity) for one in reports for f in one.findings]
    found += [int(Severity.WARN) for one in reports if one.is_unexplained]
    return max(found, default=0)


def _tables(
    catalog: Catalog, explained: Sequence[Explained]
) -> tuple[TableReport, ...]:
    """The tables of the plans, each with its indexes."""
    used: set[str] = set()
    for one in explained:
        if one.plan:
            used |= {node.index for node in read_plan(one.plan).nodes if node.index}
    found: list[TableReport] = []
    for facts in sorted(catalog.tables.values(), key=lambda one: -one.size):
        found.append(_table(facts))
        found += [
            TableReport(
                name=index.name,
                rows=None,
                size=index.size,
                used_by=", ".join(index.columns),
                is_index=True,
                is_used=index.name in used,
            )
            for index in facts.indexes
        ]
    return tuple(found)


def _table(facts: TableFacts) -> TableReport:
    at = facts.analyzed_at
    return TableReport(
        name=facts.name,
        rows=facts.rows,
        size=facts.size,
        analyzed_at=at.isoformat() if at else "",
        changed=facts.changed,
    )


# Stored reports


def store(session: Session, report: Report) -> int:
    """Keep a report in the session's transaction; its number."""
    actor: Actor | None = session.info.get(ACTOR)
    row = ExplainReport(
        at=datetime.now(UTC),
        actor_id=actor.id if actor else None,
        actor_label=actor.label[:200] if actor else "",
        view=report.identity[:100],
        title=report.title[:200],
        verdict=report.verdict[:500],
        how=report.how,
        severity=report.severity,
        content=asdict(report),
    )
    session.add(row)
    session.flush()
    return row.id


def load(session: Session, number: int) -> tuple[ExplainReport, Report]:
    """A stored report; nothing is run.

    Raises:
        RecordNotFound: there is none of this number.
    """
    row = session.get(ExplainReport, number)
    if row is None:
        raise RecordNotFound("There is no report of this number.")
    return row, from_data(row.content)


def latest(
    session: Session, *, limit: int, before: int | None = None
) -> list[ExplainReport]:
    """The newest reports, older than number `before` where it is given."""
    statement = select(ExplainReport).order_by(ExplainReport.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(ExplainReport.id < before)
    return list(session.scalars(statement))


def from_data(data: Mapping[str, Any]) -> Report:
    """The report that was stored as plain data."""
    statements = tuple(
        StatementReport(
            **{
                **one,
                "not_undone": tuple(one.get("not_undone", ())),
                "findings": tuple(
                    Finding(**{**f, "severity": Severity(f["severity"])})
                    for f in one["findings"]
                ),
            }
        )
        for one in data["statements"]
    )
    tables = tuple(TableReport(**one) for one in data["tables"])
    left_out = tuple(data.get("left_out", ()))
    whole = {"statements": statements, "tables": tables, "left_out": left_out}
    return Report(**{**data, **whole})


def measured_since(session: Session, actor: Actor | None, since: datetime) -> int:
    """How many reports somebody has had measured since then."""
    statement = (
        select(func.count())
        .select_from(ExplainReport)
        .where(ExplainReport.at >= since)
        .where(ExplainReport.how.in_([How.MEASURED.value, How.UNDONE.value]))
        .where(ExplainReport.actor_id == (actor.id if actor else None))
    )
    return session.scalar(statement) or 0
