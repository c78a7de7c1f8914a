"""What does a page get to draw? Plain frozen data, ready in words, one class a page.

A handler builds one view (`ListView`, `FormView`, …) and one `Frame`, and
`templating.render` turns them into HTML. Everything here is text that may be shown as
it stands: counts, dates and values are already in words (`words.py`), addresses are
already complete. An empty string means "draw nothing". What a person may not do is not
in the view, so it is not drawn. Templates escape; nothing here is HTML.

Names of icons are those of `statics/icons.svg`, without their `i-`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from backoffice.admin.own_names import THEN

if TYPE_CHECKING:
    from backoffice.admin.presentation_bulk import PickBar

ISO_DATE_LENGTH = len("2026-11-20")


class Link(NamedTuple):
    """Words that lead somewhere."""

    label: str
    url: str


class Hidden(NamedTuple):
    """A form's item that nobody sees."""

    name: str
    value: str


class Moment(NamedTuple):
    """A time in words, with the exact one for machines and for the pointer."""

    text: str
    iso: str = ""
    full: str = ""


class Count(NamedTuple):
    """A number of rows, and how it came about ("" where it is exact)."""

    text: str
    how: str = ""


NO_COUNT = Count("")


class Tone(StrEnum):
    """What a state means to the reader; the usual has none."""

    USUAL = ""
    NONE = "none"
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do with this page: a link, or a button where the method is post.

    `fields` are what the button sends: what people typed belongs into no address.
    """

    label: str
    url: str
    icon: str = ""
    is_primary: bool = False
    is_risk: bool = False
    method: str = "get"
    key: str = ""  # a single key that does the same: "c" creates
    fields: tuple[tuple[str, str], ...] = ()


# The frame -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of the menu."""

    label: str
    url: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class MenuGroup:
    """A heading of the menu and its lines."""

    label: str
    items: tuple[MenuItem, ...]

    @property
    def size(self) -> int:
        """How many lines the group has; above 30 in all, groups fold."""
        return len(self.items)

    @property
    def is_current(self) -> bool:
        """Whether the page belongs to this group."""
        return any(item.is_current for item in self.items)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in."""

    name: str
    role: str
    account_url: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What the last request did; `level` is ok, warn, bad or "" for plain facts."""

    level: str
    text: str
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of this page's cost; with a `fingerprint` it can be explained."""

    text: str
    time: str
    rows: str
    repeats: str = ""
    url: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Foot:
    """The state of the database in one line, at the foot of the menu."""

    text: str
    tone: str
    url: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What the page cost the database: a sentence and its statements.

    `explain_url` takes the name of one of them, and of the request that ran it;
    `request_url` is the request's own page, to send to somebody.
    """

    sentence: str
    statements: tuple[Statement, ...] = ()
    explain_url: str = ""
    request_id: str = ""
    request_url: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page: head, menu, person, messages.

    `title` is the window's title without the brand; "Error: " is put before it by
    pages that have errors. `heading` is the page's only h1. `width` is "" (tables),
    "mid" (forms) or "narrow" (delete, errors). `here` is the path to come back to
    after the theme was changed. Without a `person` no menu is drawn.
    """

    title: str
    brand: str = "Backoffice"
    heading: str = ""
    sub: str = ""
    crumbs: tuple[Link, ...] = ()  # a link without an address is only words
    actions: tuple[Action, ...] = ()
    menu: tuple[MenuGroup, ...] = ()
    person: Person | None = None
    csrf: str = ""
    theme: str = ""  # "", light or dark
    messages: tuple[Message, ...] = ()
    width: str = ""
    request_id: str = ""
    here: str = ""
    home_url: str = "/admin/"
    theme_url: str = "/admin/theme"
    logout_url: str = "/admin/logout"
    cost: Cost | None = None
    foot: Foot | None = None
    refresh: int = 0  # seconds after which the page loads itself anew; 0 never
    is_answer: bool = False  # to a form that was sent to where it can be had by GET


# Lists -----------------------------------------------------------------------------


