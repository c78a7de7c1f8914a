"""Whose form is this? The session's, and before there is one the browser's."""

import re
import secrets

from starlette.requests import Request

from backoffice.admin.cookies import VISITOR_COOKIE
from backoffice.auth.sessions import Login

_ID = re.compile(r"[A-Za-z0-9_-]{43}")


def form_owner(request: Request, login: Login | None) -> str:
    """What the tokens of this request's forms are bound to."""
    return login.session_id if login is not None else visitor_of(request)


def visitor_of(request: Request) -> str:
    """The id that the browser has been given; a new one where it has none."""
    kept = request.cookies.get(VISITOR_COOKIE, "")
    if _ID.fullmatch(kept):
        return f"visitor {kept}"
    if not getattr(request.state, "visitor", ""):
        request.state.visitor = secrets.token_urlsafe(32)
    return f"visitor {request.state.visitor}"


def new_visitor(request: Request) -> str:
    """The id that was made for this request and has to be sent; "" where none was."""
    return str(getattr(request.state, "visitor", ""))
