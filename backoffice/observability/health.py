"""Is this process alive, is it ready, is all well: three questions, three answers.

Alive asks no database. Ready asks for a connection and for the migrations. A full pool
makes neither false: taking a busy process away pushes its load onto the next.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import text

from backoffice.database.migrations import (
    VERSION_TABLE,
    ProjectMigrations,
    revision_files,
)
from backoffice.observability.ops_connection import OpsReader, Question, Reading
from backoffice.observability.pool import PoolStatus

T = TypeVar("T")

HEARTBEAT_LIMIT = 5.0
CACHED = 2.0
PING_DEADLINE = 0.3  # of each of three questions: who probes waits for a second
RECENT_TIMEOUT = 10.0
UNKNOWN_REVISION = -1


class Status(StrEnum):
    """How a check went; `unknown` is not `pass`."""

    PASS = "pass"  # noqa: S105 - the word of the format
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    value: Any = None
    unit: str = ""
    text: str = ""
    component: str = ""
    # Unknown for no reason to worry: this kind of pool or database has no such thing.
    is_calm: bool = False

    def to_json(self, moment: str) -> dict[str, Any]:
        """The check as `application/health+json` has it."""
        found = {
            "status": self.status.value,
            "observedValue": self.value,
            "observedUnit": self.unit,
            "output": self.text,
            "time": moment,
        }
        return {"componentId": self.component, **found} if self.component else found


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of an endpoint: its HTTP code, its word, and what it rests on."""

    status: Status
    code: int
    checks: tuple[Check, ...]
    at: float

    def word(self) -> dict[str, Any]:
        """What anybody may read."""
        return {"status": self.status.value}

    def details(self, pools: Iterable[PoolStatus] = ()) -> dict[str, Any]:
        """What those may read who are allowed to, as `application/health+json`."""
        moment = datetime.fromtimestamp(self.at, UTC).isoformat()
        checks: dict[str, list[dict[str, Any]]] = {}
        for check in self.checks:
            # One name for what several processes have: each of them is in the list.
            checks.setdefault(check.name, []).append(check.to_json(moment))
        return {
            **self.word(),
            "time": moment,
            "checks": checks,
            "pools": [pool_details(pool) for pool in pools],
        }

    def passing(self) -> dict[str, bool]:
        """Whether each check passes, or only warns; of one name all have to."""
        found: dict[str, bool] = {}
        for check in self.checks:
            passes = check.status in {Status.PASS, Status.WARN}
            if check.status is not Status.UNKNOWN:
                found[check.name] = found.get(check.name, True) and passes
        return found


