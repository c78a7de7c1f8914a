"""Which records a selection means, and what its action does with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backoffice.admin.actions import ActionSpec, Does, may_run
from backoffice.admin.call import Call
from backoffice.admin.fields import names_of
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.listing import selection_words, spec_for
from backoffice.admin.panels import is_full
from backoffice.admin.words import series, share, within_sentence
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.models import Run, Selection
from backoffice.bulk.target import Chosen, Target, among
from backoffice.bulk.undo import undo_of
from backoffice.database.keys import format_key, parse_key
from backoffice.editing import deletion, save
from backoffice.editing.deletion_of_many import entries_of_many
from backoffice.editing.fields import FormField, form_fields
from backoffice.errors import NotPermitted, RecordNotFound, Refused
from backoffice.listing.params import parse_list
from backoffice.listing.query import ListQuery
from backoffice.listing.statements import select_rows
from backoffice.observability.health import RECENT_TIMEOUT

if TYPE_CHECKING:
    from backoffice.admin.site import Site

UNDO = "undo"
MOVES = frozenset({"page", "after", "before", "pageSize"})


@dataclass(frozen=True, slots=True)
class Task:
    """Rows, what is done with them, and what it is called.

    `since` are rows that an undo leaves alone, for they were changed since.
    """

    target: Target
    change: Change
    title: str
    verb: str
    since: Target | None = None


def action_of(call: Call, view: ModelView, selection: Selection) -> ActionSpec | None:
    """The action that was chosen; None where a run is to be taken back.

    Raises:
        NotPermitted: this person may not run it.
        RecordNotFound: the view has no such action any more.
    """
    if selection.undone_run_id is not None:
        return None
    return known_action(call, view, selection.action)


def known_action(call: Call, view: ModelView, name: str) -> ActionSpec:
    """An action by its name, for one who may run it."""
    spec = view.actions.get(name)
    if spec is None:
        raise RecordNotFound(f"{view.name_plural} have no such action.")
    if not may_run(call, view, spec):
        raise NotPermitted(
            f"Your role may not do this with {within_sentence(view.name_plural)}."
        )
    return spec


def list_query(
    call: Call, view: ModelView, items: Sequence[Sequence[str]]
) -> ListQuery:
    """The list's query that was chosen, read again."""
    pairs = [(item[0], item[1]) for item in items]
    return parse_list(spec_for(call, view), pairs, call.site.codec)


def chosen_items(query_string: str) -> list[tuple[str, str]]:
    """What of a list's query string says which rows it has; not which page."""
    pairs = parse_qsl(query_string, keep_blank_values=True)
    return [(key, value) for key, value in pairs if key not in MOVES]


def chosen_words(
    call: Call,
    view: ModelView,
    keys: Sequence[str] | None,
    items: Sequence[Sequence[str]] | None,
) -> str:
    """The selection in words: "3 ticked students", "all students with class 9A"."""
    if keys is not None:
        name = view.name if len(keys) == 1 else view.name_plural
        return f"{len(keys):,} ticked {within_sentence(name)}"
    return selection_words(call, view, list_query(call, view, items or ()))


def rows_of(call: Call, view: ModelView, selection: Selection) -> Select[Any]:
    """The records that were chosen, as far as this person may see them.

    Raises:
        Refused: the list does not understand its own query any more.
    """
    mapper = view.description.mapper
    everything = view.scope(select(view.model), call)
    dialect = call.session.get_bind(mapper).dialect.name
    if selection.undone_run_id is not None:
        return everything
    if selection.keys is not None:
        chosen = _as_chosen(view, selection.keys)
        return everything.where(among(_keys(view), chosen, dialect))
    query = list_query(call, view, selection.items or ())
    if query.problems:
        raise Refused(message=query.problems[0].message)
    return select_rows(spec_for(call, view), query, dialect)


def _keys(view: ModelView) -> tuple[Any, ...]:
    return Target(view.description.mapper, select(view.model)).keys


def _as_chosen(view: ModelView, keys: Sequence[str]) -> list[Chosen]:
    """Keys that were ticked; what is no key is nobody's."""
    mapper = view.description.mapper
    found = []
    for key in keys:
        try:
            found.append(Chosen(parse_key(mapper, key), key, ""))
        except RecordNotFound:
            continue
    return found


def task_of(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec | None,
    *,
    with_excluded: bool = False,
) -> Task:
    """The rows of a selection and what is done with them.

    `with_excluded` has those among the rows that were taken out by hand.

    Raises:
        Refused: what the action was told is not accepted (any more).
    """
    mapper = view.description.mapper
    label_key = view.description.label_keys[0]
    rows = rows_of(call, view, selection)
    since = None
    if spec is None:
        run = undone_run(call.session, selection)
        target, since, change = undo_of(call.session, run, rows, mapper, label_key)
        title, verb = undo_title(run), "Give back"
    else:
        target = Target(mapper, rows, label_key)
        texts = selection.parameters or {}
        change = change_of(call, view, spec, texts)
        title = title_of(view, spec, texts)
        verb = spec.verb
    if selection.excluded and not with_excluded:
        dialect = call.session.get_bind(mapper).dialect.name
        out = among(target.keys, _as_chosen(view, selection.excluded), dialect)
        target = target.without(out)
    return Task(target, change, title, verb, since)


def undo_title(run: Run) -> str:
    """As in: Undo run 12: Raise prices by 3 %; Undo run 13, the undo of run 12."""
    if run.undone_run_id is not None:
        return f"Undo run {run.id}, the undo of run {run.undone_run_id}"
    return f"Undo run {run.id}: {run.label}"


