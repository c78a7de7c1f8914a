"""Is the server alive, and can it work? Answers for machines, which tell no secrets.

`/livez` asks nobody; `/readyz` and `/healthz` ask the database, through the same pool
as every page, and wait a few seconds at most. What went wrong in detail is logged.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import anyio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backoffice.bootstrap import Backoffice
from backoffice.database.migrations import is_at_head
from backoffice.errors import BackofficeError

logger = logging.getLogger(__name__)

PATIENCE = 3.0  # seconds; who probes gives up soon after
# A database that was migrated a moment ago is: its scripts need not be read again.
REMEMBERED = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    text: str


class Health:
    """Looks at the database for whoever asks, never more than two at a time."""

    def __init__(self, backoffice: Backoffice) -> None:
        self.backoffice = backoffice
        self.limiter = anyio.CapacityLimiter(2)
        self.migrated_at: float | None = None

    async def checks(self) -> list[Check]:
        """All checks, the later ones only where the earlier ones passed."""
        found = [await self.within_patience("database", self.database)]
        if found[0].is_ok:
            found.append(await self.within_patience("migrations", self.migrations))
        return found

    async def within_patience(self, name: str, check: Callable[[], Check]) -> Check:
        """The check's result, or that there was none in time."""
        with anyio.move_on_after(PATIENCE):
            return await anyio.to_thread.run_sync(
                check, limiter=self.limiter, abandon_on_cancel=True
            )
        return Check(name, is_ok=False, text=f"No answer within {PATIENCE:g} seconds.")

    def database(self) -> Check:
        """Whether a connection can be had and answers."""
        try:
            with self.backoffice.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            logger.warning("the database does not answer a probe", exc_info=True)
            return Check("database", is_ok=False, text="No connection, or no answer.")
        return Check("database", is_ok=True, text="It answers.")

    def migrations(self) -> Check:
        """Whether the tables are those that this version was written for."""
        now = monotonic()
        if self.migrated_at is None or now - self.migrated_at > REMEMBERED:
            self.migrated_at = now if self.is_migrated() else None
        if self.migrated_at is None:
            todo = "Some have not run: manage.py migrate."
            return Check("migrations", is_ok=False, text=todo)
        return Check("migrations", is_ok=True, text="All have run.")

    def is_migrated(self) -> bool:
        """Whether every revision has run; False also where that cannot be told."""
        try:
            return is_at_head(self.backoffice.engine, self.backoffice.project)
        except (SQLAlchemyError, BackofficeError):
            logger.warning("the migrations cannot be compared", exc_info=True)
            return False


def endpoints(backoffice: Backoffice) -> list[Route]:
    """The routes outside of the site."""
    health = Health(backoffice)

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        failed = [check for check in await health.checks() if not check.is_ok]
        if failed:
            reason = f"not ready: {failed[0].name}: {failed[0].text}\n"
            return PlainTextResponse(reason, 503, headers={"Retry-After": "5"})
        return PlainTextResponse("ready\n")

    async def healthz(_request: Request) -> Response:
        checks = await health.checks()
        is_ok = all(check.is_ok for check in checks)
        content = {
            "status": "ok" if is_ok else "failing",
            "checks": {c.name: {"ok": c.is_ok, "text": c.text} for c in checks},
        }
        return JSONResponse(content, 200 if is_ok else 503)

    return [
        Route("/livez", livez, methods=["GET"], name="livez"),
        Route("/readyz", readyz, methods=["GET"], name="readyz"),
        Route("/healthz", healthz, methods=["GET"], name="healthz"),
    ]
