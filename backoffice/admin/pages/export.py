"""A list as a file: exactly its rows, in its order, as they come."""

import functools
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import anyio
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from backoffice.admin.call import Call, Page, Reply, Streamed, address
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.pages.listing import MOVES, spec_for
from backoffice.admin.presentation import Action, ErrorView
from backoffice.import_export.exporter import Export, export_csv, export_json
from backoffice.listing.params import parse_list
from backoffice.listing.table import list_table
from backoffice.observability.statements import attribute_session

# Seconds that a browser is left without a word, where a page has no limit.
LONGEST_SILENCE = 5.0
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def csv(call: Call) -> Reply:
    """The list as CSV; what is wrong in the query string exports nothing."""
    return _file(call, "csv")


def json(call: Call) -> Reply:
    """The list as JSON, for views that offer it: an array, an object for each row."""
    return _file(call, "json")


def _file(call: Call, kind: str) -> Reply:
    view = call.model_view
    if kind not in view.export_formats:
        raise NotFound(f"{view.name_plural} cannot be exported as {kind.upper()}.")
    spec = spec_for(call, view)
    items = [item for item in call.query_items if item[0] not in MOVES | {"pageSize"}]
    query = parse_list(spec, items, call.site.codec)
    if query.problems:
        sentence = " ".join(problem.message for problem in query.problems)
        return refusal(call, 400, "Nothing is exported", sentence)
    dialect = call.session.get_bind().dialect.name
    table = list_table(spec, query, dialect)
    settings = call.site.backoffice.settings
    given = (call.site.backoffice.exports, table.select)
    timeout = settings.database.export_timeout
    if kind == "csv":
        mark = settings.listing.csv_byte_order_mark
        make = functools.partial(
            export_csv, *given, table.heads, timeout=timeout, byte_order_mark=mark
        )
    else:
        make = functools.partial(export_json, *given, table.paths, timeout=timeout)
    return Streamed(functools.partial(respond, call, make, kind=kind))


def respond(call: Call, make: Callable[[], Export], *, kind: str = "csv") -> Response:
    """The file; or why there is none, as long as nothing of it has been sent."""
    site = call.site
    if not site.exports.acquire(blocking=False):
        at_once = site.backoffice.settings.listing.exports_at_once
        busy = refusal(
            call,
            503,
            "Other exports are running",
            f"{at_once} run at a time. Try again when one of them has ended.",
        )
        return site.answering.respond(call, replace(busy, headers={"Retry-After": "5"}))
    try:
        rows = make()
        attribute_session(call.session, None, rows.connection)
    except BaseException:
        site.exports.release()
        raise
    name = f"{call.model_view.identity}-{datetime.now(UTC):%Y-%m-%d}.{kind}"
    return FileOfRows(call, rows, name, TYPES[kind])


class FileOfRows(StreamingResponse):
    """The rows as they come; at their end, however it comes, another file may begin.

    Nothing is sent before the first of them are there: what the database refuses until
    then is a page in words. But nobody is kept waiting for longer than for a page: then
    the download begins, and what fails breaks it off, so that half a file never looks
    like a whole one.
    """

    def __init__(self, call: Call, rows: Export, name: str, media_type: str) -> None:
        self.call, self.rows = call, rows
        self.has_begun = anyio.Event()
        self.beginning: list[bytes] = []
        self.error: Exception | None = None
        self.is_unwanted = False
        super().__init__(
            self.chunks(),
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or its head alone; who goes away leaves nothing running."""
        error: Exception | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.stop_when_unwanted, receive)
                tasks.start_soon(self.begin)
                try:
                    await self.answer(scope, receive, send)
                except Exception as caught:  # noqa: BLE001 - raised below, by itself
                    error = caught
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.rows.close)
            self.call.site.exports.release()
        if error is not None and not self.is_unwanted:
            raise error

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the beginning, then send it and all the rest."""
        limits = self.call.site.backoffice.settings.database
        with anyio.move_on_after(limits.statement_timeout or LONGEST_SILENCE):
            await self.has_begun.wait()
        if self.error is not None:
            response = await self.refused(self.error)
            await response(scope, receive, send)
        elif scope["method"] == "HEAD":
            await Response(headers=dict(self.headers))(scope, receive, send)
        else:
            await self.stream_response(send)

    async def refused(self, error: Exception) -> Response:
        """The page that says why there is no file."""
        site, request = self.call.site, self.call.request
        if not is_timeout(error):
            return await site.answering.failure(request, error)
        limit = site.backoffice.settings.database.export_timeout
        page = refusal(
            self.call,
            503,
            "The export took too long and was stopped",
            f"The database did not find its first rows within {limit:g} seconds. "
            "Narrow the list with a filter or a search, or order it by a column that "
            "has an index.",
        )
        return site.answering.drawn(page)

    async def begin(self) -> None:
        """Ask for the heads and the first rows."""
        try:
            # Not one after the other: heads alone are no answer yet.
            self.beginning = await anyio.to_thread.run_sync(
                lambda: list(itertools.islice(self.rows, 2))
            )
        except Exception as error:  # noqa: BLE001 - it becomes a page
            self.error = error
        finally:
            self.has_begun.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file in pieces, from its heads on."""
        await self.has_begun.wait()
        if self.error is not None:
            raise self.error
        for chunk in self.beginning:
            yield chunk
        async for chunk in iterate_in_threadpool(self.rows):
            yield chunk

    async def stop_when_unwanted(self, receive: Receive) -> None:
        """Stop the statement as soon as nobody waits for it any more."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.is_unwanted = True
        await anyio.to_thread.run_sync(self.rows.cancel)


def is_timeout(error: Exception) -> bool:
    """Whether the database stopped a statement at its limit."""
    state = getattr(getattr(error, "orig", None), "sqlstate", "")
    return isinstance(error, DBAPIError) and state == "57014"


def refusal(call: Call, status: int, heading: str, text: str) -> Page:
    """A page that says why there is no file."""
    back = address(call.site.base_url, call.model_view.identity, "list")
    view = ErrorView(text, actions=(Action("Back to the list", back),))
    page_frame = frame(call, title=heading, width="narrow")
    return Page("error", view, page_frame, status)
