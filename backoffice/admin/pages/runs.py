"""A run of an action: what came of it, and what can still be done about it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from backoffice.admin import words
from backoffice.admin.actions import Does, may_run
from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.chronicle import entries_of
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.naming import names_of
from backoffice.admin.pages.action import moving, run_url, undo_selection
from backoffice.admin.pages.chosen import is_for_job
from backoffice.admin.pages.preflight import named, parameters_of, records
from backoffice.admin.panels import coloured
from backoffice.admin.presentation import (
    Action,
    Cell,
    Choice,
    Fact,
    HistoryEntry,
    Link,
    Message,
)
from backoffice.admin.presentation_bulk import (
    Happening,
    LeftRow,
    RunView,
)
from backoffice.audit.history import HistoryEntry as Entry
from backoffice.audit.history import of_run
from backoffice.bulk.batches import is_walked
from backoffice.bulk.models import Run, RunRow
from backoffice.bulk.states import RowState, RunState
from backoffice.bulk.steering import can_go_on, wish, worth_retrying
from backoffice.database.session import limit_statements
from backoffice.errors import NotPermitted
from backoffice.jobs.attendance import (
    HELD,
    INTERRUPTED,
    NOBODY,
    UNATTENDED,
    Attendance,
    attendance,
    standing,
)

LEFT_SHOWN = 100
# A look at what it does; who wants more goes on by pages.
CHANGED_SHOWN, CHANGED_PAGE = 8, 50
STATES: dict[str, tuple[str, str]] = {
    RunState.WAITING: ("waits", "none"),
    RunState.RUNNING: ("running", "ok"),
    RunState.PAUSED: ("paused", "warn"),
    RunState.DONE: ("done", ""),
    RunState.CANCELLED: ("cancelled", "none"),
    RunState.FAILED: ("failed", "bad"),
    UNATTENDED: (UNATTENDED, "warn"),
    INTERRUPTED: (INTERRUPTED, "warn"),
    HELD: (HELD, "warn"),
}


def sees_all(call: Call) -> bool:
    """Whether this person sees the runs of others."""
    return call.login.role in {"admin", "ops"}


def attendance_of(call: Call, runs: Iterable[Run]) -> Attendance:
    """Whether a worker is there; asked only where something is to be done."""
    if any(is_walked(run) for run in runs):
        return attendance(call.session)
    return Attendance()


def find(call: Call) -> tuple[Run, ModelView]:
    """The run that the address names, for one who may see it."""
    number = int(call.request.path_params["run"])
    run = call.session.get(Run, number) if number < 2**63 else None
    if run is None:
        raise NotFound(f"There is no run {number}.")
    is_own = run.actor_id == str(call.login.user_id)
    if not (is_own or sees_all(call)):
        raise NotPermitted("This run is somebody else's; administrators may see it.")
    view = call.site.view_called(run.view)
    if view is None:
        raise NotFound(gone_words(run))
    return run, view


def gone_words(run: Run) -> str:
    """Why a run is listed and has no page."""
    return f"Run {run.id} was on the list {run.view}, which is not there any more."


def show(call: Call) -> Reply:
    """One run."""
    run, view = find(call)
    return run_page(call, run, view)


def change(call: Call) -> Reply:
    """Pause, go on, stop; or lead to what taking it back would do."""
    run, view = find(call)
    asked = call.posted("do") or ""
    if asked == "undo":
        if not may_undo(call, run, view):
            raise NotPermitted("This run cannot be taken back.")
        return Redirect(undo_selection(call, view, run))
    if not may_steer(call, run):
        raise NotPermitted("This run is somebody else's; administrators may stop it.")
    if asked in {"resume", "retry"} and not may_go_on(call, run, view):
        raise NotPermitted("Your role may not do this any more, so it cannot go on.")
    is_sure = call.posted("sure") == "yes" or not is_deletion(run, view)
    if asked in {"resume", "retry"} and not is_sure:
        told = Message("bad", "Say that you are sure. Nothing was run.")
        return Redirect(run_url(call, run.id), told)
    limit_statements(call.session, statement=10, lock=10)
    locked = call.session.get(Run, run.id, with_for_update=True, populate_existing=True)
    if locked is not None and wish(call.session, locked, asked):
        call.site.worker.queue(call.session, run.id)
    return Redirect(moving(run_url(call, run.id), refresh_of(call)))


def may_steer(call: Call, run: Run) -> bool:
    """Whether this person may pause, stop or resume a run."""
    is_own = run.actor_id == str(call.login.user_id)
    return is_own or call.login.role == "admin"


def may_undo(call: Call, run: Run, view: ModelView) -> bool:
    """Whether this person may take a run back, and it can be."""
    return (
        bool(run.attributes)
        and run.changed > 0
        and run.finished_at is not None
        and call.may("edit", view)
    )


def run_page(call: Call, run: Run, view: ModelView) -> Page:
    """What came of a run."""
    workers = attendance_of(call, [run])
    tone, icon, verdict, text = verdict_of(view, run, workers)
    given = dict(call.query_items)
    after = position_of(given.get("after", ""))
    left = left_of(call, run, after)
    undone = call.session.scalars(
        select(Run).where(Run.undone_run_id == run.id).order_by(Run.id)
    ).all()
    count = run.left + run.refused
    undo: Action | None = None
    if may_undo(call, run, view):
        undo = Action("Undo", run_url(call, run.id), "undo", method="post")
    since = position_of(given.get("changed", ""))
    entries, is_more = changed_of(call, run, view, since)
    changed = changed_rows(call, view, entries)
    is_open = run.finished_at is None
    asked = tuple(wishes(call, run, view))
    refresh = refresh_of(call) if is_open else 0
    here = run_url(call, run.id)
    shown = RunView(
        url=moving(here, refresh),
        tone=tone,
        icon=icon,
        verdict=verdict,
        text=text,
        numbers=tuple(numbers(call, run, undone)),
        left=tuple(left_rows(call, view, left[:LEFT_SHOWN])),
        left_count=f"{count:,}" if count else "",
        changed=changed,
        changed_more=f"{len(changed):,} of {run.changed:,}"
        if len(changed) < run.changed
        else "",
        changed_next=f"{here}?changed={entries[-1].id}" if is_more else "",
        changed_first=here if since else "",
        left_more=f"{len(left[:LEFT_SHOWN])} of {count:,} are shown."
        if count > LEFT_SHOWN
        else "",
        left_next=f"{here}?after={left[LEFT_SHOWN - 1].position}"
        if len(left) > LEFT_SHOWN
        else "",
        left_first=here if after else "",
        happenings=tuple(happenings(run)),
        statement=coloured(run.statement) if run.statement else (),
        ran=f"Each row gets back its old {named(view, run.attributes)} of before run "
        f"{run.undone_run_id}, unless somebody has changed it since."
        if run.undone_run_id
        else "",
        parameters=parameters_of(view, run.parameters, run.action),
        undo=undo,
        share=share_of(run) if is_open or run.met < run.total else None,
        share_words=share_words(run),
        wishes=asked,
        sure=sure_of(call, run, view) if any(one.is_checked for one in asked) else "",
        # Also where nothing is left to ask for: it has been asked for already.
        wish_words=wish_words(run) if asked or (is_open and run.wish) else "",
    )
    title = f"Run {run.id}: {run.label[:1].lower()}{run.label[1:]}"
    began = words.moment(run.created_at, with_time=True).text
    base = call.site.base_url
    return Page(
        "run",
        shown,
        frame(
            call,
            title=title,
            sub=f"{run.actor_label}, {began}, {run.words}",
            crumbs=[Link("Runs", address(base, "runs"))],
            actions=actions(call, run, view, refresh),
        ),
        headers={"Refresh": str(refresh)} if refresh else {},
    )


def actions(call: Call, run: Run, view: ModelView, refresh: int) -> list[Action]:
    """Look again, now or by itself, until it stands still; and the way to the list."""
    here = run_url(call, run.id)
    found = []
    if run.finished_at is None:
        found.append(Action("Refresh", here))
        if refresh:
            found[0] = Action("Refresh", moving(here, refresh))
            found.append(Action("Stand still", here))
        else:
            found.append(Action("Every 5 s", moving(here, 5)))
    if call.may("list", view):
        url = address(call.site.base_url, view.identity, "list")
        found.append(Action(view.name_plural, url))
    return found


def refresh_of(call: Call) -> int:
    """After how many seconds the page is asked for again; 0 for never."""
    asked = dict(call.query_items).get("refresh", "")
    return int(asked) if asked in {"1", "5", "10"} else 0


def share_of(run: Run) -> float:
    """How much of a run is done, 0 to 100."""
    return min(run.met, run.total) / run.total * 100 if run.total else 100.0


def share_words(run: Run) -> str:
    """As in: 256,000 of 412,774 rows met, 8,250 rows/s, about 19 s left."""
    met = min(run.met, run.total)
    parts = [f"{met:,} of {run.total:,} rows met"]
    rate = met / (run.busy_ms / 1000) if run.busy_ms else 0
    if rate:
        parts.append(f"{rate:,.0f} rows/s")
        if run.finished_at is None:
            left = words.duration((run.total - met) / rate)
            parts.append(f"about {left} left")
    return ", ".join(parts)


def wishes(call: Call, run: Run, view: ModelView) -> Iterator[Choice]:
    """What can be asked of a run on its way, and of one that changed not all rows."""
    if not may_steer(call, run):
        return
    if run.finished_at is None and run.wish != "cancel":
        yield Choice("cancel", "Cancel the rest")
    if not may_go_on(call, run, view):
        return
    if can_go_on(run):
        yield Choice("resume", "Go on", is_checked=True)
    elif run.finished_at is None and run.wish not in {"pause", "cancel"}:
        yield Choice("pause", "Pause")
    count = worth_retrying(call.session, run)
    if count:
        which = "it" if count == 1 else f"{count:,} rows"
        is_last = is_deletion(run, view)
        yield Choice("retry", f"Try {which} again", is_checked=is_last)


def may_go_on(call: Call, run: Run, view: ModelView) -> bool:
    """Whether a worker may do (more of) a run, by the rights that this person has."""
    if run.undone_run_id is not None:
        return call.may("edit", view)
    spec = view.actions.get(run.action)
    return spec is not None and may_run(call, view, spec) and is_for_job(view, spec)


def wish_words(run: Run) -> str:
    """What cancelling would leave behind, and going on would do."""
    if can_go_on(run) and run.finished_at is not None:
        rest = run.total - run.met
        return f"It goes on with the {rest:,} rows that it has not met." if rest else ""
    if run.finished_at is not None:
        return ""
    if run.wish:
        return (
            f"To be {run.wish}{'d' if run.wish[-1] == 'e' else 'led'} after this batch."
        )
    if not run.attributes:
        return (
            "Cancelling leaves the rest alone; what was done cannot be undone: "
            f"{words.plural(run.changed, 'row')}."
        )
    return (
        f"Cancelling keeps the {run.changed:,} changed rows. "
        "They can be given back afterwards."
    )


def verdict_of(
    view: ModelView, run: Run, workers: Attendance
) -> tuple[str, str, str, str]:
    """Tone, icon, one sentence, and what proves it."""
    sentence = outcome_of(view, run)
    if run.state == RunState.DONE:
        tone = "warn" if run.refused or run.left else "ok"
        return (
            tone,
            "check" if tone == "ok" else "warn",
            sentence,
            "Each change stands in the history, with its old and its new value.",
        )
    now = standing(run, workers)
    state, tone = STATES[now]
    told = {
        UNATTENDED: f"{NOBODY} The run begins when one is.",
        INTERRUPTED: f"{NOBODY} The run goes on from its last batch when one is.",
        HELD: f"It waits by itself: {run.reason}",
        RunState.WAITING: run.reason or "A worker takes it up within seconds.",
    }.get(now, run.reason)
    icon = "info" if tone in {"ok", "none", ""} else "warn"
    return tone, icon, f"{state.capitalize()}: {sentence}", told


def outcome_of(view: ModelView, run: Run) -> str:
    """How many rows came to what; of a run on its way, so far."""
    done = "deleted" if is_deletion(run, view) else "changed"
    if run.finished_at is not None:
        were = "was" if run.changed == 1 else "were"
        parts = [f"{records(view, run.changed)} {were} {done}"]
    elif run.met:
        parts = [f"{run.changed:,} of {records(view, run.total)} {done} so far"]
    else:
        are = "is" if run.total == 1 else "are"
        return f"{records(view, run.total)} {are} to be {done}."
    if run.same:
        parts.append(f"{run.same:,} {'was' if run.same == 1 else 'were'} so already")
    if run.refused:
        parts.append(f"{run.refused:,} {'was' if run.refused == 1 else 'were'} refused")
    if run.left:
        parts.append(f"{run.left:,} {'was' if run.left == 1 else 'were'} left alone")
    return words.series(parts) + "."


def is_deletion(run: Run, view: ModelView) -> bool:
    """Whether a run deletes its records."""
    spec = view.actions.get(run.action)
    return run.undone_run_id is None and spec is not None and spec.does is Does.DELETE


def sure_of(call: Call, run: Run, view: ModelView) -> str:
    """What is to be said before a deletion goes on; "" where nothing is."""
    if not is_deletion(run, view) or not may_steer(call, run):
        return ""
    rest = worth_retrying(call.session, run)
    if can_go_on(run):
        rest = run.total - run.met
    return f"Yes, delete up to {records(view, rest)} more" if rest else ""


def numbers(call: Call, run: Run, undone: Any) -> Iterator[Fact]:
    """The run in numbers."""
    yield Fact("Chosen", Cell(f"{run.total:,}"))
    yield Fact("Changed", Cell(f"{run.changed:,}"))
    yield Fact("As they were", Cell(f"{run.same:,}"))
    yield Fact("Left alone", Cell(f"{run.left + run.refused:,}"))
    yield Fact("Took", Cell(words.duration(run.busy_ms / 1000)))
    if run.undone_run_id:
        url = run_url(call, run.undone_run_id)
        yield Fact("Takes back", Cell(f"run {run.undone_run_id}", "link", url))
    for other in undone:
        yield Fact(
            "Taken back by", Cell(f"run {other.id}", "link", run_url(call, other.id))
        )


def happenings(run: Run) -> Iterator[Happening]:
    """What happened, last first."""
    if run.cleared_at is not None:
        yield Happening(
            "The list of its rows was cleared; its changes stay in the history",
            words.moment(run.cleared_at, with_time=True),
        )
    if run.finished_at is not None:
        state, _ = STATES[RunState(run.state)]
        yield Happening(
            state.capitalize(), words.moment(run.finished_at, with_time=True)
        )
    if run.batches > 1 and run.seen_at is not None:
        yield Happening(
            f"Last batch, by worker {run.worker}",
            words.moment(run.seen_at, with_time=True),
        )
    for lost in reversed(run.lost):
        for text, at in (
            ("Another worker went on from the last batch", lost["at"]),
            (f"Worker {lost['worker']} was lost: last heard of", lost["seen_at"]),
        ):
            when = words.moment(datetime.fromisoformat(at), with_time=True)
            yield Happening(text, when)
    if run.batches > 1 and run.started_at is not None:
        yield Happening("Begun", words.moment(run.started_at, with_time=True))
    yield Happening(
        f"Confirmed by {run.actor_label}", words.moment(run.created_at, with_time=True)
    )


def position_of(given: str) -> int:
    """A row's place in a run, from an address; 0 where it is none."""
    is_number = given.isascii() and given.isdigit() and len(given) < 19  # noqa: PLR2004
    return int(given) if is_number else 0


