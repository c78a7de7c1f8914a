"""How far something is: a bar on a terminal, a line per step elsewhere."""

import time
from types import TracebackType
from typing import Self, TextIO

from backoffice.seeding.seeder import TIDYING, Progress

WIDTH = 30
INTERVAL = 0.1


class ProgressBar:
    """Draws what it is shown, at most ten times a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._step: object = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_terminal and self._drawn:
            self._write("\r\033[K")

    def show(self, progress: Progress) -> None:
        """Draw how far a seeding is, or say that another table's turn has come."""
        share = progress.done / max(1, progress.total)
        step = (progress.stage, progress.table)
        self.draw(share, self._words(progress), step=step)

    def draw(self, share: float, words: str, *, step: object) -> None:
        """Draw the state, or say it when another step has begun."""
        is_new, self._step = step != self._step, step
        now = time.monotonic()
        if not self._is_terminal:
            if is_new:
                self._write(f"{words}\n")
        elif is_new or now - self._drawn > INTERVAL or share >= 1:
            self._drawn = now
            self._write(f"\r{self._bar(share)} {words}\033[K")

    def _bar(self, share: float) -> str:
        share = min(1.0, share)
        filled = int(share * WIDTH)
        return f"[{'#' * filled}{' ' * (WIDTH - filled)}] {share:4.0%}"

    def _words(self, progress: Progress) -> str:
        verb = "tidying" if progress.stage == TIDYING else "filling"
        return f"{verb} {progress.table}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
