"""Tests of what the tables themselves hold and refuse."""

import pytest
from sqlalchemy import Engine, delete, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.auth.models import LoginSession, User
from backoffice.auth.sessions import open_session
from tests.auth.conftest import MakeUser


@pytest.mark.parametrize(
    "values", [{"role": "king"}, {"email": "nobody"}, {"name": ""}]
)
def test_the_table_refuses_what_no_account_is(
    db: Session, make_user: MakeUser, values: dict[str, str]
) -> None:
    """Role, address and name are checked whoever writes."""
    with pytest.raises(IntegrityError):
        make_user(db, **values)


def test_an_address_is_unique_whatever_its_case(
    db: Session, make_user: MakeUser
) -> None:
    """The database itself holds two spellings of one address apart."""
    make_user(db, email="ruth@example.org")
    with pytest.raises(IntegrityError):
        make_user(db, email="Ruth@Example.org")


def test_a_login_finds_the_account_by_the_index(accounts: Engine) -> None:
    """Looking an address up does not read the whole table."""
    with accounts.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO backoffice_users (id, email, name, role, password_hash)"
                " SELECT gen_random_uuid(), n || '@example.org', 'P', 'viewer', ''"
                " FROM generate_series(1, 2000) AS n"
            )
        )
        connection.execute(text("ANALYZE backoffice_users"))
        plan = "\n".join(
            connection.scalars(
                text(
                    "EXPLAIN SELECT id FROM backoffice_users WHERE deleted_at IS NULL"
                    " AND lower(email) = lower('7@example.org')"
                )
            )
        )
    assert "uq_backoffice_users_email" in plan


def test_sessions_go_with_their_account(db: Session, make_user: MakeUser) -> None:
    """A row deleted for good leaves no session behind."""
    user = make_user(db)
    open_session(db, user.id, hours=1)
    db.execute(delete(User).where(User.id == user.id))
    assert db.scalars(select(LoginSession)).all() == []


def test_the_hash_is_declared_secret() -> None:
    """The floors above never show, log, audit or export the password's hash."""
    assert inspect(User).columns["password_hash"].info["secret"] is True


def test_changing_an_account_moves_its_time(
    accounts: Engine, make_user: MakeUser
) -> None:
    """The time of the last change is kept by the database, whoever writes."""
    with Session(accounts) as session:
        user = make_user(session)
        before = user.updated_at
        session.execute(text("UPDATE backoffice_users SET name = 'Another'"))
        session.commit()
        session.refresh(user)
        assert user.updated_at > before