class Cell(NamedTuple):
    """One value in a table or among facts.

    `kind` says how it is drawn: "text", "mono" (codes, ids), "muted", "date" (needs
    `iso`), "bool", "state" (a dot, or a badge where `tone` is warn or bad), "link"
    (the record's own name), "ref" (another record), "empty" (`text` says what is
    missing: "none", "not yet"), "long" (keeps its line breaks), "code" (JSON and the
    like). Alignment belongs to the column. `title` never holds what is needed.
    """

    text: str
    kind: str = "text"
    url: str = ""
    tone: str = ""
    title: str = ""
    iso: str = ""


@dataclass(frozen=True, slots=True)
class HeadCell:
    """A column: its head, and how its cells stand.

    `url` is the list ordered by this column ("" where it cannot be). `sort` is
    "ascending", "descending" or ""; `rank` is its place among several, from 1, or 0.
    `stack` says what becomes of it below 640 px: "first" the row's name, "up" the
    state beside it, "" a word with its label, "bare" the same without its label,
    "full" a line of its own, "gone" left out; `stacked` chooses for you.
    """

    label: str
    url: str = ""
    sort: str = ""
    rank: int = 0
    is_num: bool = False
    stack: str = ""
    key: str = ""
    next_order: str = ""  # what a click does, in words: "order by name, Z first"
    css: str = field(init=False)
    stacked_label: str = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what every cell of the column would need."""
        words = ("num" if self.is_num else "", self.stack.replace("bare", ""))
        object.__setattr__(self, "css", " ".join(filter(None, words)))
        shown = self.label if self.stack in {"", "full"} else ""
        object.__setattr__(self, "stacked_label", shown)


class Row(NamedTuple):
    """A record in a table; `tone` "on" tints it."""

    key: str
    label: str
    cells: tuple[Cell, ...]
    tone: str = ""


class FilterKind(StrEnum):
    """How a filter is asked for."""

    BOOLEAN = "boolean"
    CHOICE = "choice"
    REFERENCE = "reference"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"


class Choice(NamedTuple):
    """One value to choose."""

    value: str
    label: str
    is_checked: bool = False
    rows: str = ""


@dataclass(frozen=True, slots=True)
class FilterControl:
    """One filter in the drawer.

    Boolean and choice filters draw `choices`; a reference draws its chosen values as
    ticked `choices` and, with `lookup_url`, a field to type in (sent as `name` too: a
    key, or an exact name). Numbers and dates are sent as `name__from` and `name__to`,
    a text as `name`. Where `is_nullable`, `name__empty` is "" (any), "yes" or "no";
    `empty` is the one in use. Empty items are sent too and mean nothing.
    """

    name: str
    label: str
    kind: str
    choices: tuple[Choice, ...] = ()
    value: str = ""
    low: str = ""
    high: str = ""
    is_nullable: bool = False
    empty: str = ""
    lookup_url: str = ""
    error: str = ""
    hint: str = ""


class Chip(NamedTuple):
    """A filter, the order or a mistake, as it stands above the list.

    `kind` is "filter", "sort" or "error"; an error's `text` is its whole sentence.
    """

    label: str
    text: str
    remove_url: str
    kind: str = "filter"


@dataclass(frozen=True, slots=True)
class SearchBox:
    """The search field; `label` names what is searched: "Name, code or e-mail"."""

    value: str
    label: str
    name: str = "search"


@dataclass(frozen=True, slots=True)
class Pager:
    """Where in the list we are, and the ways on.

    `hidden` is the list's canonical query string without page, pageSize, after and
    before. `page` is None where the number is not known. `order` is the list's own, in
    words, where none was asked for.
    """

    first: str
    last: str
    count: Count
    page: int | None = None
    page_size: int = 50
    page_sizes: tuple[int, ...] = ()
    previous_url: str = ""
    next_url: str = ""
    hidden: tuple[Hidden, ...] = ()
    order: str = ""


class Suggestion(NamedTuple):
    """What the list would hold without one of its conditions."""

    without: str
    rows: str
    url: str = ""  # "" where that would show nothing either


@dataclass(frozen=True, slots=True)
class Empty:
    """A list without rows: what belongs here, or what to leave out."""

    heading: str
    text: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class ListView:
    """A list page.

    `hidden` goes with search and filters: order and page size, no filter, no page.
    With `problems` (chips of kind error) there are no rows, and `empty` says why.
    """

    identity: str
    name: str
    name_plural: str
    url: str
    columns: tuple[HeadCell, ...]
    rows: tuple[Row, ...]
    pager: Pager | None = None
    search: SearchBox | None = None
    filters: tuple[FilterControl, ...] = ()
    chips: tuple[Chip, ...] = ()
    clear_url: str = ""
    hidden: tuple[Hidden, ...] = ()
    empty: Empty | None = None
    notes: tuple[Message, ...] = ()
    caption: str = ""
    pick: "PickBar | None" = None  # what can be done with the rows

    @property
    def filters_in_use(self) -> int:
        """How many filters are set, rightly or wrongly."""
        return sum(chip.kind != "sort" for chip in self.chips)


def stacked(kinds: tuple[str, ...], *, at_most: int = 3) -> tuple[str, ...]:
    """Choose each column's `stack` from the kinds of its cells.

    The first link (or the first column) is the name, the first state stands beside it,
    `at_most` others follow, dates last; the rest is left out below 640 px. But for what
    a wide table comes to, its last two columns: the average, and whether it is enough.
    """
    first = kinds.index("link") if "link" in kinds else 0
    states = [index for index, kind in enumerate(kinds) if kind == "state"]
    up = next((index for index in states if index != first), -1)
    others = [
        index
        for index, kind in enumerate(kinds)
        if index not in {first, up} and kind not in {"mono", "long", "code"}
    ]
    others.sort(key=lambda index: kinds[index] == "date")
    chosen = dict.fromkeys(range(len(kinds)), "gone")
    is_wide = len(others) > 2 * at_most
    ends = [at for at in others[at_most:] if is_wide and kinds[at] != "date"][-2:]
    for index in others[:at_most] + ends:
        chosen[index] = "bare" if kinds[index] == "ref" else ""
    chosen |= {first: "first", up: "up"}
    return tuple(chosen[index] for index in range(len(kinds)))


# Forms -----------------------------------------------------------------------------


class Control(StrEnum):
    """How a field is asked for."""

    TEXT = "text"
    TEXTAREA = "textarea"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    SELECT = "select"
    CHECKBOX = "checkbox"
    REFERENCE = "reference"
    READONLY = "readonly"
    JSON = "json"
    LINES = "lines"
    PASSWORD = "password"  # noqa: S105 - the name of a control
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of a form.

    `value` is what stands in it. `was` is the value when the form was opened, where it
    differs ("84"); `is_changed` draws the dot. `error` stands in the hint's place and
    may carry `error_link`. A checkbox sends "true" or nothing.

    A reference is sent as three items: `name` is the text in the field (a label, a key
    or an exact name), `name:key` the key that was picked, `name:for` the text that it
    was picked for. The key counts only where `name:for` equals `name`: without
    JavaScript the text may have been changed and the key not. `candidates` are offered
    when several records fit; they are radio buttons called `name:key`. `lookup_url`
    with `?term=` answers `{"choices": [{"key": "17", "label": "…", "hint": "…"}],
    "more": false}`. `reference` is the link to the record, under the field.
    """

    name: str
    label: str
    control: str = Control.TEXT
    value: str = ""
    id: str = ""
    choices: tuple[Choice, ...] = ()
    is_required: bool = False
    hint: str = ""
    error: str = ""
    error_link: Link | None = None
    was: str = ""
    is_changed: bool = False
    is_num: bool = False
    is_mono: bool = False
    width: str = ""  # w2, w3, w4 of 6, or "" for all
    rows: int = 3
    lookup_url: str = ""
    reference_key: str = ""
    reference: Link | None = None
    candidates: tuple[Choice, ...] = ()
    inputmode: str = ""
    max_length: str = ""
    placeholder: str = ""
    autocomplete: str = ""
    has_focus: bool = False
    empty_label: str = ""  # of a select's first, empty choice; "" for none

    @property
    def is_iso_date(self) -> bool:
        """Whether a browser's own date field can hold the value."""
        if not self.value:
            return True
        try:
            date.fromisoformat(self.value)
        except ValueError:
            return False
        return len(self.value) == ISO_DATE_LENGTH

    @property
    def dom_id(self) -> str:
        """The element's id; links of the error summary lead to it."""
        return self.id or f"f-{self.name}"

    @property
    def described_by(self) -> str:
        """The id of the line under the field, "" where there is none."""
        if self.error:
            return f"{self.dom_id}-e"
        has_line = self.hint or self.was or self.reference
        return f"{self.dom_id}-h" if has_line else ""


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields under one legend; `is_legend_hidden` keeps it for screen readers only."""

    legend: str
    fields: tuple[FieldView, ...]
    hint: str = ""
    is_legend_hidden: bool = False
    is_marks: bool = False  # small fields: two abreast on a telephone


class FieldProblem(NamedTuple):
    """A line of the error summary, leading to its field ("" for the whole record)."""

    label: str
    text: str
    target: str = ""


class Submit(NamedTuple):
    """A button that saves, and what it does then."""

    label: str
    value: str = ""
    is_primary: bool = False
    name: str = THEN


class Change(NamedTuple):
    """One field of an entry of the history: old and new, "" for empty."""

    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Who did what when."""

    who: str
    when: Moment
    what: str = ""  # "created", "deleted", "logged in"; "" for a change of fields
    changes: tuple[Change, ...] = ()
    record: Link | None = None  # where entries of several records stand together
    end: str = ""  # that a record ended here, and what is above is another's
    run: Link | None = None  # the run of an action that did it


