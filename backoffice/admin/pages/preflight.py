"""A preflight in words: its verdict, its numbers, its sample of rows."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, String, update

from backoffice.admin import words
from backoffice.admin.call import Call, address
from backoffice.admin.cells import value_drawer
from backoffice.admin.description import ListColumn, choices_of, column_at, is_numeric
from backoffice.admin.model_view import ModelView
from backoffice.admin.naming import Names, names_of, text_of
from backoffice.admin.pages.chosen import Task
from backoffice.admin.pages.left_out import left_out, left_out_keys
from backoffice.admin.panels import coloured
from backoffice.admin.presentation import Cell, Fact, Hidden, Link
from backoffice.admin.presentation_bulk import (
    BeforeAfter,
    PreflightView,
    SampleColumn,
    SampleRow,
    Tile,
)
from backoffice.auth.permissions import may
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.deleting_postgresql import FEW
from backoffice.bulk.run import undoable_attributes
from backoffice.bulk.statements import rendered
from backoffice.bulk.states import RowState
from backoffice.bulk.target import Chosen, is_postgresql
from backoffice.bulk.touched import (
    touched_checks,
    touched_indexes,
    touched_references,
)
from backoffice.bulk.trial import Preflight, Sample, Since

NUMBERS = (int, float, Decimal)


NOWHERE = Link("", "")


def preflight_view(  # noqa: PLR0913 - a page has as many sides, each by its name
    call: Call,
    view: ModelView,
    found: Preflight,
    task: Task,
    *,
    is_for_job: bool,
    since: Since,
    expires: datetime,
    mark: str,
    url: str = "",
    cancel: Link = NOWHERE,
    excluded: int = 0,
    ask_url: str = "",
    error: str = "",
) -> PreflightView:
    """What the page draws; a terminal has no addresses."""
    most = call.site.backoffice.settings.bulk.at_once
    is_large = found.count > most
    tone, verdict, text, can_run = verdict_of(view, found, task, since.count)
    if is_large and can_run and not is_for_job:
        verdict = f"{found.count:,} records are more than {most:,}, the most at once."
        tone, can_run = "warn", False
    is_uncounted = can_run and found.digest is None
    if is_uncounted:
        about = records(view, found.count)
        verdict = f"About {about} are chosen. Count them first: what runs is exact."
        if not found.tried:
            text = (
                "Finding them takes longer than a page should; nothing was tried yet."
            )
        tone, can_run = "warn", False
    will = found.changed if found.is_whole else int(found.changed * found.share)
    noun = records(view, will)
    if not found.is_whole:
        noun = f"up to {records(view, found.count)}"
    is_deletion = isinstance(task.change, EachRecord) and task.change.is_deletion
    sample = [one.row.key for one in found.samples]
    names = names_of(call, view, [*sample, *left_out_keys(found, since)])
    values = Names(call, [(view, sampled(found))])
    return PreflightView(
        url=url,
        tone=tone,
        verdict=verdict,
        text=text,
        tiles=tuple(tiles(found, task, is_large=is_large)) if found.count else (),
        columns=tuple(sample_column(values, view, name) for name in found.attributes),
        rows=tuple(
            sample_row(call, view, found, one, names, values) for one in found.samples
        ),
        sample_words=sample_words(found),
        facts=tuple(facts(call, found, task)),
        statement=coloured(found.statement) if found.statement else (),
        change=change_pieces(call, task.change),
        change_words=given_back_words(view, task),
        statement_words=statement_words(call, found, task, is_large=is_large),
        plan=found.plan,
        button=f"{task.verb} {noun}" if can_run else "",
        is_danger=is_deletion,
        valid=f"Valid until {words.moment(expires).text}",
        cancel=cancel,
        hidden=(Hidden("expected", mark),),
        excluded=words.plural(excluded, "row") if excluded else "",
        ask_url=ask_url,
        error=error,
        confirm=f"Yes, delete {noun}" if is_deletion and can_run else "",
        choose="Take rows out" if found.count > len(found.samples) else "",
        count="Count them" if is_uncounted else "",
        waiting=waiting_words(is_uncounted=is_uncounted) if is_large else "",
        left_out=tuple(left_out(call, view, found, since, names)),
        explain=explain_words(task)
        if found.count and may(call.login.role, "ops:explain")
        else "",
    )


def waiting_words(*, is_uncounted: bool) -> str:
    """What is said while many rows are counted, or written down for their run."""
    if is_uncounted:
        return "The rows are being counted."
    return (
        "The rows are being counted once more and written down; nothing is changed "
        "before that is done."
    )


def change_pieces(call: Call, change: Change) -> tuple[tuple[str, str], ...]:
    """What an update sets, in short: without the rows, and without its history."""
    if not isinstance(change, SetValues):
        return ()
    values = {one.column: one.expression for one in change.assignments}
    short = update(change.table).values(values)
    return coloured(rendered(call.session, short, has_values=change.is_undoable))


def given_back_words(view: ModelView, task: Task) -> str:
    """What an undo sets, in a sentence; the SQL of it is long."""
    if task.since is None:
        return ""
    names = undoable_attributes(task.change)
    return f"Each row gets its old {named(view, names)} back, as the history has it."


def named(view: ModelView, names: Sequence[str]) -> str:
    """As in: price and stock."""
    labels = view.description.labels
    return words.series([labels.get(name, name).lower() for name in names])


def statement_words(call: Call, found: Preflight, task: Task, *, is_large: bool) -> str:
    """What the statements are that the page shows."""
    tried = words.plural(found.tried, "record")
    if isinstance(task.change, EachRecord) and task.change.is_of_many:
        are_many = found.tried > FEW and is_postgresql(call.session)
        how = "together, not one by one" if are_many else "one by one"
        return f"They go {how}; for {tried} these were sent."
    if isinstance(task.change, EachRecord):
        return f"A function of the view; for {tried} it has sent these."
    if is_large:
        return "First the rows are written down, then each batch is one statement."
    return "The change and its history are one statement."


def explain_words(task: Task) -> str:
    """What the button says that explains what would run."""
    is_update = isinstance(task.change, SetValues)
    return "Explain this update" if is_update else "Explain how the rows are found"


def records(view: ModelView, count: int) -> str:
    """As in: 1 product, 412,774 products."""
    return words.plural(
        count, words.within_sentence(view.name), words.within_sentence(view.name_plural)
    )


def verdict_of(
    view: ModelView, found: Preflight, task: Task, since: int | None
) -> tuple[str, str, str, bool]:
    """Tone, sentence, what proves it, and whether it can be run."""
    many = words.within_sentence(view.name_plural)
    if not found.count:
        if since:
            return (
                "warn",
                f"All {since:,} were changed since, so nothing is given back.",
                "They are left alone.",
                False,
            )
        return "warn", f"No {many} are chosen.", "Nothing would happen.", False
    if found.problem:
        return (
            "bad",
            found.problem,
            "It was tried, refused and rolled back. Nothing has been written.",
            False,
        )
    does = {"Delete": "be deleted", "Give back": "get their old values back"}.get(
        task.verb, "change"
    )
    is_nothing = found.is_whole and not found.changed
    parts = [] if is_nothing else [f"{records(view, found.changed)} will {does}"]
    if not found.is_whole:
        about = "" if found.is_exact else "About "
        tried = f"of {found.tried:,} that were tried {found.changed:,} would {does}"
        parts = [f"{about}{records(view, found.count)} are chosen; {tried}"]
    if found.same:
        stay = "stays as it is" if found.same == 1 else "stay as they are"
        parts.append(f"{found.same:,} {stay}")
    if found.refused:
        is_one = len(found.refused) == 1
        more = "at least " if found.is_refused_capped else ""
        parts.append(
            f"{more}{len(found.refused):,} {'is' if is_one else 'are'} refused and "
            "will be left out"
        )
    if found.locked:
        held = len(found.locked)
        parts.append(f"{held:,} {'is' if held == 1 else 'are'} held by somebody else")
    if since is None:
        parts.append("what was changed since will be left alone")
    elif since:
        were = "was" if since == 1 else "were"
        parts.append(f"{since:,} {were} changed since and will be left alone")
    sentence = words.series(parts) + "."
    sentence = sentence[:1].upper() + sentence[1:]
    how = tried_words(found)
    if found.is_refused_capped:
        how += " What is refused besides will be left out and listed as well."
    if is_nothing:
        return "warn", f"Nothing would change. {sentence}", how, False
    # What cannot be taken back is nothing to be waved through by a green light.
    is_calm = not (found.refused or found.locked or task.verb == "Delete")
    return "ok" if is_calm else "warn", sentence, how, True


def tried_words(found: Preflight) -> str:
    """How it is known."""
    spent = f" in {_lasting(found.spent)}" if found.spent else ""
    if found.is_whole:
        which = "all of them" if found.count > 1 else "it"
        return f"It was tried on {which}{spent} and rolled back. Nothing was written."
    return (
        f"It was tried on {found.tried:,} of them{spent} and rolled back. Nothing was "
        "written."
    )


def tiles(found: Preflight, task: Task, *, is_large: bool) -> Iterator[Tile]:
    """Four numbers before the click."""
    if found.seconds is not None:
        how = "in one transaction"
        if is_large:
            how = "in batches; lists stay usable, and you can pause"
        seconds = found.seconds if found.is_whole else roughly(found.seconds)
        yield Tile("Takes about", _lasting(seconds), "", how)
    else:
        yield Tile("Takes", "not known")
    if found.written:
        yield Tile("Writes about", words.size(found.written), "with audit")
    elif found.elsewhere:
        other = sum(count for _, _, count in found.elsewhere)
        yield Tile("Other tables", f"{other:,}", "rows written", _by_tried(found))
    held = len(found.locked)
    yield Tile(
        "Locks",
        f"{held:,}" if held else "none",
        "held by another" if held else "held by others",
        ("tried again at the end" if is_large else "these have to be free first")
        if held
        else f"each row until its {'batch' if is_large else 'run'} is done",
    )
    if undoable_attributes(task.change):
        yield Tile("Undo", "Yes", "", "rows changed since are left alone")
    else:
        yield Tile("Undo", "No", "", "old values stay readable in the history")


def roughly(seconds: float) -> float:
    """A time as exact as it is known that was told from a few of the rows."""
    for least, step in ((600, 60), (60, 30), (10, 5)):
        if seconds >= least:
            return float(round(seconds / step) * step)
    return seconds


def _lasting(seconds: float) -> str:
    """A duration that is never nothing."""
    least = 0.001
    return words.duration(seconds) if seconds >= least else f"< 1{words.NBSP}ms"


def sample_words(found: Preflight) -> str:
    """As in: 8 of 1,234; the refused first, then the largest changes."""
    shown = len(found.samples)
    if shown == found.count:
        return "all of them" if shown > 1 else ""
    order = ["the refused first"] if found.refused else []
    if found.is_largest_first and found.changed:
        which = "" if found.is_whole else f" of the {found.tried:,} that were tried"
        order.append(f"{'then ' if order else ''}the largest changes{which}")
    told = f"; {', '.join(order)}" if order else ""
    return f"{shown:,} of {found.count:,}{told}"


def sampled(found: Preflight) -> dict[str, list[Any]]:
    """Every value of the sample, by its column."""
    return {
        name: [
            side[name]
            for one in found.samples
            for side in (one.before, one.after)
            if name in side
        ]
        for name in found.attributes
    }


def sample_column(values: Names, view: ModelView, name: str) -> SampleColumn:
    """The head of a column that is set; the key of a record is no amount."""
    is_key = values.target_of(view, name) is not None
    column = column_at(view.description.mapper, name)
    return SampleColumn(values.label_of(view, name), is_numeric(column) and not is_key)


def sample_row(
    call: Call,
    view: ModelView,
    found: Preflight,
    one: Sample,
    names: Mapping[str, str],
    values: Names,
) -> SampleRow:
    """One row, now and then."""
    remark, tone, is_runnable = "", "", True
    match one.state:
        case RowState.REFUSED:
            remark, tone, is_runnable = f"Refused: {one.words}", "bad", False
        case RowState.LOCKED:
            remark, tone = one.words, "warn"
        case RowState.SAME:
            remark = "Stays as it is."
        case RowState.WAITING:
            pass
        case _:
            remark, tone, is_runnable = one.words, "warn", False
    url = ""
    if call.may("details"):
        base = call.site.base_url
        url = address(base, view.identity, "details", one.row.key)
    return SampleRow(
        one.row.key,
        name_of(one.row, names),
        url,
        tuple(cells(view, found.attributes, one, values)),
        remark,
        tone,
        is_runnable,
    )


def name_of(row: Chosen, names: Mapping[str, str]) -> str:
    """What a row is called: in the view's own words if they are known."""
    return names.get(row.key) or row.label or row.key


