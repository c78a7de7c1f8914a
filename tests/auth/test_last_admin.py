"""Tests of the triggers that keep one administrator, whoever writes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, delete, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.auth.last_admin import CONSTRAINT, MESSAGE
from backoffice.auth.models import User
from backoffice.database.triggers import refusal_of
from tests.auth.conftest import MakeUser

LOSSES = [
    "UPDATE backoffice_users SET role = 'editor' WHERE role = 'admin'",
    "UPDATE backoffice_users SET is_active = false",
    "UPDATE backoffice_users SET deleted_at = CURRENT_TIMESTAMP",
    "DELETE FROM backoffice_users",
]


@pytest.mark.parametrize("statement", LOSSES)
def test_no_statement_takes_all_admins_away(
    db: Session, make_user: MakeUser, statement: str
) -> None:
    """SQL that goes around the code is refused by the database, in words."""
    make_user(db, "admin")
    make_user(db, "admin")
    with pytest.raises(IntegrityError) as caught:
        db.execute(text(statement))
    assert refusal_of(caught.value) == ("", MESSAGE)


def test_the_refusal_has_a_constraints_name(
    accounts: Engine, make_user: MakeUser
) -> None:
    """On PostgreSQL the refusal looks like that of a check constraint."""
    with Session(accounts) as session:
        make_user(session, "admin")
        with pytest.raises(IntegrityError) as caught:
            session.execute(delete(User))
    assert caught.value.orig.diag.constraint_name == CONSTRAINT  # type: ignore[union-attr]


def test_others_may_be_changed_without_any_admin(
    db: Session, make_user: MakeUser
) -> None:
    """Where there never was an administrator, nothing is refused."""
    make_user(db, "viewer")
    db.execute(update(User).values(role="editor"))
    db.execute(delete(User))


def test_admins_may_change_hands_in_one_statement(
    accounts: Engine, make_user: MakeUser
) -> None:
    """What counts is what stands after the whole statement."""
    with Session(accounts) as session:
        make_user(session, "admin")
        make_user(session, "viewer")
        session.execute(
            text(
                "UPDATE backoffice_users SET role ="
                " CASE role WHEN 'admin' THEN 'viewer' ELSE 'admin' END"
            )
        )


def test_two_statements_at_once_leave_one_admin(
    accounts: Engine, make_user: MakeUser
) -> None:
    """Two connections that each demote another administrator cannot both commit."""
    with Session(accounts, expire_on_commit=False) as session:
        admins = make_user(session, "admin"), make_user(session, "admin")
    both = threading.Barrier(2)

    def demote(user: User) -> bool:
        with Session(accounts) as session:
            session.execute(text("SELECT 1"))
            both.wait(10)
            try:
                session.execute(
                    update(User).where(User.id == user.id).values(role="editor")
                )
            except IntegrityError:
                return False
            session.commit()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, admins)) == [False, True]
