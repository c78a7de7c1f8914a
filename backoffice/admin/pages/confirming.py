"""What was shown is run: at once, or written down for a worker; by a page or a command.

Confirming runs exactly what was shown. Where rows were changed, added or taken away
since, nothing is run, and what has become different is said.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import update

from backoffice.admin.actions import ActionSpec
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.chosen import Task, is_for_job, task_of
from backoffice.bulk.batches import enqueue
from backoffice.bulk.models import RowState, Run, Selection
from backoffice.bulk.outcome import Left
from backoffice.bulk.preflight import Limits, Preflight
from backoffice.bulk.run import Order, drift_of, run_at_once
from backoffice.bulk.target import Chosen, Digest, read_chosen, take_digest
from backoffice.errors import (
    BackofficeError,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)

FAILURES = (Refused, LockNotAvailable, StatementTimedOut)


class NotRun(BackofficeError):
    """What was shown was not run; the text says why. Nothing may be committed."""


def limits(call: Call) -> Limits:
    """How much is tried, by the settings."""
    settings = call.site.backoffice.settings.bulk
    return Limits(
        rows=max(settings.tried_rows, settings.at_once),
        records=settings.at_once,
        seconds=settings.tried_seconds,
    )


def keep_shown(call: Call, token: str, found: Preflight) -> None:
    """Keep what this page shows: a confirmation is compared with it."""
    settings = call.site.backoffice.settings.bulk
    versions = found.versions if found.count <= settings.at_once else None
    call.session.execute(
        update(Selection)
        .where(Selection.token == token)
        .values(
            shown={
                "digest": str(found.digest) if found.digest else "",
                "versions": dict(versions) if versions is not None else None,
                "refused": {one.row.key: one.words for one in found.refused},
                "statement": found.statement,
            }
        )
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
    """Run what was shown under the digest `expected`, but for rows `taken_out` by hand.

    Few rows are run in this transaction; of many, a run is written down and queued.

    Raises:
        NotRun: the rows are not those that were shown, or the database refuses them.
    """
    task = task_of(call, view, selection, spec)
    most = call.site.backoffice.settings.bulk.at_once
    rows = read_chosen(call.session, task.target, most)
    if len(rows) > most:
        if not is_for_job(view, spec):
            raise NotRun("So many at once cannot be run. Nothing was run.")
        made = _later(call, view, selection, task, expected, taken_out)
    else:
        made = _at_once(call, view, selection, task, rows, expected, taken_out)
    call.session.execute(
        update(Selection)
        .where(Selection.token == selection.token)
        .values(run_id=made.id)
        .execution_options(synchronize_session=False)
    )
    return made


def _at_once(
    call: Call,
    view: ModelView,
    selection: Selection,
    task: Task,
    rows: Sequence[Chosen],
    expected: str,
    taken_out: Sequence[str],
) -> Run:
    """Run it in this transaction."""
    shown = selection.shown or {}
    digest = str(take_digest(call.session, task.target, rows))
    if digest != expected or digest != shown.get("digest"):
        now = {row.key: row.version for row in rows}
        drift = drift_of(shown.get("versions"), now)
        raise NotRun(f"{drift.sentence()} Nothing was run.")
    refused: Mapping[str, str] = shown.get("refused") or {}
    left_out = [
        Left(row, RowState.REFUSED, refused[row.key])
        if row.key in refused
        else Left(row, RowState.EXCLUDED)
        for row in rows
        if row.key in refused or row.key in taken_out
    ]
    out = {one.row.key for one in left_out}
    if task.since is not None:
        since = read_chosen(call.session, task.since, 1_000)
        left_out += [Left(row, RowState.DRIFTED) for row in since]
    try:
        return run_at_once(
            call.session,
            task.target,
            task.change,
            [row for row in rows if row.key not in out],
            _order(view, selection, task),
            left_out,
        )
    except FAILURES as failure:
        raise NotRun(f"{failure} Nothing was changed.") from failure


def _later(
    call: Call,
    view: ModelView,
    selection: Selection,
    task: Task,
    expected: str,
    taken_out: Sequence[str],
) -> Run:
    """Write down what was shown, and queue it for a worker."""
    shown = selection.shown or {}
    digest = str(shown.get("digest") or "")
    if digest != expected:
        raise NotRun("This page was not the last that was shown. Nothing was run.")
    count, _, hashed = digest.partition(":")
    refused: Mapping[str, str] = shown.get("refused") or {}
    left_out = [(key, RowState.REFUSED, why) for key, why in refused.items()]
    left_out += [(key, RowState.EXCLUDED, "") for key in taken_out]
    try:
        made = enqueue(
            call.session,
            task.target,
            task.change,
            _order(view, selection, task),
            expected=Digest(int(count), hashed) if digest else None,
            left_out=left_out,
        )
    except FAILURES as failure:
        raise NotRun(f"{failure} Nothing was run.") from failure
    call.site.worker.queue(call.session, made.id)
    return made


def _order(view: ModelView, selection: Selection, task: Task) -> Order:
    """What the run is called, and where it comes from."""
    return Order(
        token=selection.token,
        view=view.identity,
        action=selection.action,
        label=task.title,
        words=selection.words,
        parameters=selection.parameters or {},
        statement=str((selection.shown or {}).get("statement") or ""),
        undone_run_id=selection.undone_run_id,
    )
