"""Whether a migration may start: one at a time, and who waits is told for whom.

On PostgreSQL an advisory lock of the session, asked for outside of any transaction: a
waiter holds no snapshot and no lock, so that CREATE INDEX CONCURRENTLY in the other
migration is not kept waiting by it. SQLite has one writer anyway.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from backoffice.errors import LockNotAvailable

# "backoffi" as a number. Advisory locks are of one database: no name is needed in it.
LOCK_KEY = int.from_bytes(b"backoffi")
_POLL_SECONDS = 0.5

_HOLDER = text(
    """
    SELECT locks.pid, activity.application_name, activity.usename,
      activity.backend_start
    FROM pg_locks AS locks LEFT JOIN pg_stat_activity AS activity USING (pid)
    WHERE locks.locktype = 'advisory' AND locks.granted AND locks.objsubid = 1
      AND locks.database = (SELECT oid FROM pg_database
        WHERE datname = current_database())
      AND (locks.classid::bigint << 32) | locks.objid::bigint = :key
    """
)


@contextmanager
def only_migration(
    connection: Connection, report: Callable[[str], None], *, wait: float
) -> Iterator[None]:
    """Hold the lock of this database's migrations; `connection` is in no transaction.

    Who waits is told once for whom. After `wait` seconds it is given up.

    Raises:
        LockNotAvailable: the other migration ran longer than that.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    _take_lock(connection, report, wait)
    try:
        yield
    finally:
        if not connection.invalidated and not connection.closed:
            _outside_transactions(connection)
            connection.execute(
                text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY}
            )
            connection.rollback()


def _take_lock(
    connection: Connection, report: Callable[[str], None], wait: float
) -> None:
    """Ask for the lock until it is had."""
    default = connection.default_isolation_level
    _outside_transactions(connection)
    give_up_at = time.monotonic() + wait
    told = ""
    while not connection.scalar(
        text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}
    ):
        holder = describe_holder(connection)
        if time.monotonic() >= give_up_at:
            raise LockNotAvailable(
                f"Another migration is running{holder}; nothing was migrated. "
                "Try again when it has ended."
            )
        if holder != told:
            report(f"Waiting for another migration to end{holder}.")
            told = holder
        time.sleep(min(_POLL_SECONDS, max(0.0, give_up_at - time.monotonic())))
    connection.rollback()
    connection.execution_options(isolation_level=default)


def describe_holder(connection: Connection) -> str:
    """Who holds the lock, to follow a sentence; empty if nobody does by now."""
    holder = connection.execute(_HOLDER, {"key": LOCK_KEY}).first()
    if holder is None:
        return ""
    who = [f"process {holder.pid}"]
    # Another role's session shows these to its members and to pg_monitor only.
    if holder.application_name:
        who.append(holder.application_name)
    if holder.usename:
        who.append(f"as {holder.usename}")
    if holder.backend_start:
        who.append(f"since {holder.backend_start:%Y-%m-%d %H:%M:%S %Z}".rstrip())
    return f" ({', '.join(who)})"


def _outside_transactions(connection: Connection) -> None:
    """Every statement is its own transaction from here on."""
    connection.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
