"""The numbers as Prometheus reads them, under OpenTelemetry's names.

Made of a picture alone: no connection is taken, and a database that is down changes
nothing but `pg_up`. Labels are few and bounded: never a user, a path, a fingerprint.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from backoffice.observability.histogram import DURATION_BOUNDS, Histogram
from backoffice.observability.picture import Picture

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

NANOSECONDS = 1e9
ROW_BOUNDS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
ANSWER_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10)

# OpenTelemetry's names, development status included: to be changed in one place. What
# begins with "backoffice_" is ours: OpenTelemetry has no name for it.
REQUEST_DURATION = "http_server_request_duration_seconds"
REQUEST_LABELS = ["http_request_method", "http_route", "http_response_status_code"]
OPERATION_DURATION = "db_client_operation_duration_seconds"
RETURNED_ROWS = "db_client_response_returned_rows"
CONNECTION_COUNT = "db_client_connection_count"
CONNECTION_MAX = "db_client_connection_max"
CONNECTION_IDLE_MAX = "db_client_connection_idle_max"
CONNECTION_PENDING = "db_client_connection_pending_requests"
CONNECTION_TIMEOUTS = "db_client_connection_timeouts"
CONNECTION_CREATE_TIME = "db_client_connection_create_time_seconds"
CONNECTION_WAIT_TIME = "db_client_connection_wait_time_seconds"
CONNECTION_USE_TIME = "db_client_connection_use_time_seconds"
POOL_NAME = "db_client_connection_pool_name"
POOL_STATE = "db_client_connection_state"

# What `Recorder.count` is told of: name, meaning, and what the two labels are.
CANCELS, EXPLAINS = "backend_cancels", "explain_runs"
EVENTS = (
    (CANCELS, "Sessions of the server that were ended.", ["kind", "outcome"]),
    (EXPLAINS, "Statements that were explained.", ["mode", "outcome"]),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides the picture; None is left out, not shown as zero.

    `server` are gauges read from the database a moment ago, by their names and labels:
    `{("pg_settings_max_connections", ()): 100.0}`.
    """

    system: str = "postgresql"
    namespace: str = ""
    pg_up: bool | None = None
    build: Mapping[str, str] = field(default_factory=dict)
    health: Mapping[str, bool] = field(default_factory=dict)
    server: Mapping[tuple[str, tuple[tuple[str, str], ...]], float] = field(
        default_factory=dict
    )


