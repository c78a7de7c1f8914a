"""How a request becomes a page: one thread, one session, one transaction."""

import functools
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import anyio
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from backoffice.admin import failures
from backoffice.admin.call import (
    Call,
    Data,
    Page,
    Redirect,
    Reply,
    Streamed,
    address,
    route_template,
)
from backoffice.admin.cookies import (
    MESSAGE_COOKIE,
    OPS_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    VISITOR_COOKIE,
)
from backoffice.admin.cost import cost_of, with_total
from backoffice.admin.form_body import read_form
from backoffice.admin.frame import plain_frame
from backoffice.admin.json_refusal import is_refusal, refusal_data
from backoffice.admin.ops_pass import VALID_FOR, is_due, make_pass
from backoffice.admin.own_names import TOKEN
from backoffice.admin.presentation import Action, Message
from backoffice.admin.sending_again import KEPT, send_again
from backoffice.admin.templating import render
from backoffice.admin.visitor import form_owner, new_visitor
from backoffice.admin.words import within_sentence
from backoffice.auth.csrf import check_token
from backoffice.auth.permissions import may
from backoffice.auth.sessions import (
    Login,
    find_session,
    touch_session,
    unsign_token,
)
from backoffice.database.session import (
    ACTOR,
    Actor,
    Place,
    Work,
    begin_writing,
    unit_of_work,
)
from backoffice.errors import BackofficeError, DatabaseUnavailable, NotPermitted
from backoffice.observability.pool import queued_for
from backoffice.observability.reads_postgresql import begin_look
from backoffice.observability.request_id import current_request_id
from backoffice.observability.request_log import Budget, current_request
from backoffice.observability.statements import attribute_session

if TYPE_CHECKING:
    from backoffice.admin.model_view import ModelView
    from backoffice.admin.site import Site

logger = logging.getLogger(__name__)

Handler = Callable[[Call], Reply]
T = TypeVar("T")
# The login page that keeps a form which came after the session had ended.
Resume = Callable[["Site", Request, list[tuple[str, str]]], Page]

# A form of ours has fields by the dozen; ten lines of an order are the most.
MAX_FIELDS = 1_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_MESSAGE = 600
# So long no page has ended, though all threads are at one and others wait: statements
# have limits of seconds, so they will not end at all.
STUCK_AFTER = 60.0


class LoginNeeded(Exception):
    """There is no session, or not any more."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an address does: its handlers, and the right it asks for."""

    name: str
    get: Handler | None
    post: Handler | None
    action: str
    is_of_view: bool
    is_public: bool
    is_slow: bool = False
    is_trying: bool = False


