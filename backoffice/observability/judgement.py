"""Is all well? Every check with its rule, its value, and since when it has stood so.

What could not be read is unknown: it is counted apart, and never as well.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backoffice.observability.activity import Backend, hidden_words, lock_tree
from backoffice.observability.clock import Step
from backoffice.observability.counters import Minute
from backoffice.observability.health import behind_words
from backoffice.observability.housekeeping import HIT_SHARE, ServerFacts, TableFacts
from backoffice.observability.live import LivePanels
from backoffice.observability.ops_connection import Reading, State
from backoffice.observability.picture import LIVE_AFTER, Picture
from backoffice.observability.pool import PoolStatus
from backoffice.observability.pool_health import (
    Health,
    Verdict,
    graded,
    judge_pool,
    verdict_of,
)
from backoffice.observability.standing import Standing

LOCK_WARN, LOCK_UNHEALTHY = 5.0, 60.0
LONG_WARN, LONG_UNHEALTHY = 60.0, 300.0
IDLE_WARN, IDLE_UNHEALTHY = 30.0, 300.0
CONNECTIONS_WARN = 0.8
ERRORS_WARN, ERRORS_MINUTES, MANY_CALLS = 0.05, 5, 20
DEADLOCKS_REMEMBERED = 600.0
HELD = frozenset({"idle in transaction", "long statement"})
LOST_REMEMBERED = 600.0


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
        "Waits for a connection",
        "of the last minute, those that still wait included: from 50 ms a warning; "
        "from 1 s, or while somebody gets none, unhealthy; a warning for 5 minutes "
        "after that",
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
        "processes",
        "Processes",
        "all server processes report: one less is a warning, and for 10 minutes one "
        "that died without a word",
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
    """Judges again and again; `standing` remembers since when each verdict holds."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing

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
            *_of_pools(picture.pools),
            _connection(database),
            _migrations(live.migrations),
            *_of_sessions(live.activity),
            *self._of_server(live.server),
            _errors(picture),
            *_of_tables(live.tables),
            _settings(contradictions, live),
            _processes(picture, processes),
            _clock_back(step),
        ]:
            known = by_rule.get(verdict.rule)
            if known is None or _badness(verdict) > _badness(known):
                by_rule[verdict.rule] = verdict
        return Judgement(in_order(self.standing.settle(list(by_rule.values()))))

    def _of_server(self, server: Reading[ServerFacts]) -> list[Verdict]:
        facts = server.value
        if server.state is State.NOT_HERE:
            return []
        if not server.is_fresh or facts is None:
            rules = ("server connections", "memory", "deadlocks")
            return [_unread(rule, server) for rule in rules]
        found = [_server_connections(facts)]
        share = facts.hit_share
        if share is None:
            words = "too little was read to tell"
            found.append(verdict_of("memory", Health.UNKNOWN, words, is_calm=True))
        else:
            health = Health.HEALTHY if share >= HIT_SHARE else Health.WARNING
            text = f"{share * 100:.1f} % found in memory"
            found.append(verdict_of("memory", health, text, share))
        found.append(self._of_deadlocks(facts.deadlocks))
        return found

    def _of_deadlocks(self, number: int) -> Verdict:
        age = self.standing.last_deadlock(number)
        if age is None or age > DEADLOCKS_REMEMBERED:
            return verdict_of("deadlocks", Health.HEALTHY, "none lately", number)
        ago = f"{age:.0f} s" if age < 60 else f"{age / 60:.0f} min"  # noqa: PLR2004
        return verdict_of(
            "deadlocks", Health.WARNING, f"one {ago} ago", number, age, is_past=True
        )


def names_of(rule: str) -> str:
    """What a check is called; its own name where it has no other."""
    return next((one.words for one in RULES if one.name == rule), rule)


