"""What the other processes know: a file for each, written anew every two seconds.

Files need no database: they are read while it is down. What a process counted stays
after it has died: whoever notices folds its file into one for all that are gone.
"""

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backoffice.observability.counters import StatementStats, Tally
from backoffice.observability.picture import (
    KEPT_SERIES,
    Picture,
    Reset,
    pool_from_json,
)
from backoffice.observability.pool import PoolStatus
from backoffice.observability.recorder import Recorder, Tracked
from backoffice.observability.request_log import PastRequest
from backoffice.observability.statements import Observation

RETIRED = "retired.json"
# Files of the same names, in a directory of their own. Of the dead they stay a day.
REQUESTS = "requests"
REQUESTS_KEPT = 86_400.0
RESET = "reset.json"
LOCK = ".lock"
FOLDED_KEPT = 500
STATEMENTS_EVERY = 10.0


class SnapshotWriter:
    """Writes this process's counters; `kind` is server, worker, command or shell."""

    def __init__(
        self,
        directory: Path,
        recorder: Recorder,
        observations: Sequence[Observation],
        *,
        kind: str = "server",
        slow_dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        self.directory = directory
        self.recorder = recorder
        self.observations = observations
        self.kind = kind
        self.slow_dropped = slow_dropped
        self._statements = "[]"
        self._statements_at = float("-inf")
        # Whether this process ends as it should: one that dies cannot say so.
        self.is_ending = False
        self._reset = 0
        self._before = Tally()

    @property
    def path(self) -> Path:
        """Its file; a process that was forked has one of its own."""
        return self.directory / f"{os.getpid()}-{process_start(os.getpid())}.json"

    def reset(self, by: str) -> Reset:
        """Let the page of all processes of this machine count anew from now on.

        Each of them follows with its next snapshot; until then what it has counted is
        left out.
        """
        made = write_reset(self.directory, by)
        self.follow(made)
        return made

    def follow(self, reset: Reset) -> None:
        """Forget what was counted before a reset that this process has not seen yet."""
        if reset.number in (0, self._reset):
            return
        self._reset = reset.number
        self._before = self._tally()
        self.recorder.forget()
        for one in self.observations:
            one.meter.begin_anew()
        self._statements_at = float("-inf")

    def _tally(self) -> Tally:
        recorder = self.recorder
        overhead = Counter(recorder.overhead)
        dropped = self.slow_dropped()
        return Tally(recorder.calls, recorder.evicted, dropped, overhead)

    def take(self) -> dict[str, Any]:
        """This process now, as plain data, without its statements."""
        self.follow(read_reset(self.directory))
        return {
            **take_counters(self.recorder, self.observations),
            "reset": self._reset,
            "tally": self._tally().to_json(),
            "before": self._before.to_json(),
            "pid": os.getpid(),
            "kind": self.kind,
            "ended": self.is_ending,
            "started": self.recorder.started,
            # Of the machine, not of the process: it never steps back.
            "monotonic": time.monotonic(),
            "memory": resident_memory(),
        }

    def write(self, *, statements: bool = False) -> None:
        """Write the file in one step: a reader never sees half of it.

        The statements are many: without being asked to, they are read anew only every
        ten seconds.
        """
        started = time.thread_time_ns()
        data = self.take()
        now = time.monotonic()
        if statements or now - self._statements_at > STATEMENTS_EVERY:
            self._statements = dump_json(take_statements(self.recorder))
            self._statements_at = now
            self._write_requests()
        self.directory.mkdir(parents=True, exist_ok=True)
        text = f'{dump_json(data)[:-1]},"statements":{self._statements}}}'
        replace_file(self.path, text)
        self.recorder.add_overhead("snapshot", time.thread_time_ns() - started)

    def _write_requests(self) -> None:
        """The last requests in a file of their own: read only by a request's page."""
        path = self.directory / REQUESTS / self.path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        found = [one.past().to_json() for one in self.recorder.last_requests()]
        replace_file(path, dump_json(found))

    def request(self, request_id: str) -> PastRequest | None:
        """A request of any process, while one of them knows it."""
        own = self.recorder.request(request_id)
        if own is not None:
            return own.past()
        return find_request(self.directory, request_id)

    def picture(self) -> Picture:
        """All processes: this one from memory, as it is now."""
        own = self.take()
        statements = [one.copy() for one in tracked(self.recorder)]
        return read_picture(self.directory, own=(self.path.name, own, statements))


def read_pools(directory: Path, *, but: str = "") -> list[PoolStatus]:
    """The pools of the living processes, but for the file `but`; quicker than all."""
    found: list[PoolStatus] = []
    for path in _files(directory):
        data = None if path.name == but else _read_json(path)
        if data is not None and is_alive(data["pid"], path.name):
            found.extend(pool_from_json(one) for one in data.get("status", ()))
    return found


def read_picture(
    directory: Path,
    *,
    own: tuple[str, dict[str, Any], Sequence[StatementStats]] | None = None,
) -> Picture:
    """The sum of all files; `own` stands for the file of its name."""
    picture = Picture(read_reset(directory))
    now = time.monotonic()
    found: dict[str, dict[str, Any]] = {}
    for path in _files(directory):
        if own is not None and path.name == own[0]:
            continue
        data = _read_json(path)
        if data is not None:
            found[path.name] = data
    # The retired last: a file folded meanwhile is counted there, and only there.
    retired = _read_json(directory / RETIRED) or {}
    folded = set(retired.get("folded", ()))
    if own is not None:
        picture.add(own[1], age=0.0, statements=own[2])
    for name, data in found.items():
        if name in folded:
            continue
        alive = is_alive(data["pid"], name)
        age = max(0.0, now - data["monotonic"])
        picture.add(data, age=age, is_retired=not alive)
        picture.retired += not alive
    if retired:
        picture.add(retired, age=0.0, is_retired=True)
    return picture


def find_request(directory: Path, request_id: str) -> PastRequest | None:
    """A request by its id, from the files of all processes, dead ones as well."""
    for path in (directory / REQUESTS).glob("*.json"):
        try:
            # Most files hold another's: no need to take all of one apart.
            text = path.read_text()
            found = json.loads(text) if request_id in text else []
        except (OSError, ValueError):
            continue
        for one in found:
            if one["request_id"] == request_id:
                return PastRequest.from_json(one)
    return None


def retire_dead(directory: Path, *, limit: int = 1000) -> int:
    """Fold the files of processes that are gone into one; how many there were."""
    for path in (directory / REQUESTS).glob("*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > REQUESTS_KEPT:
                path.unlink()
    dead = [path for path in _files(directory) if not is_alive(_pid(path), path.name)]
    if not dead:
        return 0
    with _locked(directory) as is_ours:
        if not is_ours:
            return 0
        retired = _read_json(directory / RETIRED) or {}
        folded: list[str] = list(retired.get("folded", ()))
        picture = Picture(read_reset(directory), series=KEPT_SERIES)
        if retired:
            picture.add(retired, age=0.0, is_retired=True)
        for path in dead:
            data = _read_json(path)
            if data is None or path.name in folded:
                continue
            age = max(0.0, time.monotonic() - data["monotonic"])
            picture.add(data, age=age, is_retired=True)
            picture.retired += 1
            folded.append(path.name)
        # Named before they are deleted: a crash in between counts nothing twice.
        data = {**picture.to_json(limit=limit), "folded": folded[-FOLDED_KEPT:]}
        replace_file(directory / RETIRED, dump_json(data))
        for path in dead:
            path.unlink(missing_ok=True)
    return len(dead)


def read_reset(directory: Path) -> Reset:
    """When the page began to count anew, last."""
    data = _read_json(directory / RESET)
    return Reset(**data) if data else Reset()


def write_reset(directory: Path, by: str) -> Reset:
    """Begin to count anew."""
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory, waits=True):
        reset = Reset(read_reset(directory).number + 1, time.time(), by)
        replace_file(directory / RESET, dump_json(asdict(reset)))
    return reset


def take_counters(
    recorder: Recorder, observations: Sequence[Observation]
) -> dict[str, Any]:
    """The counters and the pools of this process."""
    data: dict[str, Any] = recorder.read(_counters)
    data["pools"] = {
        one.name: {
            "timeouts": one.meter.timeouts,
            "timeouts_before": one.meter.timeouts_before,
            "invalidated": one.meter.invalidated,
            "connect_errors": one.meter.connect_errors,
            "created": one.meter.created,
            "wait": one.meter.wait.to_json(),
            "create": one.meter.create.to_json(),
            "use": one.meter.use.to_json(),
        }
        for one in observations
    }
    data["status"] = [asdict(one.status()) for one in observations]
    return data


def take_statements(recorder: Recorder) -> list[dict[str, Any]]:
    """The statements of this process; the lock is held for a copy of the list only."""
    return [one.to_json() for one in tracked(recorder)]


def tracked(recorder: Recorder) -> list[Tracked]:
    """The statements that a process has in memory."""
    found: list[Tracked] = recorder.read(lambda held: list(held.statements.values()))
    return found


def _counters(recorder: Recorder) -> dict[str, Any]:
    """What is read while nothing changes."""
    return {
        "fingerprints": len(recorder.statements),
        "operations": [
            [*key, one.to_json()] for key, one in recorder.operations.items()
        ],
        "returned": [[*key, one.to_json()] for key, one in recorder.returned.items()],
        "answers": [[*key, one.to_json()] for key, one in recorder.answers.items()],
        "events": [[*key, number] for key, number in recorder.events.items()],
        "slow": [[*key, number] for key, number in recorder.slow_counts.items()],
        "lazy": [[*key, number] for key, number in recorder.lazy_counts.items()],
        "minutes": [one.to_json() for one in recorder.minutes],
        "views": [one.to_json() for one in recorder.views.values()],
        "findings": [one.to_json() for one in recorder.findings.values()],
    }


def dump_json(data: Any) -> str:
    """JSON without blanks."""
    return json.dumps(data, separators=(",", ":"))


def replace_file(path: Path, text: str) -> None:
    """Replace a file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def process_start(pid: int) -> int:
    """When a process started, in the kernel's ticks: a pid is used again, this is not.

    Zero where the kernel does not tell.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - not a real file
            after_name = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(after_name[19])


def is_alive(pid: int, name: str) -> bool:
    """Whether the process that a file is named after still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return name == f"{pid}-{process_start(pid)}.json"


def resident_memory() -> int | None:
    """The memory that this process occupies, in bytes; None where nobody tells."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _files(directory: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(
            path
            for path in directory.iterdir()
            if path.suffix == ".json" and _pid(path)
        )
    return []


def _pid(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdigit() else 0


def _read_json(path: Path) -> dict[str, Any] | None:
    """A file's data; None when it is gone, or not of ours."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return data


@contextmanager
def _locked(directory: Path, *, waits: bool = False) -> Iterator[bool]:
    """Only one process folds at a time; the others need not wait for it."""
    with (directory / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except OSError:
            yield False
            return
        yield True
