"""Creating and editing a record: what is asked, what is refused, what is written."""

from collections.abc import Iterable, Mapping
from typing import Any

from backoffice.admin.call import Call, Redirect, Reply, address
from backoffice.admin.cells import record_name
from backoffice.admin.conflict import Unchosen, conflict_page, merged_choices
from backoffice.admin.fields import Typed, names_of, submitted_texts, typed_fields
from backoffice.admin.filled import Filled, take_refusal
from backoffice.admin.form_state import read_state, sign_state
from backoffice.admin.lock_watch import told_who_is_in_the_way
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import THEN
from backoffice.admin.pages.details import back_query, list_query
from backoffice.admin.pages.form_filling import blank, fields_of, present
from backoffice.admin.pages.form_page import (
    ANOTHER,
    CONTINUE,
    expired,
    form_page,
    gone_page,
    refused_page,
    status_of,
)
from backoffice.admin.presentation import Link, Message
from backoffice.admin.record import load_record
from backoffice.admin.referring import take_labels
from backoffice.admin.words import with_noun
from backoffice.audit.recorder import record_changes
from backoffice.database.keys import format_key
from backoffice.database.session import commit as commit_known
from backoffice.editing import save
from backoffice.editing.fields import FormField
from backoffice.editing.references import Ambiguous, resolve
from backoffice.editing.stale import Stale, compare
from backoffice.editing.texts import same_text, shown_texts
from backoffice.errors import (
    DatabaseUnavailable,
    EnvironmentProblem,
    LockNotAvailable,
    RecordNotFound,
    Refused,
    StatementTimedOut,
)


def show_create(call: Call) -> Reply:
    """An empty form, filled with what the address presets."""
    view = call.model_view
    fields = fields_of(call, view, is_created=True)
    filled = blank(call, view, fields)
    return form_page(call, view, filled, is_created=True)


def create(call: Call) -> Reply:
    """Write a new record, or show the form again with what is in the way."""
    view = call.model_view
    fields = fields_of(call, view, is_created=True)
    state = read_state(call)
    if state is None:
        return expired(call, view, blank(call, view, fields), is_created=True)
    typed = typed_fields(call, fields, state)
    for one in fields:
        if one.required and not one.read_only and one.key in state:
            # What was asked for and did not come is missing, and told on its field.
            typed.setdefault(one.key, Typed(""))
    take_labels(call, fields, typed)
    values = submitted_texts(typed)
    record_changes(call.session)
    names, scopes = names_of(call, fields)
    try:
        record = own_record(call, view, fields, values)
        if record is None:
            record = save.create(
                call.session,
                view.model,
                values,
                names=names,
                scopes=scopes,
                alone=True,
            )
        commit(call, view, values)
    except NOT_SAVED as refused:
        call.session.rollback()
        filled = Filled(fields, dict(values), shown=state)
        filled.labels = {key: sent.text for key, sent in typed.items()}
        filled.keys = {k: sent.key for k, sent in typed.items() if sent.is_picked}
        take_refusal(call, filled, refused)
        return form_page(call, view, filled, is_created=True, status=status_of(refused))
    key = format_key(view.description.mapper, record)
    return Redirect(
        after(call, view, key),
        saved_message(call, view, record, key, "is created."),
    )


def show_edit(call: Call) -> Reply:
    """The form with the record's present values."""
    view = call.model_view
    record = load_record(call, view, call.key)
    filled = present(call, view, record)
    return form_page(call, view, filled, record=record)


def update(call: Call) -> Reply:
    """Write what was shown and changed; refuse what is stale or not accepted."""
    view = call.model_view
    shown = read_state(call)
    if shown is None:
        record = load_record(call, view, call.key)
        return expired(call, view, present(call, view, record), record=record)
    fields = fields_of(call, view, is_created=False)
    typed = typed_fields(call, fields, shown)
    take_labels(call, fields, typed)
    values = {**shown, **submitted_texts(typed)}
    values = {key: text for key, text in values.items() if key in typed}
    record_changes(call.session)
    try:
        values.update(merged_choices(call, shown))
        with told_who_is_in_the_way(call):
            changed, record = write(call, view, fields, values, shown)
            if changed:
                commit(call, view, shown)
    except RecordNotFound as gone:
        call.session.rollback()
        return gone_page(call, view, values, typed, gone)
    except Stale as stale:
        call.session.rollback()
        mine = {k: v for k, v in values.items() if not same_text(v, shown[k])}
        return conflict_page(
            call, view, fields, stale, mine, sign_state(call, stale.current)
        )
    except NOT_SAVED as refused:
        call.session.rollback()
        if isinstance(refused, Unchosen):
            values.update(refused.mine)
        return refused_page(call, view, fields, typed, values, shown, refused)
    if not changed:
        call.session.rollback()
        here = after(call, view, call.key)
        return Redirect(here, Message("", "Nothing was changed, so nothing is saved."))
    key = format_key(view.description.mapper, record)
    return Redirect(
        after(call, view, key), saved_message(call, view, record, key, "is saved.")
    )


