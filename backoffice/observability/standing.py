"""Since when has each verdict held? The same answer in every process of the machine.

Kept in a file that each judgement reads and writes: whoever judges next, in whichever
process, goes on from there. While nobody has judged for a minute nothing is known of
the time between, and it begins anew.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backoffice.observability.pool_health import Health, Verdict

FILE = "standing.json"
LOCK = ".standing"
FORGOTTEN_AFTER = 60.0
# For the lock of another process, which has it for a millisecond.
PATIENCE = 0.05


@dataclass(frozen=True, slots=True)
class Kept:
    """What was said last: the verdicts, and how many seconds ago."""

    verdicts: tuple[Verdict, ...]
    age: float


class Standing:
    """The verdicts of one machine, and since when each has been what it is.

    `clock` is of the machine, not of the process: it never steps back.
    """

    def __init__(
        self, directory: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.directory = directory
        self._clock = clock
        self._memory: dict[str, Any] = {}

    def settle(self, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """The verdicts, dated by what was said before.

        Evidence counts for more than memory: a verdict that says it has held for
        longer than anybody looked has.
        """
        with self._kept() as data:
            now = self._clock()
            if not 0 <= now - data.get("at", float("-inf")) <= FORGOTTEN_AFTER:
                data.pop("verdicts", None)
            before = {one["rule"]: one for one in data.get("verdicts", ())}
            settled = tuple(
                self._dated(verdict, before.get(verdict.rule), now)
                for verdict in verdicts
            )
            data["at"] = now
            data["verdicts"] = [
                {**asdict(one), "health": one.health.name, "begun": now - one.seconds}
                for one in settled
            ]
            return settled

    def last_deadlock(self, number: int) -> float | None:
        """How many seconds ago the server's counter of deadlocks was seen to rise."""
        with self._kept() as data:
            now = self._clock()
            known, at = data.get("deadlocks", (None, None))
            if at is not None and at > now:
                at = None  # the machine has started anew
            if known is not None and number > known:
                at = now
            data["deadlocks"] = (number, at)
            return None if at is None else float(now - at)

    def last(self) -> Kept | None:
        """What was said last, by whatever process; None where nothing was."""
        data = self._read()
        now = self._clock()
        age = now - data.get("at", float("inf"))
        if age < 0:
            return None  # the machine has started anew
        found = []
        for one in data.get("verdicts", ()):
            seconds = max(0.0, now - one["begun"])
            plain = {key: value for key, value in one.items() if key != "begun"}
            plain["health"] = Health[one["health"]]
            plain["seconds"], plain["since"] = seconds, time.time() - seconds
            found.append(Verdict(**plain))
        return Kept(tuple(found), age) if found else None

    @staticmethod
    def _dated(verdict: Verdict, before: dict[str, Any] | None, now: float) -> Verdict:
        if verdict.is_past or before is None or before.get("is_past"):
            return verdict
        if before["health"] != verdict.health.name:
            return verdict
        seconds = max(verdict.seconds, now - before["begun"])
        return replace(verdict, seconds=seconds, since=time.time() - seconds)

    @contextmanager
    def _kept(self) -> Iterator[dict[str, Any]]:
        """What was kept, to be changed; in memory where nothing can be written."""
        with suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
        try:
            lock = (self.directory / LOCK).open("w")
        except OSError:
            yield self._memory
            return
        with lock:
            is_ours = _lock(lock.fileno())
            data = self._read()
            yield data
            self._memory = data
            if not is_ours:
                return
            with suppress(OSError):
                path = self.directory / FILE
                made = path.with_suffix(".new")
                made.write_text(json.dumps(data))
                made.replace(path)

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.directory / FILE).read_text())
        except (OSError, ValueError):
            return self._memory
        return found


def _lock(file: int) -> bool:
    """Take the lock; a process that was frozen while it had it holds nobody up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        else:
            return True
