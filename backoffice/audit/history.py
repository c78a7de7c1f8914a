"""Who changed what, newest first: of one record, or of one run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, inspect, select
from sqlalchemy.orm import Session

from backoffice.audit.history_postgresql import short_changes
from backoffice.audit.models import AuditEntry

# How far back the last change of a field is looked for.
LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry, as it is shown."""

    id: int
    at: datetime
    actor_id: str | None
    actor_label: str
    action: str
    view: str
    table_name: str
    key: str
    label: str
    # Attribute → what it was, what it became; plain JSON values.
    changes: Mapping[str, tuple[Any, Any]]
    request_id: str
    run_id: int | None = None
    # What that run is called, where it was asked for.
    run_label: str = ""


def history_of(
    session: Session,
    table_name: str,
    key: str,
    limit: int,
    before: int | None = None,
    *,
    run_label: ColumnElement[str | None] | None = None,
) -> list[HistoryEntry]:
    """The last `limit` entries of one record; `before` an entry's id for older ones.

    `run_label` is what the run of an entry is called: who knows runs knows that.
    """
    query = select(AuditEntry).where(
        AuditEntry.table_name == table_name, AuditEntry.key == key
    )
    return _read(session, query, limit, before, run_label=run_label)


def last_changes(
    session: Session, table_name: str, key: str, fields: Iterable[str]
) -> dict[str, HistoryEntry]:
    """For each field the newest entry that changed it, where one is known."""
    wanted = set(fields)
    found: dict[str, HistoryEntry] = {}
    for entry in history_of(session, table_name, key, LOOKED_AT):
        if entry.action == "delete":
            break  # what is older is of an earlier record with the same key
        for field in wanted & entry.changes.keys():
            found.setdefault(field, entry)
    return found


def last_entries(
    session: Session, table_name: str, keys: Iterable[str]
) -> dict[str, HistoryEntry]:
    """The newest entry of each of these records, by key, where there is one."""
    newest = (
        select(func.max(AuditEntry.id))
        .where(AuditEntry.table_name == table_name, AuditEntry.key.in_(list(keys)))
        .group_by(AuditEntry.key)
    )
    query = select(AuditEntry).where(AuditEntry.id.in_(newest))
    return {one.key: one for one in _read(session, query, None, None)}


def of_run(
    session: Session, run_id: int, table_name: str, limit: int, after: int = 0
) -> list[HistoryEntry]:
    """The first entries that a run has written of a table, or those after an entry."""
    query = select(AuditEntry).where(
        AuditEntry.run_id == run_id,
        AuditEntry.table_name == table_name,
        AuditEntry.id > after,
    )
    return _read(session, query, limit, None, is_newest_first=False)


def last_deletion(session: Session, table_name: str, key: str) -> HistoryEntry | None:
    """The entry of the record's deletion, if that is the last that happened to it."""
    entries = history_of(session, table_name, key, 1)
    return entries[0] if entries and entries[0].action == "delete" else None


def _read(
    session: Session,
    query: Select[AuditEntry],
    limit: int | None,
    before: int | None,
    *,
    is_newest_first: bool = True,
    run_label: ColumnElement[str | None] | None = None,
) -> list[HistoryEntry]:
    if before is not None:
        query = query.where(AuditEntry.id < before)
    # Plain rows: entries are read, never changed, and need no place in the session.
    columns = entry_columns(session)
    if run_label is not None:
        columns.append(run_label.label("run_label"))
    rows = session.execute(
        query.with_only_columns(*columns)
        .order_by(AuditEntry.id.desc() if is_newest_first else AuditEntry.id)
        .limit(limit)
    )
    return [entry_of(row) for row in rows.mappings()]


def entry_columns(
    session: Session, entry: type[AuditEntry] = AuditEntry
) -> list[ColumnElement[Any]]:
    """What is read of an entry: its columns, long values cut where that can be."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    table = inspect(entry).selectable
    return [
        short_changes(entry) if column.name == "changes" and is_postgresql else column
        for column in table.columns
    ]


def entry_of(row: Mapping[Any, Any]) -> HistoryEntry:
    """The entry of a row of `entry_columns`; what stands beside them is passed over."""
    own = {column.name: row[column.name] for column in AuditEntry.__table__.columns}
    at: datetime = row["at"]
    changes = {field: (pair[0], pair[1]) for field, pair in row["changes"].items()}
    # SQLite gives times back without their zone, which was UTC.
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    label = row.get("run_label") or ""
    return HistoryEntry(**{**own, "at": at, "changes": changes, "run_label": label})