def cells(
    view: ModelView, attributes: Sequence[str], one: Sample, values: Names
) -> Iterator[BeforeAfter]:
    """Each column that is set, before and after."""
    for name in attributes:
        column = column_at(view.description.mapper, name)
        before = live(column, one.before.get(name))
        after = live(column, one.after.get(name))
        is_known = name in one.after
        now = shown(view, name, before, values) if name in one.before else ""
        then = shown(view, name, after, values) if is_known else ""
        is_changed = is_known and before != after
        is_amount = values.target_of(view, name) is None
        yield BeforeAfter(
            now, then, is_changed, difference(before, after) if is_amount else ""
        )


def live(column: Any, value: Any) -> Any:
    """A value as the column has it, also one that stands in the audit."""
    is_exact = column is not None and isinstance(column.type, Numeric)
    if is_exact and isinstance(value, str):
        return Decimal(value)
    return value


def shown(view: ModelView, name: str, value: Any, values: Names) -> str:
    """A value as lists draw it: a record by its name, a long text cut."""
    mapper = view.description.mapper
    column = column_at(mapper, name)
    if column is None:
        return text_of(value)
    if column.info.get("secret"):
        return "…"
    is_kept = isinstance(value, str) and not isinstance(column.type, String | Numeric)
    if value is not None and (is_kept or values.target_of(view, name) is not None):
        return values.text_of(view, name, value)
    for known in (*view.description.columns, *view.description.details):
        if known.path == name:
            return value_drawer(mapper, known)(value).text
    plain = ListColumn(
        name, name, name, "text", is_numeric(column), choices=choices_of(column)
    )
    return value_drawer(mapper, plain)(value).text


