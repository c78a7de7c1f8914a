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


@dataclass(frozen=True, slots=True)
class Kept:
    """The statements of a report with their values, and its plans with theirs."""

    statements: tuple[Caught, ...]
    plans: tuple[Any, ...]
    until: float
    question: Any = None


class Memory:
    """The values of the last reports of this process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
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
        until = self._clock() + KEPT_SECONDS
        with self._lock:
            self._forget()
            self._kept[report] = Kept(statements, plans, until, question)
            while len(self._kept) > KEPT_REPORTS:
                self._kept.popitem(last=False)

    def recall(self, report: int) -> Kept | None:
        """What is still known of a report."""
        with self._lock:
            self._forget()
            return self._kept.get(report)

    def _forget(self) -> None:
        now = self._clock()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._kept.popitem(last=False)
