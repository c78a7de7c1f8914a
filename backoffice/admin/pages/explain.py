"""EXPLAIN: asking for a report by POST, and reading stored ones, which runs nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.explained import (
    HOW,
    TONES,
    findings_of,
    plans_of,
    touched_of,
)
from backoffice.admin.explaining import NotUnderstood, list_question
from backoffice.admin.explaining_calls import Picked, calls_question
from backoffice.admin.frame import frame
from backoffice.admin.known_values import note_seen, value_facts
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.listing import spec_for
from backoffice.admin.presentation import Action, ErrorView, Hidden, Link, Message
from backoffice.admin.presentation_explain import (
    ExplainButton,
    ExplainListView,
    ExplainView,
    ReportRow,
    RunFact,
    WritingOffer,
)
from backoffice.admin.whose_values import as_asked_by, why_not_run
from backoffice.admin.words import moment
from backoffice.audit.recorder import add_entry
from backoffice.auth.permissions import may, roles_that_may
from backoffice.database.session import ACTOR
from backoffice.errors import NotPermitted, RecordNotFound, Refused
from backoffice.explain.findings import Severity
from backoffice.explain.measuring_postgresql import INSTALL
from backoffice.explain.memory import Kept
from backoffice.explain.models import ExplainReport
from backoffice.explain.report import (
    Question,
    Report,
    latest,
    load,
    make_report,
    measured_since,
    store,
)
from backoffice.explain.statement import Caught, only_reads
from backoffice.observability.exposition import EXPLAINS

PAGE = 50
MEASURED_A_MINUTE = 6
LONGEST_NUMBER = 18
LONGEST_NAME = 100
FORMS = ("tree", "text", "json")
# How a report says that its statements were run.
RUN = ("measured", "undone")


def ask(call: Call) -> Reply:
    """Explain what the form names, store the report, and lead to it."""
    _check_right(call, "ops:explain")
    how = call.posted("how")
    writes = how == "writes"
    measure = writes or how == "measure"
    if measure:
        _check_right(call, "ops:analyze")
        _check_rate(call)
    if writes:
        _check_writes(call)
    try:
        question = question_of(call)
    except NotUnderstood as refused:
        return _not_understood(call, str(refused))
    return answer(call, question, measure=measure, writes=writes)


def _not_understood(call: Call, sentence: str) -> Page:
    """What is wrong in a list's query string, as the list itself would answer it."""
    url = address(call.site.base_url, call.posted("view") or "", "list")
    view = ErrorView(sentence, actions=(Action("Back to the list", url),))
    page_frame = frame(call, title="Nothing is explained", width="narrow")
    return Page("error", view, page_frame, 400)


def answer(
    call: Call, question: Question, *, measure: bool = False, writes: bool = False
) -> Reply:
    """Explain a question, store the report, and lead to it.

    Who may not see values gets it planned for any, but for those that they typed.

    Raises:
        NotPermitted: this person may not explain; or not run it, with such values.
    """
    _check_right(call, "ops:explain")
    asked = _asked(call, question)
    if measure and asked is not question:
        raise NotPermitted(why_not_run(call.login.role))
    if writes:
        # Before it is run: whatever comes of that, it is known who began it.
        add_entry(
            call.session,
            action="explain_writes",
            table_name=ExplainReport.__tablename__,
            key="",
            label=question.title,
            view=question.subject.identity,
        )
    # No connection is held while the plans are asked for, over one of their own.
    call.session.commit()
    made = make_report(
        call.site.backoffice.exports, asked, measure=measure, writes=writes
    )
    number = store(call.session, made.report)
    is_measured = made.report.how in RUN
    recorder = call.site.backoffice.keeper.recorder
    recorder.count(EXPLAINS, made.report.how, "done")
    add_entry(
        call.session,
        action="explain_measured" if is_measured else "explain",
        table_name=ExplainReport.__tablename__,
        key=str(number),
        label=made.report.title,
        view=made.report.identity,
    )
    # Before it is read again, so that the page does not say "no longer kept".
    call.site.explained.keep(number, asked.statements, made.plans, question)
    return Redirect(address(call.site.base_url, "explain", str(number)))


