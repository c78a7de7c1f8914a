"""A list as a file: exactly its rows, in its order, as they come."""

from collections.abc import Iterator
from datetime import UTC, datetime

from starlette.responses import Response, StreamingResponse

from backoffice.admin.call import Call, Page, Reply, Streamed, address
from backoffice.admin.frame import frame
from backoffice.admin.pages.listing import MOVES, spec_for
from backoffice.admin.presentation import Action, ErrorView
from backoffice.import_export.exporter import export_csv
from backoffice.listing.params import parse_list
from backoffice.listing.table import list_table


def csv(call: Call) -> Reply:
    """The list as CSV; what is wrong in the query string exports nothing."""
    view = call.model_view
    spec = spec_for(call, view)
    items = [item for item in call.query_items if item[0] not in MOVES | {"pageSize"}]
    query = parse_list(spec, items, call.site.codec)
    if query.problems:
        sentence = " ".join(problem.message for problem in query.problems)
        return refusal(call, 400, "Nothing is exported", sentence)
    dialect = call.session.get_bind().dialect.name
    table = list_table(spec, query, dialect)
    site = call.site
    if not site.exports.acquire(blocking=False):
        return refusal(
            call,
            503,
            "Other exports are running",
            f"{site.backoffice.settings.listing.exports_at_once} run at a time. "
            "Try again when one of them has ended.",
        )
    name = f"{view.identity}-{datetime.now(UTC):%Y-%m-%d}.csv"

    def respond() -> Response:
        chunks = export_csv(
            site.backoffice.exports,
            table.select,
            table.heads,
            timeout=site.backoffice.settings.database.export_timeout,
        )
        return StreamingResponse(
            released(call, chunks),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return Streamed(respond)


def released(call: Call, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks; at their end, however it comes, another export may begin."""
    try:
        yield from chunks
    finally:
        call.site.exports.release()


def refusal(call: Call, status: int, heading: str, text: str) -> Page:
    """A page that says why there is no file."""
    back = address(call.site.base_url, call.model_view.identity, "list")
    view = ErrorView(text, actions=(Action("Back to the list", back),))
    page_frame = frame(call, title=heading, width="narrow")
    return Page("error", view, page_frame, status)
