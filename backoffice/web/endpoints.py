"""Is it alive, is it ready, how is it, and what are its numbers? Answers for machines.

They answer while everything else is full: in threads of their own, over the ops
connection, within a second. Strangers get a word; details are for this machine, for
allowed addresses, for whoever has the token, and for those who may see the metrics.
"""

import functools
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backoffice.auth.permissions import may
from backoffice.bootstrap import Backoffice
from backoffice.errors import BackofficeError
from backoffice.observability.exposition import CONTENT_TYPE, Facts, exposition
from backoffice.observability.health import (
    Check,
    Report,
    Status,
    healthz,
    livez,
    readyz,
    startupz,
)
from backoffice.observability.housekeeping import ServerFacts, server_question
from backoffice.observability.picture import Picture
from backoffice.observability.pool_health import Health

if TYPE_CHECKING:
    from backoffice.admin.site import Site

logger = logging.getLogger(__name__)
T = TypeVar("T")

# At most so many probes at once; each ends within its deadline.
AT_ONCE = 8
HEARTBEAT_EVERY = 1.0
# The server is asked for its own numbers at most so often, and only for so long.
ASKED_EVERY, SERVER_DEADLINE = 10.0, 0.3
# What a proxy adds: a request with one of these was not sent from this machine.
FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
)
OK = 200
# The rules of the metrics page as checks; connection, migrations and utilization are
# asked by the probe itself: they alone can fail it.
FURTHER = {
    "waiters": "pool:waiters",
    "waits": "pool:wait_p95",
    "idle in transaction": "pool:idle_in_transaction",
    "long statement": "pool:long_statement",
    "locks": "database:lock_wait",
    "sessions": "database:sessions",
    "server connections": "database:connections",
    "memory": "database:cache_hits",
    "deadlocks": "database:deadlocks",
    "tables": "database:vacuum",
    "keys": "database:keys",
    "errors": "statements:errors",
    "settings": "settings:contradictions",
    "processes": "processes:reporting",
    "clock": "processes:clock",
}
STATUSES = {
    Health.HEALTHY: Status.PASS,
    Health.UNKNOWN: Status.UNKNOWN,
    Health.WARNING: Status.WARN,
    Health.UNHEALTHY: Status.FAIL,
}
HEALTH_TYPE = "application/health+json"


class Heartbeat:
    """Whether the loop turns, and whether the threads of the pages move."""

    def __init__(self) -> None:
        self.beaten_at: float | None = None
        self.is_draining = False

    async def beat(self) -> None:
        """Go on beating until cancelled."""
        while True:
            self.beaten_at = monotonic()
            await anyio.sleep(HEARTBEAT_EVERY)

    @property
    def age(self) -> float | None:
        """Seconds since the last beat; None before the first."""
        return None if self.beaten_at is None else monotonic() - self.beaten_at


