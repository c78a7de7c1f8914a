"""How an ops page is answered while nothing else is: apart from the staff's pool.

Threads of its own, a connection of its own with a deadline, and, while the database
cannot say who asks, the cookie of `ops_pass` for reading.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import anyio
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backoffice.admin.answer import SAFE_METHODS, LoginNeeded
from backoffice.admin.call import Call, Page, Reply
from backoffice.admin.cookies import OPS_COOKIE
from backoffice.admin.cost import TOTAL
from backoffice.admin.ops_pass import VALID_FOR, read_pass
from backoffice.admin.presentation import Cost, Statement
from backoffice.admin.words import duration, plural
from backoffice.auth.permissions import may, roles_that_may
from backoffice.auth.sessions import Login, find_session
from backoffice.errors import DatabaseUnavailable, NotPermitted
from backoffice.observability.activity import Signal
from backoffice.observability.ops_connection import DEADLINE, Reading, State, asked
from backoffice.observability.request_log import current_request

if TYPE_CHECKING:
    from backoffice.admin.site import Site

OpsHandler = Callable[["OpsCall"], Reply]

# The viewer is asked for first; what is left of the deadline belongs to the page.
VIEWER_DEADLINE = 0.3
# As many ops pages at once; each ends within its deadline.
PAGES = 8


@dataclass(slots=True)
class OpsCall(Call):
    """A request for an ops page: there is no staff session in it.

    `viewer` is how the question who asks was answered; `passed_at` is when the cookie
    was written that answered it instead.
    """

    viewer: Reading[Login | None] | None = None
    passed_at: datetime | None = None
    began: float = 0.0

    @property
    def is_checked(self) -> bool:
        """Not where the cookie has answered: it must not prolong itself."""
        return self.passed_at is None

    @property
    def left(self) -> float:
        """The seconds that the page may still ask the database for."""
        return max(0.0, DEADLINE - (monotonic() - self.began))

    def has(self, right: str) -> bool:
        """Whether the person may do this; the cookie alone is for reading."""
        is_reading = self.passed_at is None or right == "ops:view"
        return is_reading and may(self.login.role, right)

    @property
    def signals(self) -> frozenset[Signal]:
        """Which ways to end a session the person has."""
        return frozenset(signal for signal in Signal if self.has(f"ops:{signal}"))

    @property
    def note(self) -> str:
        """What the page says where the cookie has opened it."""
        if self.passed_at is None:
            return ""
        until = self.passed_at + timedelta(seconds=VALID_FOR)
        return (
            f"The database does not say who you are. It did at "
            f"{self.passed_at.astimezone():%H:%M:%S}; until {until.astimezone():%H:%M}"
            " the metrics stay open for reading."
        )


class OpsAnswering:
    """Runs the ops pages of one site."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self.answering = site.answering
        self.limiter = anyio.CapacityLimiter(PAGES)

    def route(
        self,
        path: str,
        name: str,
        *,
        get: OpsHandler | None = None,
        post: OpsHandler | None = None,
    ) -> Route:
        """A route for those with `ops:view`; POST needs a token and a real session."""
        methods = [m for m, h in (("GET", get), ("POST", post)) if h is not None]
        answer = functools.partial(self.answer, name, get, post)
        return Route(path, answer, methods=methods, name=name)

    async def answer(
        self,
        name: str,
        get: OpsHandler | None,
        post: OpsHandler | None,
        request: Request,
    ) -> Response:
        """The response, whatever the database does."""
        try:
            form: FormData | None = None
            if request.method == "POST":
                form = await self.answering.form_of(request)
            handler = get if form is None else post
            assert handler is not None  # noqa: S101 - the route lets no other in
            return await anyio.to_thread.run_sync(
                self.work, name, handler, request, form, limiter=self.limiter
            )
        except Exception as error:  # noqa: BLE001 - every failure becomes a page
            return await self.answering.failure(request, error)

    def work(
        self, name: str, handler: OpsHandler, request: Request, form: FormData | None
    ) -> Response:
        """Find out who asks, then answer; no statement runs in the staff's pool."""
        began = monotonic()
        asked.set([])
        log = current_request.get()
        if log is not None:
            log.view, log.action = "ops", name
        login, viewer, passed_at = self.viewer(request)
        request.state.login = login
        if log is not None:
            log.user = login.email
        if not may(login.role, "ops:view"):
            roles = " or ".join(roles_that_may("ops:view"))
            raise NotPermitted(
                f"You are {_article(login.role)}; the metrics need the role {roles}. "
                "An administrator can give it to you."
            )
        self.answering.check_form_token(request, form, login)
        call = OpsCall(
            self.site,
            request,
            None,  # type: ignore[arg-type]
            login,
            form,
            viewer=viewer,
            passed_at=passed_at,
            began=began,
        )
        reply = handler(call)
        if isinstance(reply, Page):
            reply = replace(reply, frame=replace(reply.frame, cost=own_cost()))
        response = self.answering.respond(call, reply)
        spent = sum(seconds for _, seconds, _ in asked.get() or ())
        total = monotonic() - began
        response.headers["Server-Timing"] = (
            f"ops;dur={spent * 1e3:.2f}, total;dur={total * 1e3:.2f}"
        )
        return response

    def viewer(
        self, request: Request
    ) -> tuple[Login, Reading[Login | None], datetime | None]:
        """Who asks: by the session's row, or by the cookie while that is out of reach.

        Raises:
            LoginNeeded: nobody, or not any more.
            DatabaseUnavailable: nobody can be asked, and there is no cookie.
        """
        token = self.answering.token_of(request)
        if not token:
            raise LoginNeeded

        def find(link: Connection) -> Login | None:
            with Session(link) as session:
                return find_session(session, token)

        found = self.site.backoffice.ops.call("viewer", find, deadline=VIEWER_DEADLINE)
        if found.is_fresh:
            if found.value is None:
                raise LoginNeeded
            return found.value, found, None
        secret = self.site.backoffice.secret_key
        known = read_pass(secret, request.cookies.get(OPS_COOKIE, ""), token)
        if known is None or request.method not in SAFE_METHODS:
            raise DatabaseUnavailable("The database does not say who you are.")
        return known[0], found, known[1]


def own_cost() -> Cost:
    """What this page has asked over the ops connection."""
    noted = asked.get() or []
    spent = sum(seconds for _, seconds, _ in noted)
    sentence = (
        f"{plural(len(noted), 'statement')}, {duration(spent)} in the database, "
        f"{TOTAL} in all, on its own connection"
    )
    return Cost(
        sentence,
        tuple(
            Statement(
                text=name if state is State.MEASURED else f"{name} ({state})",
                time=duration(seconds),
                rows="",
            )
            for name, seconds, state in noted
        ),
    )


def _article(role: str) -> str:
    return f"an {role}" if role[:1] in "aeiou" else f"a {role}"


def known_to_answer(call: OpsCall) -> Reading[bool]:
    """Whether the database answers, as the question who asks has shown."""
    viewer = call.viewer
    assert viewer is not None  # noqa: S101 - `work` has asked
    return Reading(viewer.state, value=viewer.is_fresh, at=viewer.at, text=viewer.text)
