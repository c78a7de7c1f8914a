"""Which values did a statement run with? Known for a quarter of an hour, in memory.

They are in the memory of the process that ran it and nowhere else: not in a table, a
log, a metric, a file or an address. Kept are the newest call of each statement by each
view (`StatementStats.newest`), every slow or failed one, and those of the requests
whose cost was shown; all of it bounded in number and bytes. What is bound to a secret
column is never kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from threading import Lock
from time import perf_counter_ns
from typing import Any, Generic, TypeVar
from uuid import UUID

from backoffice.observability.measurement import Measurement
from backoffice.observability.secrecy import EVERYTHING, Secrecy

KEPT_SECONDS = 15 * 60
# So many slow or failed calls, and requests whose cost was shown.
CALLS, REQUESTS = 500, 100
# Bytes of one call's values; of all slow calls, and of all requests.
LARGEST, MOST = 16_384, 4_194_304
# What a call takes besides its texts, and each of its values.
BASE, EACH = 400, 32

K = TypeVar("K")
Values = Mapping[str, Any] | Sequence[Any]
# A measurement, the text that the driver got, the values, and the names of those that
# are withheld. No class of its own: one is made of every statement that ends.
Taken = tuple[Measurement, str, Values, tuple[str, ...]]

# In place of the names of those that are withheld: all of them.
ALL = "*"
LEFT_OUT: Any = object()
_PLAIN = (int, float, Decimal, date, datetime, time, timedelta, UUID, str, bytes)
_FLAT = frozenset({*_PLAIN, bool, type(None)} - {str, bytes})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a statement: what was measured of it, and what it ran with.

    `text` is what the driver got, without the comment. `values` are those that may be
    kept; where some are `withheld`, the statement cannot be planned with them. `until`
    is when it will be forgotten.
    """

    measured: Measurement
    text: str
    values: Values
    withheld: tuple[str, ...]
    until: datetime

    @property
    def fingerprint(self) -> str:
        """Which statement it was."""
        return self.measured.fingerprint.id

    @property
    def at(self) -> datetime:
        """When it began, to the microsecond, as the slow log has it."""
        return datetime.fromtimestamp(self.measured.at, UTC)

    @property
    def is_whole(self) -> bool:
        """Whether every one of its values is known."""
        return not self.withheld


