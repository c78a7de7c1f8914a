"""How does a request look that was turned away before any page was asked?"""

import logging
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from backoffice.admin.presentation import Action, ErrorView, Frame
from backoffice.admin.templating import render
from backoffice.observability.request_id import current_request_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, heading, and a sentence that says what would be right."""

    status: int
    heading: str
    text: str
    kept: str = ""

    def response(self, scope: Scope) -> Response:
        """The refusal as the one who asks can read it: a page, or JSON for machines."""
        accepted = Headers(scope=scope).get("accept", "")
        if "application/json" in accepted and "text/html" not in accepted:
            content = {"error": self.heading, "detail": self.text}
            return JSONResponse(content, self.status)
        try:
            return HTMLResponse(self.page(), self.status)
        except Exception:
            # The page of an error must not become an error itself.
            logger.exception("the error page could not be drawn")
            return PlainTextResponse(f"{self.heading}\n{self.text}\n", self.status)

    def page(self) -> str:
        """The page, for which no database, session or site is needed."""
        number = current_request_id()
        shown = number if self.status >= 500 else ""  # noqa: PLR2004 - our own fault
        frame = Frame(
            title=self.heading, heading=self.heading, width="narrow", request_id=number
        )
        actions = (Action("To the start", "/"),)
        view = ErrorView(self.text, self.kept, actions=actions, request=shown)
        return render("error", view, frame)
