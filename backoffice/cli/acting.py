"""An action on chosen records, from a terminal: what would happen, and its run.

The same steps as in the browser: the rows are chosen by the list's own query, the
action is tried and rolled back, what came of it is shown, and confirming runs exactly
that or says what has become different.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer
from sqlalchemy.orm import Session

from backoffice.admin.actions import ActionSpec, Does, may_run
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.admin.operator import operator_call
from backoffice.admin.pages.chosen import (
    chosen_items,
    chosen_words,
    editable_fields,
    list_query,
)
from backoffice.admin.site import Site
from backoffice.bulk.models import Selection
from backoffice.bulk.selection import keep_selection
from backoffice.cli.project import opened, transaction
from backoffice.cli.trying import Manner, Tried, carry_out, try_selection
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
    manner: Manner


def act(context: typer.Context, wanted: Wanted) -> int:
    """Try the action, show what it would do, run it if wanted; the return code.

    Raises:
        BadParameter: there is no such view or action, or it was told something wrong.
    """
    with opened(context) as backoffice:
        site: Site = create_app(backoffice).state.site
        view = view_named(site, wanted.view)
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
        return carry_out(context, backoffice, site, view, spec, tried, wanted.manner)


def view_named(site: Site, name: str) -> ModelView:
    """The list of this name; of a typo it is said what there is."""
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
        return try_selection(call, view, spec, selection)
    except Refused as refused:
        raise typer.BadParameter(_sentences(refused)) from refused


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