def in_order(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The worst first; what is over never before what is not."""
    order = {rule.name: place for place, rule in enumerate(RULES)}
    return tuple(
        sorted(
            verdicts,
            # A database that does not answer is the reason for all the rest.
            key=lambda one: (
                -one.health,
                one.is_past,
                one.rule != "connection",
                order.get(one.rule, len(order)),
            ),
        )
    )


def _badness(verdict: Verdict) -> tuple[Health, bool, float]:
    return verdict.health, not verdict.is_past, verdict.seconds


def _of_pools(pools: Iterable[PoolStatus]) -> list[Verdict]:
    found: list[Verdict] = []
    for status in pools:
        # Nobody waits for a pool without a limit; what is done there is judged.
        rules = HELD if status.max is None else None
        found.extend(
            verdict
            for verdict in judge_pool(status)
            if rules is None or (status.holders and verdict.rule in rules)
        )
    return found


def _connection(ping: Reading[bool]) -> Verdict:
    if ping.is_fresh:
        return verdict_of("connection", Health.HEALTHY, "the database answers")
    return verdict_of("connection", Health.UNHEALTHY, "the database does not answer")


def _migrations(behind: Reading[int]) -> Verdict:
    if not behind.is_fresh:
        return _unread("migrations", behind)
    if behind.value:
        text = behind_words(behind.value)
        return verdict_of("migrations", Health.UNHEALTHY, text, behind.value)
    return verdict_of("migrations", Health.HEALTHY, "at the newest", 0)


def _of_sessions(activity: Reading[tuple[Backend, ...]]) -> list[Verdict]:
    if activity.state is State.NOT_HERE:
        return []
    if not activity.is_fresh or activity.value is None:
        return [_unread(rule, activity) for rule in ("locks", "sessions")]
    found = activity.value
    hidden = hidden_words(found)
    return [_locks(found, hidden), _sessions(found, hidden)]


def _locks(found: tuple[Backend, ...], hidden: str) -> Verdict:
    waits = [
        one.waited or one.running or one.in_state or 0.0
        for one in found
        if one.blocked_by
    ]
    if not waits:
        if hidden:
            return verdict_of("locks", Health.UNKNOWN, hidden)
        return verdict_of("locks", Health.HEALTHY, "nobody waits for a lock", 0.0)
    longest = max(waits)
    roots = sum(node.is_root for node in lock_tree(found))
    health, lasting = graded(longest, LOCK_WARN, LOCK_UNHEALTHY)
    who = "1 session waits" if len(waits) == 1 else f"{len(waits)} sessions wait"
    whose = "another's lock" if roots == 1 else f"the locks of {roots} others"
    long = "for" if len(waits) == 1 else "the longest for"
    text = f"{who} for {whose}, {long} {longest:.0f} s"
    return verdict_of("locks", health, text, longest, lasting)


def _sessions(found: tuple[Backend, ...], hidden: str) -> Verdict:
    running = max((o.running or 0.0 for o in found if o.state == "active"), default=0.0)
    idle = max(
        (o.in_state or 0.0 for o in found if o.state.startswith("idle in")), default=0.0
    )
    health, lasting = max(
        graded(running, LONG_WARN, LONG_UNHEALTHY),
        graded(idle, IDLE_WARN, IDLE_UNHEALTHY),
    )
    if hidden and health is Health.HEALTHY:
        return verdict_of("sessions", Health.UNKNOWN, hidden)
    words = f"longest statement {running:.0f} s, longest idle transaction {idle:.0f} s"
    return verdict_of("sessions", health, words, max(running, idle), lasting)


def _server_connections(facts: ServerFacts) -> Verdict:
    usable = facts.usable_connections
    text = f"{facts.connections} of {usable} connections"
    if facts.hidden:
        text = f"at most {text}"
    health = Health.HEALTHY
    if usable and facts.connections >= usable:
        health = Health.UNHEALTHY
    elif usable and facts.connections > usable * CONNECTIONS_WARN:
        health = Health.WARNING
    return verdict_of("server connections", health, text, facts.connections)


def _errors(picture: Picture) -> Verdict:
    minutes: list[Minute] = picture.last_minutes(time.time(), ERRORS_MINUTES)
    calls = sum(one.calls for one in minutes)
    errors = sum(one.errors for one in minutes)
    share = errors / calls if calls else 0.0
    text = f"{errors} of {calls:,} statements failed in {ERRORS_MINUTES} min"
    is_bad = share > ERRORS_WARN and calls >= MANY_CALLS
    health = Health.WARNING if is_bad else Health.HEALTHY
    return verdict_of("errors", health, text, share)


def _of_tables(tables: Reading[tuple[TableFacts, ...]]) -> list[Verdict]:
    if tables.state is State.NOT_HERE:
        return []
    if not tables.is_fresh or tables.value is None:
        return [_unread(rule, tables) for rule in ("tables", "keys")]
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
        found.append(verdict_of(rule, health, text, len(some)))
    return found


def _settings(found: Sequence[str], live: LivePanels) -> Verdict:
    if found:
        text = found[0].rstrip(".")
        if len(found) > 1:
            text += f", and {len(found) - 1} more"
        return verdict_of("settings", Health.WARNING, text, len(found))
    unread: Reading[Any] = live.server
    if unread.state is State.NOT_HERE:
        unread = live.file
    if not unread.is_fresh:
        return _unread("settings", unread)
    return verdict_of("settings", Health.HEALTHY, "none contradicts another", 0)


def _processes(picture: Picture, expected: int) -> Verdict:
    servers = [
        one
        for one in picture.processes
        if one.kind == "server" and one.age <= LIVE_AFTER
    ]
    number = len(servers)
    text = f"{number} of {max(expected, number)} server processes report"
    if number < expected:
        return verdict_of("processes", Health.WARNING, text, number)
    ago = time.time() - picture.lost_at if picture.lost_at is not None else None
    if ago is not None and 0 <= ago <= LOST_REMEMBERED:
        when = f"{ago:.0f} s" if ago < 60 else f"{ago / 60:.0f} min"  # noqa: PLR2004
        text = f"a server process died without a word {when} ago; {text}"
        return verdict_of("processes", Health.WARNING, text, number, ago, is_past=True)
    return verdict_of("processes", Health.HEALTHY, text, number)


def _clock_back(step: Step | None) -> Verdict:
    if step is None:
        return verdict_of("clock", Health.HEALTHY, "it has only gone forward", 0)
    seconds = round(step.seconds)
    text = f"it was set back by {seconds:,} s; what is dated before is of that time"
    return verdict_of("clock", Health.WARNING, text, step.seconds)


def _unread(rule: str, reading: Reading[Any]) -> Verdict:
    """What could not be read is unknown, and says why."""
    return verdict_of(rule, Health.UNKNOWN, reading.text or f"{reading.state}")
