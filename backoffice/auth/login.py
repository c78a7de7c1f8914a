"""How does somebody log in, and out again? The whole exchange, in one place."""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from backoffice.audit.recorder import add_entry
from backoffice.auth import throttle
from backoffice.auth.clock import utc_now
from backoffice.auth.models import EMAIL_LENGTH, User
from backoffice.auth.passwords import hash_password, needs_rehash, verify_password
from backoffice.auth.printable import printable
from backoffice.auth.sessions import (
    Login,
    close_session,
    digest_of,
    open_session,
)
from backoffice.auth.users import has_email
from backoffice.database.session import Actor

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """The browser as it presents itself."""

    ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """It worked: the token for the cookie (`sessions.sign_token`)."""

    token: str
    user_id: uuid.UUID
    name: str


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """It did not: what to tell, and for how many seconds not to try again, or 0.

    The sentence is the same whether the account does not exist, is not active, or has
    another password.
    """

    sentence: str
    wait_seconds: int = 0


def log_in(
    session: Session,
    *,
    email: str,
    password: str,
    client: Client,
    hours: float,
    replaces: str | None = None,
    now: datetime | None = None,
) -> LoggedIn | LoginRefused:
    """Check e-mail and password, and open a session under a new random token.

    The try is counted and committed before the password is looked at: then no
    connection is held while it is hashed, and no number of tries at once gets around
    the count. `replaces` is the token that the browser had until now; it ends.
    """
    now = now or utc_now()
    attempt = throttle.take_try(session, email, client.ip, now)
    found = session.execute(_account(email)).one_or_none()
    session.commit()
    if not attempt.is_allowed:
        return LoginRefused(attempt.sentence, attempt.wait_seconds)
    known = found.password_hash if found is not None else None
    is_right = verify_password(known, password)
    if found is None or not is_right or not found.is_active:
        _note_failure(session, email, client, attempt)
        return LoginRefused(attempt.sentence, attempt.wait_seconds)
    throttle.forgive(session, email, client.ip, now)
    if replaces:
        close_session(session, digest_of(replaces))
    token = open_session(
        session,
        found.id,
        hours=hours,
        now=now,
        user_agent=client.user_agent,
        ip=client.ip,
    )
    values = {"last_login_at": now}
    session.execute(update(User).where(User.id == found.id).values(values))
    if needs_rehash(found.password_hash):
        _rehash(session, found.id, found.password_hash, password)
    _note(session, "login", found.id, found.name, found.email)
    return LoggedIn(token, found.id, found.name)


def log_out(session: Session, login: Login) -> None:
    """End this session: its cookie is worth nothing from now on."""
    if close_session(session, login.session_id):
        _note(session, "logout", login.user_id, login.name, login.email)


def _account(email: str) -> Select[uuid.UUID, str, str, str, bool]:
    """The one account that this address may log in to."""
    return select(
        User.id, User.name, User.email, User.password_hash, User.is_active
    ).where(*has_email(email))


def _rehash(session: Session, user_id: uuid.UUID, old: str, password: str) -> None:
    """Keep the password with today's parameters, unless it was changed meanwhile."""
    session.execute(
        update(User)
        .where(User.id == user_id, User.password_hash == old)
        .values(password_hash=hash_password(password))
    )


def _note_failure(
    session: Session, email: str, client: Client, attempt: throttle.Try
) -> None:
    """Log each failure; audit the one that used the last try up."""
    shown = printable(email, EMAIL_LENGTH)
    logger.warning("login as %r from %s failed", shown, printable(client.ip, 45))
    if attempt.left == 0:
        nobody = Actor(None, printable(client.ip, 45) or "unknown")
        add_entry(session, action="login blocked", label=shown, actor=nobody)


def _note(
    session: Session, action: str, user_id: uuid.UUID, name: str, email: str
) -> None:
    """Write into the history of the account that this has happened."""
    add_entry(
        session,
        action=action,
        table_name=User.__tablename__,
        key=str(user_id),
        label=f"{name} <{email}>",
        actor=Actor(str(user_id), name),
    )
