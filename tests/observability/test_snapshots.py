import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, QueuePool, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backoffice.database.session import Place, Work, working
from backoffice.observability.exposition import CANCELS, Facts, exposition
from backoffice.observability.picture import KEPT_SERIES
from backoffice.observability.pool import observed_pool
from backoffice.observability.recorder import Recorder
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.observability.snapshots import (
    RETIRED,
    SnapshotWriter,
    read_picture,
    resident_memory,
    retire_dead,
)
from backoffice.observability.statements import Observation, install

SEARCH = text("SELECT name FROM sqlite_master WHERE name = :a")

# A process that runs as many statements as it is told, reports, and waits for its end.
PROCESS = """
import sys
from pathlib import Path
from sqlalchemy import create_engine, text
from backoffice.observability.recorder import Recorder
from backoffice.observability.snapshots import SnapshotWriter
from backoffice.observability.statements import install

engine, recorder = create_engine("sqlite://"), Recorder()
observation = install(engine, recorder)
writer = SnapshotWriter(Path(sys.argv[1]), recorder, [observation])
with engine.connect() as connection:
    for _ in range(int(sys.argv[2])):
        connection.execute(text("SELECT 1 AS a")).all()
writer.write(statements=True)
print("ready", flush=True)
sys.stdin.read()
"""


