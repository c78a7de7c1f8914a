"""How a statement did over the days: hours per process, written and added up."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from backoffice.observability.counters import STATEMENT_COUNTERS
from backoffice.observability.histogram import Histogram
from backoffice.observability.models import PROCESS, VIEW, StatementHour
from backoffice.observability.recorder import Recorder, Tracked
from backoffice.observability.statement_texts import (
    TextWriter,
    aware,
    table_of,
    upsert,
)

_COLUMNS = {
    "rows": "row_count",
    "wait": "wait_ns",
    "execute": "execute_ns",
    "fetch": "fetch_ns",
    "commit": "commit_ns",
}
ROWS_AT_ONCE = 500
# So many times the statements that memory holds are remembered for an hour, those that
# were forgotten as well; then the rest of it is written under another name.
REMEMBERED = 5
LONGEST_TURN = 5


@dataclass(slots=True)
class Totals:
    """The counters of one statement, to be added and taken apart."""

    numbers: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(STATEMENT_COUNTERS, 0)
    )
    histogram: Histogram = field(default_factory=Histogram)

    @classmethod
    def of(cls, stats: Tracked) -> "Totals":
        """A statement's counters as they are now."""
        numbers = {name: int(getattr(stats, name)) for name in STATEMENT_COUNTERS}
        return cls(numbers, Histogram().merge(stats.histogram))

    def plus(self, other: "Totals", sign: int = 1) -> "Totals":
        """Both together; with `sign` -1 what is left without the other."""
        made = Totals(
            {
                name: self.numbers[name] + sign * other.numbers[name]
                for name in STATEMENT_COUNTERS
            }
        )
        made.histogram.merge(self.histogram)
        for bucket, number in other.histogram.counts.items():
            left = made.histogram.counts.get(bucket, 0) + sign * number
            made.histogram.counts[bucket] = left
        made.histogram.counts = {
            bucket: number for bucket, number in made.histogram.counts.items() if number
        }
        made.histogram.number += sign * other.histogram.number
        made.histogram.total += sign * other.histogram.total
        made.histogram.maximum = max(
            made.histogram.maximum, other.histogram.maximum if sign > 0 else 0
        )
        return made


