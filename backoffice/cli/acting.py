"""An action on chosen records, from a terminal: what would happen, and its run.

The same steps as in the browser: the rows are chosen by the list's own query, the
action is tried and rolled back, what came of it is shown, and confirming runs exactly
that or says what has become different.
"""

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from sqlalchemy.orm import Session

from backoffice.admin.actions import ActionSpec, Does, may_run
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.operator import operator_call
from backoffice.admin.pages.chosen import (
    Task,
    chosen_items,
    chosen_words,
    editable_fields,
    is_for_job,
    list_query,
    task_of,
)
from backoffice.admin.pages.confirming import confirm, keep_shown, limits
from backoffice.admin.pages.preflight import preflight_view, records
from backoffice.admin.presentation import Link
from backoffice.admin.presentation_bulk import PreflightView
from backoffice.admin.site import Site
from backoffice.bootstrap import Backoffice
from backoffice.bulk.models import Run, Selection
from backoffice.bulk.preflight import look
from backoffice.bulk.selection import find_selection, keep_selection
from backoffice.bulk.shown import shown_of
from backoffice.bulk.trial import Preflight, Since
from backoffice.cli import prompts
from backoffice.cli.following import WentAway, follow
from backoffice.cli.main import INTERRUPTED
from backoffice.cli.preflight import preflight_facts, print_preflight
from backoffice.cli.project import opened, transaction
from backoffice.cli.running import print_outcome, run_facts
from backoffice.cli.terminal import print_json
from backoffice.errors import Refused
from backoffice.web.app import create_app

