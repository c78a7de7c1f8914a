"""How is it now? Judged every few seconds, whether anybody looks or not.

One process at a time does the round for all of the machine: what it said is read by
the others, so that the menu, the page and the probes say the same.
"""

import time
from dataclasses import replace
from typing import Any

from backoffice.observability.activity import activity_question
from backoffice.observability.health import Pulse
from backoffice.observability.housekeeping import (
    Contradiction,
    connections_beside,
    contradictions,
    server_question,
    tables_question,
)
from backoffice.observability.housekeeping_sqlite import (
    sqlite_contradictions,
    sqlite_question,
)
from backoffice.observability.judgement import Judge, Judgement, in_order
from backoffice.observability.keeper import ROUNDS_EVERY, Keeper
from backoffice.observability.live import LivePanels, no_panels
from backoffice.observability.ops_connection import OpsReader, Question, Reading
from backoffice.observability.picture import Picture
from backoffice.observability.standing import Standing
from backoffice.settings import Settings

# A round is for nobody in particular: it leaves the ops connection soon.
DEADLINE = 0.3
# Sizes and dead rows change slowly, and cost more than all the rest.
TABLES_EVERY = 60.0


class Judging:
    """Judges for the page, for the probes, and regularly for nobody.

    `threads` is how many may ask the database at once; whoever serves sets it.
    """

    def __init__(
        self,
        keeper: Keeper,
        ops: OpsReader,
        pulse: Pulse,
        settings: Settings,
    ) -> None:
        self.keeper = keeper
        self.ops = ops
        self.pulse = pulse
        self.settings = settings
        self.threads: float | None = None
        self.standing = Standing(keeper.snapshots.directory)
        self._judge = Judge(self.standing)
        self._tables: Reading[Any] | None = None
        self._tables_at = self._read_at = float("-inf")

    def contradictions(
        self, picture: Picture, live: LivePanels
    ) -> tuple[Contradiction, ...]:
        """The settings that are at odds."""
        found = contradictions(
            self.settings.database,
            server=live.server.value,
            processes=max(1, len(picture.processes)),
            threads=self.threads,
            beside=connections_beside(self.settings),
        )
        if live.file.value is not None:
            found += sqlite_contradictions(live.file.value)
        return found

    def judge(
        self, picture: Picture, live: LivePanels, *, database: Reading[bool]
    ) -> Judgement:
        """What is to be said of what was read just now."""
        found = self.contradictions(picture, live)
        return self._judge.judge(
            picture,
            live,
            database=database,
            contradictions=[one.text for one in found],
            processes=self.settings.web.processes,
            step=self.keeper.clock_watch.look(),
        )

    def round(self) -> None:
        """Judge, unless somebody has done so just now."""
        last = self.standing.last()
        if last is None or last.age >= ROUNDS_EVERY * 0.9:
            self.look()
        elif time.monotonic() - self._read_at > TABLES_EVERY:
            # While another does the rounds: for the day when nothing can be read.
            missing: Reading[Any] = self.ops.remembered("nothing")
            self._read(no_panels(missing, is_postgresql=self.ops.is_postgresql))

    def recent(self, *, at_most: float = ROUNDS_EVERY) -> Judgement:
        """What was said last, if that is not older; else it is judged now."""
        last = self.standing.last()
        if last is not None and last.age <= at_most:
            return Judgement(in_order(last.verdicts))
        return self.look()

    def look(self) -> Judgement:
        """Ask what there is to ask, and judge."""
        database = self.pulse.database()
        missing: Reading[Any] = Reading(database.state, text=database.text)
        live = no_panels(missing, is_postgresql=self.ops.is_postgresql)
        if database.is_fresh:
            live = self._read(live)
        return self.judge(self.keeper.picture(), live, database=database)

    def _read(self, live: LivePanels) -> LivePanels:
        """Sessions and server, or the file; the tables now and then."""
        self._read_at = time.monotonic()
        if not self.ops.is_postgresql:
            found = self.ops.ask(
                sqlite_question(), self.pulse.migrations, deadline=DEADLINE
            )
            return replace(live, file=found["server"], migrations=found["migrations"])
        questions: list[Question[Any]] = [
            activity_question(),
            server_question(),
            self.pulse.migrations,
        ]
        now = time.monotonic()
        is_due = now - self._tables_at > TABLES_EVERY
        if is_due:
            questions.append(tables_question())
        found = self.ops.ask(*questions, deadline=DEADLINE)
        if is_due:
            self._tables = found["tables"]
            if self._tables.is_fresh:
                self._tables_at = now
        assert self._tables is not None  # noqa: S101 - the first time is due
        return replace(
            live,
            activity=found["activity"],
            tables=self._tables,
            server=found["server"],
            migrations=found["migrations"],
        )