class HourWriter:
    """Writes what this process counted since the hour began, over and over.

    A row holds the whole hour so far: writing it twice changes nothing.
    """

    def __init__(self, recorder: Recorder, *, source: str | None = None) -> None:
        self.recorder = recorder
        started = int(recorder.started)
        name = source or f"{socket.gethostname()}:{os.getpid()}:{started}"
        self._process = name[: PROCESS - LONGEST_TURN]
        self._turns = 0
        self._hour = self._latest = -1
        self._base: dict[tuple[str, str], tuple[Tracked, Totals]] = {}
        self._written: dict[tuple[str, str], tuple[int, int]] = {}
        self._carried: dict[tuple[str, str], Totals] = {}

    @property
    def source(self) -> str:
        """The process, as its rows name it: once more after each turn in mid-hour."""
        return f"{self._process}:{self._turns}" if self._turns else self._process

    def write(self, engine: Engine, texts: TextWriter) -> int:
        """Write the hours of the statements that were called since the last time."""
        hour = int(self.recorder.clock() // 3600)
        is_full = len(self._base) > self.recorder.limit * REMEMBERED
        if hour == self._hour and not is_full:
            return self._write(engine, texts)
        # What was counted until now belongs to the hour before, and is written there.
        written = self._write(engine, texts) if self._hour >= 0 else 0
        # An hour that this process has written already, because memory was full or the
        # clock went back, goes on under another name: its rows must stand.
        self._turns = self._turns + 1 if hour <= self._latest else 0
        self._latest = max(self._latest, hour)
        self._turn(hour)
        return written + self._write(engine, texts)

    def _write(self, engine: Engine, texts: TextWriter) -> int:
        stats = self._entries()
        # What was forgotten meanwhile is written once more, as it was then.
        gone = {k: known for k, (known, _) in self._base.items() if k not in stats}
        stats = gone | stats
        rows, names = [], []
        for key, entry in stats.items():
            if self._written.get(key) == (id(entry), entry.calls):
                continue
            totals = self._hour_of(key, entry)
            if totals.numbers["calls"]:
                rows.append((key, totals))
                names.append((entry.name, entry.last_seen))
        at = datetime.fromtimestamp(self._hour * 3600, UTC)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            try:
                with engine.begin() as connection:
                    seen = texts.write(connection, names[some])
                    self._upsert(connection, at, rows[some])
            except SQLAlchemyError:
                texts.forget()
                raise
            texts.done(seen)
            for key, _ in rows[some]:
                self._written[key] = (id(stats[key]), stats[key].calls)
        return len(rows)

    def _entries(self) -> dict[tuple[str, str], Tracked]:
        found: dict[tuple[str, str], Tracked] = self.recorder.read(
            lambda recorder: dict(recorder.statements)
        )
        return found

    def _turn(self, hour: int) -> None:
        """Begin an hour; at the first write all counts belong to the one that runs."""
        first = self._hour < 0
        self._hour = hour
        self._written.clear()
        self._carried.clear()
        self._base = {
            key: (entry, Totals() if first else Totals.of(entry))
            for key, entry in self._entries().items()
        }

    def _hour_of(self, key: tuple[str, str], entry: Tracked) -> Totals:
        """What belongs to this hour, of an entry that may have been evicted between."""
        known = self._base.get(key)
        if known is None:
            self._base[key] = (entry, Totals())
        elif known[0] is not entry:
            before = Totals.of(known[0]).plus(known[1], -1)
            carried = self._carried.get(key, Totals())
            self._carried[key] = carried.plus(before)
            self._base[key] = (entry, Totals())
        totals = Totals.of(entry).plus(self._base[key][1], -1)
        return totals.plus(self._carried[key]) if key in self._carried else totals

    def _upsert(
        self,
        connection: Connection,
        at: datetime,
        rows: Iterable[tuple[tuple[str, str], Totals]],
    ) -> None:
        table = table_of(StatementHour)
        statement = upsert(connection.dialect.name, table)
        keys = [column.name for column in table.primary_key]
        changed = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in keys
        }
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
        connection.execute(
            statement,
            [
                {
                    "at": at,
                    "fingerprint": fingerprint,
                    "view": view[:VIEW],
                    "source": self.source,
                    "histogram": totals.histogram.to_json(),
                    **{
                        _COLUMNS.get(name, name): number
                        for name, number in totals.numbers.items()
                    },
                }
                for (fingerprint, view), totals in rows
            ],
        )


@dataclass(frozen=True, slots=True)
class HourPoint:
    """One statement in one hour, all processes and views together; milliseconds."""

    at: datetime
    calls: int
    errors: int
    timeouts: int
    rows: int
    total_ms: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float


def read_hours(
    connection: Connection,
    fingerprint: str,
    *,
    since: datetime,
    view: str | None = None,
) -> tuple[HourPoint, ...]:
    """The hours of a statement, oldest first."""
    table = table_of(StatementHour)
    statement = select(table).where(
        table.c.fingerprint == fingerprint, table.c.at >= since
    )
    if view is not None:
        statement = statement.where(table.c.view == view)
    hours: dict[datetime, list[Any]] = {}
    for row in connection.execute(statement):
        hours.setdefault(aware(row.at), []).append(row)
    return tuple(_point(at, rows) for at, rows in sorted(hours.items()))


def _point(at: datetime, rows: list[Any]) -> HourPoint:
    histogram = Histogram()
    for row in rows:
        histogram.merge(Histogram.from_json(row.histogram))
    p50, p95, p99 = histogram.quantiles((0.5, 0.95, 0.99))
    return HourPoint(
        at=at,
        calls=sum(row.calls for row in rows),
        errors=sum(row.errors for row in rows),
        timeouts=sum(row.timeouts for row in rows),
        rows=sum(row.row_count for row in rows),
        total_ms=histogram.total / 1e6,
        p50_ms=_ms(p50),
        p95_ms=_ms(p95),
        p99_ms=_ms(p99),
        max_ms=histogram.maximum / 1e6,
    )


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
