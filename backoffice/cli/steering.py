"""One run in a terminal: looked at, paused, gone on with, cancelled, taken back."""

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.admin.model_view import ModelView
from backoffice.admin.operator import operator_call
from backoffice.admin.pages.action import undo_token
from backoffice.admin.pages.runs import gone_words, may_go_on, may_undo, verdict_of
from backoffice.admin.site import Site
from backoffice.bulk.models import Run, RunRow, Selection
from backoffice.bulk.steering import can_go_on, wish, worth_retrying
from backoffice.cli.project import opened, transaction
from backoffice.cli.running import COLOURS, run_facts
from backoffice.cli.terminal import print_json, styled
from backoffice.cli.trying import Manner, carry_out, end_of, try_selection
from backoffice.jobs.attendance import Attendance, attendance
from backoffice.web.app import create_app

ASKED = ("pause", "resume", "cancel", "retry", "undo")


def steer(
    context: typer.Context, number: int, asked: str, manner: Manner, *, limit: int
) -> int:
    """Show a run, or do with it what was asked; the return code.

    Raises:
        BadParameter: there is no such run, or that cannot be asked of it.
    """
    if asked and asked not in ASKED:
        raise typer.BadParameter(f"{asked!r} is none of {', '.join(ASKED)}.")
    with opened(context) as backoffice:
        site: Site = create_app(backoffice).state.site
        with transaction(context, backoffice) as session:
            run, view = _find(site, session, number)
            if not asked:
                return _show(session, run, view, manner, limit)
            call = operator_call(site, session, view)
            if asked == "undo":
                if not may_undo(call, run, view):
                    raise typer.BadParameter(f"run {number} cannot be taken back.")
                token = undo_token(call, view, run)
                selection = session.get_one(Selection, token)
                tried = try_selection(call, view, None, selection)
            else:
                if asked in {"resume", "retry"} and not may_go_on(call, run, view):
                    raise typer.BadParameter(f"run {number} cannot be gone on with.")
                is_work = _ask(session, run, asked)
                if is_work:
                    site.worker.queue(session, number)
        if asked == "undo":
            return carry_out(context, backoffice, site, view, None, tried, manner)
        if is_work:
            return end_of(backoffice, site, view, number, manner)
        with transaction(context, backoffice) as session:
            run, view = _find(site, session, number)
            return _show(session, run, view, manner, limit)


def _find(site: Site, session: Session, number: int) -> tuple[Run, ModelView]:
    run = session.get(Run, number) if number < 2**63 else None
    if run is None:
        raise typer.BadParameter(f"there is no run {number}; `manage.py runs` has all.")
    view = site.view_called(run.view)
    if view is None:
        raise typer.BadParameter(gone_words(run))
    return run, view


def _ask(session: Session, run: Run, asked: str) -> bool:
    """Ask it of the run; whether there is something to do for a worker."""
    session.refresh(run, with_for_update=True)
    possible = {
        "pause": run.finished_at is None,
        "cancel": run.finished_at is None,
        "resume": can_go_on(run),
        "retry": bool(worth_retrying(session, run)),
    }
    if not possible[asked]:
        can = [name for name, is_so in possible.items() if is_so]
        more = f"; it can {', '.join(can)}" if can else ""
        raise typer.BadParameter(
            f"run {run.id} is {run.state}, so it cannot {asked}{more}."
        )
    return wish(session, run, asked)


def _show(
    session: Session, run: Run, view: ModelView, manner: Manner, limit: int
) -> int:
    """A run, and the rows that it has not changed."""
    workers = attendance(session) if run.finished_at is None else Attendance()
    left = session.scalars(
        select(RunRow)
        .where(RunRow.run_id == run.id, RunRow.state != "")
        .order_by(RunRow.position)
        .limit(limit)
    ).all()
    rows = [
        {"key": one.key, "label": one.label, "state": one.state, "why": one.reason}
        for one in left
    ]
    if manner.is_json:
        facts = run_facts(run, workers)
        print_json({**facts, "set": dict(run.parameters), "not_changed": rows})
        return 0
    tone, _, sentence, text = verdict_of(view, run, workers)
    print(f"Run {run.id}: {run.label}")
    print(f"{run.actor_label}, {run.created_at:%Y-%m-%d %H:%M}, {run.words}")
    print(f"\n{styled(sentence, COLOURS.get(tone, ''))} {text}".rstrip())
    for one in rows:
        print(f"  {one['label'] or one['key']}: {one['why']}")
    count = run.left + run.refused
    if count > len(rows):
        print(f"  and {count - len(rows):,} more; --limit {count} tells them all.")
    return 0
