"""An EXPLAIN from a terminal: of a list, or of a statement of the slow log."""

import difflib
from dataclasses import asdict, dataclass
from typing import Any

import typer

from backoffice.admin.explaining import list_question, subject_of
from backoffice.admin.explaining_calls import remembered
from backoffice.admin.model_view import ModelView
from backoffice.audit.recorder import add_entry
from backoffice.bootstrap import Backoffice
from backoffice.cli.project import opened, transaction
from backoffice.cli.terminal import BOLD, RED, YELLOW, print_json, styled
from backoffice.explain.findings import NOBODY
from backoffice.explain.models import ExplainReport
from backoffice.explain.plan import read_plan
from backoffice.explain.plan_text import plan_text
from backoffice.explain.report import (
    Question,
    Report,
    StatementReport,
    make_report,
    store,
)
from backoffice.explain.running_sqlite import sentences
from backoffice.explain.telling import all_findings
from backoffice.observability.models import StatementHour, StatementText
from backoffice.observability.slow_log import longest_of
from backoffice.observability.statement_texts import read_statement
from backoffice.web.app import create_app

COLOURS = ("", YELLOW, RED)
MARKS = ("-", "!", "!!")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed: a statement's fingerprint, or a view and its query string."""

    fingerprint: str
    view: str
    query: str
    measure: bool
    json: bool


def explain(context: typer.Context, asked: Asked) -> None:
    """Explain, keep the report, and print it."""
    with opened(context) as backoffice:
        if asked.view:
            question = _list(backoffice, asked.view, asked.query)
        else:
            question = _statement(backoffice, asked.fingerprint)
        made = make_report(backoffice.exports, question, measure=asked.measure)
        with transaction(context, backoffice) as session:
            number = store(session, made.report)
            add_entry(
                session,
                action="explain_measured"
                if made.report.how in ("measured", "undone")
                else "explain",
                table_name=ExplainReport.__tablename__,
                key=str(number),
                label=made.report.title,
            )
    if asked.json:
        print_json({"report": number, **asdict(made.report)})
    else:
        _print(made.report, number, measure=asked.measure)


def _list(backoffice: Backoffice, identity: str, query: str) -> Question:
    """The statements of a list page; all rows are the operator's to see."""
    site = create_app(backoffice).state.site
    found = site.view_called(identity)
    if found is None:
        known = sorted(v.identity for v in site.views if isinstance(v, ModelView))
        raise typer.BadParameter(
            f"there is no view {identity!r}.{_meant(identity, known)} "
            f"Known: {', '.join(known)}."
        )
    spec = found.description.list_spec
    question = query.removeprefix("?")
    return list_question(backoffice.engine, found, spec, site.codec, question)


def _statement(backoffice: Backoffice, fingerprint: str) -> Question:
    """A statement by its name, and what is known of the view that ran it last."""
    from sqlalchemy import select

    with backoffice.engine.connect() as connection:
        record = read_statement(connection, fingerprint)
        if record is None:
            newest = select(StatementText.fingerprint).order_by(
                StatementText.last_seen.desc()
            )
            known = list(connection.scalars(newest.limit(200)))
            listed = ", ".join(known[:10]) or "none yet"
            raise typer.BadParameter(
                f"no statement is known as {fingerprint!r}."
                f"{_meant(fingerprint, known)} Seen last: {listed}."
            )
        caught = remembered(
            record.fingerprint, record.operation, record.table_name, record.text
        )
        newest_view = (
            select(StatementHour.view)
            .where(StatementHour.fingerprint == fingerprint)
            .order_by(StatementHour.at.desc(), StatementHour.calls.desc())
        )
        identity = connection.scalar(newest_view.limit(1)) or ""
        took = longest_of(connection, [fingerprint])
    view = create_app(backoffice).state.site.view_called(identity)
    subject = subject_of(view) if view is not None else NOBODY
    return Question(caught.title, (caught,), subject, took=took)


def _meant(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _print(report: Report, number: int, *, measure: bool) -> None:
    """The report as one reads it: the sentence, what to do, the plans."""
    print(styled(report.verdict, BOLD))
    print(f"{report.title}; report {number}, {report.limits}.")
    if measure and report.why_not_measured:
        print(f"Measuring is off. {report.why_not_measured}")
    for one, finding in all_findings(report):
        mark = styled(MARKS[finding.severity], COLOURS[finding.severity] or BOLD)
        print(f"\n{mark} {finding.heading} ({one.title})")
        for line in (finding.evidence, finding.advice, finding.code, finding.sql):
            if line:
                print("  " + line.replace("\n", "\n  "))
    for one in report.statements:
        print(f"\n{styled(one.title, BOLD)} ({one.how})")
        if one.note:
            print(one.note)
        for line in (one.problem, *one.not_undone):
            if line:
                print(line)
        if one.plan:
            print(_plan_of(report, one))


def _plan_of(report: Report, one: StatementReport) -> str:
    plan: Any = one.plan
    if report.dialect == "sqlite":
        return "\n".join(sentences(plan))
    return plan_text(read_plan(plan))
