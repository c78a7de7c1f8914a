"""Is all well? Every check with its rule, its value, and since when it has stood so.

What could not be read is unknown: it is counted apart, and never as well.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backoffice.observability.activity import Backend, lock_tree
from backoffice.observability.clock import Step
from backoffice.observability.counters import Minute
from backoffice.observability.housekeeping import HIT_SHARE, ServerFacts, TableFacts
from backoffice.observability.live import LivePanels
from backoffice.observability.ops_connection import Reading, State
from backoffice.observability.picture import LIVE_AFTER, Picture
from backoffice.observability.pool import PoolStatus
from backoffice.observability.pool_health import Health, PoolHealth, Verdict

LOCK_WARN, LOCK_UNHEALTHY = 5.0, 60.0
LONG_WARN, LONG_UNHEALTHY = 60.0, 300.0
IDLE_WARN, IDLE_UNHEALTHY = 30.0, 300.0
CONNECTIONS_WARN = 0.8
ERRORS_WARN, ERRORS_MINUTES, MANY_CALLS = 0.05, 5, 20
DEADLOCKS_REMEMBERED = 600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A check as the page explains it; `server` is why SQLite does not need it."""

    name: str
    words: str
    limits: str
    server: str = ""


RULES = (
    Rule(
        "utilization",
        "Pool",
        "connections in use of size + max overflow: above 60 % for a minute is a "
        "warning, above 80 % is unhealthy; exactly 80 % is not",
    ),
    Rule(
        "waiters",
        "Waiting",
        "requests that wait for a connection: for 5 s a warning; for 30 s, or more of "
        "them than the pool has connections, unhealthy",
    ),
    Rule(
        "waits",
        "Wait p95",
        "of the last minute: from 50 ms a warning; from 1 s, or when somebody got none "
        "within 5 minutes, unhealthy",
    ),
    Rule(
        "idle in transaction",
        "Idle in transaction",
        "a transaction of ours that stands idle: from 30 s a warning, from 5 min "
        "unhealthy",
    ),
    Rule(
        "long statement",
        "Long statements",
        "a statement of ours that runs: from 60 s a warning, from 5 min unhealthy",
    ),
    Rule("connection", "Database", "it answers a question within 0.3 s"),
    Rule("migrations", "Migrations", "all that this version needs have run"),
    Rule(
        "locks",
        "Locks",
        "a session that waits for another's lock: from 5 s a warning, from 60 s "
        "unhealthy",
        server="SQLite has no sessions",
    ),
    Rule(
        "sessions",
        "Other sessions",
        "of anybody on this database: a statement from 60 s or an idle transaction "
        "from 30 s is a warning, both from 5 min unhealthy",
        server="SQLite has no sessions",
    ),
    Rule(
        "server connections",
        "Connections",
        "of those that the server gives: above 80 % a warning, all of them unhealthy",
        server="SQLite has no server",
    ),
    Rule(
        "memory",
        "Cache",
        "pages found in the server's memory, since its statistics began: below 95 % "
        "is a warning",
        server="SQLite does not count what it finds in memory",
    ),
    Rule(
        "deadlocks",
        "Deadlocks",
        "one within 10 minutes is a warning",
        server="SQLite has one writer at a time",
    ),
    Rule(
        "errors",
        "Errors",
        "above 5 % of the statements of 5 minutes is a warning",
    ),
    Rule(
        "tables",
        "Vacuum and analyze",
        "20 % dead rows, or 10 % changed since the planner looked, is a warning",
        server="SQLite keeps no statistics of its tables",
    ),
    Rule(
        "keys",
        "Keys",
        "of the numbers that a key's type has: 90 % used is a warning, for then there "
        "is time to make it larger",
        server="SQLite counts to 64 bits in every key",
    ),
    Rule("settings", "Settings", "two that contradict each other are a warning"),
    Rule(
        "clock",
        "Clock",
        "one that was set back is a warning for an hour: dates from before are of "
        "another time",
    ),
    Rule(
        "processes", "Processes", "all server processes report; one less is a warning"
    ),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """All verdicts, the worst first, and what they come to."""

    verdicts: tuple[Verdict, ...]

    @property
    def health(self) -> Health:
        """The worst that is known; unknown only where nothing is."""
        known = [v.health for v in self.verdicts if v.health is not Health.UNKNOWN]
        return max(known, default=Health.UNKNOWN)

    @property
    def worst(self) -> Verdict:
        """The verdict that decides."""
        return self.verdicts[0]

    def of(self, *health: Health) -> tuple[Verdict, ...]:
        """The verdicts of these kinds."""
        return tuple(one for one in self.verdicts if one.health in health)


class Judge:
    """Judges again and again, and remembers since when each verdict has held."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pools: dict[tuple[int, str], PoolHealth] = {}
        self._since: dict[str, tuple[Health, float]] = {}
        self._deadlocks: tuple[int, float] | None = None

    def judge(
        self,
        picture: Picture,
        live: LivePanels,
        *,
        database: Reading[bool],
        contradictions: Sequence[str] = (),
        processes: int = 1,
        step: Step | None = None,
    ) -> Judgement:
        """What is to be said of everything, the worst first."""
        by_rule: dict[str, Verdict] = {}
        for verdict in [
            *self._of_pools(picture.pools),
            self._connection(database),
            self._migrations(live.migrations),
            *self._of_sessions(live.activity),
            *self._of_server(live.server),
            self._errors(picture),
            *self._of_tables(live.tables),
            self._settings(contradictions, live),
            self._processes(picture, processes),
            self._clock_back(step),
        ]:
            known = by_rule.get(verdict.rule)
            if known is None or verdict.health > known.health:
                by_rule[verdict.rule] = verdict
        order = {rule.name: place for place, rule in enumerate(RULES)}
        found = sorted(
            by_rule.values(),
            # A database that does not answer is the reason for all the rest.
            key=lambda one: (
                -one.health,
                one.rule != "connection",
                order.get(one.rule, len(order)),
            ),
        )
        return Judgement(tuple(found))

    def _of_pools(self, pools: Iterable[PoolStatus]) -> list[Verdict]:
        found, present = [], set()
        for status in pools:
            if status.max is None and not status.holders:
                continue  # an export's engine that nobody uses has nothing to say
            key = (status.process, status.name)
            present.add(key)
            health = self._pools.setdefault(key, PoolHealth())
            for verdict in health.judge(status):
                if verdict.rule == "utilization" and status.full_for is not None:
                    since = time.time() - status.full_for
                    verdict = replace(verdict, since=since, seconds=status.full_for)  # noqa: PLW2901
                if status.max is None and verdict.health is Health.UNKNOWN:
                    continue
                found.append(verdict)
        self._pools = {key: one for key, one in self._pools.items() if key in present}
        return found

    def _connection(self, ping: Reading[bool]) -> Verdict:
        if ping.is_fresh:
            return self._said("connection", Health.HEALTHY, "the database answers")
        return self._said(
            "connection", Health.UNHEALTHY, "the database does not answer"
        )

    def _migrations(self, behind: Reading[int]) -> Verdict:
        if not behind.is_fresh:
            return self._unknown("migrations", behind.text or f"{behind.state}")
        if behind.value:
            text = f"behind by {behind.value}: manage.py migrate"
            return self._said("migrations", Health.UNHEALTHY, text, behind.value)
        return self._said("migrations", Health.HEALTHY, "at the newest", 0)

    def _of_sessions(self, activity: Reading[tuple[Backend, ...]]) -> list[Verdict]:
        if activity.state is State.NOT_HERE:
            return []
        if not activity.is_fresh or activity.value is None:
            why = activity.text or f"{activity.state}"
            return [self._unknown(rule, why) for rule in ("locks", "sessions")]
        found = activity.value
        waits = [one.in_state or one.running or 0.0 for one in found if one.blocked_by]
        longest = max(waits, default=0.0)
        tree = [node for node in lock_tree(found) if node.is_root]
        text = "nobody waits for a lock"
        if waits:
            text = (
                f"{len(waits)} wait for the locks of {len(tree)},"
                f" the longest {longest:.0f} s"
            )
        running = max(
            (o.running or 0.0 for o in found if o.state == "active"), default=0
        )
        idle = max(
            (o.in_state or 0.0 for o in found if o.state.startswith("idle in")),
            default=0,
        )
        words = (
            f"longest statement {running:.0f} s, longest idle transaction {idle:.0f} s"
        )
        worst = max(
            _graded(running, LONG_WARN, LONG_UNHEALTHY),
            _graded(idle, IDLE_WARN, IDLE_UNHEALTHY),
        )
        hidden = sum(one.is_hidden for one in found)
        if hidden and worst is Health.HEALTHY:
            text_of = f"{hidden} sessions cannot be seen: the role needs pg_monitor"
            sessions = self._unknown("sessions", text_of)
        else:
            sessions = self._said("sessions", worst, words, max(running, idle))
        locks = _graded(longest, LOCK_WARN, LOCK_UNHEALTHY)
        return [self._said("locks", locks, text, longest), sessions]

    def _of_server(self, server: Reading[ServerFacts]) -> list[Verdict]:
        facts = server.value
        if server.state is State.NOT_HERE:
            return []
        if not server.is_fresh or facts is None:
            why = server.text or f"{server.state}"
            rules = ("server connections", "memory", "deadlocks")
            return [self._unknown(rule, why) for rule in rules]
        usable = facts.usable_connections
        text = f"{facts.connections} of {usable} connections"
        health = Health.HEALTHY
        if usable and facts.connections >= usable:
            health = Health.UNHEALTHY
        elif usable and facts.connections > usable * CONNECTIONS_WARN:
            health = Health.WARNING
        found = [self._said("server connections", health, text, facts.connections)]
        share = facts.hit_share
        if share is None:
            found.append(self._unknown("memory", "too little was read to tell"))
        else:
            health = Health.HEALTHY if share >= HIT_SHARE else Health.WARNING
            text = f"{share * 100:.1f} % found in memory"
            found.append(self._said("memory", health, text, share))
        found.append(self._of_deadlocks(facts.deadlocks))
        return found

    def _of_deadlocks(self, number: int) -> Verdict:
        now = self._clock()
        known = self._deadlocks
        if known is None or number < known[0]:
            known = (number, float("-inf"))
        elif number > known[0]:
            known = (number, now)
        self._deadlocks = known
        if now - known[1] <= DEADLOCKS_REMEMBERED:
            return self._said("deadlocks", Health.WARNING, "one a moment ago", number)
        return self._said("deadlocks", Health.HEALTHY, "none lately", number)

    def _errors(self, picture: Picture) -> Verdict:
        minutes: list[Minute] = picture.last_minutes(time.time(), ERRORS_MINUTES)
        calls = sum(one.calls for one in minutes)
        errors = sum(one.errors for one in minutes)
        share = errors / calls if calls else 0.0
        text = f"{errors} of {calls:,} statements failed in {ERRORS_MINUTES} min"
        is_bad = share > ERRORS_WARN and calls >= MANY_CALLS
        health = Health.WARNING if is_bad else Health.HEALTHY
        return self._said("errors", health, text, share)

    def _of_tables(self, tables: Reading[tuple[TableFacts, ...]]) -> list[Verdict]:
        if tables.state is State.NOT_HERE:
            return []
        if not tables.is_fresh or tables.value is None:
            why = tables.text or f"{tables.state}"
            return [self._unknown(rule, why) for rule in ("tables", "keys")]
        ends = [one for one in tables.value if one.is_running_out]
        needy = [one for one in tables.value if one.needs and one not in ends]
        found = []
        for rule, some, calm in (
            ("tables", needy, "none needs anything"),
            ("keys", ends, "none is running out"),
        ):
            health, text = Health.HEALTHY, calm
            if some:
                health, text = Health.WARNING, f"{some[0].name}: {some[0].needs}"
            if len(some) > 1:
                text += f", and {len(some) - 1} more"
            found.append(self._said(rule, health, text, len(some)))
        return found

    def _settings(self, found: Sequence[str], live: LivePanels) -> Verdict:
        if found:
            text = found[0].rstrip(".")
            if len(found) > 1:
                text += f", and {len(found) - 1} more"
            return self._said("settings", Health.WARNING, text, len(found))
        unread: Reading[Any] = live.server
        if unread.state is State.NOT_HERE:
            unread = live.file
        if not unread.is_fresh:
            return self._unknown("settings", unread.text or f"{unread.state}")
        return self._said("settings", Health.HEALTHY, "none contradicts another", 0)

    def _processes(self, picture: Picture, expected: int) -> Verdict:
        servers = [
            one
            for one in picture.processes
            if one.kind == "server" and one.age <= LIVE_AFTER
        ]
        text = f"{len(servers)} of {expected} server processes report"
        health = Health.WARNING if len(servers) < expected else Health.HEALTHY
        return self._said("processes", health, text, len(servers))

    def _clock_back(self, step: Step | None) -> Verdict:
        if step is None:
            return self._said("clock", Health.HEALTHY, "it has only gone forward", 0)
        seconds = round(step.seconds)
        text = f"it was set back by {seconds:,} s; what is dated before is of that time"
        return self._said("clock", Health.WARNING, text, step.seconds)

    def _unknown(self, rule: str, text: str) -> Verdict:
        return self._said(rule, Health.UNKNOWN, text)

    def _said(
        self, rule: str, health: Health, text: str, value: float | None = None
    ) -> Verdict:
        """The verdict, dated from when its health last changed."""
        now = self._clock()
        known = self._since.get(rule)
        if known is None or known[0] is not health:
            known = self._since[rule] = (health, now)
        seconds = max(0.0, now - known[1])
        return Verdict(rule, health, text, value, time.time() - seconds, seconds)


def _graded(value: float, warn: float, unhealthy: float) -> Health:
    if value >= unhealthy:
        return Health.UNHEALTHY
    return Health.WARNING if value >= warn else Health.HEALTHY
