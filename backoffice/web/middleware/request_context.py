"""Which request is this, how did it end, and how long did it take?

Every request has a number of its own (what a client sends as one is not believed),
which stands in the answer, in the log and on every error page. `RequestLog` carries it
and collects what the request asks of the database.
"""

import logging
from collections.abc import Callable
from time import perf_counter
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backoffice.admin.call import route_template
from backoffice.admin.failures import for_log
from backoffice.observability.request_id import new_request_id
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.web.middleware.refusal import Refusal

access = logging.getLogger("backoffice.access")
logger = logging.getLogger(__name__)

HEADER = b"x-request-id"
LONGEST_PATH = 500
# Asked every few seconds by machines: of interest only to who looks for it.
QUIET = frozenset({"/livez", "/startupz", "/readyz", "/healthz", "/metrics"})

# Whatever else somebody sends as a method is one of the others.
METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

FAULT = Refusal(
    500,
    "This did not work, and it is not your fault",
    "The server met something that it was not prepared for.",
)


class BrokenOff(Exception):
    """An answer that has begun and cannot be ended: the server drops the connection."""


class RequestContext:
    """Numbers each request, logs it in one line, and answers what nobody caught.

    The line has no query string: searches are about people. `finished` is told of every
    request for a page, once it has been answered to the end; `answered` of every
    request: its method, the template of its route, its status and its nanoseconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        finished: Callable[[RequestLog], object] | None = None,
        answered: Callable[[str, str, str, int], object] | None = None,
    ) -> None:
        self.app = app
        self.finished = finished
        self.answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        log = RequestLog(request_id=new_request_id())
        started, status = perf_counter(), 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [h for h in message.get("headers", []) if h[0] != HEADER]
                headers.append((HEADER, log.request_id.encode()))
                message = {**message, "headers": headers}
            await send(message)

        with observe_request(log):
            try:
                await self.app(scope, receive, numbered)
            except Exception as error:  # noqa: BLE001 - the last one to meet it
                logger.error(  # noqa: TRY400 - a driver's own words hold rows' values
                    "request %s failed%s\n%s",
                    log.request_id,
                    " halfway through its answer" if status else "",
                    for_log(error),
                )
                if status:
                    # Half an answer is out: only the connection can be closed.
                    raise BrokenOff(f"request {log.request_id} broke off") from None
                await FAULT.response(scope)(scope, receive, numbered)
            finally:
                _log(scope, status, perf_counter() - started, log)
                if self.answered is not None:
                    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
                    code = str(status) if status else ""
                    self.answered(method, route_template(scope), code, log.elapsed)
        if self.finished is not None and log.view:
            self.finished(log)


def _log(scope: Scope, status: int, seconds: float, log: RequestLog) -> None:
    """One line: what, how it ended, how long, which request, and whose."""
    path = printable_path(scope)
    access.log(
        logging.DEBUG if path in QUIET else logging.INFO,
        "%s %s %s %.0f ms %s %s",
        scope["method"],
        path,
        status or "aborted",
        seconds * 1000,
        log.request_id,
        log.user or "-",
    )


def printable_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: it cannot forge a line of the log."""
    sent = scope.get("raw_path") or quote(scope["path"]).encode()
    path = sent.partition(b"?")[0].decode("latin-1")
    return quote(path, safe="/%:@!$&'()*+,;=~-._")[:LONGEST_PATH]
