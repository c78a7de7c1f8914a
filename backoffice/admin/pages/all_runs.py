"""All runs of actions: who, when, on which rows, told what, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from backoffice.admin import words
from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.action import run_url
from backoffice.admin.pages.preflight import parameters_of
from backoffice.admin.pages.runs import STATES, attendance_of, sees_all
from backoffice.admin.panels import coloured
from backoffice.admin.presentation import Choice, Link, Message
from backoffice.admin.presentation_bulk import RunLine, RunsChoice, RunsView
from backoffice.bulk.listing_runs import (
    RunFilter,
    TakenBack,
    find_runs,
    people_of_runs,
    taken_back,
    views_of_runs,
)
from backoffice.bulk.models import Run
from backoffice.bulk.states import OPEN
from backoffice.bulk.states import STATES as KNOWN
from backoffice.database.values import shown
from backoffice.jobs.attendance import NOBODY, Attendance, standing

PAGE = 50
STATE, VIEW, BY, BEFORE = "state", "view", "by", "before"
ANY = "any"


def show_all(call: Call) -> Reply:
    """All runs, newest first; an editor's own."""
    given, wrong = _gathered(call)
    own = None if sees_all(call) else str(call.login.user_id)
    choices = tuple(choices_of(call, given, own))
    wrong += [
        f"“{shown(given[one.name])}” is no {one.label.lower()} of a run here."
        for one in choices
        if given.get(one.name) and not any(c.is_checked for c in one.choices)
    ]
    before = given.get(BEFORE, "")
    is_place = before.isascii() and before.isdigit() and len(before) < 19  # noqa: PLR2004
    if before and not is_place:
        wrong.append(f"“{shown(before)}” is no place among the runs.")
    problems = tuple(Message("bad", why) for why in wrong)
    asked = RunFilter(
        state=given.get(STATE, ""),
        view=given.get(VIEW, ""),
        actor=given.get(BY, "") if own is None else "",
        actor_id=own,
        before=int(before) if is_place else None,
    )
    found = find_runs(call.session, asked, PAGE + 1) if not problems else []
    workers = attendance_of(call, found)
    back = taken_back(call.session, found[:PAGE])
    missing = (Message("warn", NOBODY),) if workers.is_missing else ()
    kept = {one.name: given[one.name] for one in choices if one.name in given}
    base = address(call.site.base_url, "runs")
    told = RunsView(
        url=base,
        runs=tuple(
            line_of(call, run, workers, back.get(run.id)) for run in found[:PAGE]
        ),
        choices=choices,
        clear_url=base if kept else "",
        older_url=_url(base, kept, found[PAGE - 1].id) if len(found) > PAGE else "",
        newest_url=_url(base, kept) if is_place else "",
        notes=(*problems, *missing),
        empty="No run is like this." if kept or problems else "Nothing was run yet.",
    )
    sub = "" if own is None else "Yours; administrators see everybody's."
    return Page(
        "runs", told, frame(call, title="Runs", sub=sub), 400 if problems else 200
    )


def _gathered(call: Call) -> tuple[dict[str, str], list[str]]:
    """The parameters that are filled, each once, and what is wrong with others."""
    given: dict[str, str] = {}
    wrong = []
    for name, text in call.query_items:
        if name not in {STATE, VIEW, BY, BEFORE}:
            wrong.append(f"{shown(name)} is nothing that runs are narrowed down by.")
        elif text and given.setdefault(name, text) != text:
            wrong.append(f"{name} is given twice.")
    return given, wrong


def _url(base: str, kept: Mapping[str, str], before: int | None = None) -> str:
    query = urlencode({**kept, **({BEFORE: before} if before is not None else {})})
    return f"{base}?{query}" if query else base


def choices_of(
    call: Call, given: Mapping[str, str], own: str | None
) -> Iterator[RunsChoice]:
    """What the runs can be narrowed down by."""
    names = {OPEN: "not ended", **{one: STATES[one][0] for one in KNOWN[1:]}}
    yield _choice(STATE, "State", list(names.items()), given)
    views = {
        view.identity: view.name_plural
        for view in call.site.views
        if isinstance(view, ModelView)
    }
    found = [(one, views.get(one, one)) for one in views_of_runs(call.session, own)]
    yield _choice(VIEW, "List", sorted(found, key=lambda pair: pair[1]), given)
    if own is None:
        people = [(one, one) for one in people_of_runs(call.session)]
        yield _choice(BY, "Person", people, given)


def _choice(
    name: str, label: str, known: Sequence[tuple[str, str]], given: Mapping[str, str]
) -> RunsChoice:
    chosen = given.get(name, "")
    return RunsChoice(
        name,
        label,
        (
            Choice("", ANY),
            *(Choice(value, text, is_checked=value == chosen) for value, text in known),
        ),
    )


def line_of(
    call: Call, run: Run, workers: Attendance, back: TakenBack | None
) -> RunLine:
    """One run in one line."""
    state, tone = STATES[standing(run, workers)]
    view = call.site.view_called(run.view)
    told = parameters_of(view, run.parameters, run.action) if view is not None else ()
    return RunLine(
        name=Link(f"{run.id}: {run.label}", run_url(call, run.id)),
        who=run.actor_label,
        when=words.moment(run.created_at, with_time=True),
        what=run.words,
        state=", ".join(filter(None, [state, back_words(back)])),
        tone=tone,
        rows=f"{run.changed:,} of {run.total:,}",
        took=words.duration(run.busy_ms / 1000),
        told=", ".join(f"{one.label} {one.value.text}" for one in told),
        outcome=outcome_of(run),
        statement=coloured(run.statement) if run.statement else (),
    )


def back_words(back: TakenBack | None) -> str:
    """Whether a run was taken back, as in: taken back in part by run 12."""
    if back is None:
        return ""
    part = "" if back.is_whole else " in part"
    noun = "run" if len(back.by) == 1 else "runs"
    return f"taken back{part} by {noun} {words.series([str(one) for one in back.by])}"


def outcome_of(run: Run) -> str:
    """What was not changed, as in: 31 so already, 1 refused."""
    parts = (
        (run.same, "so already"),
        (run.refused, "refused"),
        (run.left, "left alone"),
    )
    return ", ".join(f"{count:,} {text}" for count, text in parts if count)