def _asked(call: Call, question: Question) -> Question:
    """The question with the values that this person may have planned."""
    dialect = call.site.backoffice.engine.dialect.name
    return as_asked_by(call.login, question, dialect)


def question_of(call: Call) -> Question:
    """What the form asks for: an earlier report, named statements, or a list."""
    again = call.posted("report")
    if again:
        kept = call.site.explained.recall(_number(again))
        if kept is None or not isinstance(kept.question, Question):
            raise Refused(
                message="The values of this report are not kept any more: after 15 "
                "minutes they are forgotten, and other processes never knew them. "
                "Explain the page again."
            )
        identity = kept.question.subject.identity
        if identity:
            _view(call, identity)
        return kept.question
    picked = picked_of(call)
    if picked:
        return calls_question(call, picked)
    view = _view(call, call.posted("view") or "")
    question = list_question(
        call.site.backoffice.engine,
        view,
        spec_for(call, view),
        call.site.codec,
        call.posted("query") or "",
    )
    return replace(question, typed_by=str(call.login.user_id))


def picked_of(call: Call) -> list[Picked]:
    """The statements that the form names, and which call of them."""
    names = call.form.getlist("fingerprint") if call.form is not None else []
    request = (call.posted("request") or "")[:LONGEST_NAME]
    process = (call.posted("process") or "")[:LONGEST_NAME]
    at: datetime | None = None
    with suppress(ValueError):
        at = datetime.fromisoformat(call.posted("at") or "")
    if at is not None and at.tzinfo is None:
        at = None
    return [Picked(one, request, at, process) for one in names if isinstance(one, str)]


def show(call: Call) -> Reply:
    """A stored report; nothing is run."""
    _check_right(call, "ops:explain")
    number = _number(str(call.request.path_params["number"]))
    row, report = load(call.session, number)
    kept = call.site.explained.recall(number)
    may_see = may_see_values(call, number, kept)
    shown = _view_of(call, row, report, kept, may_see=may_see)
    base = address(call.site.base_url, "explain")
    how = "Measured" if report.how in RUN else "Explained"
    when = moment(row.at, with_time=True)
    crumbs = [
        Link("Operations", ""),
        Link("Explain reports", base),
        Link(str(number), ""),
    ]
    return Page(
        "explain",
        shown,
        frame(
            call,
            title=report.title,
            sub=f"{how} {when.full} by {row.actor_label or 'nobody'}. "
            "Opening this page runs nothing.",
            crumbs=crumbs,
        ),
    )


def may_see_values(call: Call, number: int, kept: Kept | None) -> bool:
    """Whether this person sees a report's values, which is written down."""
    if kept is None or not may(call.login.role, "ops:see_values"):
        return False
    names = [one.fingerprint for one in kept.statements if one.values]
    return not names or note_seen(
        call.site,
        call.login,
        dict.fromkeys(filter(None, names)),
        view="explain",
        label=f"Report {number}",
    )


def show_all(call: Call) -> Reply:
    """All reports, newest first."""
    _check_right(call, "ops:explain")
    text = call.request.query_params.get("before", "")
    before = int(text) if _is_number(text) else None
    found = latest(call.session, limit=PAGE + 1, before=before)
    url = address(call.site.base_url, "explain")
    rows = tuple(
        ReportRow(
            url=address(url, str(row.id)),
            title=row.title,
            verdict=row.verdict,
            tone=TONES[Severity(row.severity)],
            how=HOW[row.how][0],
            who=row.actor_label,
            when=moment(row.at, with_time=True),
        )
        for row in found[:PAGE]
    )
    older = ""
    if len(found) > PAGE:
        older = f"{url}?" + urlencode({"before": found[PAGE - 1].id})
    view = ExplainListView(rows, older, url if before is not None else "")
    return Page(
        "explains", view, frame(call, title="Explain reports", crumbs=[_OPERATIONS])
    )


_OPERATIONS = Link("Operations", "")


# Parts