class Fact(NamedTuple):
    """A label and its value."""

    label: str
    value: Cell


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts under one heading."""

    heading: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class FormView:
    """A form to create or edit a record.

    `state` is the signed token of what was shown. `hidden` are further items (where to
    go after saving). `aside` draws boxes beside the form.
    """

    url: str
    groups: tuple[FieldGroup, ...]
    submits: tuple[Submit, ...]
    cancel_url: str
    state: str = ""
    hidden: tuple[Hidden, ...] = ()
    summary: str = ""  # "Not saved. Two fields need you; what you typed is still here."
    problems: tuple[FieldProblem, ...] = ()
    notes: tuple[Message, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    history_url: str = ""
    history_count: str = ""
    aside: tuple[FactGroup, ...] = ()
    has_history: bool = False
    changed: int = 0
    largest: int = 0  # bytes that may be sent; 0 where nobody has said


class Piece(NamedTuple):
    """A run of text; `is_new` where it differs from what was there before."""

    text: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class ConflictChoice:
    """A field that both have changed.

    The radio buttons are sent as `name` with "theirs", "mine" or "written", the text
    field as `written_name`; without `can_write` there is no third choice.
    """

    name: str
    label: str
    opened: str
    theirs: tuple[Piece, ...]
    mine: tuple[Piece, ...]
    written: str = ""
    written_name: str = ""
    can_write: bool = True
    is_long: bool = False
    chosen: str = ""
    error: str = ""


class MergedField(NamedTuple):
    """A field that only one has changed, or that the database computes."""

    label: str
    opened: str
    theirs: str
    mine: str
    saved: str
    whose: str  # "theirs", "mine" or "computed"
    saved_words: str = ""  # "Grace's", "yours"
    is_num: bool = False


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A record that somebody else saved first: choose, see what is merged, save."""

    url: str
    who: str
    when: Moment
    sentence: str
    text: str
    choices: tuple[ConflictChoice, ...] = ()
    merged: tuple[MergedField, ...] = ()
    same: str = ""  # "5 other fields are the same in both versions"
    hidden: tuple[Hidden, ...] = ()
    state: str = ""
    discard: Link | None = None
    save_label: str = "Save the merged record"
    # The same person saved it, in another tab or window.
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class DependentRow:
    """What hangs on a record; `fate` is "deleted", "kept" or "forbids"."""

    label: str
    count: str
    fate: str
    words: str
    url: str = ""
    examples: tuple[Link, ...] = ()
    more: str = ""  # "and 4 more"


