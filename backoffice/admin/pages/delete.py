"""Before a record is deleted: what goes with it, what is kept, what forbids it."""

from typing import Any
from urllib.parse import urlencode

from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.cells import record_name
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.pages.details import (
    back_query,
    crumbs,
    list_query,
    subtitle,
)
from backoffice.admin.presentation import (
    DeleteView,
    DependentRow,
    Hidden,
    Link,
    Message,
)
from backoffice.admin.record import load_record, records_by_key
from backoffice.admin.words import plural, with_noun, within_sentence
from backoffice.audit.recorder import record_changes
from backoffice.editing import deletion, save
from backoffice.editing.deletion import DeletePreview, Dependent, PreviewChanged
from backoffice.editing.dependents import Fate
from backoffice.errors import LockNotAvailable, Refused, StatementTimedOut

EXPECTED, SURE = "expected", "sure"
UNSURE = "Tick that you are sure of it. Nothing was deleted."
FATES = {
    Fate.DELETED: ("deleted", "Deleted"),
    Fate.KEPT: ("kept", "Kept"),
    Fate.FORBIDS: ("forbids", "Forbids it"),
    Fate.LEFT: ("kept", "Kept, refers to nothing then"),
}
UNREAD = {
    Fate.DELETED: ("deleted", "Deleted, if there are any"),
    Fate.KEPT: ("kept", "Kept, if there are any"),
    Fate.FORBIDS: ("forbids", "Forbids it, if there are any"),
}


def show(call: Call) -> Reply:
    """What deleting this record would do; nothing is changed."""
    return page(call)


def delete(call: Call) -> Reply:
    """Delete it, if what would go is still what was shown."""
    view = call.model_view
    record_changes(call.session)
    name = record_name(view, load_record(call, view, call.key))
    if call.posted(SURE) != "yes":
        found = preview(call)
        was_asked = found.digest == call.posted(EXPECTED) and not found.is_forbidden
        if was_asked and confirm_of(found):
            return page(call, found, error=UNSURE, status=400)
    try:
        if not deleted_own_way(call, view):
            deletion.delete(
                call.session,
                view.model,
                call.key,
                expected=call.posted(EXPECTED) or "",
                alone=True,
                scope=lambda select: view.scope(select, call),
            )
    except PreviewChanged as changed:
        call.session.rollback()
        return page(call, changed.preview, error=str(changed), status=409)
    except LockNotAvailable as held:
        call.session.rollback()
        return page(call, error=str(held) or BUSY, status=409)
    except StatementTimedOut:
        call.session.rollback()
        limit = call.site.backoffice.settings.database.statement_timeout
        return page(call, error=SLOW.format(limit), status=503)
    except Refused as refused:
        call.session.rollback()
        return page(call, error=str(refused), status=409)
    url = address(call.site.base_url, view.identity, "list") + list_query(call, view)
    history = address(call.site.base_url, view.identity, "history", call.key)
    # A scope that leaves the record out leaves its history out as well.
    has_history = not view.is_partly_seen
    link = Link("Its history", history) if has_history else None
    return Redirect(
        url, Message("ok", f"{with_noun(view.name, name)} is deleted.", link)
    )


SLOW = (
    "The database did not get this deleted within {:g} seconds and stopped; nothing "
    "was changed. Delete what goes along first, some of it at a time."
)
BUSY = "Somebody else is writing here. Try again in a moment."


def deleted_own_way(call: Call, view: ModelView) -> bool:
    """Whether the view has deleted the record in a way of its own."""
    if view.deletes_as_usual:
        return False
    record = save.read_record(
        call.session, view.model, call.key, scope=lambda s: view.scope(s, call)
    )
    return view.delete_record(call.session, record, call)


def preview(call: Call, record: Any | None = None) -> DeletePreview:
    """What hangs on the record; a view that deletes in its own way touches no other.

    A `record` that was read already is not read again.
    """
    view = call.model_view
    found = deletion.preview_delete(
        call.session,
        view.model,
        call.key,
        record=record,
        scope=lambda select: view.scope(select, call),
    )
    if view.deletes_as_usual:
        return found
    return DeletePreview(found.label, found.word, (), found.digest)


