"""What happened last? The history of everything, with each run of an action as one.

A run may have a million entries in the audit. None of them is read here: the entries
that no run has written and the runs themselves are two lists by time, merged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    cast,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from backoffice.audit.history import (
    HistoryEntry,
    entry_columns,
    entry_of,
    history_of,
)
from backoffice.audit.models import AuditEntry
from backoffice.bulk.models import Run
from backoffice.bulk.timeline_postgresql import is_one_of, newest_of_each

# Asked for in the place of an entry's action: runs of actions alone.
RUNS = "run"
# The action whose runs delete; those of every other one change what is there.
DELETING = "delete-selected"
OF_RUNS: dict[str, Callable[[type[Run]], ColumnElement[bool]]] = {
    "": lambda _: true(),
    RUNS: lambda _: true(),
    "delete": lambda run: run.action == DELETING,
    "update": lambda run: run.action != DELETING,
}


class Mark(NamedTuple):
    """A place in the history: that of an entry, or of a run."""

    id: int
    is_run: bool = False


@dataclass(frozen=True, slots=True)
class Actors:
    """Who may have done it: by their accounts, or under a name as it stands there."""

    ids: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """What is asked for; "" and None are whatever there is.

    `action` is an entry's or `RUNS`, and `until` is not included. Runs that delete are
    found by `delete`, others by `update`.
    """

    actors: Actors | None = None
    table_name: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run as one event: what it has changed until now."""

    id: int
    at: datetime
    actor_label: str
    view: str
    table_name: str
    action: str
    label: str
    changed: int
    is_ended: bool


Event = HistoryEntry | RunEntry

EVERYTHING = TimelineFilter()


def timeline(
    session: Session,
    limit: int,
    asked: TimelineFilter = EVERYTHING,
    *,
    behind: Mark | None = None,
) -> list[Event]:
    """The newest events that are asked for, or those behind a place; one statement.

    By time; at one time entries come before runs, and higher numbers before lower.
    """
    parts = []
    if asked.action != RUNS:
        parts.append(_entries(session, asked, behind, limit).subquery("e"))
    if asked.action in OF_RUNS:
        parts.append(_runs(session, asked, behind).limit(limit).subquery("r"))
    # Each stops by itself: so its index serves its order, and not a row more is read.
    found = union_all(*(select(part) for part in parts)).subquery("h")
    rows = session.execute(
        select(found)
        .order_by(found.c.at.desc(), found.c.is_run, found.c.id.desc())
        .limit(limit)
    )
    return [_run(row) if row["is_run"] else entry_of(row) for row in rows.mappings()]


def mark_of(event: Event) -> Mark:
    """The place of an event."""
    return Mark(event.id, is_run=isinstance(event, RunEntry))


def record_history(
    session: Session, table_name: str, key: str, limit: int, before: int | None = None
) -> list[HistoryEntry]:
    """The last entries of one record; those of a run say what that is called."""
    label = select(Run.label).where(Run.id == AuditEntry.run_id).scalar_subquery()
    return history_of(session, table_name, key, limit, before, run_label=label)


def _entries(
    session: Session, asked: TimelineFilter, behind: Mark | None, limit: int
) -> Select[Any]:
    # A statement of short names is kept whole, and can be explained.
    entry = aliased(AuditEntry, name="entry")
    columns = [
        *entry_columns(session, entry),
        cast(null(), BigInteger).label("changed"),
        cast(null(), Integer).label("is_ended"),
        literal_column("0", Integer).label("is_run"),
    ]
    query: Select[Any] = select(*columns)
    actors = asked.actors
    if actors is not None and session.get_bind().dialect.name == "postgresql":
        one = aliased(AuditEntry, name="one")
        places: Select[Any] = _asked_for(session, select(), one, asked, behind)
        found = newest_of_each(places, one, actors.ids, actors.label, limit)
        query = query.join(found, found.c.id == entry.id)
    else:
        query = _asked_for(session, query, entry, asked, behind)
        if actors is not None:
            is_own = entry.actor_id.in_(actors.ids)
            query = query.where(or_(is_own, entry.actor_label == actors.label))
    return query.order_by(entry.at.desc(), entry.id.desc()).limit(limit)