def difference(before: Any, after: Any) -> str:
    """As in: +3.59; nothing for what is no amount."""
    if isinstance(before, bool) or isinstance(after, bool):
        return ""
    if not isinstance(before, NUMBERS) or not isinstance(after, NUMBERS):
        return ""
    if isinstance(before, float) or isinstance(after, float):
        return ""
    change: Any = after - before
    sign = "+" if change > 0 else "−" if change < 0 else ""  # noqa: RUF001
    return f"{sign}{words.number(abs(change))}" if change else "none"


def facts(call: Call, found: Preflight, task: Task) -> Iterator[Fact]:
    """What it touches, besides the rows themselves."""
    if isinstance(task.change, SetValues):
        yield from _update_facts(call, found, task.change)
    for table_name, action, count in found.elsewhere:
        view = call.site.view_of_table(table_name)
        name = view.name_plural if view is not None else table_name
        did = {"update": "changed", "delete": "deleted", "create": "added"}
        text = f"{count:,} {did.get(action, action)}"
        by = _by_tried(found)
        yield Fact(name, Cell(f"{text} {by}" if by else text))
    if found.sequences:
        used = ", ".join(found.sequences)
        yield Fact(
            "Sequences", Cell(f"{used}: what trying has drawn is not given back.")
        )


def _by_tried(found: Preflight) -> str:
    """Whose numbers they are, where not all were tried."""
    return "" if found.is_whole else f"for the {found.tried:,} that were tried"