def page(
    call: Call,
    found: DeletePreview | None = None,
    *,
    error: str = "",
    status: int = 200,
) -> Page:
    """The page with its verdict, its table, and a button that says the number."""
    view = call.model_view
    record = load_record(call, view, call.key)
    found = found or preview(call, record)
    name = record_name(view, record)
    base, query = call.site.base_url, back_query(call)
    records = records_of(found)
    reason = view.why_not_deleted(record, call)
    is_forbidden = found.is_forbidden or bool(reason)
    shown = DeleteView(
        url=address(base, view.identity, "delete", call.key) + query,
        verdict=reason or verdict_of(found, records),
        text=(
            ""
            if reason
            else "Change or delete these first."
            if found.is_forbidden
            else f"This cannot be undone. {kept_words(found)}"
        ),
        rows=(
            DependentRow(
                f"The {within_sentence(view.name)}",
                "1",
                "deleted",
                "Deleted",
                examples=(),
            ),
            *(row_of(call, one) for one in found.records),
        )
        if not is_forbidden
        else tuple(row_of(call, one) for one in found.records),
        is_forbidden=is_forbidden,
        cancel=Link(
            "Keep everything" if not is_forbidden else "Back",
            address(base, view.identity, "details", call.key) + query,
        ),
        button=f"Delete {records}",
        confirm=confirm_of(found),
        caption=f"What hangs on this {within_sentence(view.name)}",
        footnote=footnote_of(found, is_forbidden=is_forbidden),
        hidden=(Hidden(EXPECTED, found.digest),),
        error=error if error != reason else "",
    )
    title = f"Delete {name}?" if not is_forbidden else f"{name} cannot be deleted"
    return Page(
        "delete",
        shown,
        frame(
            call,
            title=title,
            sub=subtitle(view, call.key),
            crumbs=crumbs(call, view),
            width="narrow",
        ),
        status,
    )


def records_of(found: DeletePreview) -> str:
    """How many records go, as people say it."""
    if found.is_capped:
        return f"more than {found.deleted:,} records"
    return plural(found.deleted, "record")


def confirm_of(found: DeletePreview) -> str:
    """What has to be ticked; nothing where the record goes alone."""
    return "" if found.deleted == 1 else f"Yes, delete {records_of(found)}"


def footnote_of(found: DeletePreview, *, is_forbidden: bool) -> str:
    """How far was counted, and what happens if it is no longer so when confirmed."""
    if not found.records:
        return ""
    counted = f"Counts stop at {deletion.LIMIT:,}."
    if is_forbidden:
        return counted
    return (
        f"{counted} If anything is added before you confirm, this page comes back "
        "with the new counts."
    )


def verdict_of(found: DeletePreview, records: str) -> str:
    """One sentence: how many go, how many stay, or what stands in the way."""
    in_the_way = [one.phrase for one in found.forbidding]
    if in_the_way:
        return f"It is still used by {' and '.join(in_the_way)}."
    kept = f", {found.kept:,} would be kept without it" if found.kept else ""
    return f"{records[:1].upper()}{records[1:]} would be deleted{kept}."


def kept_words(found: DeletePreview) -> str:
    """What of the old values can be read afterwards."""
    lost = [
        one.words
        for one in found.records
        if one.what is Fate.DELETED and not one.is_recorded
    ]
    if not lost:
        return "The old values stay readable in the history."
    listed = " and ".join(dict.fromkeys(lost))
    return f"The old values stay readable in the history, but not those of {listed}."


def row_of(call: Call, one: Dependent) -> DependentRow:
    """The records of one table, with the way to their list where there is one."""
    fate, words = (UNREAD if one.is_unread else FATES)[one.what]
    if one.what is Fate.KEPT and one.fields and not one.is_unread:
        words = f"Kept, {' and '.join(one.fields)} emptied"
    view = call.site.view_of(one.model) if one.model is not None else None
    url = list_of(call, view, one) if view is not None else ""
    examples = examples_of(call, view, one)
    label = one.words[:1].upper() + one.words[1:]
    left = one.count - len(examples)
    return DependentRow(
        label=label,
        count=one.number,
        fate=fate,
        words=words,
        url=url,
        examples=examples,
        more=f"and {left:,} more" if left > 0 and examples else "",
    )


def list_of(call: Call, view: ModelView, one: Dependent) -> str:
    """The list of just these rows, where it can be filtered so; else none."""
    if one.depth > 1 or len(one.attributes) != 1 or not call.may("list", view):
        return ""
    mapper = view.description.mapper
    names = set(one.attributes)
    for relationship in mapper.relationships:
        own = {mapper.get_property_by_column(c).key for c in relationship.local_columns}
        if not relationship.uselist and own == set(one.attributes):
            names.add(relationship.key)
    filters = {field.path for field in view.description.list_spec.filters}
    usable = sorted(names & filters)
    url = address(call.site.base_url, view.identity, "list")
    return f"{url}?{urlencode({usable[0]: call.key})}" if usable else ""


def examples_of(call: Call, view: ModelView | None, one: Dependent) -> tuple[Link, ...]:
    """A few of the rows by the names that their view gives them, each with its way."""
    if view is None:
        return tuple(Link(text, "") for text in one.examples)
    found = records_by_key(call, view, one.keys)
    base = call.site.base_url if call.may("details", view) else ""
    return tuple(
        Link(
            record_name(view, found[key]),
            address(base, view.identity, "details", key) if base else "",
        )
        for key in one.keys
        if key in found
    )