def exposition(picture: Picture, facts: Facts | None = None) -> bytes:
    """The text of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Picture(picture, facts or Facts()))
    return generate_latest(registry)


class _Picture(Collector):
    """A picture as prometheus-client asks for it."""

    def __init__(self, picture: Picture, facts: Facts) -> None:
        self._picture = picture
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        yield from self._operations()
        yield self._requests()
        yield from self._pools()
        yield from self._own()
        yield from self._server()

    def _operations(self) -> Iterator[Metric]:
        facts = self._facts
        common = [facts.system, facts.namespace]
        labels = [
            "db_system_name",
            "db_namespace",
            "db_operation_name",
            "db_collection_name",
        ]
        durations = HistogramMetricFamily(
            OPERATION_DURATION,
            "Duration of database statements, the wait for a connection included.",
            labels=[*labels, "error_type"],
        )
        for (operation, table, error), histogram in self._picture.operations.items():
            _add(
                durations,
                [*common, operation, table, error],
                histogram,
                DURATION_BOUNDS,
                NANOSECONDS,
            )
        yield durations
        rows = HistogramMetricFamily(
            RETURNED_ROWS, "Rows that statements returned or changed.", labels=labels
        )
        for (operation, table), histogram in self._picture.returned.items():
            _add(rows, [*common, operation, table], histogram, ROW_BOUNDS, 1)
        yield rows

    def _requests(self) -> Metric:
        requests = HistogramMetricFamily(
            REQUEST_DURATION, "Duration of answers to requests.", labels=REQUEST_LABELS
        )
        for labels, histogram in self._picture.answers.items():
            _add(requests, list(labels), histogram, ANSWER_BOUNDS, NANOSECONDS)
        return requests

    def _pools(self) -> Iterator[Metric]:
        count = _gauge(
            CONNECTION_COUNT, "Connections by state.", [POOL_NAME, POOL_STATE]
        )
        most = _gauge(CONNECTION_MAX, "Connections allowed.", [POOL_NAME])
        idle_most = _gauge(
            CONNECTION_IDLE_MAX, "Connections kept open when idle.", [POOL_NAME]
        )
        pending = _gauge(
            CONNECTION_PENDING, "Callers that wait for a connection.", [POOL_NAME]
        )
        for name, numbers in self._by_pool().items():
            for state in ("used", "idle"):
                if state in numbers:
                    count.add_metric([name, state], numbers[state])
            for family, key in ((most, "max"), (idle_most, "size"), (pending, "wait")):
                if key in numbers:
                    family.add_metric([name], numbers[key])
        yield from (count, most, idle_most, pending)
        timeouts = _counter(
            CONNECTION_TIMEOUTS, "Callers that got no connection in time.", [POOL_NAME]
        )
        refused = _counter(
            "backoffice_pool_refused",
            "Connections that the server did not give.",
            [POOL_NAME],
        )
        lost = _counter(
            "backoffice_pool_invalidated",
            "Connections that were thrown away as broken.",
            [POOL_NAME],
        )
        times = {
            kind: HistogramMetricFamily(name, text, labels=[POOL_NAME])
            for kind, name, text in (
                ("create", CONNECTION_CREATE_TIME, "Time to make a connection."),
                ("wait", CONNECTION_WAIT_TIME, "Time to get one from the pool."),
                ("use", CONNECTION_USE_TIME, "Time between checkout and checkin."),
            )
        }
        for name, pool in self._picture.pool_sums.items():
            timeouts.add_metric([name], pool.timeouts)
            refused.add_metric([name], pool.connect_errors)
            lost.add_metric([name], pool.invalidated)
            for kind, time in times.items():
                histogram = getattr(pool, kind)
                _add(time, [name], histogram, DURATION_BOUNDS, NANOSECONDS)
        yield from (timeouts, refused, lost)
        yield from times.values()

    def _by_pool(self) -> dict[str, dict[str, float]]:
        """The pools of one name in all processes, added up; unknown is left out."""
        found: dict[str, dict[str, float]] = {}
        for status in self._picture.pools:
            numbers = found.setdefault(status.name, {})
            values = {
                "used": status.checked_out,
                "idle": status.checked_in,
                "max": status.max,
                "size": status.size,
                "wait": status.waiters,
            }
            for key, value in values.items():
                if value is not None:
                    numbers[key] = numbers.get(key, 0) + value
        return found

    def _own(self) -> Iterator[Metric]:
        picture, facts = self._picture, self._facts
        slow = _counter(
            "backoffice_slow_queries",
            "Statements over the slow limit.",
            ["view", "operation"],
        )
        for key, number in picture.slow.items():
            slow.add_metric(list(key), number)
        yield slow
        lazy = _counter(
            "backoffice_n_plus_one",
            "Requests that loaded a relationship one by one.",
            ["view", "relationship"],
        )
        for key, number in picture.lazy.items():
            lazy.add_metric(list(key), number)
        yield lazy
        for name, text, labels in EVENTS:
            family = _counter(f"backoffice_{name}", text, labels)
            for (event, *values), number in picture.events.items():
                if event == name:
                    family.add_metric(values, number)
            yield family
        yield _one(
            _gauge("backoffice_query_fingerprints", "Different statements kept.", []),
            picture.fingerprints,
        )
        yield _one(
            _counter(
                "backoffice_query_fingerprints_evicted", "Statements forgotten.", []
            ),
            picture.tally.evicted,
        )
        overhead = _counter(
            "backoffice_ops_overhead_seconds", "What observing costs.", ["part"]
        )
        for part, nanoseconds in picture.tally.overhead.items():
            overhead.add_metric([part], nanoseconds / NANOSECONDS)
        yield overhead
        workers = _gauge("backoffice_workers", "Processes that report.", ["kind"])
        seen = _gauge(
            "backoffice_worker_last_seen_seconds",
            "Age of the oldest report of a kind of process.",
            ["kind"],
        )
        for kind in sorted({one.kind for one in picture.processes}):
            ages = [one.age for one in picture.processes if one.kind == kind]
            workers.add_metric([kind], len(ages))
            seen.add_metric([kind], max(ages))
        yield from (workers, seen)
        if facts.build:
            names = sorted(facts.build)
            build = _gauge("backoffice_build_info", "What is running.", names)
            build.add_metric([facts.build[name] for name in names], 1)
            yield build
        health = _gauge("backoffice_health", "Whether a check passes.", ["check"])
        for check, passes in facts.health.items():
            health.add_metric([check], int(passes))
        yield health

    def _server(self) -> Iterator[Metric]:
        """Names as postgres_exporter has them, so that its alerts work unchanged."""
        facts = self._facts
        if facts.pg_up is not None:
            up = _gauge("pg_up", "Whether the database answers.", [])
            yield _one(up, int(facts.pg_up))
        families: dict[str, GaugeMetricFamily] = {}
        for (name, labels), value in facts.server.items():
            family = families.get(name)
            if family is None:
                text = "As postgres_exporter names it."
                names = [label for label, _ in labels]
                family = families[name] = _gauge(name, text, names)
            family.add_metric([text for _, text in labels], value)
        yield from families.values()


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _counter(name: str, text: str, labels: list[str]) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)


def _one(
    family: GaugeMetricFamily | CounterMetricFamily, value: float
) -> GaugeMetricFamily | CounterMetricFamily:
    family.add_metric([], value)
    return family


def _add(
    family: HistogramMetricFamily,
    labels: list[str],
    histogram: Histogram,
    bounds: Iterable[float],
    unit: float,
) -> None:
    """A histogram's buckets; a value in a bucket over the bound counts above it."""
    bounds = tuple(bounds)
    below = histogram.cumulative(bounds, unit)
    buckets = [
        (f"{bound:g}", float(number))
        for bound, number in zip(bounds, below, strict=True)
    ]
    buckets.append(("+Inf", float(histogram.number)))
    family.add_metric(labels, buckets, sum_value=histogram.total / unit)
