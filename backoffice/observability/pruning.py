"""What is forgotten: old rows, and of many alike all but the worst."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, delete, exists, func, select

from backoffice.observability.models import (
    SlowStatement,
    StatementHour,
    StatementText,
    TableSize,
)
from backoffice.observability.statement_texts import aware, table_of

KEPT_AN_HOUR = 15
DELETED_AT_ONCE = 5_000
THINNED_AFTER = timedelta(days=1)
HOURS_AT_ONCE = timedelta(hours=6)
SIZES_BY_HOUR = timedelta(days=2)


def prune(engine: Engine, *, keep_days: int, now: float | None = None) -> int:
    """Forget what is older than `keep_days`, a few thousand rows at a time."""
    before = _moment(now) - timedelta(days=keep_days)
    slow, known = table_of(SlowStatement), table_of(StatementText)
    gone = _delete_some(engine, slow, slow.c.id, slow.c.at < before)
    gone += _prune_hours(engine, before)
    gone += _prune_sizes(engine, before)
    unused = ~exists().where(slow.c.fingerprint == known.c.fingerprint)
    hours = table_of(StatementHour)
    unread = ~exists().where(hours.c.fingerprint == known.c.fingerprint)
    old = known.c.last_seen < before
    gone += _delete_some(engine, known, known.c.fingerprint, old & unused & unread)
    return gone


def thin_sizes(engine: Engine, *, now: float | None = None) -> int:
    """Keep of the sizes of more than two days ago the first of each day."""
    sizes = table_of(TableSize)
    old = sizes.c.at < _moment(now) - SIZES_BY_HOUR
    with engine.begin() as connection:
        moments = [
            aware(at)
            for at in connection.scalars(
                select(sizes.c.at).distinct().where(old).order_by(sizes.c.at)
            )
        ]
        first: dict[Any, datetime] = {}
        for at in moments:
            first.setdefault(at.astimezone(UTC).date(), at)
        surplus = [at for at in moments if at not in first.values()]
        gone = delete(sizes).where(sizes.c.at.in_(surplus))
        return connection.execute(gone).rowcount if surplus else 0


def thin(engine: Engine, *, now: float | None = None, days: int = 1) -> int:
    """Keep of what is older than a day the fifteen worst of each statement's hour.

    Looks at the last `days` of them; called each hour, one is enough.
    """
    until = _moment(now) - THINNED_AFTER
    since = until - timedelta(days=days)
    slow = table_of(SlowStatement)
    hour = (
        hour_postgresql(slow.c.at)
        if engine.dialect.name == "postgresql"
        else hour_sqlite(slow.c.at)
    )
    rank = func.row_number().over(
        partition_by=(slow.c.fingerprint, slow.c.view, hour),
        order_by=(slow.c.total_ms.desc(), slow.c.id),
    )
    ranked = (
        select(slow.c.id, rank.label("rank"))
        .where(slow.c.at >= since, slow.c.at < until)
        .subquery()
    )
    surplus = select(ranked.c.id).where(ranked.c.rank > KEPT_AN_HOUR)
    with engine.begin() as connection:
        return connection.execute(delete(slow).where(slow.c.id.in_(surplus))).rowcount


def hour_postgresql(column: ColumnElement[datetime]) -> ColumnElement[Any]:
    """The hour of a time, in PostgreSQL."""
    return func.date_trunc("hour", column)


def hour_sqlite(column: ColumnElement[datetime]) -> ColumnElement[Any]:
    """The hour of a time, in SQLite."""
    return func.strftime("%Y-%m-%d %H", column)


def _delete_some(
    engine: Engine, table: Table, key: ColumnElement[Any], which: ColumnElement[bool]
) -> int:
    """Delete in small transactions: no lock is held long, nothing waits."""
    gone = 0
    while True:
        some = select(key).where(which).limit(DELETED_AT_ONCE)
        with engine.begin() as connection:
            number = connection.execute(delete(table).where(key.in_(some))).rowcount
        gone += number
        if number < DELETED_AT_ONCE:
            return gone


def _prune_hours(engine: Engine, before: datetime) -> int:
    """Forget the hours before a moment, a few at a time."""
    table = table_of(StatementHour)
    gone = 0
    while True:
        with engine.begin() as connection:
            oldest = connection.scalar(
                select(func.min(table.c.at)).where(table.c.at < before)
            )
            if oldest is None:
                return gone
            until = min(aware(oldest) + HOURS_AT_ONCE, before)
            gone += connection.execute(delete(table).where(table.c.at < until)).rowcount


def _prune_sizes(engine: Engine, before: datetime) -> int:
    """Forget the sizes before a moment: there are few of them."""
    table = table_of(TableSize)
    with engine.begin() as connection:
        return connection.execute(delete(table).where(table.c.at < before)).rowcount


def _moment(now: float | None) -> datetime:
    return datetime.fromtimestamp(time.time() if now is None else now, UTC)