def _view_of(
    call: Call, row: ExplainReport, report: Report, kept: Kept | None, *, may_see: bool
) -> ExplainView:
    form = call.request.query_params.get("form", "tree")
    url = address(call.site.base_url, "explain", str(row.id))
    forms = tuple(
        Link(name.title() if name != "json" else "JSON", f"{url}?form={name}#plans")
        for name in FORMS
    )
    tone = TONES[Severity(report.severity)] or "ok"
    can_measure = may(call.login.role, "ops:analyze")
    return ExplainView(
        tone=tone,
        verdict=report.verdict,
        verdict_more=_summary(report),
        findings=findings_of(report),
        plans=plans_of(report, kept.plans if kept is not None and may_see else ()),
        touched=touched_of(report),
        run=tuple(_run_facts(call, report, kept, may_see=may_see)),
        form=form if form in FORMS else "tree",
        forms=forms,
        buttons=tuple(_buttons(call, row, report, kept)),
        notes=tuple(Message("warn", one) for one in report.left_out),
        why_not_measured=_why_not_measured(call, report, kept),
        writing=_writing(call, row, report, kept),
        install_sql=(
            INSTALL.strip() + ";"
            if can_measure and report.why_not_measured and _is_postgresql(report)
            else ""
        ),
    )


def _is_postgresql(report: Report) -> bool:
    return report.dialect == "postgresql"


def _summary(report: Report) -> str:
    """The numbers behind the verdict."""
    measured = [one.milliseconds for one in report.statements if one.milliseconds]
    number = sum(1 for one in report.statements if one.plan)
    if measured:
        rest = number - len(measured)
        others = f"; {rest} more as expected, not run" if rest else ""
        return f"{sum(measured):,.0f} ms for {_statements(len(measured))}{others}."
    if report.how == "generic":
        return f"{_statements(number)}, planned for any values; nothing was run."
    them = "it" if number == 1 else "them"
    return f"{_statements(number)}, as the planner expects {them}; nothing was run."


def _statements(number: int) -> str:
    return "1 statement" if number == 1 else f"{number} statements"


def _buttons(
    call: Call, row: ExplainReport, report: Report, kept: Kept | None
) -> list[ExplainButton]:
    """What can be asked anew: as long as the values are remembered."""
    question = _asked_again(call, kept)
    if question is None:
        return []
    url = address(call.site.base_url, "explain")
    again = Hidden("report", str(row.id))
    is_for_any = kept is not None and _are_for_any(kept.statements)
    label = "Explain again"
    if is_for_any and not _are_for_any(question.statements):
        label = "Explain with its values"
    buttons = [ExplainButton(label, url, (again, Hidden("how", "plan")))]
    has_values = _is_postgresql(report) and any(
        one.values is not None and only_reads(one.text) for one in question.statements
    )
    if (
        has_values
        and not report.why_not_measured
        and may(call.login.role, "ops:analyze")
    ):
        label = "Measure again" if report.how in RUN else "Run and measure"
        hidden = (again, Hidden("how", "measure"))
        buttons.append(ExplainButton(label, url, hidden))
    return buttons


def _asked_again(call: Call, kept: Kept | None) -> Question | None:
    """What this person would ask anew, as long as it is remembered."""
    if kept is None or not isinstance(kept.question, Question):
        return None
    return _asked(call, kept.question)


def _are_for_any(statements: Sequence[Caught]) -> bool:
    """Whether none of these has values."""
    return all(one.values is None for one in statements)


def _why_not_measured(call: Call, report: Report, kept: Kept | None) -> str:
    """Why a person who may measure cannot here."""
    if not may(call.login.role, "ops:analyze"):
        return ""
    asked = _asked_again(call, kept)
    if kept is not None and asked is not None and asked is not kept.question:
        return report.why_not_measured or why_not_run(call.login.role)
    return report.why_not_measured


def _writing(
    call: Call, row: ExplainReport, report: Report, kept: Kept | None
) -> WritingOffer | None:
    """The offer to run what writes, for who may and where there is such a thing."""
    question = _asked_again(call, kept)
    if question is None or not _is_postgresql(report):
        return None
    if not (may(call.login.role, "ops:analyze_writes") and _writes_are_measured(call)):
        return None
    if not any(
        one.values is not None and not only_reads(one.text)
        for one in question.statements
    ):
        return None
    if report.why_not_written:
        return WritingOffer(why_not=report.why_not_written)
    hidden = (Hidden("report", str(row.id)), Hidden("how", "writes"))
    url = address(call.site.base_url, "explain")
    return WritingOffer(ExplainButton("Run it, measure, and roll back", url, hidden))


