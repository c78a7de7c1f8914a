"""What does the address of the history ask for, and what in it is wrong?

What is wrong is said, and then nothing is shown: as in lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from urllib.parse import urlencode

from sqlalchemy import Table

from backoffice.admin.call import Call
from backoffice.admin.chronicle import WORDS
from backoffice.admin.history_people import People, people_of
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import Choice, Narrowing
from backoffice.auth.permissions import AUDIT_VIEWS
from backoffice.bulk.timeline import RUNS, Mark, TimelineFilter
from backoffice.database.values import shown

BY, VIEW, KIND, SINCE, UNTIL = "by", "view", "kind", "at__from", "at__to"
BEFORE = "before"
LABELS = {BY: "Person", VIEW: "List", KIND: "What", SINCE: "From", UNTIL: "To"}
# Before the number of a run that a page ends with; entries are plain numbers.
RUN_MARK = "run-"
KINDS = {**WORDS, "update": "changed", RUNS: "runs of actions"}
LONGEST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The history that is asked for, and the form that asks for it."""

    filter: TimelineFilter
    behind: Mark | None
    # What narrows it down, as in the address.
    kept: Mapping[str, str]
    narrowings: tuple[Narrowing, ...]
    people: People
    problems: tuple[str, ...] = ()

    def query(self, behind: Mark | None = None) -> str:
        """The query string of the same, or of its page behind a place."""
        items = dict(self.kept)
        if behind is not None:
            items[BEFORE] = f"{RUN_MARK if behind.is_run else ''}{behind.id}"
        return f"?{urlencode(items)}" if items else ""


def read_query(call: Call) -> HistoryQuery:
    """What is asked for, by who may see it; it reads the accounts alone."""
    problems: list[str] = []
    given = _gathered(call, problems)
    tables = dict(_tables(call))
    wrong: set[str] = set()

    def refuse(name: str, why: str) -> None:
        problems.append(why)
        wrong.add(name)

    view, kind = given.get(VIEW, ""), given.get(KIND, "")
    if view and view not in tables:
        refuse(VIEW, f"“{shown(view)}” is no list with a history here.")
    if kind and kind not in KINDS:
        refuse(KIND, f"“{shown(kind)}” is nothing that the history knows.")
    days: dict[str, date] = {}
    for name in (SINCE, UNTIL):
        if text := given.get(name, ""):
            try:
                days[name] = date.fromisoformat(text)
            except ValueError:
                refuse(
                    name,
                    f"{LABELS[name]}: “{shown(text)}” is no day; 2026-01-31 is one.",
                )
    if SINCE in days and UNTIL in days and days[SINCE] > days[UNTIL]:
        refuse(SINCE, f"From {days[SINCE]} to {days[UNTIL]} is backwards.")
    behind = _mark(given.get(BEFORE, ""))
    if given.get(BEFORE) and behind is None:
        problems.append(f"“{shown(given[BEFORE])}” is no place in the history.")
    people = people_of(call, given.get(BY, ""))
    asked = TimelineFilter(
        actors=people.actors,
        table_name=tables[view].description.table_name if view in tables else "",
        action=kind if kind in KINDS else "",
        since=_midnight(days.get(SINCE)),
        until=_midnight(days.get(UNTIL), after=1),
    )
    kept = {name: text for name, text in given.items() if name != BEFORE}
    lists = [(name, one.name_plural) for name, one in tables.items()]
    return HistoryQuery(
        asked,
        behind,
        kept,
        tuple(_narrowings(people, given, lists, wrong)),
        people,
        tuple(problems),
    )


def _gathered(call: Call, problems: list[str]) -> dict[str, str]:
    """The parameters that are filled, each once."""
    given: dict[str, str] = {}
    for name, value in call.query_items:
        text = value.strip()
        if name not in LABELS and name != BEFORE:
            safe = shown("".join(c if c.isprintable() else "�" for c in name))
            near = get_close_matches(name[:100], LABELS, n=1)
            hint = f"; {near[0]} is" if near else ""
            problems.append(f"{safe} is not a filter of the history{hint}.")
        elif "\0" in text or "�" in text:
            problems.append(f"{LABELS.get(name, name)} has bytes that are no text.")
        elif text and given.setdefault(name, text) != text:
            problems.append(f"{LABELS.get(name, name)} is given twice.")
    return given


def _tables(call: Call) -> Iterator[tuple[str, ModelView]]:
    """The views that have a history and that this person may read, one of a table."""
    for view in call.site.views:
        if not isinstance(view, ModelView) or not call.may("history", view):
            continue
        if view.identity in AUDIT_VIEWS:  # they tell; nobody writes into them
            continue
        table = view.description.mapper.local_table
        is_audited = isinstance(table, Table) and table.info.get("audit", True)
        first = call.site.view_of_table(view.description.table_name)
        if is_audited and first is view:
            yield view.identity, view


def _narrowings(
    people: People,
    given: Mapping[str, str],
    lists: Sequence[tuple[str, str]],
    wrong: set[str],
) -> Iterator[Narrowing]:
    kinds = [(name, text.capitalize()) for name, text in KINDS.items()]
    by_name = sorted(lists, key=lambda pair: pair[1])
    for name, choices in ((BY, ()), (VIEW, by_name), (KIND, kinds)):
        yield Narrowing(
            name,
            LABELS[name],
            given.get(name, ""),
            tuple(_choices(choices, given.get(name, ""))) if choices else (),
            known=people.offered if name == BY else (),
            hint=f"part of a {people.part}" if name == BY else "",
            is_wrong=name in wrong,
        )
    for name in (SINCE, UNTIL):
        value = given.get(name, "")
        yield Narrowing(name, LABELS[name], value, is_day=True, is_wrong=name in wrong)


def _choices(known: Sequence[tuple[str, str]], chosen: str) -> Iterator[Choice]:
    yield Choice("", "any")
    for value, text in known:
        yield Choice(value, text, is_checked=value == chosen)


def _mark(text: str) -> Mark | None:
    """The place that a page begins behind; None where it is none."""
    digits = text.removeprefix(RUN_MARK)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_DIGITS):
        return None
    return Mark(int(digits), is_run=digits != text)


def _midnight(day: date | None, after: int = 0) -> datetime | None:
    """The beginning of a day, or of the one after it; at the calendar's end none."""
    if day is None or (after and day == date.max):
        return None
    return datetime.combine(day + timedelta(days=after), time(), UTC)
