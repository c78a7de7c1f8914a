"""Who is logged in, and where? The rows behind the cookies.

The cookie carries a random token, signed; the table only the token's SHA-256. So
neither a leaked table nor a guessed number opens a session, and deleting the row ends
it at once.
"""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from itsdangerous import BadSignature, Signer
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from backoffice.auth.clock import as_utc, utc_now
from backoffice.auth.models import LoginSession, User
from backoffice.auth.permissions import Role
from backoffice.auth.printable import printable
from backoffice.database.session import Actor

TOKEN_BYTES = 32
# How exact "last seen" is; a write per request would be a write per read.
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks, as the database knew it when this request began.

    `session_id` is the token's digest: fit to be shown, bound into tokens of forms and
    used to end the session, useless as a cookie.
    """

    user_id: uuid.UUID
    email: str
    name: str
    role: Role
    session_id: str
    expires_at: datetime
    is_touch_due: bool = False

    @property
    def actor(self) -> Actor:
        """The person as the history names them."""
        return Actor(str(self.user_id), self.name)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One place where a person is logged in."""

    session_id: str
    user_agent: str
    ip: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


_FIND = (
    select(
        User.id,
        User.email,
        User.name,
        User.role,
        LoginSession.expires_at,
        LoginSession.last_seen_at,
    )
    .join(User, User.id == LoginSession.user_id)
    .where(
        LoginSession.id == bindparam("digest"),
        LoginSession.expires_at > bindparam("now"),
        User.is_active,
        User.deleted_at.is_(None),
    )
)


def sign_token(secret: str, token: str) -> str:
    """The cookie's value for a token."""
    return _signer(secret).sign(token).decode()


def unsign_token(secret: str, cookie: str | None) -> str | None:
    """The token in a cookie; None where the cookie was not made here."""
    try:
        return _signer(secret).unsign(cookie or "").decode()
    except (BadSignature, UnicodeError):
        return None


def digest_of(token: str) -> str:
    """What the table knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def open_session(
    session: Session,
    user_id: uuid.UUID,
    *,
    hours: float,
    now: datetime | None = None,
    user_agent: str = "",
    ip: str = "",
) -> str:
    """Log somebody in: the new token. What has expired is deleted in passing."""
    now = now or utc_now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.execute(delete(LoginSession).where(LoginSession.expires_at <= now))
    session.execute(
        insert(LoginSession).values(
            id=digest_of(token),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(hours=hours),
            user_agent=printable(user_agent, 200),
            ip=printable(ip, 45),
        )
    )
    return token


def find_session(
    session: Session, token: str, now: datetime | None = None
) -> Login | None:
    """Whose token this is, with the role as it stands now, in one statement.

    None where the session has ended or expired, or the account may not log in. Nothing
    is written: where `is_touch_due` says so, `touch_session` should be called in a unit
    of work that may write.
    """
    now = now or utc_now()
    digest = digest_of(token)
    row = session.execute(_FIND, {"digest": digest, "now": now}).one_or_none()
    if row is None:
        return None
    return Login(
        user_id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        session_id=digest,
        expires_at=as_utc(row.expires_at),
        is_touch_due=now - as_utc(row.last_seen_at) >= SEEN_EVERY,
    )


def touch_session(
    session: Session, session_id: str, now: datetime | None = None
) -> None:
    """Note that the session is in use; waits for nobody, and leaves it when it must."""
    now = now or utc_now()
    due = select(LoginSession.id).where(
        LoginSession.id == session_id, LoginSession.last_seen_at <= now - SEEN_EVERY
    )
    # SQLite knows no locked rows, and SQLAlchemy leaves the words out there.
    due = due.with_for_update(skip_locked=True)
    session.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(due))
        .values(last_seen_at=now)
        .execution_options(synchronize_session=False)
    )


def close_session(session: Session, session_id: str) -> bool:
    """End one session (`Login.session_id`); False where it had ended already."""
    gone = session.execute(
        delete(LoginSession)
        .where(LoginSession.id == session_id)
        .returning(LoginSession.id)
    )
    return gone.first() is not None


def close_other_sessions(session: Session, user_id: uuid.UUID, keep: str) -> int:
    """End all of a person's sessions but the one to keep; how many there were."""
    gone = session.execute(
        delete(LoginSession)
        .where(LoginSession.user_id == user_id, LoginSession.id != keep)
        .returning(LoginSession.id)
    )
    return len(gone.all())


def close_all_sessions(session: Session, user_id: uuid.UUID) -> int:
    """End every session of a person; how many there were."""
    return close_other_sessions(session, user_id, keep="")


def sessions_of(
    session: Session, user_id: uuid.UUID, now: datetime | None = None
) -> list[OpenSession]:
    """Where a person is logged in, the newest first."""
    rows = session.execute(
        select(
            LoginSession.id,
            LoginSession.user_agent,
            LoginSession.ip,
            LoginSession.created_at,
            LoginSession.last_seen_at,
            LoginSession.expires_at,
        )
        .where(
            LoginSession.user_id == user_id,
            LoginSession.expires_at > (now or utc_now()),
        )
        .order_by(LoginSession.created_at.desc(), LoginSession.id)
    )
    return [
        OpenSession(
            row.id,
            row.user_agent,
            row.ip,
            as_utc(row.created_at),
            as_utc(row.last_seen_at),
            as_utc(row.expires_at),
        )
        for row in rows
    ]


def _signer(secret: str) -> Signer:
    return Signer(secret, salt="backoffice.session", digest_method=hashlib.sha256)