class Probes:
    """Everything that machines may ask one process."""

    def __init__(self, backoffice: Backoffice) -> None:
        self.backoffice = backoffice
        self.heartbeat = Heartbeat()
        self.limiter = anyio.CapacityLimiter(AT_ONCE)
        self.site: Site | None = None
        self._server: ServerFacts | None = None
        self._asked_at = float("-inf")
        self._started: Report | None = None

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """Run in a thread that no page can take."""
        return await anyio.to_thread.run_sync(
            functools.partial(work, *args), limiter=self.limiter
        )

    # -- who may read the details

    def may_see_details(self, request: Request) -> bool:
        """Whether an address or the token opens the details."""
        settings = self.backoffice.settings.observability
        token = settings.metrics_token.get_secret_value()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if token and scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), token.encode())
        address = _address(request.client.host if request.client else "")
        if address is None:
            return False
        if address.is_loopback:
            return not any(name in request.headers for name in FORWARDING)
        return any(address in network for network in self.networks)

    @functools.cached_property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The addresses that may read; what is no address is left out, and logged."""
        found = []
        for text in self.backoffice.settings.observability.metrics_allow:
            try:
                found.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                logger.warning("observability.metrics_allow: %s is no address", text)
        return found

    def may_see_by_session(self, request: Request) -> bool:
        """Whether the viewer's session, or the cookie for bad times, opens them."""
        if self.site is None:
            return False
        try:
            login, _, _ = self.site.ops_answering.viewer(request)
        except BackofficeError:
            return False
        except Exception:  # noqa: BLE001 - nobody is logged in: the word is enough
            return False
        return may(login.role, "ops:view")

    # -- the answers

    def live(self) -> Report:
        """Whether the process should go on; asks nobody."""
        is_stuck = self.site is not None and self.site.answering.is_stuck()
        return livez(heartbeat_age=self.heartbeat.age, limiter_is_stuck=is_stuck)

    def started(self) -> Report:
        """Whether the start is over; once it is, it is never asked again."""
        if self._started is None:
            report = startupz(self.backoffice.pulse)
            if report.code != OK:
                return report
            self._started = report
        return self._started

    def ready(self) -> Report:
        """Whether requests should come here."""
        return readyz(
            self.backoffice.pulse,
            self.backoffice.keeper.pools(),
            is_draining=self.heartbeat.is_draining,
        )

    def health(self) -> tuple[Report, Picture]:
        """How all is: connection, pools of all processes, migrations, and the rest."""
        picture = self.backoffice.keeper.picture()
        return self.report(picture), picture

    def report(self, picture: Picture) -> Report:
        """What /healthz says, of this picture."""
        limited = [one for one in picture.pools if one.max is not None or one.holders]
        return healthz(self.backoffice.pulse, limited, further=self.further())

    def further(self) -> list[Check]:
        """What can warn: all else that the metrics page looks at, by the same word."""
        verdicts = self.backoffice.judging.recent().verdicts
        return [
            Check(
                FURTHER[one.rule],
                STATUSES[one.health],
                one.value,
                text=one.text,
                is_calm=one.is_calm,
            )
            for one in verdicts
            if one.rule in FURTHER
        ]

    def server(self) -> ServerFacts | None:
        """The server's own numbers, a few seconds old; None where there are none."""
        backoffice = self.backoffice
        if not backoffice.ops.is_postgresql:
            return None
        if not backoffice.pulse.database().is_fresh:
            self._server = None
            return None
        now = monotonic()
        if now - self._asked_at > ASKED_EVERY:
            self._asked_at = now
            found = backoffice.ops.ask(server_question(), deadline=SERVER_DEADLINE)
            reading = found["server"]
            self._server = reading.value if reading.is_fresh else None
        return self._server

    def metrics(self) -> bytes:
        """The exposition; no connection of the staff's pool is taken for it."""
        backoffice = self.backoffice
        picture = backoffice.keeper.picture()
        is_up = backoffice.pulse.database().is_fresh
        server = self.server()
        is_postgresql = backoffice.ops.is_postgresql
        namespace = backoffice.engine.url.database or ""
        if not is_postgresql:  # a path says more than a label should
            namespace = Path(namespace).name
        facts = Facts(
            system="postgresql" if is_postgresql else "sqlite",
            namespace=namespace,
            pg_up=is_up if is_postgresql else None,
            build={
                "version": _version(),
                "alembic_revision": backoffice.keeper.revision,
            },
            health=self.report(picture).passing(),
            server=server.exported(namespace) if server is not None else {},
        )
        return exposition(picture, facts)


def endpoints(probes: Probes) -> list[Route]:
    """The routes outside of the site."""

    async def live(_request: Request) -> Response:
        return _told(probes.live())

    async def ready(request: Request) -> Response:
        report = await probes.run(probes.ready)
        if probes.may_see_details(request):
            return _detailed(report, report.details())
        return _told(report)

    async def started(request: Request) -> Response:
        report = await probes.run(probes.started)
        if probes.may_see_details(request):
            return _detailed(report, report.details())
        return _told(report)

    async def health(request: Request) -> Response:
        report, picture = await probes.run(probes.health)
        sees = probes.may_see_details(request)
        if not sees and request.cookies:
            sees = await probes.run(probes.may_see_by_session, request)
        if not sees:
            return _told(report)
        return _detailed(report, report.details(picture.pools))

    async def metrics(request: Request) -> Response:
        if not probes.may_see_details(request):
            return PlainTextResponse(
                "The metrics are for this machine, for addresses of "
                "observability.metrics_allow, and for whoever sends "
                "observability.metrics_token as a bearer token.\n",
                403,
            )
        body = await probes.run(probes.metrics)
        return Response(body, headers={"Content-Type": CONTENT_TYPE})

    pages: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
        "livez": live,
        "startupz": started,
        "readyz": ready,
        "healthz": health,
        "metrics": metrics,
    }
    return [
        Route(f"/{name}", page, methods=["GET"], name=name)
        for name, page in pages.items()
    ]


def _told(report: Report) -> Response:
    """The status word, for anybody."""
    return _detailed(report, report.word())


def _detailed(report: Report, content: Mapping[str, object]) -> Response:
    headers = {"Retry-After": "5"} if report.code != OK else None
    return JSONResponse(content, report.code, media_type=HEALTH_TYPE, headers=headers)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A client's address; an IPv4 one also where it came over IPv6."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _version() -> str:
    try:
        return version("backoffice")
    except PackageNotFoundError:
        return "unknown"