def left_of(call: Call, run: Run, after: int) -> Sequence[RunRow]:
    """The rows that were not changed behind this place, one more than are shown."""
    return call.session.scalars(
        select(RunRow)
        .where(RunRow.run_id == run.id, RunRow.state != "", RunRow.position > after)
        .order_by(RunRow.position)
        .limit(LEFT_SHOWN + 1)
    ).all()


def left_rows(call: Call, view: ModelView, rows: Sequence[RunRow]) -> Iterator[LeftRow]:
    """The rows that were not changed, by the names that they have now."""
    names = names_of(call, view, [row.key for row in rows])
    may_see = call.may("details", view)
    for row in rows:
        url = ""
        if may_see and row.state != RowState.GONE:
            url = address(call.site.base_url, view.identity, "details", row.key)
        label = names.get(row.key) or row.label or row.key
        yield LeftRow(label, url, row.reason, row.state == RowState.REFUSED)


def changed_of(
    call: Call, run: Run, view: ModelView, after: int
) -> tuple[list[Entry], bool]:
    """The rows that it has changed behind this entry, and whether there are more."""
    if not run.changed or not call.may("details", view):
        return [], False
    many = CHANGED_PAGE if after else CHANGED_SHOWN
    found = of_run(call.session, run.id, run.table_name, many + 1, after)
    return found[:many], len(found) > many


def changed_rows(
    call: Call, view: ModelView, found: Sequence[Entry]
) -> tuple[HistoryEntry, ...]:
    """Rows that were changed, with old and new of each field."""
    names = names_of(call, view, [one.key for one in found])
    base = call.site.base_url
    return tuple(
        replace(
            drawn,
            record=Link(
                names.get(one.key) or one.label or one.key,
                address(base, view.identity, "details", one.key)
                if one.key in names
                else "",
            ),
        )
        for one, drawn in zip(
            found, entries_of(call, found, of=view, is_brief=True), strict=True
        )
    )
