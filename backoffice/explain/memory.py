"""What values did the statements of a report have? Known for a quarter of an hour.

Values are in this process's memory and nowhere else: not in the database, not in a
log. Another process, or this one after a start, does not know them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from backoffice.explain.statement import Caught

KEPT_SECONDS = 15 * 60.0
KEPT_REPORTS = 100
KEPT_BYTES = 16 * 1_048_576


@dataclass(frozen=True, slots=True)
class Kept:
    """The statements of a report with their values, and its plans with theirs.

    Where it was planned for any values `question` has those that were known.
    """

    statements: tuple[Caught, ...]
    plans: tuple[Any, ...]
    until: float
    question: Any = None
    size: int = 0


class Memory:
    """The values of the last reports of this process; bounded in number and bytes."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        seconds: float = KEPT_SECONDS,
        most: int = KEPT_BYTES,
    ) -> None:
        self.seconds = seconds
        self.bytes = 0
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._lock = Lock()

    def keep(
        self,
        report: int,
        statements: tuple[Caught, ...],
        plans: tuple[Any, ...],
        question: Any = None,
    ) -> None:
        """Remember these for a report, for a quarter of an hour."""
        if not self.seconds:
            return
        until = self._clock() + self.seconds
        size = len(repr((statements if question is None else question, plans)))
        with self._lock:
            self._forget()
            self._kept[report] = Kept(statements, plans, until, question, size)
            self.bytes += size
            while len(self._kept) > KEPT_REPORTS or self.bytes > self._most:
                self._drop_oldest()

    def recall(self, report: int) -> Kept | None:
        """What is still known of a report."""
        with self._lock:
            self._forget()
            return self._kept.get(report)

    def _forget(self) -> None:
        now = self._clock()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, gone = self._kept.popitem(last=False)
        self.bytes -= gone.size

    def forget(self) -> None:
        """Let go of what was kept for long enough."""
        with self._lock:
            self._forget()
