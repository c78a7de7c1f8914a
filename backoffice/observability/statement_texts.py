"""Which statements are known by name: their texts, written once and dated.

What is slow, and what is counted by the hour, refers to them by fingerprint.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from backoffice.observability.fingerprints import Fingerprint
from backoffice.observability.models import StatementText

# A text is dated anew at most so often: a row version each time would be churn.
DATED_EVERY = 600.0
REMEMBERED = 5_000

Seen = Iterable[tuple[Fingerprint, float]]


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """What is known of a statement for good."""

    fingerprint: str
    text: str
    operation: str
    table_name: str
    revision: str
    first_seen: datetime
    last_seen: datetime


class TextWriter:
    """Writes the texts that a process meets, each when it is new and now and then.

    `revision` is the newest migration: it tells statements that came with it.
    """

    def __init__(self, *, revision: str = "") -> None:
        self.revision = revision[:200]
        self._dated: dict[str, float] = {}

    def write(self, connection: Connection, seen: Seen) -> dict[str, float]:
        """Make sure that these are known; the answer is for `done`, once committed."""
        latest: dict[str, tuple[Fingerprint, float]] = {}
        for name, at in seen:
            # Either way: a clock that went back must not stop it for as long.
            if abs(at - self._dated.get(name.id, float("-inf"))) < DATED_EVERY:
                continue
            if name.id not in latest or latest[name.id][1] < at:
                latest[name.id] = (name, at)
        if latest:
            connection.execute(
                self._statement(connection.dialect.name),
                # In one order everywhere: two processes must not wait for each other.
                [self._row(name, at) for _, (name, at) in sorted(latest.items())],
            )
        return {key: at for key, (_, at) in latest.items()}

    def done(self, written: dict[str, float]) -> None:
        """Note that these are in the table."""
        if len(self._dated) > REMEMBERED:
            self._dated.clear()
        self._dated.update(written)

    def forget(self) -> None:
        """Assume nothing: a write failed, and the table may be another one now."""
        self._dated.clear()

    @staticmethod
    def _statement(dialect: str) -> Any:
        table = table_of(StatementText)
        statement = upsert(dialect, table)
        return statement.on_conflict_do_update(
            index_elements=[table.c.fingerprint],
            set_={"last_seen": statement.excluded.last_seen},
            where=table.c.last_seen < statement.excluded.last_seen,
        )

    def _row(self, name: Fingerprint, at: float) -> dict[str, Any]:
        moment = datetime.fromtimestamp(at, UTC)
        return {
            "fingerprint": name.id,
            "text": name.text.replace("\x00", ""),
            "operation": name.operation[:40],
            "table_name": name.table[:130],
            "revision": self.revision,
            "first_seen": moment,
            "last_seen": moment,
        }


def read_statement(connection: Connection, fingerprint: str) -> StatementRecord | None:
    """A statement by its fingerprint; None if it was never written or is forgotten."""
    known = table_of(StatementText)
    statement = select(known).where(known.c.fingerprint == fingerprint)
    return next(iter(records(connection.execute(statement).mappings())), None)


def select_new(revision: str, *, limit: int = 10) -> Select[Any]:
    """The statements that were first seen at this revision, newest first."""
    known = table_of(StatementText)
    return (
        select(known)
        .where(known.c.revision == revision)
        .order_by(known.c.first_seen.desc(), known.c.fingerprint)
        .limit(limit)
    )


def new_since(
    connection: Connection, revision: str, *, limit: int = 10
) -> tuple[StatementRecord, ...]:
    """The statements of `select_new`, over any connection."""
    return records(connection.execute(select_new(revision, limit=limit)).mappings())


def records(rows: Iterable[Any]) -> tuple[StatementRecord, ...]:
    """Rows of the table as plain data."""
    return tuple(
        StatementRecord(
            **{
                **row,
                "first_seen": aware(row["first_seen"]),
                "last_seen": aware(row["last_seen"]),
            }
        )
        for row in rows
    )


def upsert(dialect: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def table_of(model: type[Any]) -> Table:
    """The table of one of our own models."""
    table: Table = model.__table__
    return table


def aware(at: datetime) -> datetime:
    """The moment with its time zone, which SQLite forgets."""
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
