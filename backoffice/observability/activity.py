"""What does PostgreSQL do right now: sessions, who waits for whom, and ending one.

Text of statements is shown without its literals; whose view it is comes from the
comment in front of it. SQLite has no sessions: there the reading says so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backoffice.observability.fingerprints import normalise
from backoffice.observability.ops_connection import (
    DEADLINE,
    OpsReader,
    Question,
    Reading,
    State,
)
from backoffice.observability.pool import Holding, PoolStatus

_COMMENT = re.compile(r"/\*(.*?)\*/")
HIDDEN = "<insufficient privilege>"
SQLITE: Reading[Any] = Reading(State.NOT_HERE, text="SQLite has no sessions")
NEEDS = "grant pg_monitor to the database's role"
NEEDS_SIGNAL = "grant pg_signal_backend to the database's role"

# Whom a role may not see has no kind and no state, but it is there. Who waits for a
# lock is asked of the locks: they are open to every role. A superuser's session is
# ended by a superuser alone; any other by its own role and by pg_signal_backend.
POSTGRESQL_ACTIVITY = """
SELECT a.pid, a.query_start::text AS started, a.usename AS role,
       a.application_name AS application, a.state, a.wait_event_type, a.wait_event,
       a.query,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS in_state,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS running,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS in_transaction,
       extract(epoch FROM clock_timestamp() - w.since)::float8 AS waited,
       CASE WHEN w.pid IS NULL THEN '{}'::int[]
            ELSE pg_blocking_pids(a.pid) END AS blocked_by,
       coalesce(r.rolsuper, false) AS is_superuser,
       me.rolsuper OR NOT coalesce(r.rolsuper, true)
         AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
         AS may_signal
  FROM pg_stat_activity AS a
  JOIN pg_roles AS me ON me.rolname = current_user
  LEFT JOIN pg_roles AS r ON r.oid = a.usesysid
  LEFT JOIN (SELECT pid, min(waitstart) AS since FROM pg_locks
              WHERE NOT granted GROUP BY pid) AS w ON w.pid = a.pid
 WHERE a.datname = current_database()
   AND (a.backend_type = 'client backend'
        OR (a.backend_type IS NULL AND a.usename IS NOT NULL))
   AND a.pid <> pg_backend_pid() AND a.application_name <> 'backoffice-ops'
"""

# The query's start is compared too: a pid is used again, this pair is not.
POSTGRESQL_CANCEL = """
SELECT pg_cancel_backend(pid) AS sent FROM pg_stat_activity
 WHERE pid = %(pid)s AND query_start = %(started)s::timestamptz
   AND datname = current_database() AND backend_type = 'client backend'
   AND pid <> pg_backend_pid() AND state = 'active'
"""
POSTGRESQL_TERMINATE = """
SELECT pg_terminate_backend(pid) AS sent FROM pg_stat_activity
 WHERE pid = %(pid)s AND query_start = %(started)s::timestamptz
   AND datname = current_database() AND backend_type = 'client backend'
   AND pid <> pg_backend_pid()
"""
POSTGRESQL_BLOCKERS = f"""
{POSTGRESQL_ACTIVITY} AND a.pid = ANY (pg_blocking_pids(%(pid)s))
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """One session of the server; seconds, or None where there is no such time.

    `started` is the start of its statement as the server writes it: what a cancel
    gives back, to end this statement and no other. `is_hidden` sessions belong to
    roles whose statements ours may not see. `waited` is how long it waits for a lock.
    `may_signal` says whether our role may end it, or what it does.
    """

    pid: int
    started: str
    role: str
    application: str
    state: str
    wait: str
    text: str
    view: str
    action: str
    in_state: float | None
    running: float | None
    in_transaction: float | None
    waited: float | None
    blocked_by: tuple[int, ...]
    is_hidden: bool
    may_signal: bool = True
    is_superuser: bool = False


@dataclass(frozen=True, slots=True)
class LockNode:
    """A session in the tree of those that wait for each other; the root is first.

    `backend` is None for a prepared transaction, or one that ended meanwhile.
    """

    pid: int
    depth: int
    backend: Backend | None
    waiting: int

    @property
    def is_root(self) -> bool:
        """Whether everybody below waits for this one, and it for nobody."""
        return self.depth == 0


@dataclass(frozen=True, slots=True)
class Live:
    """A session, and the connection of our own pools that it is the other end of."""

    backend: Backend
    holding: Holding | None
    process: int | None


class Signal(StrEnum):
    """Which way a session is ended."""

    CANCEL = "cancel"
    TERMINATE = "terminate"


class SignalOutcome(StrEnum):
    """What came of it."""

    SENT = "sent"
    FINISHED = "already finished"
    NO_RIGHTS = "no rights"
    FAILED = "not sent"


def activity_question() -> Question[tuple[Backend, ...]]:
    """All sessions of this database but the ops connections'."""
    return Question("activity", POSTGRESQL_ACTIVITY, backends)


def read_activity(
    reader: OpsReader, *, deadline: float = DEADLINE
) -> Reading[tuple[Backend, ...]]:
    """The sessions, now."""
    if not reader.is_postgresql:
        return SQLITE
    return reader.ask(activity_question(), deadline=deadline)["activity"]


def hidden_words(found: Iterable[Backend]) -> str:
    """How many sessions ours may not see, and what would change that; "" if none."""
    number = sum(one.is_hidden for one in found)
    if not number:
        return ""
    noun = "session of another role" if number == 1 else "sessions of other roles"
    return f"no rights to see {number} {noun}: {NEEDS}"