class Worker:
    """A process of its own that reports into a directory."""

    def __init__(self, directory: Path, calls: int) -> None:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(directory), str(calls)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def wait_until_ready(self) -> None:
        """Return when it has reported."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """End it without a chance to say anything."""
        self._process.kill()
        self._process.communicate()


class Own:
    """This process, reporting."""

    def __init__(self, directory: Path) -> None:
        self.recorder = Recorder()
        self.engine: Engine = create_engine(
            "sqlite://",
            poolclass=observed_pool(QueuePool),
            pool_size=2,
            pool_timeout=0.01,
        )
        self.observation: Observation = install(self.engine, self.recorder)
        self.writer = SnapshotWriter(directory, self.recorder, [self.observation])

    def exhaust(self) -> None:
        """Ask for more connections than there are."""
        with ExitStack() as stack:
            while True:
                stack.enter_context(self.engine.connect())

    def call(self, number: int, statement: str = "SELECT 1 AS a") -> None:
        """Run a statement some times."""
        with self.engine.connect() as connection:
            for _ in range(number):
                connection.execute(text(statement)).all()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    """This process as one that reports."""
    made = Own(tmp_path)
    yield made
    made.engine.dispose()


def samples(metrics: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """All samples by name and labels' values; one of each."""
    found = [
        ((sample.name, tuple(sample.labels.values())), sample.value)
        for family in text_string_to_metric_families(metrics.decode())
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


def values(metrics: bytes, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name by their labels' values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.decode())
        for sample in family.samples
        if sample.name == name
    }


def test_three_processes_add_up_and_one_that_dies_is_kept(tmp_path: Path) -> None:
    """The sum of three processes does not fall when one is killed, nor when folded."""
    workers = [Worker(tmp_path, number) for number in (3, 4, 5)]
    for worker in workers:
        worker.wait_until_ready()
    alive = read_picture(tmp_path)
    workers[0].kill()
    after = read_picture(tmp_path)
    folded = retire_dead(tmp_path)
    later = read_picture(tmp_path)
    for worker in workers[1:]:
        worker.kill()
    assert (alive.tally.calls, after.tally.calls, later.tally.calls) == (12, 12, 12)
    assert (len(alive.processes), len(after.processes)) == (3, 2)
    assert (folded, later.retired, len(later.processes)) == (1, 1, 2)
    assert [one.calls for one in later.top_statements()] == [12]
    assert later.coverage(3).startswith("2 of 3 processes, newest ")


def test_folding_twice_counts_once(tmp_path: Path) -> None:
    """A file that came back after it was folded is not counted again."""
    worker = Worker(tmp_path, 3)
    worker.wait_until_ready()
    (path,) = tmp_path.glob("*-*.json")
    kept = path.read_bytes()
    worker.kill()
    retire_dead(tmp_path)
    path.write_bytes(kept)  # as if the fold had been cut off before the deletion
    retire_dead(tmp_path)
    assert read_picture(tmp_path).tally.calls == 3


def test_a_pid_that_is_used_again_is_another_process(own: Own) -> None:
    """A file of an earlier process with the same pid counts as dead."""
    own.call(2)
    own.writer.write()
    own.writer.path.rename(own.writer.directory / f"{os.getpid()}-1.json")
    picture = read_picture(own.writer.directory)
    assert (picture.tally.calls, picture.processes, picture.retired) == (2, [], 1)


def test_own_numbers_come_from_memory(own: Own) -> None:
    """A process sees itself as it is now, not as its file says, and only once."""
    own.call(2)
    own.writer.write()
    own.call(3)
    assert own.writer.picture().tally.calls == 5


def test_the_pools_are_in_the_file(own: Own) -> None:
    """Another process reads who holds what from the file."""
    with working(Work(Place("student", "list"))), own.engine.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        own.writer.write()
    (status,) = read_picture(own.writer.directory).pools
    assert (status.checked_out, status.size, status.process) == (1, 2, os.getpid())
    assert status.holders[0].view == "student"


def test_counting_anew_concerns_the_dead_as_well(own: Own, tmp_path: Path) -> None:
    """What another process had counted is gone from the page, folded or not."""
    worker = Worker(tmp_path, 4)
    worker.wait_until_ready()
    worker.kill()
    own.call(3)
    reset = own.writer.reset("Ada Admin")
    left = own.writer.picture()
    retire_dead(tmp_path)
    own.call(2)
    later = own.writer.picture()
    assert (left.counted.calls, left.statements) == (0, {})
    assert (later.counted.calls, later.tally.calls) == (2, 9)
    assert [one.calls for one in later.top_statements()] == [2]
    assert (later.counted_since, later.reset.by) == (reset.at, "Ada Admin")


def test_a_process_follows_with_its_next_snapshot(own: Own, tmp_path: Path) -> None:
    """Told by one of them, another forgets what it had counted, and nothing later."""
    other = Own(tmp_path)
    other.call(3)
    with other.engine.connect(), pytest.raises(PoolTimeout):
        other.exhaust()
    own.writer.reset("Ada Admin")
    other.writer.write(statements=True)
    other.call(2)
    other.writer.write(statements=True)
    picture = read_picture(tmp_path)
    other.engine.dispose()
    assert picture.counted.calls == 2
    assert [one.calls for one in picture.top_statements()] == [2]
    assert (picture.pool_timeouts(), picture.pool_sums["default"].timeouts) == (0, 1)
    assert [one.timeouts for one in picture.pools] == [0]


def test_the_exposition_goes_on_when_the_page_counts_anew(own: Own) -> None:
    """No total of /metrics falls: Prometheus would take it for a restart."""
    own.call(3)
    own.recorder.record_answer("GET", "/admin/", "200", 5_000_000)
    own.recorder.count(CANCELS, "cancel", "sent")
    before = samples(exposition(own.writer.picture()))
    own.writer.reset("Ada Admin")
    after = samples(exposition(own.writer.picture()))
    gauges = {"backoffice_query_fingerprints"}
    fallen = {key for key, value in before.items() if after.get(key, -1) < value}
    assert {name for name, _ in fallen} <= gauges
    assert after["backoffice_backend_cancels_total", ("cancel", "sent")] == 1


def test_series_of_those_that_are_gone_are_bounded(tmp_path: Path) -> None:
    """However many processes have come and gone with tables of their own."""
    for number in range(12):
        dead = Own(tmp_path)
        for table in range(40):
            dead.call(1, f"SELECT 1 AS a FROM (SELECT 1) AS t{table}")
            dead.recorder.record_answer("GET", f"/{number}/{table}", "200", 1)
        dead.writer.write(statements=True)
        dead.writer.path.rename(tmp_path / f"{os.getpid()}-{number}.json")
        dead.engine.dispose()
        retire_dead(tmp_path)
    picture = read_picture(tmp_path)
    assert len(picture.answers) <= KEPT_SERIES + 1
    assert sum(one.number for one in picture.answers.values()) == 480


def test_half_a_file_is_no_file(own: Own) -> None:
    """A file that cannot be read is left out and breaks nothing."""
    own.call(1)
    own.writer.write()
    (own.writer.directory / "1-1.json").write_text('{"pid": 1,')
    assert read_picture(own.writer.directory).tally.calls == 1


def test_without_a_directory_there_is_an_empty_picture(tmp_path: Path) -> None:
    """Before anybody has reported the coverage says so."""
    assert read_picture(tmp_path / "no").coverage() == "no process reports"


def test_no_value_is_in_the_file(own: Own) -> None:
    """What was searched for is in no snapshot."""
    with observe_request(RequestLog()) as log, own.engine.connect() as connection:
        connection.execute(SEARCH, {"a": "canary-4711"}).all()
        connection.execute(SEARCH, {"a": "canary-4711"}).all()
    own.recorder.record_request(log)
    own.writer.write(statements=True)
    assert "canary" not in own.writer.path.read_text()
    assert len(own.recorder.findings) == 1


def test_many_different_statements_stay_within_bounds(own: Own) -> None:
    """Ten thousand statements: a thousand are kept, the rest counted, little memory."""
    own.call(1)
    own.writer.write(statements=True)
    before = resident_memory()
    for number in range(10_000):
        own.call(1, f"SELECT 1 AS a{number}, 'x{number}' AS b WHERE 1 = {number}")
    own.writer.write(statements=True)
    after = resident_memory()
    assert before is not None
    assert after is not None
    assert after - before < 20 * 2**20
    assert len(own.recorder.statements) <= 1_000
    assert own.recorder.evicted >= 9_000
    assert own.writer.picture().tally.calls == 10_001


def test_series_are_bounded(own: Own) -> None:
    """However many statements and views there were, the series of /metrics are few."""
    for number in range(2_000):
        with working(Work(Place(f"view{number}", "list"))):
            own.call(1, f"SELECT 1 AS a FROM (SELECT 1) AS t{number}")
    metrics = exposition(own.writer.picture())
    assert len(metrics.splitlines()) < 8_000


def test_the_exposition_is_valid_and_adds_up(own: Own) -> None:
    """A parser reads the text; counts, names and labels are as they should be."""
    own.call(3)
    metrics = exposition(
        own.writer.picture(),
        Facts(
            system="sqlite",
            namespace="main",
            pg_up=False,
            build={"version": "1"},
            health={"pool": True},
            server={("pg_settings_max_connections", ()): 100.0},
        ),
    )
    counts = values(metrics, "db_client_operation_duration_seconds_count")
    assert counts["", "main", "SELECT", "sqlite", ""] == 3
    assert values(metrics, "pg_up") == {(): 0}
    assert values(metrics, "backoffice_build_info") == {("1",): 1}
    assert values(metrics, "db_client_connection_count")["default", "idle"] == 1
    assert values(metrics, "db_client_connection_max") == {("default",): 12}
    assert values(metrics, "pg_settings_max_connections") == {(): 100}


def test_buckets_rise(own: Own) -> None:
    """Each bucket of a histogram holds what the one before holds, or more."""
    own.call(50)
    metrics = exposition(own.writer.picture())
    found = values(metrics, "db_client_operation_duration_seconds_bucket")
    numbers = [value for labels, value in found.items() if "SELECT" in labels]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 50


def test_minutes_of_all_processes_are_one_line(own: Own) -> None:
    """The sparkline has sixty minutes, the running one with what was just done."""
    own.call(3)
    minutes = own.writer.picture().last_minutes(own.recorder.clock())
    assert len(minutes) == 60
    assert minutes[-1].calls + minutes[-2].calls == 3


def test_a_clock_that_stepped_back_loses_nothing(tmp_path: Path) -> None:
    """Its minutes are named anew, so that the line goes on without a gap or a heap."""
    moments = iter([7_200.0, *[3_600.0] * 20])
    recorder = Recorder(clock=lambda: next(moments))
    engine = create_engine("sqlite://")
    install(engine, recorder)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1")).all()
        connection.execute(text("SELECT 1")).all()
    engine.dispose()
    assert [(minute.at, minute.calls) for minute in recorder.minutes] == [(60, 2)]


def test_a_snapshot_is_plain_json(own: Own) -> None:
    """The file can be read by anything that reads JSON."""
    own.call(1)
    own.writer.write(statements=True)
    data = json.loads(own.writer.path.read_text())
    assert data["statements"][0]["text"] == "SELECT ? AS a"
    assert RETIRED not in {path.name for path in own.writer.directory.iterdir()}