WHICH = (
    "--query 'status=active' chooses the rows as the list does, --query '' takes all"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed."""

    view: str
    action: str
    query: str | None
    told: Sequence[str]
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


def act(context: typer.Context, wanted: Wanted) -> int:
    """Try the action, show what it would do, run it if wanted; the return code.

    Raises:
        BadParameter: there is no such view or action, or it was told something wrong.
    """
    with opened(context) as backoffice:
        site: Site = create_app(backoffice).state.site
        view = _view(site, wanted.view)
        spec = _action(view, wanted.action)
        if spec.does is Does.ANSWER:
            raise typer.BadParameter(
                f"“{spec.label}” changes nothing: it answers with a page, which a "
                "terminal cannot show. Choose the rows in a browser, at "
                f"{site.base_url}/{view.identity}/list."
            )
        if wanted.query is None:
            raise typer.BadParameter(f"say which rows: {WHICH}.")
        with transaction(context, backoffice) as session:
            call = operator_call(site, session, view)
            tried = _try(call, view, spec, wanted)
        said: dict[str, Any] = preflight_facts(tried.words, tried.found, tried.shown)
        if not wanted.is_json:
            print_preflight(tried.task.title, tried.words, tried.found, tried.shown)
        if wanted.is_dry or not tried.shown.button:
            if wanted.is_json:
                print_json(said)
            elif wanted.is_dry:
                print("\nNothing was changed: this was a dry run.")
            return int(tried.is_refused)
        _ask(view, tried, wanted)
        with transaction(context, backoffice) as session:
            call = operator_call(site, session, view)
            number = _confirm(call, view, spec, tried)
        try:
            run = _finished(backoffice, site, number, is_quiet=wanted.is_json)
        except WentAway as told:
            print(told, file=sys.stderr)
            return INTERRUPTED
        if wanted.is_json:
            print_json({**said, "run": run_facts(run)})
        else:
            print_outcome(run, view)
        return int(run.state != "done")


def _view(site: Site, name: str) -> ModelView:
    found = site.view_called(name)
    if found is None:
        known = sorted(v.identity for v in site.views if isinstance(v, ModelView))
        raise typer.BadParameter(f"there is no view {name!r}.{_known(name, known)}")
    return found


def _action(view: ModelView, name: str) -> ActionSpec:
    spec = view.actions.get(name)
    if spec is None:
        what = f"there is no action {name!r}" if name else "name an ACTION"
        known = sorted(view.actions)
        if not known:
            raise typer.BadParameter(f"{view.name_plural} have no actions.")
        raise typer.BadParameter(
            f"{what} of {view.name_plural.lower()}.{_known(name, known)}"
        )
    return spec


def _known(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{meant} Known: {', '.join(known)}."


def _try(call: Call, view: ModelView, spec: ActionSpec, wanted: Wanted) -> Tried:
    """Choose the rows, try the action on them, and keep what was shown."""
    if not may_run(call, view, spec):
        raise typer.BadParameter(
            f"{view.name_plural} do not allow {spec.label.lower()!r}."
        )
    items = chosen_items((wanted.query or "").removeprefix("?"))
    problems = list_query(call, view, items).problems
    if problems:
        raise typer.BadParameter(" ".join(one.message for one in problems))
    words = chosen_words(call, view, None, items)
    selection = _selection(
        call.session,
        keep_selection(
            call.session,
            actor_id=str(call.login.user_id),
            view=view.identity,
            action=spec.name,
            words=words,
            items=items,
        ),
    )
    selection.parameters = _told(call, view, spec, wanted.told)
    try:
        task = task_of(call, view, selection, spec)
    except Refused as refused:
        raise typer.BadParameter(_sentences(refused)) from refused
    token, expires = selection.token, selection.expires_at
    told = dict(selection.parameters)
    found = look(call.session, task.target, task.change, limits(call, is_patient=True))
    kept = shown_of(
        found,
        parameters=told,
        excluded=(),
        most=call.site.backoffice.settings.bulk.at_once,
    )
    keep_shown(call, token, kept)
    shown = preflight_view(
        call,
        view,
        found,
        task,
        is_for_job=is_for_job(view, spec),
        url="",
        cancel=Link("", ""),
        excluded=0,
        since=Since(),
        expires=expires,
        ask_url="",
        error="",
        mark=kept.mark,
    )
    return Tried(token, kept.mark, task, words, found, shown)


def _selection(session: Session, token: str) -> Selection:
    return session.get_one(Selection, token)


def _told(
    call: Call, view: ModelView, spec: ActionSpec, told: Sequence[str]
) -> dict[str, str]:
    """What the action was told, with the defaults of the rest.

    Raises:
        BadParameter: a name that it does not know, or no name at all.
    """
    if spec.does is Does.EDIT:
        names = [field.key for field in editable_fields(call, view)]
        texts: dict[str, str] = {}
    else:
        names = [one.name for one in spec.parameters]
        texts = {one.name: one.default for one in spec.parameters}
    for one in told:
        name, is_pair, value = one.partition("=")
        if not is_pair:
            raise typer.BadParameter(f"--set {one!r} is not of the form name=value.")
        if name not in names:
            takes = f" Known: {', '.join(names)}." if names else " It takes none."
            raise typer.BadParameter(f"--set {name!r} is nothing it is told.{takes}")
        texts[name] = value
    if spec.does is Does.EDIT and not texts:
        raise typer.BadParameter(f"--set at least one of {', '.join(names)}.")
    return texts


def _sentences(refused: Refused) -> str:
    """What is wrong, each with its name."""
    fields: Mapping[str, str] = refused.fields
    if not fields:
        return str(refused)
    return " ".join(
        f"--set {name}: {text}" if name else text for name, text in fields.items()
    )


def _ask(view: ModelView, tried: Tried, wanted: Wanted) -> None:
    """Have it confirmed by typing how many records it is for."""
    count = tried.found.count if tried.found.is_exact else 0
    which = records(view, count) if count else "all of them"
    prompts.confirm(
        f"\n{tried.shown.button}: this runs on {which}.",
        word=str(count) if count else "all",
        yes=wanted.is_sure,
    )


def _confirm(call: Call, view: ModelView, spec: ActionSpec, tried: Tried) -> int:
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