def _asked_for(
    session: Session,
    query: Select[Any],
    entry: type[AuditEntry],
    asked: TimelineFilter,
    behind: Mark | None,
) -> Select[Any]:
    """Entries that no run has written, of the kind and the time; whoever did it."""
    query = query.where(entry.run_id.is_(None))
    if asked.action:
        query = query.where(entry.action == asked.action)
    query = _narrowed(session, query, asked, entry.at, entry.table_name)
    if behind is not None:
        query = query.where(_is_behind(entry.at, entry.id, behind, is_run=False))
    return query


def _runs(session: Session, asked: TimelineFilter, behind: Mark | None) -> Select[Any]:
    run = aliased(Run, name="run")
    known = {"at": run.created_at, "run_id": run.id}
    columns: list[ColumnElement[Any]] = []
    for each in AuditEntry.__table__.columns:
        own = known.get(each.name) or getattr(run, each.name, None)
        own = cast(null(), each.type) if own is None else own
        columns.append(own.label(each.name))
    columns += [
        run.changed.label("changed"),
        cast(run.finished_at.is_not(None), Integer).label("is_ended"),
        literal_column("1", Integer).label("is_run"),
    ]
    is_asked = OF_RUNS[asked.action](run)
    query: Select[Any] = select(*columns).where(run.changed > 0, is_asked)
    query = _narrowed(session, query, asked, run.created_at, run.table_name)
    if asked.actors is not None:
        is_own: ColumnElement[bool] = run.actor_id.in_(asked.actors.ids)
        if session.get_bind().dialect.name == "postgresql":
            is_own = is_one_of(run.actor_id, asked.actors.ids)
        query = query.where(or_(is_own, run.actor_label == asked.actors.label))
    if behind is not None:
        query = query.where(_is_behind(run.created_at, run.id, behind, is_run=True))
    return query.order_by(run.created_at.desc(), run.id.desc())


def _narrowed(
    session: Session,
    query: Select[Any],
    asked: TimelineFilter,
    at: InstrumentedAttribute[datetime],
    table_name: InstrumentedAttribute[str],
) -> Select[Any]:
    if asked.table_name:
        query = query.where(table_name == asked.table_name)
    if asked.since is not None:
        query = query.where(at >= _time(session, at, asked.since))
    if asked.until is not None:
        query = query.where(at < _time(session, at, asked.until))
    return query


def _time(
    session: Session, at: InstrumentedAttribute[datetime], value: datetime
) -> ColumnElement[Any]:
    """A time to compare with; SQLite compares texts, as its own clock writes them."""
    value = value.astimezone(UTC)
    if session.get_bind().dialect.name == "postgresql":
        return literal(value, at.type)
    return literal(f"{value:%Y-%m-%d %H:%M:%S}")


def _is_behind(
    at: InstrumentedAttribute[datetime],
    number: InstrumentedAttribute[int],
    behind: Mark,
    *,
    is_run: bool,
) -> ColumnElement[bool]:
    """Whether an event comes after this place; its time is looked up, not told."""
    model, when = (
        (Run, Run.created_at) if behind.is_run else (AuditEntry, AuditEntry.at)
    )
    time = select(when).where(model.id == behind.id).scalar_subquery()
    if is_run == behind.is_run:
        here: ColumnElement[bool] = tuple_(at, number) < tuple_(
            time, literal(behind.id, number.type)
        )
        return here
    return at <= time if is_run else at < time


def _run(row: Mapping[Any, Any]) -> RunEntry:
    at: datetime = row["at"]
    return RunEntry(
        id=row["id"],
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        actor_label=row["actor_label"],
        view=row["view"],
        table_name=row["table_name"],
        action=row["action"],
        label=row["label"],
        changed=row["changed"],
        is_ended=bool(row["is_ended"]),
    )