class Pulse:
    """Whether the database answers and stands at the newest migration, cached briefly.

    `migrations` makes the question how many were not applied; it is made when needed.
    """

    def __init__(
        self,
        reader: OpsReader,
        *,
        migrations: Callable[[], Question[int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._migrations = migrations
        self._clock = clock
        self._cache: dict[str, tuple[float, Reading[Any]]] = {}

    @property
    def migrations(self) -> Question[int]:
        """The question how many migrations are due; zero without any to ask for."""
        if self._migrations is None:
            return Question("migrations", "SELECT 1", lambda _: 0)
        return self._migrations()

    def database(self) -> Reading[bool]:
        """Whether the database answers."""

        def ask() -> Reading[bool]:
            return self._reader.call(
                "ping",
                lambda link: link.scalar(text("SELECT 1")) == 1,
                deadline=PING_DEADLINE,
            )

        return self._cached("ping", ask)

    def behind(self) -> Reading[int]:
        """How many migrations it is behind by."""

        def ask() -> Reading[int]:
            return self._reader.ask(self.migrations, deadline=PING_DEADLINE)[
                "migrations"
            ]

        return self._cached("migrations", ask)

    def _cached(self, name: str, ask: Callable[[], Reading[T]]) -> Reading[T]:
        now = self._clock()
        known = self._cache.get(name)
        if known is not None and 0 <= now - known[0] < CACHED:
            return known[1]
        found = ask()
        self._cache[name] = (now, found)
        return found


def migrations_question(project: ProjectMigrations) -> Question[int]:
    """How many migrations were not applied, in one statement; the files are read now.

    UNKNOWN_REVISION where the database names one that this code does not know: what its
    tables are like nobody here can say.
    """
    before = {
        one.revision: {*_names(one.down_revision), *_names(one.dependencies)}
        for one in revision_files(project).walk_revisions()
    }

    def count(rows: Sequence[Mapping[str, Any]]) -> int:
        todo = [str(row["version_num"]) for row in rows]
        applied: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in before:
                return UNKNOWN_REVISION
            if name not in applied:
                applied.add(name)
                todo.extend(before[name])
        return len(before) - len(applied)

    sql = f"SELECT version_num FROM {VERSION_TABLE}"
    return Question("migrations", sql, count, absent=len(before))


def behind_words(behind: int) -> str:
    """What is to be said of a database that is not at the newest migration."""
    if behind == UNKNOWN_REVISION:
        return (
            "unknown revision: the database names one that this version does not have"
        )
    return f"behind by {behind}; manage.py migrate brings it to head"


def _names(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def livez(*, heartbeat_age: float | None, limiter_is_stuck: bool = False) -> Report:
    """Whether the process should go on: its loop turns and its threads move."""
    checks = [
        Check("loop:heartbeat", _late(heartbeat_age), heartbeat_age, "s"),
        Check("threads:stuck", Status.FAIL if limiter_is_stuck else Status.PASS),
    ]
    return _report(checks, failed_code=500)


def readyz(
    pulse: Pulse, pools: Iterable[PoolStatus] = (), *, is_draining: bool = False
) -> Report:
    """Whether requests should come: a connection can be had, the tables are there.

    A full pool is ready all the same; one that turned somebody away just now is not.
    """
    checks = [*database_checks(pulse)]
    for pool in pools:
        age = pool.last_timeout
        if age is not None and age <= RECENT_TIMEOUT:
            name = f"pool:{pool.name}:timeouts"
            checks.append(
                Check(name, Status.FAIL, round(age, 1), "s", "no connection in time")
            )
    if is_draining:
        words = "it is shutting down"
        checks.append(Check("process:draining", Status.FAIL, text=words))
    return _report(checks, failed_code=503)


def startupz(pulse: Pulse) -> Report:
    """Whether the start is over: the database answers and all migrations have run."""
    return _report([*database_checks(pulse)], failed_code=503)


def healthz(
    pulse: Pulse, pools: Iterable[PoolStatus], *, further: Iterable[Check] = ()
) -> Report:
    """How all is: connection, migrations and pools can fail it, the rest can warn."""
    checks = [*database_checks(pulse), *pool_checks(pools)]
    for check in further:
        status = Status.WARN if check.status is Status.FAIL else check.status
        checks.append(replace(check, status=status))
    return _report(checks, failed_code=503)


def database_checks(pulse: Pulse) -> tuple[Check, ...]:
    """The connection and the migrations."""
    ping = pulse.database()
    if not ping.is_fresh:
        # Without a connection nobody knows the migrations: that is said once.
        return (Check("database:connection", Status.FAIL, text=ping.text),)
    behind = pulse.behind()
    migrations = Check("database:migrations", Status.PASS, 0, "pending")
    if not behind.is_fresh:
        migrations = Check("database:migrations", Status.UNKNOWN, text=behind.text)
    elif behind.value:
        is_unknown = behind.value == UNKNOWN_REVISION
        migrations = Check(
            "database:migrations",
            Status.FAIL,
            None if is_unknown else behind.value,
            "pending",
            behind_words(behind.value),
        )
    return (Check("database:connection", Status.PASS), migrations)


def pool_checks(pools: Iterable[PoolStatus]) -> tuple[Check, ...]:
    """Each pool's utilization; above four fifths it fails."""
    return tuple(
        Check(
            f"pool:{pool.name}:utilization",
            (
                Status.UNKNOWN
                if pool.utilization is None
                else Status.PASS
                if pool.is_healthy
                else Status.FAIL
            ),
            None if pool.utilization is None else round(pool.utilization * 100, 1),
            "percent",
            _fullness(pool),
            component=f"pid {pool.process}",
            is_calm=pool.utilization is None,
        )
        for pool in pools
    )


def _fullness(pool: PoolStatus) -> str:
    """How much of a pool is in use; of what has no limit, why that cannot be said."""
    if pool.utilization is None or pool.max is None:
        return pool.cannot[0] if pool.cannot else ""
    return f"{pool.checked_out} of {pool.max} connections in use"


def pool_details(pool: PoolStatus) -> Mapping[str, Any]:
    """A pool as `/healthz` shows it."""
    share = pool.utilization
    return {
        "name": pool.name,
        "process": pool.process,
        "pool_size": pool.size,
        "checked_in": pool.checked_in,
        "checked_out": pool.checked_out,
        "overflow": pool.overflow,
        "utilization_percent": None if share is None else round(share * 100, 1),
        # What has no limit is never full, and never known to be healthy.
        "healthy": None if share is None else pool.is_healthy,
        "kind": pool.kind,
        "cannot": list(pool.cannot),
    }


def _late(age: float | None) -> Status:
    if age is None:
        return Status.UNKNOWN
    return Status.FAIL if age > HEARTBEAT_LIMIT else Status.PASS


def _report(checks: list[Check], *, failed_code: int) -> Report:
    """The worst check decides; what is unknown is a warning, unless it need not be."""
    found = {check.status for check in checks if not check.is_calm}
    status = Status.PASS
    if Status.FAIL in found:
        status = Status.FAIL
    elif found & {Status.WARN, Status.UNKNOWN}:
        status = Status.WARN
    code = failed_code if status is Status.FAIL else 200
    return Report(status, code, tuple(checks), time.time())