def _writes_are_measured(call: Call) -> bool:
    return call.site.backoffice.settings.observability.measure_writes


def _run_facts(
    call: Call, report: Report, kept: Kept | None, *, may_see: bool
) -> list[RunFact]:
    """From where it came, with which values, under which limits."""
    facts = []
    view = call.site.view_called(report.identity) if report.identity else None
    if isinstance(view, ModelView) and call.may("list", view):
        url = address(call.site.base_url, view.identity, "list")
        question = kept.question if kept is not None and may_see else None
        if isinstance(question, Question) and question.query:
            url += f"?{question.query}"
        facts.append(RunFact("From", view.name_plural, url))
    facts += [
        RunFact(
            "Statement",
            one.fingerprint,
            address(call.site.base_url, "metrics", "statement", one.fingerprint),
            is_code=True,
        )
        for one in report.statements
        if one.fingerprint
    ]
    facts.append(RunFact("Values", *_values(kept, may_see=may_see)))
    product = "PostgreSQL" if _is_postgresql(report) else "SQLite"
    facts.append(RunFact("Server", f"{product} {report.version}"))
    settings = [f"{name} {value}" for name, value in report.settings.items()]
    if settings:
        facts.append(RunFact("Settings", ", ".join(settings), is_code=True))
    facts.append(RunFact("Limits", report.limits))
    return facts


def _values(kept: Kept | None, *, may_see: bool) -> tuple[str, str, bool]:
    """The bound values of all statements, or why they are not shown."""
    if kept is None:
        return "masked; no longer kept", "", False
    if _are_for_any(kept.statements):
        return "none: the plan is for any", "", False
    until = moment(datetime.fromtimestamp(kept.until, UTC)).text
    if not may_see:
        roles = ", ".join(roles_that_may("ops:see_values")) or "nobody"
        return f"masked; {roles} may see them until {until}", "", False
    texts: dict[str, None] = {}
    for one in kept.statements:
        found = value_facts(one.values or {})
        is_named = isinstance(one.values, Mapping)
        texts.update({f"{n} = {v}" if is_named else v: None for n, v in found})
    listed = ", ".join(texts) or "none"
    return f"{listed} (forgotten at {until}, never stored)", "", bool(texts)


def _view(call: Call, identity: str) -> ModelView:
    """The view that is to be explained, if this person may see its list.

    Raises:
        RecordNotFound: there is no such list.
        NotPermitted: it is not theirs to see.
    """
    view = call.site.view_called(identity)
    if view is None:
        raise RecordNotFound("There is no such list here.")
    if not call.may("list", view):
        raise NotPermitted("You may not see this list, nor its statements.")
    return view


def _check_right(call: Call, action: str) -> None:
    if not may(call.login.role, action):
        what = {
            "ops:explain": "EXPLAIN statements",
            "ops:analyze": "run statements to measure them",
            "ops:analyze_writes": "run statements that write",
        }[action]
        roles = " and ".join(roles_that_may(action)) or "nobody"
        raise NotPermitted(f"You are {call.login.role}; to {what} is for {roles}.")


def _check_writes(call: Call) -> None:
    """Whether statements that write may be run here at all, and by this person.

    Raises:
        NotPermitted: they may not.
    """
    _check_right(call, "ops:analyze_writes")
    if not _writes_are_measured(call):
        raise NotPermitted(
            "Statements that write are not run here, not even by administrators: the "
            "setting observability.measure_writes is off."
        )


def _check_rate(call: Call) -> None:
    """Six measurements a minute and person are enough to learn from.

    Raises:
        Refused: it was more.
    """
    since = datetime.now(UTC) - timedelta(minutes=1)
    actor = call.session.info.get(ACTOR)
    if measured_since(call.session, actor, since) >= MEASURED_A_MINUTE:
        raise Refused(
            message=f"{MEASURED_A_MINUTE} measurements a minute are the most; wait a "
            "little. Plans without running can be asked for meanwhile."
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


def _number(text: str) -> int:
    if not _is_number(text):
        raise RecordNotFound("There is no report of this number.")
    return int(text)
