"""Creating and editing a record: what is asked, what is refused, what is written."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.cells import HIDDEN, record_name
from backoffice.admin.chronicle import entries_of
from backoffice.admin.conflict import Unchosen, conflict_page, merged_choices
from backoffice.admin.fields import (
    Typed,
    field_view,
    groups_of,
    names_of,
    submitted_texts,
    typed_fields,
)
from backoffice.admin.filled import Filled, take_refusal
from backoffice.admin.form_state import read_state, sign_state
from backoffice.admin.frame import frame
from backoffice.admin.lock_watch import told_who_is_in_the_way
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import THEN
from backoffice.admin.pages.details import (
    back_query,
    crumbs,
    list_query,
    sub_unless,
    subtitle,
    times,
)
from backoffice.admin.presentation import (
    Action,
    FieldProblem,
    FormView,
    Link,
    Message,
    Submit,
)
from backoffice.admin.record import load_record
from backoffice.admin.referring import take_labels
from backoffice.admin.words import plural, with_noun
from backoffice.audit.recorder import label_of, record_changes
from backoffice.bulk.timeline import record_history
from backoffice.database.keys import format_key
from backoffice.editing import save
from backoffice.editing.fields import FieldKind, FormField, form_fields
from backoffice.editing.references import Ambiguous, resolve
from backoffice.editing.stale import Stale, compare
from backoffice.editing.texts import same_text, shown_texts
from backoffice.errors import (
    BackofficeError,
    DatabaseUnavailable,
    EnvironmentProblem,
    LockNotAvailable,
    RecordNotFound,
    Refused,
    StatementTimedOut,
)
from backoffice.listing.params import WORDS

HISTORY = 3
LIST_WORDS = {*WORDS, "next"}
# Where to go after saving; anything else is the list.
CONTINUE, ANOTHER = "continue", "another"
SHOWN_WAS = 40


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
        call.session.commit()


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


# Fields


def fields_of(
    call: Call, view: ModelView, *, is_created: bool
) -> tuple[FormField, ...]:
    """The view's own fields, else what its columns ask for."""
    own = view.form_fields(call, is_created=is_created)
    if own is not None:
        return own
    dialect = call.session.get_bind().dialect.name
    description = view.description
    found = form_fields(
        description.mapper, description.form_keys, dialect, description.labels
    )
    readonly = description.readonly
    shown = []
    for one in found:
        if one.read_only and is_created:
            continue
        if one.key in readonly and not is_created:
            shown.append(_read_only(one))
            continue
        shown.append(one)
    return tuple(shown)


def _read_only(one: FormField) -> FormField:
    return replace(one, read_only=one.read_only or "Cannot be changed here.")


def blank(call: Call, view: ModelView, fields: tuple[FormField, ...]) -> Filled:
    """A form without values but those that the address presets, and defaults."""
    # What the list is asked by comes along, and is no value of a column called so.
    asked = {k: v for k, v in call.query_items if k not in LIST_WORDS}
    texts = {one.key: asked.get(one.key, default_of(view, one)) for one in fields}
    filled = Filled(fields, texts, shown={one.key: "" for one in fields})
    for one in fields:
        text = texts[one.key]
        if one.kind is FieldKind.REFERENCE and one.target is not None and text:
            try:
                record = resolve(call.session, one.target, text, field=one.key)
            except (Refused, RecordNotFound):
                filled.texts[one.key] = ""
                continue
            filled.keys[one.key] = format_key(one.target.__mapper__, record)
            filled.labels[one.key] = label_of_target(call, one.target, record)
    return filled


def default_of(view: ModelView, one: FormField) -> str:
    """What the column has when nothing is said, where that can be told beforehand."""
    prop = view.description.mapper.attrs.get(one.key)
    column = getattr(prop, "columns", [None])[0]
    default = getattr(column, "default", None)
    if default is not None and getattr(default, "is_scalar", False):
        from backoffice.database.values import format_value

        return format_value(column, default.arg)
    return "true" if one.key == "is_active" and column is not None else ""


def present(call: Call, view: ModelView, record: Any) -> Filled:
    """A form with the record's values."""
    fields = fields_of(call, view, is_created=False)
    own = {c.key for c in view.description.mapper.attrs}
    texts = shown_texts(call.session, record, [f.key for f in fields if f.key in own])
    texts = {one.key: texts.get(one.key, "") for one in fields}
    filled = Filled(fields, dict(texts), shown=dict(texts))
    for one in fields:
        if one.kind is FieldKind.REFERENCE and one.target is not None:
            target = getattr(record, one.key)
            label = label_of_target(call, one.target, target) if target else ""
            if not target and texts[one.key]:
                label = f"{HIDDEN.text} ({texts[one.key]})"
            filled.labels[one.key] = filled.shown_labels[one.key] = label
            filled.keys[one.key] = texts[one.key]
    return filled


