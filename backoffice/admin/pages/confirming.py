"""What was shown is run: at once, or written down for a worker; by a page or a command.

Confirming runs exactly what was shown. Where rows were changed, added or taken away
since, nothing is run, and what has become different is said.
"""

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from backoffice.admin.actions import ActionSpec
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.chosen import Task, is_for_job, task_of
from backoffice.bulk.batches import RowsDrifted, enqueue
from backoffice.bulk.drift_postgresql import written_since
from backoffice.bulk.models import Run, Selection
from backoffice.bulk.outcome import Left
from backoffice.bulk.run import Drift, Order, drift_of, run_at_once
from backoffice.bulk.shown import Shown, last_shown
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, read_chosen, take_digest
from backoffice.bulk.trial import Limits
from backoffice.database.session import limit_statements
from backoffice.errors import (
    BackofficeError,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)

FAILURES = (Refused, LockNotAvailable, StatementTimedOut)
# Seconds that counting the rows may take where somebody has asked for it.
COUNT_SECONDS = 60.0
# Seconds that a run in one transaction waits for who holds one of its rows.
LOCK_SECONDS = 3.0
# What can be done where somebody holds one of few rows.
HELD = "Run it again when it is free, or untick it and run the others."
# Rows that would be left out are named one by one up to so many.
LISTED = 1_000


# So many rows of each kind are named that are others than those that were shown.
NAMED = 20
# Seconds that finding them may take, among many.
NAMING_SECONDS = 5


class NotRun(BackofficeError):
    """What was shown was not run; the text says why. Nothing may be committed.

    `drift` are the rows that are others than those that were shown, where it is that.
    """

    def __init__(self, message: str, drift: Drift | None = None) -> None:
        super().__init__(message)
        self.drift = drift


def limits(call: Call, *, is_patient: bool = False) -> Limits:
    """How much is tried, by the settings; who is patient waits for the count."""
    settings = call.site.backoffice.settings.bulk
    return Limits(
        rows=max(settings.tried_rows, settings.at_once),
        records=settings.at_once,
        seconds=settings.tried_seconds,
        listed=LISTED,
        at_once=settings.at_once,
        count_seconds=COUNT_SECONDS if is_patient else settings.tried_seconds / 2,
    )


def keep_shown(call: Call, token: str, shown: Shown) -> None:
    """Keep what this page shows: a confirmation is compared with it."""
    call.session.execute(
        update(Selection)
        .where(Selection.token == token)
        .values(shown=shown.document())
        .execution_options(synchronize_session=False)
    )


def confirm(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec | None,
    *,
    expected: str,
    taken_out: Sequence[str] = (),
) -> Run:
    """Run what was shown under the mark `expected`, but for rows `taken_out` by hand.

    Few rows are run in this transaction; of many, a run is written down and queued.

    Raises:
        NotRun: it is not what was shown last, the rows are not those that were shown,
            or the database refuses them.
    """
    shown = _shown(selection, expected)
    task = task_of(call, view, selection, spec)
    most = call.site.backoffice.settings.bulk.at_once
    limit_statements(call.session, statement=COUNT_SECONDS, lock=LOCK_SECONDS)
    # Of many it is known that they are: to find them takes its time.
    is_large = shown.rows is not None and shown.rows.count > most
    rows = [] if is_large else read_chosen(call.session, task.target, most)
    if is_large or len(rows) > most:
        if not is_for_job(view, spec):
            raise NotRun("So many at once cannot be run. Nothing was run.")
        made = _later(call, view, selection, task, shown, taken_out)
    else:
        made = _at_once(call, view, selection, task, rows, shown, taken_out)
    call.session.execute(
        update(Selection)
        .where(Selection.token == selection.token)
        .values(run_id=made.id)
        .execution_options(synchronize_session=False)
    )
    return made


def _shown(selection: Selection, expected: str) -> Shown:
    """What was shown under this mark, if it is the last and nothing was told since.

    Raises:
        NotRun: it is not, or nothing was shown.
    """
    shown = last_shown(selection)
    if shown is None or expected != shown.mark:
        raise NotRun("This page was not the last that was shown. Nothing was run.")
    if dict(shown.parameters) != (selection.parameters or {}):
        raise NotRun("The action was told something else since. Nothing was run.")
    if list(shown.excluded) != selection.excluded:
        raise NotRun("Rows were taken out or back in since. Nothing was run.")
    if shown.rows is None:
        raise NotRun("The rows were not counted yet. Nothing was run.")
    return shown


def _at_once(
    call: Call,
    view: ModelView,
    selection: Selection,
    task: Task,
    rows: Sequence[Chosen],
    shown: Shown,
    taken_out: Sequence[str],
) -> Run:
    """Run it in this transaction."""
    if take_digest(call.session, task.target, rows) != shown.rows:
        now = {row.key: row.version for row in rows}
        drift = drift_of(shown.versions, now)
        raise NotRun(f"{drift.sentence()} Nothing was run.", drift)
    refused = shown.refused
    left_out = [
        Left(row, RowState.REFUSED, refused[row.key])
        if row.key in refused
        else Left(row, RowState.EXCLUDED)
        for row in rows
        if row.key in refused or row.key in taken_out
    ]
    out = {one.row.key for one in left_out}
    try:
        return run_at_once(
            call.session,
            task.target,
            task.change,
            [row for row in rows if row.key not in out],
            _order(view, selection, task, shown),
            left_out,
            since=task.since,
            is_careful=shown.is_capped,
        )
    except LockNotAvailable as failure:
        raise NotRun(f"{failure} Nothing was changed. {HELD}") from failure
    except FAILURES as failure:
        raise NotRun(f"{failure} Nothing was changed.") from failure


def _later(
    call: Call,
    view: ModelView,
    selection: Selection,
    task: Task,
    shown: Shown,
    taken_out: Sequence[str],
) -> Run:
    """Write down what was shown, and queue it for a worker."""
    left_out = [(key, RowState.REFUSED, why) for key, why in shown.refused.items()]
    left_out += [(key, RowState.EXCLUDED, "") for key in taken_out]
    try:
        made = enqueue(
            call.session,
            task.target,
            task.change,
            _order(view, selection, task, shown),
            expected=shown.rows,
            left_out=left_out,
            since=task.since,
        )
    except FAILURES as failure:
        drift = None
        if isinstance(failure, RowsDrifted) and shown.snapshot:
            drift = _drift_of_many(call, task, shown)
        raise NotRun(f"{failure} Nothing was run.", drift) from failure
    call.site.worker.queue(call.session, made.id)
    return made


def _drift_of_many(call: Call, task: Task, shown: Shown) -> Drift | None:
    """Some of the rows that were written since, if they are found in time."""
    limit_statements(call.session, statement=NAMING_SECONDS, lock=1)
    try:
        found = written_since(call.session, task.target, shown.snapshot, NAMED + 1)
    except DBAPIError:
        return None  # what was begun is rolled back in any case
    return Drift(written=found)


def _order(view: ModelView, selection: Selection, task: Task, shown: Shown) -> Order:
    """What the run is called, and where it comes from."""
    return Order(
        token=selection.token,
        view=view.identity,
        action=selection.action,
        label=task.title,
        words=selection.words,
        parameters=shown.parameters,
        statement=shown.statement,
        undone_run_id=selection.undone_run_id,
    )
