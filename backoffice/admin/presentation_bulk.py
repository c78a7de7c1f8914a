"""What do the pages of actions get to draw? Plain frozen data, ready in words."""

from dataclasses import dataclass
from typing import NamedTuple

from backoffice.admin.presentation import (
    Action,
    Choice,
    Fact,
    FieldProblem,
    FieldView,
    Hidden,
    HistoryEntry,
    Link,
    Message,
    Moment,
    SearchBox,
)


@dataclass(frozen=True, slots=True)
class PickBar:
    """The bar above a list: which rows, and what to do with them.

    `query` is the list's own query string, `total` its rows in words where all of them
    can be chosen.
    """

    url: str
    query: str
    total: str
    actions: tuple[Choice, ...]
    rows: int
    button: str = "Show what would change"


@dataclass(frozen=True, slots=True)
class TickedField:
    """A field that is changed only where its box is ticked."""

    field: FieldView
    is_ticked: bool = False


@dataclass(frozen=True, slots=True)
class AskView:
    """The form of an action that has to be told something."""

    url: str
    text: str
    button: str
    cancel: Link
    fields: tuple[FieldView, ...] = ()
    ticked: tuple[TickedField, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    summary: str = ""
    problems: tuple[FieldProblem, ...] = ()


class Tile(NamedTuple):
    """One number before the click: what, how much, of what, and a line more."""

    label: str
    big: str
    small: str = ""
    line: str = ""


class BeforeAfter(NamedTuple):
    """One column of a row: what it is and what it would be."""

    before: str
    after: str
    is_changed: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class SampleColumn:
    """A column that is set."""

    label: str
    is_num: bool = False


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of the sample; `tone` is "bad" where it is refused, "warn" where held."""

    key: str
    label: str
    url: str
    values: tuple[BeforeAfter, ...]
    remark: str = ""
    tone: str = ""
    is_runnable: bool = True


@dataclass(frozen=True, slots=True)
class DriftedRow:
    """A row that is another than the one that was shown; `what` has become of it."""

    label: str
    url: str
    what: str
    who: str
    when: Moment | None


@dataclass(frozen=True, slots=True)
class LeftRow:
    """A row that a run has not changed or would not, and why."""

    label: str
    url: str
    reason: str
    is_bad: bool = False


class LeftGroup(NamedTuple):
    """Rows that are left out for one reason, and how many more there are."""

    title: str
    rows: tuple[LeftRow, ...]
    more: str = ""


@dataclass(frozen=True, slots=True)
class PreflightView:
    """What an action would do, before the click that does it.

    `tone` is ok, warn or bad. Without a `button` it cannot be run, and `verdict` says
    why.
    """

    url: str
    tone: str
    verdict: str
    text: str
    tiles: tuple[Tile, ...]
    columns: tuple[SampleColumn, ...]
    rows: tuple[SampleRow, ...]
    sample_words: str
    facts: tuple[Fact, ...]
    statement: tuple[tuple[str, str], ...]
    plan: str
    button: str
    is_danger: bool
    valid: str
    cancel: Link
    hidden: tuple[Hidden, ...] = ()
    excluded: str = ""
    ask_url: str = ""
    error: str = ""
    confirm: str = ""
    explain: str = ""
    count: str = ""
    left_out: tuple[LeftGroup, ...] = ()
    statement_words: str = ""
    choose: str = ""
    about: str = ""
    change: tuple[tuple[str, str], ...] = ()
    # What the change is in a sentence, where its SQL is too long to be read.
    change_words: str = ""
    # What is said while the answer to the button takes its time.
    waiting: str = ""
    drift: tuple[DriftedRow, ...] = ()
    drift_more: str = ""


class ChosenRow(NamedTuple):
    """A row of a selection, and whether it is still in."""

    key: str
    label: str
    url: str
    is_in: bool


@dataclass(frozen=True, slots=True)
class ChosenRowsView:
    """A page of the rows of a selection; `after` is where the next one begins."""

    url: str
    rows: tuple[ChosenRow, ...]
    after: str
    first_url: str
    before_url: str
    search: SearchBox | None
    all_url: str
    out: str
    empty: str
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened in a run, with its time."""

    text: str
    when: Moment


@dataclass(frozen=True, slots=True)
class RunView:
    """One run: what came of it, what was left alone, and what can be done about it.

    `share` is how much is done, 0 to 100; None where there is nothing to show of it.
    """

    url: str
    tone: str
    icon: str
    verdict: str
    text: str
    numbers: tuple[Fact, ...]
    left: tuple[LeftRow, ...]
    left_count: str
    left_more: str
    changed: tuple[HistoryEntry, ...]
    changed_more: str
    happenings: tuple[Happening, ...]
    statement: tuple[tuple[str, str], ...]
    parameters: tuple[Fact, ...]
    share: float | None = None
    share_words: str = ""
    wishes: tuple[Choice, ...] = ()
    wish_words: str = ""
    # What is to be ticked before it goes on, where that cannot be undone.
    sure: str = ""
    ran: str = ""
    undo: Action | None = None
    notes: tuple[Message, ...] = ()
    refresh: int = 0
    left_next: str = ""
    left_first: str = ""
    changed_next: str = ""
    changed_first: str = ""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run among others."""

    name: Link
    who: str
    when: Moment
    what: str
    state: str
    tone: str
    rows: str
    took: str
    told: str = ""
    outcome: str = ""
    statement: tuple[tuple[str, str], ...] = ()


class RunsChoice(NamedTuple):
    """One thing that runs are narrowed down by; the first choice is any."""

    name: str
    label: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class RunsView:
    """All runs, newest first."""

    url: str
    runs: tuple[RunLine, ...]
    choices: tuple[RunsChoice, ...] = ()
    clear_url: str = ""
    older_url: str = ""
    newest_url: str = ""
    notes: tuple[Message, ...] = ()
    empty: str = "Nothing was run yet."
