"""Two people saved one record: both versions, and what is merged already."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backoffice.admin.call import address
from backoffice.admin.cells import record_name
from backoffice.admin.frame import frame
from backoffice.admin.own_names import CHOOSE, MERGE, MINE, THEN, WRITTEN
from backoffice.admin.presentation import (
    ConflictChoice,
    ConflictView,
    Hidden,
    Link,
    MergedField,
    Moment,
)
from backoffice.admin.record import records_by_key, word_of
from backoffice.admin.words import difference, moment, plural
from backoffice.editing.fields import FieldKind, FormField
from backoffice.editing.stale import FieldConflict, Stale
from backoffice.editing.texts import same_text
from backoffice.errors import BackofficeError, Refused

if TYPE_CHECKING:
    from backoffice.admin.call import Call, Page
    from backoffice.admin.model_view import ModelView


class Unchosen(Refused):
    """Fields that both had changed and nobody has chosen; `mine` is what was typed."""

    def __init__(self, fields: Mapping[str, str], mine: Mapping[str, str]) -> None:
        self.mine = dict(mine)
        super().__init__(fields)


def merged_choices(call: "Call", current: Mapping[str, str]) -> dict[str, str]:
    """The texts that were chosen on the page of a conflict; nothing of other forms.

    Raises:
        Unchosen: a field that both had changed was left without a choice.
    """
    posted = call.posted_all()
    chosen: dict[str, str] = {}
    open_choices: dict[str, str] = {}
    for name, mine in posted.items():
        key = name.removeprefix(MINE)
        if key == name or key not in current:
            continue
        match posted.get(CHOOSE + key):
            case "theirs":
                chosen[key] = current[key]
            case "mine":
                chosen[key] = mine
            case "written":
                chosen[key] = posted.get(WRITTEN + key, mine)
            case _:
                open_choices[key] = "This was changed in both versions: choose one."
    if open_choices:
        raise Unchosen(open_choices, {k: posted[MINE + k] for k in open_choices})
    return chosen


def conflict_page(
    call: "Call",
    view: "ModelView",
    fields: tuple[FormField, ...],
    stale: Stale,
    mine: Mapping[str, str],
    state: str,
) -> "Page":
    """The page on which both versions are merged; nothing typed is lost."""
    from backoffice.admin.call import Page
    from backoffice.admin.record import load_record

    record = load_record(call, view, call.key)
    by_key = {one.key: one for one in fields}
    is_own = all(c.is_own for c in stale.conflicts)
    who = "You" if is_own else _names(stale)
    when = max((c.when for c in stale.conflicts if c.when), default=None)
    both = [c for c in stale.conflicts if c.needs_choice and c.key in by_key]
    # What only I changed goes along as it was typed.
    only_mine = {
        key: text
        for key, text in mine.items()
        if key in stale.current
        and not same_text(text, stale.current[key])
        and key not in {c.key for c in both}
    }
    base = call.site.base_url
    query = f"?{call.request.url.query}" if call.request.url.query else ""
    url = address(base, view.identity, "edit", call.key) + query
    hidden = [Hidden(MERGE, "yes")]
    hidden += [Hidden(key, text) for key, text in only_mine.items()]
    hidden += [Hidden(MINE + c.key, c.mine) for c in both]
    then = call.posted(THEN)
    if then:
        hidden.append(Hidden(THEN, then))
    merged = [_theirs(call, by_key, c, who) for c in stale.conflicts if c not in both]
    merged += [
        _mine(call, by_key[key], stale, key, text, is_own=is_own)
        for key, text in only_mine.items()
        if key in by_key
    ]
    untouched = len(stale.current) - len(both) - len(merged)
    shown = ConflictView(
        url=url,
        who=who,
        when=moment(when, with_time=True) if when else Moment(""),
        sentence=_sentence(who, moment(when, with_time=True).text if when else ""),
        text=_advice(len(both), is_own=is_own),
        is_own=is_own,
        choices=tuple(_choice(call, by_key[c.key], c) for c in both),
        merged=tuple(merged),
        same=f"{plural(untouched, 'other field is', 'other fields are')} the same "
        "in both versions"
        if untouched > 0
        else "",
        hidden=tuple(hidden),
        state=state,
        discard=Link("Discard mine", url),
        save_label=f"Save the merged {word_of(view)}",
    )
    title = f"Conflict: {record_name(view, record)}"
    return Page(
        "conflict",
        shown,
        frame(
            call,
            title=title,
            heading=record_name(view, record),
            crumbs=[
                *([Link(view.category, "")] if view.category else []),
                Link(view.name_plural, address(base, view.identity, "list") + query),
            ],
            width="mid",
        ),
        409,
    )


def _sentence(who: str, when: str) -> str:
    """Who saved the record, and when, as far as the history knows."""
    at = f" at {when}" if len(when) == len("14:05") else f" on {when}" if when else ""
    if who == "You":
        return f"You changed this record{at}, in another tab or window."
    return f"{who} saved this record{at} while you were editing."


def _advice(both: int, *, is_own: bool) -> str:
    """What to do now."""
    kept = (
        "Nothing of this form is saved yet, and nothing is lost. "
        if is_own
        else "Nothing of yours is saved yet, and nothing is lost. "
    )
    if both:
        who = "Both times you" if is_own else "Both of you"
        return f"{kept}{who} changed {plural(both, 'field')}: choose, then save."
    what = "you changed there and here" if is_own else "each of you changed"
    return f"{kept}What {what} is merged below; look it through and save."


def _names(stale: Stale) -> str:
    """Who else has written, as far as the history knows."""
    who = sorted(
        {"you" if c.is_own else c.who for c in stale.conflicts if c.who},
        key=lambda name: (name == "you", name),
    )
    return " and ".join(who) or "Somebody else"


def _choice(call: "Call", one: FormField, conflict: FieldConflict) -> ConflictChoice:
    """A field that both changed: nothing is chosen beforehand."""
    opened, theirs, mine = (
        in_words(call, one, text)
        for text in (conflict.opened, conflict.theirs, conflict.mine)
    )
    can_write = one.kind in {
        FieldKind.TEXT,
        FieldKind.LONG_TEXT,
        FieldKind.JSON,
        FieldKind.INTEGER,
        FieldKind.DECIMAL,
        FieldKind.FLOAT,
    }
    return ConflictChoice(
        name=CHOOSE + conflict.key,
        label=one.label,
        opened=opened,
        theirs=difference(opened, theirs) if theirs else (),
        mine=difference(opened, mine) if mine else (),
        written=conflict.mine,
        written_name=WRITTEN + conflict.key,
        can_write=can_write,
        is_long=one.is_long,
    )


def _theirs(
    call: "Call",
    by_key: Mapping[str, FormField],
    conflict: FieldConflict,
    who: str,
) -> MergedField:
    """A field that only they changed: theirs stays."""
    one = by_key.get(conflict.key)
    opened, theirs = conflict.opened, conflict.theirs
    if one is not None:
        opened, theirs = in_words(call, one, opened), in_words(call, one, theirs)
    return MergedField(
        label=one.label if one is not None else conflict.label,
        opened=opened,
        theirs=theirs,
        mine=opened,
        saved=theirs,
        whose="theirs",
        saved_words="as you saved it"
        if conflict.is_own
        else f"by {conflict.who or who}",
    )


def _mine(
    call: "Call", one: FormField, stale: Stale, key: str, text: str, *, is_own: bool
) -> MergedField:
    """A field that only I changed: mine is saved."""
    now, new = (in_words(call, one, value) for value in (stale.current[key], text))
    return MergedField(
        label=one.label,
        opened=now,
        theirs=now,
        mine=new,
        saved=new,
        whose="mine",
        saved_words="of this form" if is_own else "yours",
    )


def in_words(call: "Call", one: FormField, text: str) -> str:
    """A field's raw text as a person knows it: a choice's label, a record's name."""
    if one.choices:
        return dict(one.choices).get(text, text)
    if one.kind is FieldKind.BOOLEAN:
        return {"true": "yes", "false": "no"}.get(text, text)
    if one.target is None or not text:
        return text
    view = call.site.view_of(one.target)
    if view is None:
        return text
    try:
        record = records_by_key(call, view, [text]).get(text)
    except BackofficeError:
        return text
    return record_name(view, record) if record is not None else text
