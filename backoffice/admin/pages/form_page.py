"""The page of a form: drawn fields, errors on them, what is gone, what to do next."""

from collections.abc import Mapping
from typing import Any

from backoffice.admin.call import Call, Page, address
from backoffice.admin.cells import record_name
from backoffice.admin.chronicle import entries_of
from backoffice.admin.fields import field_view, groups_of, typed_fields
from backoffice.admin.filled import Filled, take_refusal
from backoffice.admin.form_state import sign_state
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.details import (
    back_query,
    crumbs,
    list_query,
    sub_unless,
    subtitle,
    times,
)
from backoffice.admin.pages.form_filling import fields_of, present
from backoffice.admin.presentation import (
    Action,
    FieldProblem,
    FormView,
    Message,
    Submit,
)
from backoffice.admin.record import load_record, word_of
from backoffice.admin.words import plural
from backoffice.bulk.timeline import record_history
from backoffice.editing.fields import FieldKind, FormField
from backoffice.editing.texts import same_text
from backoffice.errors import BackofficeError, LockNotAvailable, RecordNotFound, Refused

HISTORY = 3
# Where to go after saving; anything else is the list.
CONTINUE, ANOTHER = "continue", "another"
SHOWN_WAS = 40


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
        title = f"New {word_of(view)}"
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
        name = word_of(view)
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
    what = word_of(view)
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
