"""How does a command ask what a page asks? As whoever types, who may do everything."""

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session
from starlette.requests import Request

from backoffice.admin.call import Call
from backoffice.auth.permissions import Role
from backoffice.auth.sessions import Login
from backoffice.database.session import ACTOR, Actor

if TYPE_CHECKING:
    from backoffice.admin.model_view import ModelView
    from backoffice.admin.site import Site

# No account's: who has the settings has the database.
NOBODY = uuid.UUID(int=0)


def operator_call(site: "Site", session: Session, view: "ModelView") -> Call:
    """A call of no request, in the name that stands on the session."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "path_params": {"identity": view.identity},
    }
    who: Actor | None = session.info.get(ACTOR)
    login = Login(
        user_id=NOBODY,
        email="",
        name=who.label if who is not None else "system",
        role=Role.ADMIN,
        session_id="",
        expires_at=datetime.max.replace(tzinfo=UTC),
    )
    return Call(site, Request(scope), session, login, view=view)
