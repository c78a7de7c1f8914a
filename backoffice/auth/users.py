"""How do accounts come to be, change and end? The only writer of `backoffice_users`.

Every function takes who acts, as a user's id; None is an operator at the command line,
who has the database anyway. Rights are read again under a lock, so that whoever lost
theirs a moment ago has lost them here too. All changes are audited.
"""

import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.audit.recorder import add_entry, record_changes
from backoffice.auth import throttle
from backoffice.auth.clock import utc_now
from backoffice.auth.last_admin import MESSAGE as LAST_ADMIN
from backoffice.auth.models import EMAIL_LENGTH, User
from backoffice.auth.passwords import (
    hash_password,
    password_problems,
    verify_password,
)
from backoffice.auth.permissions import Role
from backoffice.auth.printable import printable
from backoffice.auth.sessions import (
    close_all_sessions,
    close_other_sessions,
    close_session,
    sessions_of,
)
from backoffice.database.triggers import refusal_of
from backoffice.errors import NotPermitted, RecordNotFound, Refused

EDITABLE = frozenset({"email", "name", "role", "is_active"})
NAME_LENGTH = 200
ONLY_ADMINS = "Only an administrator may manage accounts."
NOT_ONESELF = "You cannot change this of your own account; another administrator can."
TAKEN = "Another account has this e-mail address."


def find_user(session: Session, email: str) -> User | None:
    """The account with this address, whatever its case; deleted ones are not found."""
    return session.scalars(select(User).where(*has_email(email))).one_or_none()


