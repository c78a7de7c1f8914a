"""What observing does outside of requests: one thread that writes and forgets.

It reports to the other processes, writes the slow log and the hours, and prunes them.
Whatever fails is tried again; nobody waits for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import URL, Engine, NullPool
from sqlalchemy.exc import SQLAlchemyError

from backoffice.database.engine import make_engine
from backoffice.observability.clock import ClockWatch
from backoffice.observability.growth import Sizes, read_before, write_sizes
from backoffice.observability.history import HourWriter
from backoffice.observability.lazy_loads import watch_loads
from backoffice.observability.picture import Picture
from backoffice.observability.pool import PoolStatus
from backoffice.observability.pool_health import Verdict, judge_pool
from backoffice.observability.pruning import prune, thin, thin_sizes
from backoffice.observability.recorder import Recorder
from backoffice.observability.slow_log import SlowLog, write_slow
from backoffice.observability.snapshots import SnapshotWriter, retire_dead
from backoffice.observability.statement_texts import TextWriter
from backoffice.observability.statements import Observation, install
from backoffice.settings import DatabaseSettings, ObservabilitySettings

logger = logging.getLogger(__name__)

DIRECTORY = Path("var") / "metrics"
PRUNE_EVERY = 3600.0
# Often enough that no hour is left out; who comes second finds it written.
MEASURE_EVERY = 1200.0
ROUNDS_EVERY = 5.0
FLUSH_LIMIT = 60.0
FAREWELL = 2.0


class Keeper:
    """Everything that one process observes, and the thread that keeps it.

    `directory` is where the processes of one project meet: `root / DIRECTORY`.
    `revision` is the newest migration: statements that came with it are told by it.
    """

    def __init__(
        self,
        settings: ObservabilitySettings,
        directory: Path,
        *,
        kind: str = "server",
        revision: str = "",
        flush_engine: Engine | None = None,
    ) -> None:
        self.settings = settings
        self.revision = revision
        self.recorder = Recorder(
            slow_ms=settings.slow_ms,
            slow_factor=settings.slow_factor,
            limit=settings.fingerprints,
            sampled_reads=settings.sampled_reads,
            keep_values=settings.keep_values_minutes * 60,
        )
        self.clock_watch = ClockWatch()
        self.slow_log = SlowLog()
        self.recorder.slow = self.slow_log.offer
        self.observations: list[Observation] = []
        self.snapshots = SnapshotWriter(
            directory,
            self.recorder,
            self.observations,
            kind=kind,
            slow_dropped=lambda: self.slow_log.dropped,
        )
        # What else is to be done whenever it reports: to forget, above all.
        self.chores: list[Callable[[], object]] = [self.recorder.forget_values]
        self.flush_engine = flush_engine
        self.flush_error = ""
        self.flushed_at: float | None = None
        # What the tables occupied a week ago, or as long ago as is known.
        self.sizes_before: Sizes | None = None
        self._texts = TextWriter(revision=revision)
        self._hours = HourWriter(self.recorder)
        # What else is done regularly, besides reporting: given by whoever has it.
        self.rounds: Callable[[], object] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def observe(self, engine: Engine, *, name: str = "default") -> Observation:
        """Report the engine's statements and its pool from now on."""
        observation = install(engine, self.recorder, name=name)
        self.observations.append(observation)
        watch_loads()
        return observation

    def count_beside(
        self, engine: Engine, beside: Callable[[PoolStatus], PoolStatus]
    ) -> None:
        """Count connections into an engine's pool that are held past the engine."""
        for one in self.observations:
            if one.engine is engine:
                one.beside = beside

    def pools(self) -> tuple[PoolStatus, ...]:
        """The pools of this process, now."""
        return tuple(one.status() for one in self.observations)

    def verdicts(self) -> dict[str, tuple[Verdict, ...]]:
        """What is to be said of each pool of this process, dated, the worst first."""
        return {status.name: judge_pool(status) for status in self.pools()}

    def picture(self) -> Picture:
        """All processes of this machine, added up."""
        return self.snapshots.picture()

    def start(self) -> None:
        """Start the thread; once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="keeper", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end; waits two seconds for a slow database."""
        self.snapshots.is_ending = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(FAREWELL)
            self._thread = None
        if self.flush_engine is not None:
            self.flush_engine.dispose()

    def report(self) -> None:
        """Tell the other processes what was counted, and what the pools are like."""
        for chore in self.chores:
            chore()
        self.clock_watch.look()
        for one in self.observations:
            one.meter.sample()
        for status in self.pools():
            self.recorder.note_pool(status.utilization, status.waiters or 0)
        try:
            self.snapshots.write()
            retire_dead(self.snapshots.directory, limit=self.settings.fingerprints)
        except OSError as error:
            logger.warning("The counters cannot be written: %s", error.strerror)

    def flush(self) -> int:
        """Write the slow log and the hours; the number of rows written."""
        engine = self.flush_engine
        if engine is None:
            return 0
        started = time.thread_time_ns()
        try:
            written = write_slow(engine, self.slow_log, self._texts)
            written += self._hours.write(engine, self._texts)
        except SQLAlchemyError as error:
            # Said once, not every ten seconds: the database is away, or not migrated.
            if not self.flush_error:
                # A command that met the same has said so already.
                is_lasting = self.snapshots.kind in {"server", "worker"}
                level = logging.WARNING if is_lasting else logging.DEBUG
                logger.log(level, "The slow log waits: %s", type(error).__name__)
            self.flush_error = type(error).__name__
            return 0
        finally:
            self.recorder.add_overhead("flush", time.thread_time_ns() - started)
        self.flush_error = ""
        self.flushed_at = time.time()
        return written

    def prune(self) -> int:
        """Forget what is too old, and of many alike all but the worst."""
        engine = self.flush_engine
        if engine is None:
            return 0
        started = time.thread_time_ns()
        try:
            gone = prune(engine, keep_days=self.settings.keep_days)
            return gone + thin(engine) + thin_sizes(engine)
        except SQLAlchemyError as error:
            logger.warning("Old statements are kept: %s", type(error).__name__)
            return 0
        finally:
            self.recorder.add_overhead("prune", time.thread_time_ns() - started)

    def measure(self) -> int:
        """Write what the tables occupy, and remember what they did before."""
        engine = self.flush_engine
        if engine is None:
            return 0
        started, now = time.thread_time_ns(), time.time()
        try:
            written = write_sizes(engine, now=now)
            with engine.connect() as connection:
                self.sizes_before = read_before(connection, now=now)
        except SQLAlchemyError as error:
            logger.debug("The sizes are not written: %s", type(error).__name__)
            return 0
        finally:
            self.recorder.add_overhead("sizes", time.thread_time_ns() - started)
        return written

    def _go_round(self) -> None:
        if self.rounds is not None:
            self.rounds()

    def _run(self) -> None:
        """Take turns until told to stop, then write what is left."""
        turns: Sequence[tuple[Callable[[], object], float]] = (
            (self.report, self.settings.snapshot_seconds),
            (self.flush, self.settings.flush_seconds),
            (self.prune, PRUNE_EVERY),
            (self.measure, MEASURE_EVERY),
            (self._go_round, ROUNDS_EVERY),
        )
        begun = time.monotonic()
        # The first prune not at the start, where everything else happens. A command is
        # over before it has anything to measure.
        flush = self.settings.flush_seconds
        due = [begun, begun + flush, begun + 60, begun + 20, begun + 1]
        while not self._stop.wait(max(0.01, min(due) - time.monotonic())):
            for index, (work, every) in enumerate(turns):
                if time.monotonic() >= due[index]:
                    self._try(work)
                    due[index] = time.monotonic() + every
        self._try(self.report)
        self._try(self.flush)

    @staticmethod
    def _try(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # The thread must go on: without it nothing is reported any more.
            logger.exception("Observing failed; it is tried again")


def make_flush_engine(url: URL, settings: DatabaseSettings) -> Engine:
    """The engine that the slow log is written with: a connection only while it does."""
    limits = {"pool": "null", "statement_timeout": FLUSH_LIMIT, "echo": False}
    return make_engine(
        url,
        settings.model_copy(update=limits),
        application_name="backoffice-ops",
        poolclass=NullPool,
    )
