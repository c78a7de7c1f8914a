"""What was chosen in a terminal is tried, shown, confirmed, and followed to its end.

As in the browser: confirming runs exactly what was shown, or says what has become
different.
"""

import sys
from dataclasses import dataclass
from typing import Any

import typer

from backoffice.admin.actions import ActionSpec
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.operator import operator_call
from backoffice.admin.pages.chosen import Task, is_for_job
from backoffice.admin.pages.confirming import confirm, keep_shown
from backoffice.admin.pages.looking import look_at
from backoffice.admin.pages.preflight import preflight_view, records
from backoffice.admin.presentation_bulk import PreflightView
from backoffice.admin.site import Site
from backoffice.bootstrap import Backoffice
from backoffice.bulk.models import Run, Selection
from backoffice.bulk.selection import find_selection
from backoffice.bulk.trial import Preflight
from backoffice.cli import prompts
from backoffice.cli.following import WentAway, follow
from backoffice.cli.main import INTERRUPTED
from backoffice.cli.preflight import preflight_facts, print_preflight
from backoffice.cli.project import transaction
from backoffice.cli.running import print_outcome, run_facts
from backoffice.cli.terminal import print_json


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is to go: tried alone, without a question, for machines."""

    is_dry: bool = False
    is_sure: bool = False
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """What was found out, in data and in words, and how it is kept."""

    token: str
    mark: str
    task: Task
    words: str
    found: Preflight
    shown: PreflightView

    @property
    def is_refused(self) -> bool:
        """Whether something of it would not be done."""
        return bool(self.found.refused or self.found.problem)


def try_selection(
    call: Call, view: ModelView, spec: ActionSpec | None, selection: Selection
) -> Tried:
    """Try what is to be done with a selection, and keep what was shown of it.

    Raises:
        Refused: what the action was told is not accepted.
    """
    token, words, expires = selection.token, selection.words, selection.expires_at
    looked = look_at(call, view, selection, spec, is_patient=True)
    keep_shown(call, token, looked.shown)
    shown = preflight_view(
        call,
        view,
        looked.found,
        looked.task,
        is_for_job=is_for_job(view, spec),
        since=looked.since,
        expires=expires,
        mark=looked.shown.mark,
    )
    return Tried(token, looked.shown.mark, looked.task, words, looked.found, shown)


def carry_out(
    context: typer.Context,
    backoffice: Backoffice,
    site: Site,
    view: ModelView,
    spec: ActionSpec | None,
    tried: Tried,
    manner: Manner,
) -> int:
    """Show what was tried, run it if wanted, say what came of it; the return code."""
    said: dict[str, Any] = preflight_facts(tried.words, tried.found, tried.shown)
    if not manner.is_json:
        print_preflight(tried.task.title, tried.words, tried.found, tried.shown)
    if manner.is_dry or not tried.shown.button:
        if manner.is_json:
            print_json(said)
        elif manner.is_dry:
            print("\nNothing was changed: this was a dry run.")
        return int(tried.is_refused)
    _ask(view, tried, is_sure=manner.is_sure)
    with transaction(context, backoffice) as session:
        call = operator_call(site, session, view)
        number = _confirm(call, view, spec, tried)
    return end_of(backoffice, site, view, number, manner, said)


def end_of(
    backoffice: Backoffice,
    site: Site,
    view: ModelView,
    number: int,
    manner: Manner,
    said: dict[str, Any] | None = None,
) -> int:
    """Follow a run to its end and say what came of it; the return code."""
    try:
        run = _finished(backoffice, site, number, is_quiet=manner.is_json)
    except WentAway as told:
        print(told, file=sys.stderr)
        return INTERRUPTED
    if manner.is_json:
        print_json({**(said or {}), "run": run_facts(run)})
    else:
        print_outcome(run, view)
    return int(run.state != "done")


def _ask(view: ModelView, tried: Tried, *, is_sure: bool) -> None:
    """Have it confirmed by typing how many records it is for."""
    count = tried.found.count if tried.found.is_exact else 0
    which = records(view, count) if count else "all of them"
    prompts.confirm(
        f"\n{tried.shown.button}: this runs on {which}.",
        word=str(count) if count else "all",
        yes=is_sure,
    )


def _confirm(call: Call, view: ModelView, spec: ActionSpec | None, tried: Tried) -> int:
    """Run what was shown, or write it down for a worker."""
    actor = str(call.login.user_id)
    selection = find_selection(
        call.session, tried.token, actor_id=actor, view=view.identity, lock=True
    )
    return confirm(call, view, selection, spec, expected=tried.mark).id


def _finished(
    backoffice: Backoffice, site: Site, number: int, *, is_quiet: bool
) -> Run:
    """The run when it has ended; one that was written down is followed till then."""
    with backoffice.sessions() as session:
        run = session.get_one(Run, number)
    if run.finished_at is not None:
        return run
    return follow(backoffice.sessions, site.worker, number, is_quiet=is_quiet)