def _update_facts(call: Call, found: Preflight, change: SetValues) -> Iterator[Fact]:
    if is_postgresql(call.session):
        most = call.site.backoffice.settings.bulk.at_once
        until = "until its batch is done, about a second"
        if found.count <= most:
            until = "until the end"
        text = f"Each row {until}. Reading goes on; who edits one of them waits."
        yield Fact("Locks", Cell(text))
    for hit in found.triggers:
        times = words.plural(hit.calls, "time")
        text = f"{hit.name}: {times}, {words.duration(hit.seconds)}"
        yield Fact("Trigger", Cell(text))
    checks = [str(check.name) for check in touched_checks(change) if check.name]
    if checks:
        yield Fact("Rules", Cell(", ".join(checks), "mono"))
    indexes, every = touched_indexes(change)
    if every:
        text = f"{len(indexes)} of {every} are rewritten"
        if indexes:
            text += f": {', '.join(indexes)}"
        yield Fact("Indexes", Cell(text if indexes else "None is rewritten."))
    referred = touched_references(change)
    if referred:
        yield Fact("Refers to", Cell(", ".join(referred)))


def parameters_of(
    view: ModelView, texts: Mapping[str, str], name: str
) -> tuple[Fact, ...]:
    """What an action was told, as facts."""
    spec = view.actions.get(name)
    labels = {one.name: one.label for one in spec.parameters} if spec else {}
    known = view.description.labels
    return tuple(
        Fact(labels.get(key) or known.get(key, key), Cell(text or "empty"))
        for key, text in texts.items()
    )