class KeptValues:
    """What calls ran with, as far as it may be kept; for a quarter of an hour."""

    def __init__(
        self,
        *,
        seconds: float = KEPT_SECONDS,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self.secrecy = Secrecy()
        self.seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._slow: _Ring[tuple[str, str, float]] = _Ring(CALLS)
        self._requests: _Ring[str] = _Ring(REQUESTS)

    # -- taken in

    def taken(self, measured: Measurement, context: Any) -> Taken | None:
        """A statement that has ended with those of its values that may be kept."""
        if not self.seconds:
            return None
        withheld = self.secrecy.withheld(context.compiled)
        if withheld:
            return _without(measured, context, withheld)
        parameters = context.parameters[0]
        size = EACH * len(parameters)
        for value in parameters.values() if type(parameters) is dict else parameters:
            kind = type(value)
            if kind is str:
                size += len(value)
            elif kind not in _FLAT:
                size = LARGEST
        if size >= LARGEST:
            return _carefully(measured, context.statement, parameters)
        return measured, context.statement, parameters, ()

    def keep_slow(self, taken: Taken) -> None:
        """Remember a slow or failed call by itself."""
        measured = taken[0]
        key = (measured.fingerprint.id, measured.request_id, measured.at)
        with self._lock:
            self._slow.put(key, (taken,))

    def keep_request(self, request_id: str, calls: Iterable[Taken]) -> None:
        """Remember the calls of a request whose cost is shown."""
        found = tuple(calls)
        if found:
            with self._lock:
                self._requests.put(request_id, found)

    def forget(self) -> None:
        """Let go of what is older than a quarter of an hour."""
        with self._lock:
            for ring in (self._slow, self._requests):
                ring.drop_while(lambda taken: not self.is_known(taken))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            for ring in (self._slow, self._requests):
                ring.drop_while(lambda _taken: True)

    @property
    def bytes(self) -> int:
        """About how much memory the slow calls and the requests take."""
        return self._slow.bytes + self._requests.bytes

    # -- given out

    def is_known(self, taken: Taken) -> bool:
        """Whether a call is young enough to be told."""
        return self._left(taken) > 0

    def slow(self, fingerprint: str) -> tuple[Call, ...]:
        """The slow and failed calls of a statement, the newest first."""
        with self._lock:
            found = [
                taken
                for (name, _, _), (taken,) in self._slow.items()
                if name == fingerprint
            ]
        return self.calls(found)

    def of_request(self, request_id: str) -> tuple[Call, ...]:
        """What is known of a request's calls, in their order."""
        with self._lock:
            found = list(self._requests.get(request_id))
            found += [
                taken
                for (_, request, _), (taken,) in self._slow.items()
                if request == request_id
            ]
        return self.calls(found)[::-1]

    def calls(self, found: Iterable[Taken]) -> tuple[Call, ...]:
        """Those that are not too old, each once, the newest first."""
        once = {id(taken[0]): taken for taken in found}
        now = datetime.now(UTC)
        left = {key: self._left(taken) for key, taken in once.items()}
        calls = [
            Call(*taken, until=now + timedelta(seconds=left[key]))
            for key, taken in once.items()
            if left[key] > 0
        ]
        return tuple(sorted(calls, key=lambda call: call.measured.at, reverse=True))

    def _left(self, taken: Taken) -> float:
        """For how many seconds a call will still be known."""
        measured = taken[0]
        ended = measured.started + measured.execute + measured.fetch
        return self.seconds - (self._clock() - ended) / 1e9


class _Ring(Generic[K]):
    """Calls by some key, the oldest in front; bounded in number and bytes."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit
        self._kept: OrderedDict[K, tuple[Taken, ...]] = OrderedDict()

    def put(self, key: K, calls: tuple[Taken, ...]) -> None:
        """Remember these under a key, in place of others; the oldest make way."""
        self.drop(key)
        self._kept[key] = calls
        self.bytes += sum(map(_size_of, calls))
        while len(self._kept) > self._limit or self.bytes > MOST:
            self.drop(next(iter(self._kept)))

    def drop(self, key: K) -> None:
        """Forget what is known under a key."""
        self.bytes -= sum(map(_size_of, self._kept.pop(key, ())))

    def drop_while(self, is_due: Callable[[Taken], bool]) -> None:
        """Forget from the oldest on, as long as all of it is due."""
        while self._kept:
            key, calls = next(iter(self._kept.items()))
            if not all(map(is_due, calls)):
                return
            self.drop(key)

    def get(self, key: K) -> tuple[Taken, ...]:
        """What is known under a key."""
        return self._kept.get(key, ())

    def items(self) -> Iterable[tuple[K, tuple[Taken, ...]]]:
        """Everything, the oldest first."""
        return self._kept.items()


def _without(measured: Measurement, context: Any, withheld: frozenset[str]) -> Taken:
    """A call without the values that must not be kept."""
    parameters = context.parameters[0]
    if withheld is EVERYTHING or not isinstance(parameters, Mapping):
        # Of what was written by hand the text itself may hold values.
        return measured, measured.fingerprint.text, {}, (ALL,)
    expanded: Mapping[str, Sequence[str]] = (
        getattr(context, "_expanded_parameters", None) or {}
    )
    out = set(withheld)
    for name in withheld:
        out.update(expanded.get(name, ()))
    kept = {name: value for name, value in parameters.items() if name not in out}
    return _carefully(measured, context.statement, kept, sorted(out & set(parameters)))


def _carefully(
    measured: Measurement, text: str, parameters: Values, withheld: Iterable[str] = ()
) -> Taken:
    """A call whose values are not all plain: documents and long ones are left out."""
    is_named = isinstance(parameters, Mapping)
    items = (
        parameters if isinstance(parameters, Mapping) else dict(enumerate(parameters))
    )
    found: dict[Any, Any] = {}
    left_out = list(withheld)
    size = 0
    for name, value in items.items():
        copied = _copied(value)
        if copied is LEFT_OUT or size + _size(copied) > LARGEST:
            left_out.append(str(name))
            continue
        size += _size(copied)
        found[name] = copied
    if is_named:
        return measured, text, found, tuple(left_out)
    if left_out:
        return measured, text, (), (ALL,)
    return measured, text, tuple(found.values()), ()


def _copied(value: Any) -> Any:
    """A value that nobody else can change; `LEFT_OUT` for one that is not plain."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, list) and len(value) <= LARGEST // EACH:
        items = [_copied(one) for one in value]
        return LEFT_OUT if any(one is LEFT_OUT for one in items) else items
    return LEFT_OUT


def _size_of(taken: Taken) -> int:
    _, text, values, _ = taken
    given = values.values() if isinstance(values, Mapping) else values
    return BASE + len(text) + sum(map(_size, given))


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return EACH + len(value)
    if isinstance(value, list):
        return EACH + sum(map(_size, value))
    return EACH
