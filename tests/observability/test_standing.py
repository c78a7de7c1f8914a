import fcntl
from dataclasses import replace
from pathlib import Path
from typing import Any

from backoffice.observability.activity import Backend
from backoffice.observability.judgement import Judge, Judgement, in_order
from backoffice.observability.live import no_panels
from backoffice.observability.ops_connection import Reading, State
from backoffice.observability.picture import Picture
from backoffice.observability.pool_health import Health, Verdict, verdict_of
from backoffice.observability.standing import FORGOTTEN_AFTER, LOCK, Standing

BAD = verdict_of("locks", Health.UNHEALTHY, "somebody waits")
GOOD = verdict_of("locks", Health.HEALTHY, "nobody waits")
NOTHING: Reading[Any] = Reading(State.NO_DATA)


class Clock:
    """A clock that stands where it is put."""

    now = 1000.0

    def __call__(self) -> float:
        """The time it shows."""
        return self.now


def session(pid: int, **given: object) -> Backend:
    """A session of the server that does nothing but what is given."""
    return Backend(
        **{  # type: ignore[arg-type]
            "pid": pid,
            "started": "",
            "role": "app",
            "application": "",
            "state": "idle",
            "wait": "",
            "text": "",
            "view": "",
            "action": "",
            "in_state": 0.0,
            "running": 0.0,
            "in_transaction": None,
            "waited": None,
            "blocked_by": (),
            "is_hidden": False,
            **given,
        }
    )


def judged(directory: Path, *sessions: Backend) -> Judgement:
    """What a process that looks for the first time says of these sessions."""
    live = no_panels(NOTHING, is_postgresql=True)
    live = replace(live, activity=Reading(State.MEASURED, sessions, 0.0))
    return Judge(Standing(directory)).judge(
        Picture(),
        live,
        database=Reading(State.MEASURED, value=True),
    )


def verdict(found: Judgement, rule: str) -> Verdict:
    """The verdict of one rule."""
    return next(one for one in found.verdicts if one.rule == rule)


def test_a_lock_is_unhealthy_since_it_passed_the_limit(tmp_path: Path) -> None:
    """Held for 66 seconds: for six of them, though nobody looked before."""
    waits = session(2, state="active", waited=66.0, running=70.0, blocked_by=(1,))
    found = verdict(judged(tmp_path, session(1), waits), "locks")
    assert found.health is Health.UNHEALTHY
    assert found.seconds == 6.0
    assert found.text == "1 session waits for another's lock, for 66 s"


def test_an_idle_transaction_is_dated_by_itself(tmp_path: Path) -> None:
    """A warning begins thirty seconds after it began to stand idle."""
    idle = session(1, state="idle in transaction", in_state=45.0)
    assert verdict(judged(tmp_path, idle), "sessions").seconds == 15.0


def test_all_processes_say_since_when_alike(tmp_path: Path) -> None:
    """Whoever looks later, in another process, goes on from who looked first."""
    clock = Clock()
    Standing(tmp_path, clock=clock).settle([BAD])
    clock.now += 42
    again = Standing(tmp_path, clock=clock)
    assert again.settle([BAD])[0].seconds == 42.0
    last = Standing(tmp_path, clock=clock).last()
    assert last is not None
    assert last.verdicts[0].seconds == 42.0


def test_what_gets_well_begins_anew(tmp_path: Path) -> None:
    """Another health is another stretch of time."""
    clock = Clock()
    standing = Standing(tmp_path, clock=clock)
    standing.settle([BAD])
    clock.now += 10
    assert standing.settle([GOOD])[0].seconds == 0.0


def test_nobody_knows_of_a_time_without_anybody(tmp_path: Path) -> None:
    """While no process ran nothing was judged: that time is not claimed."""
    clock = Clock()
    Standing(tmp_path, clock=clock).settle([BAD])
    clock.now += FORGOTTEN_AFTER + 1
    assert Standing(tmp_path, clock=clock).settle([BAD])[0].seconds == 0.0


def test_a_machine_that_started_anew_is_no_time_machine(tmp_path: Path) -> None:
    """Its clock begins at zero: what was said before it is forgotten."""
    clock = Clock()
    Standing(tmp_path, clock=clock).settle([BAD])
    clock.now = 5.0
    assert Standing(tmp_path, clock=clock).last() is None
    assert Standing(tmp_path, clock=clock).settle([BAD])[0].seconds == 0.0


def test_a_deadlock_is_dated_in_every_process(tmp_path: Path) -> None:
    """Who sees the counter risen dates it; the others know it from there."""
    clock = Clock()
    standing = Standing(tmp_path, clock=clock)
    assert standing.last_deadlock(3) is None
    assert standing.last_deadlock(4) == 0.0
    clock.now += 60
    assert Standing(tmp_path, clock=clock).last_deadlock(4) == 60.0


def test_what_is_over_stands_behind_what_is_not(tmp_path: Path) -> None:
    """Of two warnings the one that goes on is told first."""
    idle = session(1, state="idle in transaction", in_state=45.0)
    past = verdict_of("waits", Health.WARNING, "it was", is_past=True)
    live = verdict(judged(tmp_path, idle), "sessions")
    assert [one.rule for one in in_order([past, live])] == ["sessions", "waits"]


def test_a_frozen_process_holds_nobody_up(tmp_path: Path) -> None:
    """Who has the lock and does nothing is not waited for: the verdict is there."""
    Standing(tmp_path).settle([GOOD])
    with (tmp_path / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert Standing(tmp_path).settle([BAD])[0].health is Health.UNHEALTHY