# What leaves a form to be sent again, with all that was typed.
NOT_SAVED = (
    Refused,
    LockNotAvailable,
    StatementTimedOut,
    DatabaseUnavailable,
    EnvironmentProblem,
)


def commit(call: Call, view: ModelView, fields: Iterable[str]) -> None:
    """End the transaction while there is a form for what is refused only now."""
    mapper = view.description.mapper
    with save.explained(call.session, mapper, {}, tuple(fields), alone=True):
        commit_known(call.session)


def write(
    call: Call,
    view: ModelView,
    fields: tuple[FormField, ...],
    values: Mapping[str, str],
    shown: Mapping[str, str],
) -> tuple[tuple[str, ...], Any]:
    """Save in the view's own way, or in the usual one; what was changed."""
    names, scopes = names_of(call, fields)
    if type(view).update_record is not ModelView.update_record:
        record = save.read_record(
            call.session,
            view.model,
            call.key,
            shown=shown,
            scope=lambda select: view.scope(select, call),
        )
        changed = {
            key: text
            for key, text in values.items()
            if key in shown and not same_text(text, shown[key])
        }
        refuse_stale(call, view, record, shown, changed)
        if not changed or view.update_record(call.session, record, changed, call):
            return tuple(changed), record
    result = save.update(
        call.session,
        view.model,
        call.key,
        values,
        shown,
        read_only=view.description.readonly,
        scope=lambda select: view.scope(select, call),
        names=names,
        scopes=scopes,
        alone=True,
    )
    return result.changed, result.record


def refuse_stale(
    call: Call,
    view: ModelView,
    record: Any,
    shown: Mapping[str, str],
    changed: Mapping[str, str],
) -> None:
    """Raise `Stale` where somebody else has changed what this form showed."""
    if not changed:
        return
    mapper = view.description.mapper
    current = shown_texts(call.session, record, shown)
    compared = {key: text for key, text in shown.items() if key in current}
    stale = compare(
        call.session,
        mapper,
        format_key(mapper, record),
        shown=compared,
        current=current,
        mine=changed,
    )
    if stale is not None:
        raise stale


def own_record(
    call: Call,
    view: ModelView,
    fields: Iterable[FormField],
    values: Mapping[str, str],
) -> Any | None:
    """A record made in the view's own way; references are keys by then.

    Where some are none, the view is asked all the same what else is in the way.
    """
    if type(view).create_record is ModelView.create_record:
        return None
    names, scopes = names_of(call, tuple(fields))
    resolved = dict(values)
    problems: dict[str, str] = {}
    candidates: dict[str, Any] = {}
    for one in fields:
        text = values.get(one.key, "").strip()
        if one.target is None:
            continue
        if not text:
            resolved[one.key] = ""
            continue
        try:
            found = resolve(
                call.session,
                one.target,
                text,
                columns=tuple(names.get(one.key, ())),
                scope=scopes.get(one.key),
                field=one.key,
            )
        except Ambiguous as several:
            problems.update(several.fields)
            candidates.update(several.candidates)
            resolved[one.key] = ""
            continue
        resolved[one.key] = format_key(one.target.__mapper__, found)
    if problems:
        others = _problems_of(call, view, resolved)
        raise Ambiguous({**others, **problems}, candidates)
    return view.create_record(call.session, resolved, call)


def _problems_of(
    call: Call, view: ModelView, values: Mapping[str, str]
) -> Mapping[str, str]:
    """What a view refuses of a form that will not be saved; nothing of it stays."""
    try:
        with call.session.begin_nested() as tried:
            view.create_record(call.session, values, call)
            tried.rollback()
    except Refused as refused:
        return refused.fields
    except Exception:  # noqa: BLE001 - it need not cope with what was not understood
        return {}
    return {}


def after(call: Call, view: ModelView, key: str) -> str:
    """Where to go: the list as it was, the same record, or an empty form."""
    base = call.site.base_url
    query = back_query(call)
    then = call.posted(THEN)
    if then == CONTINUE:
        return address(base, view.identity, "edit", key) + query
    if then == ANOTHER:
        return address(base, view.identity, "create") + query
    if not call.may("list"):
        return address(base, view.identity, "edit", key)
    return address(base, view.identity, "list") + list_query(call, view)


def saved_message(
    call: Call, view: ModelView, record: Any, key: str, done: str
) -> Message:
    """As in "Okafor, Amara is saved.", with the way to the record."""
    # What the record is called may stand in relations that are read anew.
    call.session.refresh(record)
    name = record_name(view, record)
    link = None
    if call.may("details"):
        url = address(call.site.base_url, view.identity, "details", key)
        link = Link("Open it", url)
    return Message("ok", f"{with_noun(view.name, name)} {done}", link)