def label_of_target(call: Call, target: type[Any], record: Any) -> str:
    """What a record is called in a field that refers to it."""
    view = call.site.view_of(target)
    if view is not None:
        return record_name(view, record)
    mapper = target.__mapper__
    return label_of(mapper, record, format_key(mapper, record))


# Pages


def form_page(
    call: Call,
    view: ModelView,
    filled: Filled,
    *,
    record: Any = None,
    is_created: bool = False,
    status: int = 200,
    notes: tuple[Message, ...] = (),
    can_save: bool = True,
) -> Page:
    """The form, with errors on their fields and a summary that leads to them."""
    base = call.site.base_url
    if is_created:
        url = address(base, view.identity, "create")
        title = f"New {view.name[:1].lower()}{view.name[1:]}"
    else:
        url = address(base, view.identity, "edit", call.key)
        title = record_name(view, record) if record is not None else view.name
    url += back_query(call)
    drawn = [
        draw(call, view, filled, one, is_created=is_created) for one in filled.fields
    ]
    problems = tuple(
        FieldProblem(one.label, filled.errors[one.key], f"f-{one.key}")
        for one in filled.fields
        if one.key in filled.errors
    )
    if filled.sentence:
        problems = (FieldProblem("", filled.sentence), *problems)
    history = () if record is None else _history(call, view)
    shown = FormView(
        url=url,
        groups=groups_of(view, drawn),
        submits=submits(view, is_created=is_created) if can_save else (),
        cancel_url=address(base, view.identity, "list") + list_query(call, view),
        state=sign_state(call, filled.shown, "" if is_created else None),
        summary=summary_of(problems),
        problems=problems,
        notes=notes,
        history=entries_of(call, history[:HISTORY], of=view, is_there=True),
        history_url=address(base, view.identity, "history", call.key)
        if len(history) > HISTORY
        else "",
        aside=times(call, view, record) if record is not None else (),
        has_history=record is not None,
        changed=sum(one.is_changed for one in drawn) if problems else 0,
        largest=call.site.largest_request,
    )
    page_frame = frame(
        call,
        title=title if is_created else f"Edit {title}",
        heading=title,
        sub="" if is_created else sub_unless(title, subtitle(view, call.key)),
        crumbs=crumbs(call, view),
        actions=() if is_created else edit_actions(call, view),
        width="mid",
    )
    return Page("form", shown, page_frame, status)


def draw(
    call: Call, view: ModelView, filled: Filled, one: FormField, *, is_created: bool
) -> Any:
    """One field with its value, its error, and what it was."""
    text = filled.texts.get(one.key, "")
    was = filled.shown.get(one.key, "")
    is_reference = one.kind is FieldKind.REFERENCE
    label = filled.labels.get(one.key, "")
    if is_reference and one.read_only:
        text = label
    changed = (
        not is_created
        and not one.read_only
        and not one.secret
        and not same_text(text, was)
    )
    before = filled.shown_labels.get(one.key, "") if is_reference else was
    choices = dict(one.choices)
    return field_view(
        call,
        view,
        one,
        text if not one.secret else "",
        label=label,
        key=filled.keys.get(one.key, ""),
        error=filled.errors.get(one.key, ""),
        error_link=filled.links.get(one.key),
        was=choices.get(before, before)[:SHOWN_WAS] if changed else "",
        is_changed=changed,
        candidates=filled.candidates.get(one.key, ()),
        width=view.description.form_widths.get(one.key),
    )


def submits(view: ModelView, *, is_created: bool) -> tuple[Submit, ...]:
    """The ways to save; the first is what most people want."""
    if is_created:
        name = f"{view.name[:1].lower()}{view.name[1:]}"
        return (
            Submit(f"Save and add another {name}", ANOTHER),
            Submit("Save", "", is_primary=True),
        )
    return (
        Submit("Save and keep editing", CONTINUE),
        Submit("Save", "", is_primary=True),
    )