class Answering:
    """Runs the pages of one site."""

    def __init__(self, site: "Site", resume: Resume) -> None:
        self.site = site
        self.resume = resume
        self.ended_at = monotonic()
        self.messages = URLSafeSerializer(
            site.backoffice.secret_key, salt="backoffice.message"
        )

    def route(  # noqa: PLR0913 - an address has as many sides, each by its name
        self,
        path: str,
        name: str,
        *,
        get: Handler | None = None,
        post: Handler | None = None,
        action: str = "",
        of_view: bool = False,
        public: bool = False,
        slow: bool = False,
        tries: bool = False,
    ) -> Route:
        """A route whose GET writes nothing and whose POST needs a token.

        `slow` is a POST that computes for long: few at a time, out of the pages' way.
        `tries` is a GET that tries out what a POST would do, and rolls it back.
        """
        target = Target(name, get, post, action, of_view, public, slow, tries)
        methods = [m for m, h in (("GET", get), ("POST", post)) if h is not None]
        return Route(
            path, functools.partial(self.answer, target), methods=methods, name=name
        )

    async def answer(self, target: Target, request: Request) -> Response:
        """The response to a request for this target, whatever happens on the way."""
        try:
            form: FormData | None = None
            if request.method == "POST":
                form = await self.form_of(request)
            is_slow = target.is_slow and form is not None
            limiter = self.site.login_limiter if is_slow else None
            known = self.site.view_called(request.path_params.get("identity", ""))
            place = Place(known.identity if known else "site", target.name)
            return await self.in_thread(
                self.work,
                target,
                request,
                form,
                limiter=limiter,
                place=place,
            )
        except Exception as error:  # noqa: BLE001 - every failure becomes a page
            return await self.failure(request, error)

    async def form_of(self, request: Request, max_files: float = 0) -> FormData:
        """What a form sends; the request's own limit is the only one for a field."""
        form = None
        if not max_files:
            form = await read_form(request, MAX_FIELDS, self.site.threads)
        if form is not None:
            return form
        return await request.form(
            max_files=max_files,
            max_fields=MAX_FIELDS,
            max_part_size=self.site.largest_request,
        )

    async def in_thread(
        self,
        function: Callable[..., T],
        *args: Any,
        limiter: anyio.CapacityLimiter | None = None,
        place: Place | None = None,
    ) -> T:
        """Run in a worker thread; as many at a time as there are connections.

        Raises:
            DatabaseUnavailable: no turn came as long as one waits for a connection.
        """
        limiter = limiter or self.site.limiter
        who = object()
        await self.turn(limiter, who, place)
        try:
            return await anyio.to_thread.run_sync(
                functools.partial(function, *args), limiter=self.site.threads
            )
        finally:
            self.ended_at = monotonic()
            limiter.release_on_behalf_of(who)

    def is_stuck(self) -> bool:
        """Whether the threads of the pages have not moved for a minute."""
        statistics = self.site.limiter.statistics()
        is_full = statistics.borrowed_tokens >= self.site.limiter.total_tokens
        lasts = monotonic() - self.ended_at
        return is_full and statistics.tasks_waiting > 0 and lasts > STUCK_AFTER

    async def turn(
        self, limiter: anyio.CapacityLimiter, who: object, place: Place | None
    ) -> None:
        """Wait for a turn; who waits for the database is seen to wait for its pool."""
        with suppress(anyio.WouldBlock):
            limiter.acquire_on_behalf_of_nowait(who)
            return
        meter = self.site.backoffice.keeper.observations[0].meter
        is_for_database = limiter is self.site.limiter
        if is_for_database:
            work = Work(place, None, current_request_id()) if place else None
            meter.joined_queue(who, work)
        patience = self.site.backoffice.settings.database.pool_timeout
        is_late = False
        try:
            with anyio.move_on_after(patience) as waiting:
                await limiter.acquire_on_behalf_of(who)
            is_late = waiting.cancelled_caught
        finally:
            if is_for_database:
                queued_for.set([meter.left_queue(who, timed_out=is_late)])
        if is_late:
            raise DatabaseUnavailable("Too many pages wait for the database.")

    def work(self, target: Target, request: Request, form: FormData | None) -> Response:
        """Check who asks, do the work in one transaction, then render its outcome."""
        is_write = request.method == "POST"
        handler = target.post if is_write else target.get
        assert handler is not None  # noqa: S101 - the route lets no other method in
        identity = request.path_params.get("identity", "")
        view = self.site.view_called(identity) if target.is_of_view else None
        backoffice = self.site.backoffice
        if not target.is_public and not self.token_of(request):
            raise LoginNeeded  # a stranger costs no connection
        # What is not a view's identity is anybody's invention: it names no place.
        place = Place(view.identity if view is not None else "site", target.name)
        log = current_request.get()
        if log is not None:
            log.view, log.action = place.view, place.action
            log.route = route_template(request.scope)
            if view is not None and target.name == "list":
                log.budget = Budget(view.max_statements, view.max_ms or None)
        with unit_of_work(
            backoffice.sessions,
            actor=None,
            place=place,
            request_id=current_request_id(),
            read_only=not (is_write or target.is_trying),
        ) as session:
            if is_write or target.is_trying:
                begin_writing(session)
            login = self.login_of(request, session)
            if login is None and not target.is_public:
                raise LoginNeeded
            # The login form belongs to its browser, whoever is logged in by now.
            owner = login if target.name != "login" else None
            self.check_form_token(request, form, owner)
            if login is not None and log is not None:
                log.user = login.email
            if target.is_of_view and (view is None or login is None):
                raise failures.NotFound("There is no such list here.")
            if login is not None:
                request.state.login = login
                session.info[ACTOR] = Actor(str(login.user_id), login.name)
                attribute_session(session, None, session.connection())
            if view is not None and login is not None:
                self.check_right(login, target.action, view)
            call = Call(self.site, request, session, login, form, view)  # type: ignore[arg-type]
            is_read = not (is_write or target.is_trying)
            reply = self.looked_at(call, handler) if is_read else handler(call)
        if login is not None and login.is_touch_due:
            self.touch(login)
        return self.respond(call, reply)

    def looked_at(self, call: Call, handler: Handler) -> Reply:
        """What the handler answers; of some pages, what the server reads for that."""
        log, recorder = current_request.get(), self.site.backoffice.keeper.recorder
        if log is None or not call.is_known:
            return handler(call)
        look = None
        if recorder.wants_reads(log.view, log.action):
            look = begin_look(call.session, log)
        reply = handler(call)
        if look is not None:
            log.reads = look.end()
            recorder.add_overhead("reads", look.nanoseconds)
        return reply

    def touch(self, login: Login) -> None:
        """Note that the session is in use; the page does not depend on it."""
        place = Place("site", "session")
        try:
            with unit_of_work(
                self.site.backoffice.sessions, actor=login.actor, place=place
            ) as session:
                touch_session(session, login.session_id)
        except (SQLAlchemyError, BackofficeError):
            logger.warning("a session's last use could not be noted", exc_info=True)

    def login_of(self, request: Request, session: Any) -> Login | None:
        """Who this request's cookie says it is, by the session's row."""
        token = self.token_of(request)
        return find_session(session, token) if token else None

    def token_of(self, request: Request) -> str | None:
        """The token of a cookie that was made here."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        return unsign_token(self.site.backoffice.secret_key, cookie)

    def check_form_token(
        self, request: Request, form: FormData | None, login: Login | None
    ) -> None:
        """Refuse a change that does not carry this session's token."""
        if request.method in SAFE_METHODS:
            return
        sent = form.get(TOKEN) if form is not None else None
        header = request.headers.get("x-csrf-token", "")
        token = sent if isinstance(sent, str) and sent else header
        owner = form_owner(request, login)
        if not check_token(self.site.backoffice.secret_key, owner, token):
            raise failures.TokenMissing

    def check_right(self, login: Login, action: str, view: "ModelView") -> None:
        """Refuse what the role or the view does not offer."""
        if not self.site.may(login.role, action, view):
            raise NotPermitted(failures.right_sentence(login.role, action, view))

    def respond(self, call: Call, reply: Reply) -> Response:
        """The reply as a response, with the cookies that the handler has set."""
        response: Response
        if isinstance(reply, Page) and is_refusal(reply) and wants_json(call.request):
            response = json_response(refusal_data(reply))
            response.headers.update(reply.headers)
        elif isinstance(reply, Page):
            frame, shown = self.with_message(call.request, reply)
            response = self.drawn(self.with_cost(call, replace(reply, frame=frame)))
            if shown:
                response.delete_cookie(MESSAGE_COOKIE, path="/")
        elif isinstance(reply, Redirect):
            response = RedirectResponse(reply.url, 303)
            if reply.message is not None:
                self.keep_message(response, reply.message)
        elif isinstance(reply, Streamed):
            response = reply.respond()
        else:
            response = json_response(reply)
        for name, value in call.cookies.items():
            self.set_cookie(response, name, value)
        self.keep_visitor(call.request, response)
        self.serve_ops(call, response)
        return response

    def with_cost(self, call: Call, page: Page) -> Page:
        """The page with what it cost at its foot, for those who may see that."""
        log = current_request.get()
        if log is None or not self.is_ops(call) or page.frame.cost is not None:
            return page
        may_explain = may(call.login.role, "ops:explain")
        if may_explain:
            # Whoever explains a statement of this page wants it with its values.
            kept = self.site.backoffice.keeper.recorder.values
            kept.keep_request(log.request_id, log.calls.values())
        cost = cost_of(log, self.site.base_url, may_explain=may_explain)
        return replace(page, frame=replace(page.frame, cost=cost))

    def serve_ops(self, call: Call, response: Response) -> None:
        """Tell where the time went, and keep the cookie for bad times valid."""
        if not self.is_ops(call):
            return
        log = current_request.get()
        if log is not None:
            response.headers["Server-Timing"] = log.split().server_timing()
        secret = self.site.backoffice.secret_key
        kept = call.request.cookies.get(OPS_COOKIE, "")
        token = self.token_of(call.request) or ""
        if call.is_checked and token and is_due(secret, kept, call.login, token):
            self.set_cookie(response, OPS_COOKIE, make_pass(secret, call.login))

    @staticmethod
    def is_ops(call: Call) -> bool:
        """Whether the person may see what the database does."""
        return call.is_known and may(call.login.role, "ops:view")

    def keep_visitor(self, request: Request, response: Response) -> None:
        """Send the id that the forms of a page without a session belong to."""
        made = new_visitor(request)
        if made:
            self.set_cookie(response, VISITOR_COOKIE, made)

    def drawn(self, page: Page) -> Response:
        """A page as HTML."""
        html = render(page.template, page.view, page.frame, self.site.backoffice.root)
        log = current_request.get()
        if page.frame.cost is not None and log is not None:
            html = with_total(html, log)
        return HTMLResponse(html, page.status, headers=dict(page.headers))

    def set_cookie(self, response: Response, name: str, value: str) -> None:
        """Set a cookie for this site alone; an empty value takes it away."""
        web = self.site.backoffice.settings.web
        ages = {THEME_COOKIE: 365 * 86_400, OPS_COOKIE: VALID_FOR}
        age = ages.get(name, int(web.session_hours * 3600))
        if not value:
            response.delete_cookie(name, path="/")
            return
        response.set_cookie(
            name,
            value,
            max_age=age,
            path="/",
            secure=web.https_only,
            httponly=True,
            samesite="lax",
        )

    def keep_message(self, response: Response, message: Message) -> None:
        """Carry one message over the redirect, signed and bounded."""
        link = list(message.link) if message.link else None
        kept = self.messages.dumps([message.level, message.text[:MAX_MESSAGE], link])
        self.set_cookie(response, MESSAGE_COOKIE, str(kept))

    def with_message(self, request: Request, reply: Page) -> tuple[Any, bool]:
        """The frame with the last request's message, and if there was one."""
        kept = request.cookies.get(MESSAGE_COOKIE)
        if not kept:
            return reply.frame, False
        try:
            level, text, link = self.messages.loads(kept)
        except (BadData, ValueError, TypeError):
            return reply.frame, True
        from backoffice.admin.presentation import Link

        message = Message(level, text, Link(*link) if link else None)
        messages = (message, *reply.frame.messages)
        return replace(reply.frame, messages=messages), True

    async def authenticate(self, request: Request) -> Response | bool:
        """For SQLAdmin's custom pages: who this is, or the way to the login page.

        What they change needs the token of a form, as everywhere.
        """

        def read() -> Login | None:
            sessions = self.site.backoffice.sessions
            place = Place("site", "login")
            with unit_of_work(
                sessions, actor=None, place=place, read_only=True
            ) as session:
                return self.login_of(request, session)

        try:
            login = await self.in_thread(read)
        except Exception as error:  # noqa: BLE001 - every failure becomes a page
            return await self.failure(request, error)
        if login is None:
            return await self.failure(request, LoginNeeded())
        request.state.login = login
        if request.method in SAFE_METHODS:
            return True
        try:
            form = await self.form_of(request, max_files=1_000)
            self.check_form_token(request, form, login)
        except Exception as error:  # noqa: BLE001 - every failure becomes a page
            return await self.failure(request, error)
        return True

    async def refusal(self, request: Request, error: Exception) -> Response:
        """What the routes themselves refuse: a method that an address does not take."""
        return await self.failure(request, error)

    async def unknown(self, request: Request) -> Response:
        """An address that does not exist: nobody learns that without logging in."""
        known = await self.authenticate(request)
        if isinstance(known, Response):
            return known
        rest = request.path_params.get("rest", "")
        words = rest.strip("/")
        view = self.site.view_called(words)
        url = ""
        if view is not None:
            # The address without its last word, as people type it.
            url = address(self.site.base_url, view.identity, "list")
        elif rest.endswith("/") and words and words.count("/") <= 1:
            # A page or a list with a slash at its end, as Django has its addresses.
            url = address(self.site.base_url, *words.split("/"))
        if url and request.method in SAFE_METHODS:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(url + query, 303)
        return await self.failure(
            request, failures.NotFound("There is no page at this address.")
        )

    async def failure(self, request: Request, error: Exception) -> Response:
        """The page, or the data, that says what went wrong and what to do."""
        if isinstance(error, LoginNeeded):
            return await self.login_needed(request)
        limit = self.site.backoffice.settings.database.statement_timeout
        problem = failures.problem_of(error, request, limit)
        login = getattr(request.state, "login", None)
        if not problem.actions:
            problem = replace(problem, actions=self.ways_out(request, login))
        token = ""
        if problem.can_send_again:
            problem, token = await self.with_what_was_sent(request, problem)
        if problem.is_fault:
            logger.error(
                "request %s failed\n%s", current_request_id(), failures.for_log(error)
            )
        if wants_json(request):
            told = {"error": problem.heading, "detail": problem.text}
            response = json_response(Data(told, problem.status))
            response.headers.update(problem.headers)
            return response
        frame = plain_frame(self.site, request, login, problem)
        if token:
            # Without a database nobody knows whose page this is; the form's own does.
            frame = replace(frame, csrf=token)
        html = render("error", problem.view(), frame, self.site.backoffice.root)
        return HTMLResponse(html, problem.status, headers=problem.headers)

    async def with_what_was_sent(
        self, request: Request, problem: failures.Problem
    ) -> tuple[failures.Problem, str]:
        """The page with a button that sends the form again; the form's own token."""
        form = await self.form_of(request)
        button = send_again(request, form.multi_items())
        if button is None:
            return problem, ""
        actions = (button, *problem.actions)
        kept = f"{problem.kept} {KEPT}"
        token = form.get(TOKEN)
        return replace(problem, actions=actions, kept=kept), str(token or "")

    def ways_out(self, request: Request, login: Login | None) -> tuple[Action, ...]:
        """Where to go on from an error: the list that it was about, else the start."""
        view = self.site.view_called(request.path_params.get("identity", ""))
        if login and view is not None and self.site.may(login.role, "list", view):
            url = address(self.site.base_url, view.identity, "list")
            return (Action(f"All {within_sentence(view.name_plural)}", url),)
        return (Action("To the start", f"{self.site.base_url}/"),)

    async def login_needed(self, request: Request) -> Response:
        """Lead to the login page, and keep what was typed for afterwards."""
        if wants_json(request):
            return JSONResponse({"error": "Log in first."}, 401)
        page = f"{self.site.base_url}/login"
        if request.url.path == f"{self.site.base_url}/logout":
            return RedirectResponse(page, 303)
        if request.method in SAFE_METHODS:
            here = request.url.path
            if request.url.query:
                here += "?" + request.url.query
            return RedirectResponse(f"{page}?" + urlencode({"next": here}), 303)
        form = await self.form_of(request)
        items = [(k, v) for k, v in form.multi_items() if isinstance(v, str)]
        response = self.drawn(self.resume(self.site, request, items))
        self.keep_visitor(request, response)
        return response


def wants_json(request: Request) -> bool:
    """Whether a machine asks: it accepts JSON and did not ask for HTML."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def json_response(data: Data) -> Response:
    """JSON with what Python's own encoder cannot say put as text."""
    body = json.dumps(data.content, ensure_ascii=False, default=str)
    return Response(body, data.status, media_type="application/json")
