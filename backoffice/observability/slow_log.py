"""What was slow, or failed: gathered in memory, written outside of requests.

Nothing here runs in a request but `SlowLog.offer`, which appends to a list. The
statements of this module are not observed themselves: they would be their own news.
"""

import os
import socket
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    func,
    insert,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from backoffice.observability.fingerprints import Fingerprint
from backoffice.observability.models import (
    ERROR,
    LABEL,
    PROCESS,
    VIEW,
    SlowStatement,
    StatementText,
)
from backoffice.observability.recorder import Slow
from backoffice.observability.statement_texts import TextWriter, aware, table_of

# So many calls of one statement by one view in a minute say it all.
KEPT_A_MINUTE = 15
PENDING = 5_000


@dataclass(slots=True)
class Pending:
    """A row that waits to be written."""

    fingerprint: Fingerprint
    values: dict[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """One line of the slow log, for pages and terminals; milliseconds."""

    id: int
    at: datetime
    total_ms: float
    wait_ms: float
    execute_ms: float
    fetch_ms: float
    commit_ms: float
    row_count: int | None
    reason: str
    baseline_ms: float | None
    error: str
    view: str
    action: str
    actor_label: str
    request_id: str
    process: str
    more: int
    fingerprint: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Plain data with the time in ISO 8601."""
        return {**asdict(self), "at": self.at.isoformat()}


class SlowLog:
    """Takes slow statements in without blocking, and hands them over in batches."""

    def __init__(self, *, process: str | None = None) -> None:
        self.process = (process or f"{socket.gethostname()}:{os.getpid()}")[:PROCESS]
        self.dropped = 0
        self._pending: deque[Pending] = deque()
        self._groups: dict[tuple[str, str], tuple[int, int, Pending]] = {}
        self._lock = Lock()

    def offer(self, slow: Slow) -> None:
        """Note a statement for the next write; the many are one with a number."""
        measured = slow.measured
        key = (measured.fingerprint.id, measured.view)
        minute = int(measured.at // 60)
        with self._lock:
            known = self._groups.get(key)
            number = known[1] if known is not None and known[0] == minute else 0
            if known is not None and number >= KEPT_A_MINUTE:
                known[2].values["more"] += 1
                return
            if len(self._pending) >= PENDING:
                self.dropped += 1
                return
            pending = Pending(measured.fingerprint, self._values(slow), measured.at)
            self._pending.append(pending)
            if len(self._groups) >= PENDING:
                self._groups.clear()
            self._groups[key] = (minute, number + 1, pending)

    def take(self, limit: int = 1_000) -> list[Pending]:
        """The oldest rows that wait; `put_back` what could not be written."""
        with self._lock:
            number = min(limit, len(self._pending))
            return [self._pending.popleft() for _ in range(number)]

    def put_back(self, rows: list[Pending]) -> None:
        """Keep rows for later; when there are too many the oldest go."""
        with self._lock:
            self._pending.extendleft(reversed(rows))
            while len(self._pending) > PENDING:
                self._pending.popleft()
                self.dropped += 1

    def __len__(self) -> int:
        return len(self._pending)

    def _values(self, slow: Slow) -> dict[str, Any]:
        """A row of the table."""
        measured, work = slow.measured, slow.measured.work
        actor = work.actor if work is not None else None
        return {
            "at": datetime.fromtimestamp(measured.at, UTC),
            "total_ms": measured.total / 1e6,
            "wait_ms": measured.wait / 1e6,
            "execute_ms": measured.execute / 1e6,
            "fetch_ms": measured.fetch / 1e6,
            "commit_ms": measured.commit / 1e6,
            "row_count": measured.rows if measured.rows >= 0 else None,
            "reason": slow.reason,
            "baseline_ms": slow.baseline_ms,
            "error": measured.error[:ERROR],
            "view": measured.view[:VIEW],
            "action": measured.action[:VIEW],
            "actor_id": actor.id[:64] if actor and actor.id else None,
            "actor_label": actor.label[:LABEL] if actor else "",
            "request_id": measured.request_id[:64],
            "process": self.process,
            "more": 0,
            "fingerprint": measured.fingerprint.id,
        }


def write_slow(engine: Engine, log: SlowLog, texts: TextWriter) -> int:
    """Write what waits, in batches; the number of rows written.

    When the database cannot take them they go on waiting.
    """
    written = 0
    while rows := log.take():
        try:
            with engine.begin() as connection:
                seen = texts.write(
                    connection, ((row.fingerprint, row.at) for row in rows)
                )
                connection.execute(
                    insert(table_of(SlowStatement)), [dict(row.values) for row in rows]
                )
        except SQLAlchemyError:
            texts.forget()
            log.put_back(rows)
            raise
        texts.done(seen)
        written += len(rows)
    return written


def recent_slow(
    *,
    limit: int = 10,
    after_id: int | None = None,
    fingerprint: str | None = None,
    request_id: str | None = None,
    view: str | None = None,
) -> Select[Any]:
    """The newest entries, newest first; with `after_id` those that came since."""
    slow, known = table_of(SlowStatement), table_of(StatementText)
    columns = [
        known.c.text if name == "text" else slow.c[name]
        for name in SlowEntry.__dataclass_fields__
    ]
    statement = select(*columns).join(known, slow.c.fingerprint == known.c.fingerprint)
    conditions: list[ColumnElement[bool]] = []
    if after_id is not None:
        conditions.append(slow.c.id > after_id)
    if fingerprint is not None:
        conditions.append(slow.c.fingerprint == fingerprint)
    if request_id is not None:
        conditions.append(slow.c.request_id == request_id)
    if view is not None:
        conditions.append(slow.c.view == view)
    return (
        statement.where(*conditions)
        .order_by(slow.c.at.desc(), slow.c.id.desc())
        .limit(limit)
    )


def newest_id(connection: Connection) -> int:
    """The highest id that was given; entries are not written in the order of time."""
    return connection.scalar(select(func.max(table_of(SlowStatement).c.id))) or 0


def longest_of(connection: Connection, fingerprints: Iterable[str]) -> dict[str, float]:
    """The longest call of each of these statements that the log has, in ms."""
    slow = table_of(SlowStatement)
    statement = (
        select(slow.c.fingerprint, func.max(slow.c.total_ms))
        .where(slow.c.fingerprint.in_(list(fingerprints)))
        .group_by(slow.c.fingerprint)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def entries(rows: Iterable[Any]) -> tuple[SlowEntry, ...]:
    """The rows of `recent_slow` as plain data."""
    return tuple(SlowEntry(**{**row, "at": aware(row["at"])}) for row in rows)


def read_slow(connection: Connection, **which: Any) -> tuple[SlowEntry, ...]:
    """The newest entries, over any connection; arguments as `recent_slow`."""
    return entries(connection.execute(recent_slow(**which)).mappings())