def summary_of(problems: tuple[FieldProblem, ...]) -> str:
    """As in: Not saved. Two fields need you; what you typed is still here."""
    if not problems:
        return ""
    count = sum(bool(problem.target) for problem in problems)
    fields = plural(count, "field needs", "fields need")
    if not count:
        return "Not saved. What you typed is still here."
    return f"Not saved. {fields} you; what you typed is still here."


def edit_actions(call: Call, view: ModelView) -> list[Action]:
    """What else this person may do with the record."""
    base, query = call.site.base_url, back_query(call)
    found = [
        Action(
            "History",
            address(base, view.identity, "history", call.key),
            "history",
        )
    ]
    if call.may("details"):
        url = address(base, view.identity, "details", call.key)
        found.append(Action("Details", url + query))
    if call.may("delete"):
        url = address(base, view.identity, "delete", call.key) + query
        found.append(Action("Delete", url, "trash", is_risk=True))
    return found


def refused_page(
    call: Call,
    view: ModelView,
    fields: tuple[FormField, ...],
    typed: Mapping[str, Any],
    values: Mapping[str, str],
    shown: dict[str, str],
    refused: BackofficeError,
) -> Page:
    """The form again, with everything typed and a sentence on each field."""
    record = load_record(call, view, call.key)
    now = present(call, view, record)
    filled = Filled(fields, {**shown, **values}, shown=shown)
    filled.labels = {
        **now.labels,
        **{key: sent.text for key, sent in typed.items()},
    }
    # What was typed over a record's name is another one's: the old key goes.
    filled.keys = {k: key for k, key in now.keys.items() if k not in typed}
    filled.keys |= {k: sent.key for k, sent in typed.items() if sent.is_picked}
    for one in fields:
        if one.target is not None and one.key in values and one.key not in typed:
            # It came from a merge, as a key.
            filled.labels[one.key] = values[one.key]
            filled.keys.pop(one.key, None)
    filled.shown_labels = now.shown_labels
    for one in fields:
        if one.read_only:
            filled.texts[one.key] = now.texts.get(one.key, "")
    take_refusal(call, filled, refused)
    status = status_of(refused)
    return form_page(call, view, filled, record=record, status=status)


def gone_page(
    call: Call,
    view: ModelView,
    values: Mapping[str, str],
    typed: Mapping[str, Any],
    gone: RecordNotFound,
) -> Page:
    """What was typed into a record that was deleted meanwhile: a new record's form.

    Who may not create one sees it as well, to copy it from.
    """
    can_save = call.may("create")
    fields = fields_of(call, view, is_created=can_save)
    filled = Filled(fields, {one.key: values.get(one.key, "") for one in fields})
    filled.shown = {one.key: "" for one in fields}
    filled.labels = {key: sent.text for key, sent in typed.items()}
    filled.keys = {key: sent.key for key, sent in typed.items() if sent.is_picked}
    what = f"{view.name[:1].lower()}{view.name[1:]}"
    filled.sentence = f"{gone} " + (
        f"Save this as a new {what}, or leave it."
        if can_save
        else "Here it can be copied, and not be saved."
    )
    return form_page(
        call, view, filled, is_created=can_save, status=404, can_save=can_save
    )


def status_of(refused: BackofficeError) -> int:
    """Whose turn it is: who typed, somebody else, or the database."""
    if isinstance(refused, Refused):
        return 400
    return 409 if isinstance(refused, LockNotAvailable) else 503


def expired(
    call: Call,
    view: ModelView,
    filled: Filled,
    *,
    record: Any = None,
    is_created: bool = False,
) -> Page:
    """A form without its state: what was typed is kept where it can be told."""
    typed = typed_fields(call, filled.fields, filled.shown)
    for key, sent in typed.items():
        filled.texts[key] = sent.text
        filled.labels[key] = sent.text
        filled.keys[key] = sent.key if sent.is_picked else ""
    filled.sentence = (
        "This form did not say what it had shown, so nothing was saved. "
        "Look it through and save again."
    )
    return form_page(
        call, view, filled, record=record, is_created=is_created, status=400
    )


def _history(call: Call, view: ModelView) -> list[Any]:
    return record_history(
        call.session, view.description.table_name, call.key, limit=HISTORY + 1
    )


# Afterwards


def after(call: Call, view: ModelView, key: str) -> str:
    """Where to go: the list as it was, the same record, or an empty form."""
    base = call.site.base_url
    query = back_query(call)
    match call.posted(THEN):
        case "continue":
            return address(base, view.identity, "edit", key) + query
        case "another":
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