def why_not_signalled(one: Backend) -> str:
    """Why nothing can end this session, or what it does, from here; "" if it can."""
    if one.is_hidden or not one.started:
        return f"no rights to see what it does: {NEEDS}" if one.is_hidden else ""
    if one.may_signal:
        return ""
    if one.is_superuser:
        return f"{one.role} is a superuser, and only a superuser may signal it"
    return f"no rights to signal the role {one.role}: {NEEDS_SIGNAL}"


def read_blockers(
    reader: OpsReader, pid: int, *, deadline: float = 0.5
) -> Reading[tuple[Backend, ...]]:
    """Whom the session `pid` waits for: asked while a save waits for its lock."""
    if not reader.is_postgresql:
        return SQLITE
    question = Question("blockers", POSTGRESQL_BLOCKERS, backends, {"pid": pid})
    found = reader.ask(question, deadline=deadline)["blockers"]
    # Whom somebody else waited for before is no answer.
    return found if found.is_fresh else Reading(found.state, text=found.text)


def end_backend(
    reader: OpsReader, signal: Signal, pid: int, started: str
) -> SignalOutcome:
    """Cancel a session's statement, or end the session.

    Only if it still runs the statement that began at `started`: nobody else is hit.
    A transaction that stands idle has nothing to cancel: it is "already finished", and
    only terminating the session ends it.
    """
    if not started:
        return SignalOutcome.NO_RIGHTS  # the role may not even see what it runs
    sql = POSTGRESQL_CANCEL if signal is Signal.CANCEL else POSTGRESQL_TERMINATE
    question = Question(
        "signal",
        sql,
        lambda rows: [bool(row["sent"]) for row in rows],
        {"pid": pid, "started": started},
    )
    found = reader.ask(question)["signal"]
    if found.state is State.NO_RIGHTS:
        return SignalOutcome.NO_RIGHTS
    if not found.is_fresh:
        return SignalOutcome.FAILED
    if not found.value:
        return SignalOutcome.FINISHED
    return SignalOutcome.SENT if found.value[0] else SignalOutcome.FAILED


def lock_tree(found: Iterable[Backend]) -> tuple[LockNode, ...]:
    """Who waits for whom, each root followed by those behind it, the most first."""
    known = {backend.pid: backend for backend in found}
    behind: dict[int, list[int]] = {}
    for backend in known.values():
        for pid in dict.fromkeys(backend.blocked_by):
            behind.setdefault(pid, []).append(backend.pid)
    waiting = {pid for pids in behind.values() for pid in pids}
    nodes: list[LockNode] = []
    seen: set[int] = set()

    def walk(pid: int, depth: int) -> None:
        if pid in seen:
            return  # it waits for several, or in a circle
        seen.add(pid)
        number = len(_all_behind(pid, behind))
        nodes.append(LockNode(pid, depth, known.get(pid), number))
        for other in sorted(behind.get(pid, ())):
            walk(other, depth + 1)

    roots = [pid for pid in behind if pid not in waiting] or sorted(behind)[:1]
    for pid in sorted(roots, key=lambda root: -len(_all_behind(root, behind))):
        walk(pid, 0)
    return tuple(nodes)


def with_holders(
    found: Iterable[Backend], pools: Iterable[PoolStatus]
) -> tuple[Live, ...]:
    """Each session with the request and user of ours that it works for."""
    holders = {
        holding.backend_pid: (holding, pool.process)
        for pool in pools
        for holding in pool.holders
        if holding.backend_pid is not None
    }
    return tuple(
        Live(backend, *holders.get(backend.pid, (None, None))) for backend in found
    )


def backends(rows: Sequence[Mapping[str, Any]]) -> tuple[Backend, ...]:
    """The rows as plain data, those that wait and those that run longest first."""
    found = [_backend(row) for row in rows]
    return tuple(
        sorted(
            found,
            key=lambda one: (
                not one.blocked_by,
                one.state == "idle",
                -(one.in_transaction or one.in_state or 0.0),
            ),
        )
    )


def _backend(row: Mapping[str, Any]) -> Backend:
    query = row["query"] or ""
    words = _words(query)
    kinds = [row["wait_event_type"], row["wait_event"]]
    return Backend(
        pid=row["pid"],
        started=row["started"] or "",
        role=row["role"] or "",
        application=row["application"] or "",
        state=row["state"] or "",
        wait=": ".join(kind for kind in kinds if kind),
        text="" if query == HIDDEN else normalise(query),
        view=words.get("view", ""),
        action=words.get("action", ""),
        in_state=row["in_state"],
        running=row["running"],
        in_transaction=row["in_transaction"],
        waited=row["waited"],
        blocked_by=tuple(row["blocked_by"]),
        is_hidden=query == HIDDEN,
        may_signal=row["may_signal"],
        is_superuser=row["is_superuser"],
    )


def _words(query: str) -> dict[str, str]:
    """What the comment in front of a statement says."""
    comment = _COMMENT.match(query)
    if comment is None:
        return {}
    pairs = (word.partition(":") for word in comment.group(1).split())
    return {name: value for name, colon, value in pairs if colon}


def _all_behind(pid: int, behind: Mapping[int, list[int]]) -> set[int]:
    """Everybody who waits for `pid`, also for those who wait for it."""
    found: set[int] = set()
    todo = list(behind.get(pid, ()))
    while todo:
        other = todo.pop()
        if other not in found:
            found.add(other)
            todo.extend(behind.get(other, ()))
    found.discard(pid)
    return found
