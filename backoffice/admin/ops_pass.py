"""Who may read the ops pages while the database cannot say who asks?

A second signed cookie, written whenever the session was found in the database: for ten
minutes it opens the ops pages for reading, and nothing else. It belongs to one session:
without that session's own cookie, which a logout takes away, it opens nothing.
"""

import secrets
import uuid
from datetime import datetime, timedelta

from itsdangerous import BadData, URLSafeTimedSerializer

from backoffice.auth.clock import utc_now
from backoffice.auth.permissions import Role, may
from backoffice.auth.sessions import Login, digest_of

VALID_FOR = 600
WRITTEN_EVERY = 60


def make_pass(secret: str, login: Login) -> str:
    """The cookie's value for somebody who may see the ops pages."""
    return str(
        _serializer(secret).dumps(
            [
                str(login.user_id),
                login.email,
                login.name,
                str(login.role),
                login.session_id,
            ]
        )
    )


def read_pass(secret: str, cookie: str, token: str) -> tuple[Login, datetime] | None:
    """Who the cookie was made for, and when; None where it does not open anything.

    `token` is what the session's own cookie holds.
    """
    try:
        values, at = _serializer(secret).loads(
            cookie, max_age=VALID_FOR, return_timestamp=True
        )
        user_id, email, name, role, session_id = values
        login = Login(
            user_id=uuid.UUID(user_id),
            email=email,
            name=name,
            role=Role(role),
            session_id=session_id,
            expires_at=at + timedelta(seconds=VALID_FOR),
        )
    except (BadData, ValueError, TypeError):
        return None
    is_theirs = secrets.compare_digest(login.session_id, digest_of(token))
    return (login, at) if is_theirs and may(login.role, "ops:view") else None


def is_due(secret: str, cookie: str, login: Login, token: str) -> bool:
    """Whether the person's cookie should be written anew."""
    known = read_pass(secret, cookie, token) if cookie else None
    if known is None or known[0].role != login.role:
        return True
    return utc_now() - known[1] >= timedelta(seconds=WRITTEN_EVERY)


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="backoffice.ops")