@dataclass(frozen=True, slots=True)
class DeleteView:
    """The page before a record is deleted.

    Where something forbids it there is no button, and `verdict` says what to do.
    """

    url: str
    verdict: str
    text: str
    rows: tuple[DependentRow, ...]
    is_forbidden: bool
    cancel: Link
    button: str = "Delete"
    confirm: str = ""
    caption: str = "What hangs on this record"
    advice: Link | None = None
    footnote: str = ""
    hidden: tuple[Hidden, ...] = ()
    error: str = ""


# Details, history, start page -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelatedList:
    """Some records that belong to this one."""

    label: str
    columns: tuple[HeadCell, ...]
    rows: tuple[Row, ...]
    count: Count = NO_COUNT
    url: str = ""  # the list of all of them
    create: Link | None = None
    empty: str = "None yet."


@dataclass(frozen=True, slots=True)
class DetailsView:
    """A record with all that belongs to it."""

    groups: tuple[FactGroup, ...]
    related: tuple[RelatedList, ...] = ()
    aside: tuple[FactGroup, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    history_url: str = ""
    history_count: str = ""
    has_history: bool = True
    notes: tuple[Message, ...] = ()


class Narrowing(NamedTuple):
    """One thing that a history is narrowed down by.

    With `choices` it is one of them; a text otherwise, or a day; `known` are texts
    that one may want.
    """

    name: str
    label: str
    value: str = ""
    choices: tuple[Choice, ...] = ()
    known: tuple[str, ...] = ()
    is_day: bool = False
    is_wrong: bool = False
    # What may be typed, where it is empty.
    hint: str = ""


@dataclass(frozen=True, slots=True)
class HistoryView:
    """Who changed what, newest first: of one record, or of all."""

    entries: tuple[HistoryEntry, ...]
    url: str = ""
    narrowings: tuple[Narrowing, ...] = ()
    clear_url: str = ""
    notes: tuple[Message, ...] = ()
    older_url: str = ""
    newest_url: str = ""
    empty: str = "Nothing was changed yet."
    footnote: str = ""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A view on the start page."""

    label: str
    url: str
    count: Count = NO_COUNT
    create: Link | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class IndexGroup:
    """A group of the menu, on the start page."""

    label: str
    entries: tuple[IndexEntry, ...]


@dataclass(frozen=True, slots=True)
class IndexView:
    """The start page: what is here, and what was changed last."""

    groups: tuple[IndexGroup, ...]
    recent: tuple[HistoryEntry, ...] = ()
    recent_url: str = ""
    has_recent: bool = True


# Login, account, errors -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoginView:
    """The login page; `next_words` name where one comes back to."""

    url: str
    email: str = ""
    error: str = ""
    notice: str = ""
    next_words: str = ""
    hidden: tuple[Hidden, ...] = ()
    forgotten: str = "Forgotten? Ask an administrator for a new one."


@dataclass(frozen=True, slots=True)
class ErrorView:
    """Something did not work: what happened, what was kept, what to do."""

    text: str
    kept: str = ""
    actions: tuple[Action, ...] = ()
    facts: tuple[Fact, ...] = ()
    request: str = ""  # the number to tell an administrator


@dataclass(frozen=True, slots=True)
class ConfirmView:
    """A page with one button, for what is not done by following a link."""

    url: str
    text: str
    button: str
    cancel: Link | None = None
    is_danger: bool = False
    hidden: tuple[Hidden, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A place where the person is logged in."""

    id: str
    place: str  # "Firefox on Linux, 192.0.2.7"
    opened: Moment
    seen: Moment
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class AccountView:
    """One's own account: facts, password, sessions."""

    facts: tuple[Fact, ...]
    password_url: str
    password_fields: tuple[FieldView, ...]
    password_hint: str = ""
    summary: str = ""
    problems: tuple[FieldProblem, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    close_url: str = ""  # POST with `session`
    close_others_url: str = ""  # POST
    hidden: tuple[Hidden, ...] = ()


def hidden_items(
    items: Mapping[str, str] | tuple[tuple[str, str], ...],
) -> tuple[Hidden, ...]:
    """Turn names and values into hidden items of a form."""
    pairs = items.items() if isinstance(items, Mapping) else items
    return tuple(Hidden(name, value) for name, value in pairs)