def has_email(email: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions for this address's account; an odd address fits none."""
    given = printable(clean_email(email), EMAIL_LENGTH + 1)
    return (func.lower(User.email) == func.lower(given), User.deleted_at.is_(None))


def has_admin(session: Session) -> bool:
    """Whether anybody can log in and manage accounts."""
    admin = select(User.id).where(*_is_admin()).limit(1)
    return session.scalar(admin) is not None


def why_kept(session: Session, acting: uuid.UUID | None, user_id: uuid.UUID) -> str:
    """Why an account can lose neither role nor use, nor be deleted; "" where it can.

    Told before anybody tries; who tries is refused by what holds then.
    """
    admins = frozenset(session.scalars(select(User.id).where(*_is_admin()).limit(2)))
    if admins == {user_id}:
        return LAST_ADMIN
    return NOT_ONESELF if acting == user_id else ""


def create_user(
    session: Session,
    acting: uuid.UUID | None,
    *,
    email: str,
    name: str,
    role: str,
    password: str,
    is_active: bool = True,
) -> User:
    """A new account.

    Raises:
        Refused: with a sentence for each of email, name, role and password.
        NotPermitted: who acts is no administrator.
    """
    record_changes(session)
    _authorize(session, acting)
    email, name = clean_email(email), clean_name(name)
    problems = _problems({"email": email, "name": name, "role": role})
    weak = password_problems(password, email=email, name=name)
    if weak:
        problems["password"] = " ".join(weak)
    if problems:
        raise Refused(problems)
    user = User(
        email=email,
        name=name,
        role=str(role),
        is_active=is_active,
        password_hash=hash_password(password),
    )
    with _refusals_in_words(session):
        session.add(user)
    return user


def update_user(
    session: Session,
    acting: uuid.UUID | None,
    user_id: uuid.UUID,
    values: Mapping[str, Any],
) -> User:
    """Change an account's email, name, role or is_active; others are refused.

    Who is no longer active is logged out everywhere.

    Raises:
        Refused: with a sentence for each field in the way; nothing was changed.
        NotPermitted: who acts is no administrator.
        RecordNotFound: there is no such account, or it is deleted.
    """
    record_changes(session)
    admins = _authorize(session, acting)
    user = _locked(session, user_id)
    cleaned = dict(values)
    if isinstance(values.get("email"), str):
        cleaned["email"] = clean_email(values["email"])
    if isinstance(values.get("name"), str):
        cleaned["name"] = clean_name(values["name"])
    problems = _problems(cleaned)
    if not problems:
        problems = _lockouts(user, cleaned, admins, acting)
    if problems:
        raise Refused(problems)
    with _refusals_in_words(session):
        for key, value in cleaned.items():
            given = str(value) if key == "role" else value
            if getattr(user, key) != given:
                setattr(user, key, given)
    if not user.is_active:
        close_all_sessions(session, user.id)
    return user


def set_role(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID, role: str
) -> User:
    """Give an account another role; it holds from its next request on."""
    return update_user(session, acting, user_id, {"role": role})


def deactivate_user(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID
) -> User:
    """Log somebody out everywhere and let nobody log in with this account."""
    return update_user(session, acting, user_id, {"is_active": False})


def activate_user(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID
) -> User:
    """Let somebody log in again."""
    return update_user(session, acting, user_id, {"is_active": True})


def delete_user(
    session: Session,
    acting: uuid.UUID | None,
    user_id: uuid.UUID,
    now: datetime | None = None,
) -> User:
    """Delete an account: its row stays for the history, its address becomes free.

    Raises as `update_user` does.
    """
    record_changes(session)
    admins = _authorize(session, acting)
    user = _locked(session, user_id)
    in_the_way = _lockouts(user, {"is_active": False}, admins, acting)
    if in_the_way:
        raise Refused({"": next(iter(in_the_way.values()))})
    with _refusals_in_words(session):
        user.deleted_at = now or utc_now()
    close_all_sessions(session, user.id)
    return user


def restore_user(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID
) -> User:
    """Take a deletion back; refused where the address has another account by now."""
    record_changes(session)
    _authorize(session, acting)
    user = _locked(session, user_id, is_deleted=True)
    with _refusals_in_words(session):
        user.deleted_at = None
    return user


def set_password(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID, password: str
) -> User:
    """Give somebody a new password and log them out everywhere.

    One's own is changed by `change_password`, which asks for the old one.
    """
    record_changes(session)
    _authorize(session, acting)
    if acting == user_id:
        raise Refused({"password": "Change your own password on your account's page."})
    user = _locked(session, user_id)
    _write_password(session, user, password, field="password")
    close_all_sessions(session, user.id)
    return user


def change_password(
    session: Session,
    user_id: uuid.UUID,
    *,
    old: str,
    new: str,
    keep_session: str,
    now: datetime | None = None,
) -> None:
    """Change one's own password; every other session ends, `keep_session` stays.

    Wrong old passwords are counted as failed logins are. The count is committed at
    once: call this before anything else is written in the session.

    Raises:
        Refused: on `old` or `new`, with what is wrong.
    """
    record_changes(session)
    now = now or utc_now()
    user = _existing(session, user_id)
    # Not the network's count: somebody at this desk is logged in already.
    place = f"account {user_id}"
    attempt = throttle.take_try(session, place, place, now)
    session.commit()
    if not attempt.is_allowed:
        wait = throttle.minutes_in_words(attempt.wait_seconds)
        raise Refused({"old": f"Too many tries have failed. Wait {wait}."})
    if not verify_password(user.password_hash, old):
        raise Refused({"old": "This is not your present password."})
    throttle.forgive(session, place, place, now)
    if old == new:
        raise Refused({"new": "This is your present password."})
    user = _locked(session, user_id)
    _write_password(session, user, new, field="new")
    close_other_sessions(session, user_id, keep=keep_session)


def end_session(
    session: Session, acting: uuid.UUID | None, user_id: uuid.UUID, session_id: str
) -> bool:
    """End one session of a person, one's own or as administrator; False where it had.

    A session of somebody else than `user_id` is left alone, as if it were not there.
    """
    if acting != user_id:
        _authorize(session, acting)
    user = _existing(session, user_id)
    is_theirs = any(
        one.session_id == session_id for one in sessions_of(session, user_id)
    )
    if not is_theirs or not close_session(session, session_id):
        return False
    add_entry(
        session,
        action="session ended",
        table_name=User.__tablename__,
        key=str(user_id),
        label=str(user),
    )
    return True


def clean_email(text: str) -> str:
    """The address as it is kept: without spaces around it, in composed characters."""
    return unicodedata.normalize("NFC", text).strip()


def clean_name(text: str) -> str:
    """The name as it is kept: single spaces, composed characters."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def email_problem(email: str) -> str:
    """What is wrong with an address, or ""; whether mail arrives only mail can tell."""
    local, at, domain = email.rpartition("@")
    is_printable = email.isprintable() and not any(c.isspace() for c in email)
    labels = domain.split(".")
    if (
        not (local and at and is_printable)
        or not all(labels)
        or any(c in ",;<>()[]\"'\\" for c in email)
        or "@" in local
    ):
        return "An e-mail address looks like name@example.org."
    if len(email) > EMAIL_LENGTH:
        return f"The address has {len(email)} characters; {EMAIL_LENGTH} are the most."
    return ""


def _problems(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the given fields of an account, by field."""
    problems = {
        key: "This is not changed here." for key in values if key not in EDITABLE
    }
    if "email" in values:
        email = values["email"]
        wrong = email_problem(email) if isinstance(email, str) else "This is no text."
        problems |= {"email": wrong} if wrong else {}
    if "name" in values:
        wrong = _name_problem(values["name"])
        problems |= {"name": wrong} if wrong else {}
    if "role" in values and values["role"] not in tuple(Role):
        problems["role"] = f"The role is one of {', '.join(Role)}."
    if "is_active" in values and not isinstance(values["is_active"], bool):
        problems["is_active"] = "This is either yes or no."
    return problems


def _name_problem(name: object) -> str:
    """What is wrong with a person's name, or ""."""
    if not isinstance(name, str) or not name:
        return "A person has a name."
    if len(name) > NAME_LENGTH:
        return f"The name has {len(name)} characters; {NAME_LENGTH} are the most."
    return "" if name.isprintable() else "The name holds a character that is no text."


def _lockouts(
    user: User,
    values: Mapping[str, Any],
    admins: frozenset[uuid.UUID],
    acting: uuid.UUID | None,
) -> dict[str, str]:
    """Fields whose change would lock out the last administrator, or concern oneself."""
    changed = {
        key
        for key in ("role", "is_active")
        if key in values and values[key] != getattr(user, key)
    }
    loses = values.get("role", user.role) != Role.ADMIN or not values.get(
        "is_active", user.is_active
    )
    if changed and loses and admins == {user.id}:
        return dict.fromkeys(sorted(changed), LAST_ADMIN)
    if acting == user.id:
        return dict.fromkeys(sorted(changed), NOT_ONESELF)
    return {}


def _is_admin() -> tuple[ColumnElement[bool], ...]:
    """The conditions under which somebody can log in and manage accounts."""
    return (
        User.role == Role.ADMIN,
        User.is_active.is_(True),
        User.deleted_at.is_(None),
    )


def _authorize(session: Session, acting: uuid.UUID | None) -> frozenset[uuid.UUID]:
    """All administrators, locked until the end; refuses who is not among them.

    The lock is what makes two changes at once see each other. SQLite leaves the words
    out: there only one transaction writes, and its trigger refuses.
    """
    rows = session.scalars(
        select(User.id).where(*_is_admin()).order_by(User.id).with_for_update()
    )
    admins = frozenset(rows)
    if acting is not None and acting not in admins:
        raise NotPermitted(ONLY_ADMINS)
    return admins


def _existing(session: Session, user_id: uuid.UUID) -> User:
    """The account as it stands now, not deleted."""
    return _read(session, user_id, is_deleted=False, is_locked=False)


def _locked(session: Session, user_id: uuid.UUID, *, is_deleted: bool = False) -> User:
    """The account as it stands now, and nobody else's until the end."""
    return _read(session, user_id, is_deleted=is_deleted, is_locked=True)


def _read(
    session: Session, user_id: uuid.UUID, *, is_deleted: bool, is_locked: bool
) -> User:
    statement = select(User).where(User.id == user_id)
    if is_locked:
        statement = statement.with_for_update()
    user = session.scalars(
        statement.execution_options(populate_existing=True)
    ).one_or_none()
    if user is None or (user.deleted_at is not None) is not is_deleted:
        raise RecordNotFound("There is no such account.")
    return user


def _write_password(session: Session, user: User, password: str, *, field: str) -> None:
    """Set a password that passes the rules; refuse another on `field`."""
    weak = password_problems(password, email=user.email, name=user.name)
    if weak:
        raise Refused({field: " ".join(weak)})
    user.password_hash = hash_password(password)
    session.flush()


@contextmanager
def _refusals_in_words(session: Session) -> Iterator[None]:
    """Flush in a savepoint; what the database refuses becomes a sentence."""
    try:
        with session.begin_nested():
            yield
            session.flush()
    except IntegrityError as error:
        refusal = refusal_of(error)
        if refusal is not None:
            field, message = refusal
            raise Refused({field: message}) from error
        if "email" in str(error.orig):
            raise Refused({"email": TAKEN}) from error
        raise