def undone_run(session: Session, selection: Selection) -> Run:
    """The run that a selection takes back."""
    run = session.get(Run, selection.undone_run_id)
    if run is None:
        raise RecordNotFound("There is no such run any more.")
    return run


def change_of(
    call: Call, view: ModelView, spec: ActionSpec, texts: Mapping[str, str]
) -> Change:
    """What an action does, told what was typed.

    Raises:
        Refused: with a sentence for each field.
    """
    if spec.does is Does.EDIT:
        return _edit(call, view, texts)
    if spec.does is Does.DELETE:
        if view.deletes_as_usual:
            return usual_deletion(view)
        return EachRecord(
            view.description.mapper,
            lambda session, record: _delete(call, view, session, record),
            is_deletion=True,
        )
    return spec.change(view, texts)


def title_of(view: ModelView, spec: ActionSpec, texts: Mapping[str, str]) -> str:
    """As in: Raise prices by 3 %; Change category and price of products."""
    many = within_sentence(view.name_plural)
    if spec.does is Does.EDIT:
        labels = [view.description.labels.get(key, key).lower() for key in texts]
        return f"Change {series(labels)} of {many}"
    if spec.does is Does.DELETE:
        return f"Delete {many}"
    return spec.named(texts)


def editable_fields(call: Call, view: ModelView) -> tuple[FormField, ...]:
    """The fields that many records may share: no key, no secret, nothing unique."""
    description = view.description
    mapper = description.mapper
    unique = {
        column
        for table in mapper.tables
        for rule in (*table.constraints, *table.indexes)  # type: ignore[attr-defined]
        if getattr(rule, "unique", False) or type(rule).__name__ == "UniqueConstraint"
        if len(rule.columns) == 1
        for column in rule.columns
    }
    dialect = call.session.get_bind(mapper).dialect.name
    found = form_fields(mapper, description.form_keys, dialect, description.labels)
    return tuple(
        one
        for one in found
        if not one.read_only
        and not one.secret
        and one.key not in description.readonly
        and not unique & set(getattr(mapper.attrs.get(one.key), "columns", ()))
        and not any(c.primary_key for c in _columns(view, one.key))
    )


def _columns(view: ModelView, key: str) -> list[Any]:
    prop: Any = view.description.mapper.attrs[key]
    return list(getattr(prop, "columns", None) or prop.local_columns)


def _edit(call: Call, view: ModelView, texts: Mapping[str, str]) -> SetValues:
    """The same values for all: the fields that were ticked."""
    fields = [one for one in editable_fields(call, view) if one.key in texts]
    if not fields:
        raise Refused(message="Tick at least one field to change.")
    names, scopes = names_of(call, fields)
    values = save.read_values(
        call.session,
        view.model,
        {one.key: texts[one.key] for one in fields},
        names=names,
        scopes=scopes,
    )
    return SetValues(view.description.mapper, values)


def _delete(call: Call, view: ModelView, session: Session, record: Any) -> None:
    """Delete one record, in the view's own way where it has one."""
    if view.delete_record(session, record, call):
        return
    _delete_usual(view, session, record)


# Long work: no person asks, and the rows were fixed when it was confirmed


def is_for_job(view: ModelView, spec: ActionSpec | None) -> bool:
    """Whether an action can run without the person who confirmed it."""
    if spec is None or spec.does is not Does.DELETE:
        return True
    return view.deletes_as_usual


def resolved(site: "Site", session: Session, run: Run) -> tuple[Target, Change]:
    """What a run that waits does, by its row: the worker asks for it batch by batch.

    Raises:
        RecordNotFound: the view or its action is not there any more.
    """
    view = site.view_called(run.view)
    if view is None:
        raise RecordNotFound(f"There is no list {run.view} any more.")
    mapper = view.description.mapper
    label_key = view.description.label_keys[0]
    everything: Select[Any] = select(view.model)
    if run.undone_run_id is not None:
        undone = session.get(Run, run.undone_run_id)
        if undone is None:
            raise RecordNotFound("The run to be taken back is not there any more.")
        target, _, change = undo_of(session, undone, everything, mapper, label_key)
        return target, change
    spec = view.actions.get(run.action)
    if spec is None:
        raise RecordNotFound(f"{view.name_plural} have no such action any more.")
    target = Target(mapper, everything, label_key)
    if spec.does is Does.EDIT:
        values = save.read_values(session, view.model, run.parameters)
        return target, SetValues(mapper, values)
    if spec.does is Does.DELETE:
        return target, usual_deletion(view)
    return target, spec.change(view, run.parameters)


def trouble(site: "Site") -> str:
    """Why long work should wait: people need the database; "" where they do not.

    Of all processes of this machine, for a worker may stand beside those that serve.
    """
    if not site.pulse.database().is_fresh:
        return "the database answers too slowly; it goes on when that is over."
    status = site.foot.fullest()
    if status is None or status.max is None:
        return ""
    is_turning_away = (
        status.last_timeout is not None and status.last_timeout < RECENT_TIMEOUT
    )
    if is_full(status) or is_turning_away:
        used = share(status.checked_out, status.max)
        return f"the pool is at {used}; it goes on when there is room again."
    return ""


def usual_deletion(view: ModelView) -> EachRecord:
    """Records are deleted as they are one by one, and many of them at once."""
    mapper = view.description.mapper
    return EachRecord(
        mapper,
        lambda session, record: _delete_usual(view, session, record),
        is_deletion=True,
        entries=lambda session, records: entries_of_many(session, mapper, records),
    )


def _delete_usual(view: ModelView, session: Session, record: Any) -> None:
    key = format_key(view.description.mapper, record)
    deletion.delete(session, view.model, key)
