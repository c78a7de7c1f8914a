"""A list as a file: exactly its rows, in its order, as they come."""

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import anyio
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from backoffice.admin.call import Call, Page, Reply, Streamed, address
from backoffice.admin.failures import NotFound
from backoffice.admin.frame import frame
from backoffice.admin.pages.listing import MOVES, spec_for
from backoffice.admin.presentation import Action, ErrorView
from backoffice.import_export.exporter import export_csv, export_json
from backoffice.listing.params import parse_list
from backoffice.listing.table import list_table

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
    timeout = call.site.backoffice.settings.database.export_timeout
    write, heads = (
        (export_csv, table.heads) if kind == "csv" else (export_json, table.paths)
    )
    chunks = functools.partial(
        write, call.site.backoffice.exports, table.select, heads, timeout=timeout
    )
    return Streamed(functools.partial(respond, call, chunks, kind=kind))


def respond(
    call: Call, make: Callable[[], Iterator[bytes]], *, kind: str = "csv"
) -> Response:
    """The file from its first line on; or why there is none, while that can be said.

    Until then nothing is sent: a database that cannot be reached is a page of ours.
    """
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
        chunks = make()
        first = next(chunks)
    except BaseException:
        site.exports.release()
        raise
    name = f"{call.model_view.identity}-{datetime.now(UTC):%Y-%m-%d}.{kind}"
    return FileOfRows(first, chunks, name, site.exports.release, TYPES[kind])


class FileOfRows(StreamingResponse):
    """The chunks as they come; at their end, however it comes, another may begin."""

    def __init__(
        self,
        first: bytes,
        chunks: Iterator[bytes],
        name: str,
        release: Callable[[], None],
        media_type: str,
    ) -> None:
        self.chunks, self.release = chunks, release
        super().__init__(
            itertools.chain((first,), chunks),
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or its head alone; who goes away leaves nothing running."""
        try:
            if scope["method"] == "HEAD":
                await Response(headers=dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self.release()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(close_chunks, self.chunks)


def close_chunks(chunks: Iterator[bytes]) -> None:
    """Give the export's connection back."""
    close = getattr(chunks, "close", None)
    if close is not None:
        with suppress(ValueError):  # a thread is still in it, and comes to its end
            close()


def refusal(call: Call, status: int, heading: str, text: str) -> Page:
    """A page that says why there is no file."""
    back = address(call.site.base_url, call.model_view.identity, "list")
    view = ErrorView(text, actions=(Action("Back to the list", back),))
    page_frame = frame(call, title=heading, width="narrow")
    return Page("error", view, page_frame, status)
