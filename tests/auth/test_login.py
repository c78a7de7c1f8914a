"""Tests of logging in and out."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.auth.login import Client, LoggedIn, LoginRefused, log_in, log_out
from backoffice.auth.models import User
from backoffice.auth.passwords import needs_rehash
from backoffice.auth.sessions import find_session, sessions_of
from tests.auth.conftest import PASSWORD, MakeUser

NOW = datetime(2031, 3, 1, 12, 0, tzinfo=UTC)
CLIENT = Client(ip="192.0.2.7", user_agent="Firefox")
LEFT = "E-mail and password do not match. 4 tries are left, then you wait 5 minutes."


@pytest.fixture
def user(db: Session, make_user: MakeUser) -> User:
    """Somebody with an account."""
    return make_user(db, email="ruth@example.org", name="Ruth")


def tried(
    db: Session,
    password: str = PASSWORD,
    *,
    email: str = "ruth@example.org",
    replaces: str | None = None,
    now: datetime = NOW,
) -> LoggedIn | LoginRefused:
    """One try to log in."""
    outcome = log_in(
        db,
        email=email,
        password=password,
        client=CLIENT,
        hours=12,
        replaces=replaces,
        now=now,
    )
    db.commit()
    return outcome


def token_of(outcome: LoggedIn | LoginRefused) -> str:
    """The token of a login that worked."""
    assert isinstance(outcome, LoggedIn)
    return outcome.token


def test_the_right_password_opens_a_session(db: Session, user: User) -> None:
    """After logging in the token leads to the person."""
    login = find_session(db, token_of(tried(db)), NOW)
    assert login is not None
    assert login.user_id == user.id
    (session,) = sessions_of(db, user.id, NOW)
    assert (session.ip, session.user_agent) == ("192.0.2.7", "Firefox")


@pytest.mark.parametrize("email", ["RUTH@EXAMPLE.ORG", "  ruth@example.org "])
def test_the_address_may_be_written_otherwise(
    db: Session, user: User, email: str
) -> None:
    """Capital letters and spaces around do not keep anybody out."""
    assert isinstance(tried(db, email=email), LoggedIn)


def test_a_wrong_password_is_refused_with_the_tries_left(
    db: Session, user: User
) -> None:
    """The sentence says what does not fit and what is left."""
    assert tried(db, "not this one") == LoginRefused(LEFT)


def test_an_unknown_address_is_refused_alike(db: Session, user: User) -> None:
    """Nobody learns from the answer which accounts exist."""
    assert tried(db, email="nobody@example.org") == LoginRefused(LEFT)


@pytest.mark.parametrize("change", [{"is_active": False}, {"deleted_at": NOW}])
def test_who_may_not_log_in_is_refused_alike(
    db: Session, make_user: MakeUser, change: dict[str, object]
) -> None:
    """Nor does the right password tell that an account is not active or deleted."""
    make_user(db, email="ruth@example.org", **change)
    assert tried(db) == LoginRefused(LEFT)


@pytest.mark.parametrize("odd", ["", "\x00", "\ud800", "x" * 100_000, "' OR 1=1 --"])
def test_nonsense_is_refused_and_no_fault(db: Session, user: User, odd: str) -> None:
    """Whatever is typed into either field, the answer is the same."""
    assert tried(db, odd) == LoginRefused(LEFT)
    assert isinstance(tried(db, email=odd), LoginRefused)


def test_after_five_failures_one_waits(db: Session, user: User) -> None:
    """Even the right password does not help before the five minutes are over."""
    for _ in range(5):
        last = tried(db, "not this one")
    assert last == LoginRefused(
        "E-mail and password do not match. "
        "No try is left: wait 5 minutes, then log in again.",
        300,
    )
    assert tried(db) == LoginRefused(
        "Too many logins have failed. Wait 5 minutes, then log in again.", 300
    )
    assert isinstance(tried(db, now=NOW + timedelta(minutes=5)), LoggedIn)


def test_a_login_forgives_the_failures_before_it(db: Session, user: User) -> None:
    """Mistyping four times today leaves five tries tomorrow."""
    for _ in range(4):
        tried(db, "not this one")
    tried(db)
    assert tried(db, "not this one") == LoginRefused(LEFT)


def test_a_failure_counts_although_the_transaction_is_undone(
    db: Session, user: User
) -> None:
    """The count is committed before the password is looked at."""
    log_in(db, email=user.email, password="wrong", client=CLIENT, hours=1, now=NOW)
    db.rollback()
    assert "3 tries are left" in getattr(tried(db, "wrong again"), "sentence", "")


def test_logging_in_again_gives_a_new_session_and_ends_the_old(
    db: Session, user: User
) -> None:
    """A token known from before the login is worth nothing after it."""
    first = token_of(tried(db))
    second = token_of(tried(db, replaces=first))
    assert first != second
    assert find_session(db, first, NOW) is None
    assert find_session(db, second, NOW) is not None


def test_a_token_from_elsewhere_is_not_taken_over(db: Session, user: User) -> None:
    """A session id that somebody planted in the browser is never used."""
    assert token_of(tried(db, replaces="planted")) != "planted"
    assert find_session(db, "planted", NOW) is None


def test_logging_out_ends_the_session(db: Session, user: User) -> None:
    """The cookie of before opens nothing any more."""
    token = token_of(tried(db))
    login = find_session(db, token, NOW)
    assert login is not None
    log_out(db, login)
    assert find_session(db, token, NOW) is None


def test_login_and_logout_stand_in_the_history(db: Session, user: User) -> None:
    """Who came and went is written with the person as the actor."""
    login = find_session(db, token_of(tried(db)), NOW)
    assert login is not None
    log_out(db, login)
    db.commit()
    entries = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(e.action, e.actor_id, e.key) for e in entries] == [
        ("login", str(user.id), str(user.id)),
        ("logout", str(user.id), str(user.id)),
    ]


def test_the_last_failure_stands_in_the_history(db: Session, user: User) -> None:
    """One entry tells that somebody has used all tries up, and from where."""
    for _ in range(7):
        tried(db, "not this one")
    (entry,) = db.scalars(select(AuditEntry)).all()
    assert (entry.action, entry.label) == ("login blocked", "ruth@example.org")
    assert entry.actor_label == "192.0.2.7"


def test_a_failure_is_logged_without_the_password(
    db: Session, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names address and network; what was typed as password never."""
    with caplog.at_level(logging.WARNING):
        tried(db, "my dog is called Rex")
    assert "ruth@example.org" in caplog.text
    assert "Rex" not in caplog.text


def test_the_last_login_is_noted(db: Session, user: User) -> None:
    """The account says when it was last used."""
    tried(db)
    db.refresh(user)
    assert user.last_login_at is not None


def test_an_old_hash_is_renewed_at_login(db: Session, make_user: MakeUser) -> None:
    """When the parameters become stronger, hashes follow as people log in."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    user = make_user(db, email="ruth@example.org", password_hash=weak)
    tried(db)
    db.refresh(user)
    assert not needs_rehash(user.password_hash)
    assert isinstance(tried(db), LoggedIn)


def test_no_connection_is_held_while_hashing(
    accounts: Engine, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of logins takes time from the processor, not connections from pages."""
    held = []
    real = log_in.__globals__["verify_password"]

    def watched(kept: str | None, given: str) -> bool:
        held.append(accounts.pool.checkedout())  # type: ignore[attr-defined]
        return bool(real(kept, given))

    with Session(accounts, expire_on_commit=False) as session:
        make_user(session, email="ruth@example.org")
        monkeypatch.setitem(log_in.__globals__, "verify_password", watched)
        tried(session)
    assert held == [0]


def test_an_unknown_address_is_hashed_for_as_well(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is the same with and without an account, so time tells nothing."""
    kept: list[str | None] = []
    real = log_in.__globals__["verify_password"]

    def watched(known: str | None, given: str) -> bool:
        kept.append(known)
        return bool(real(known, given))

    monkeypatch.setitem(log_in.__globals__, "verify_password", watched)
    tried(db, email="nobody@example.org")
    assert kept == [None]


def test_a_login_takes_few_statements(accounts: Engine, make_user: MakeUser) -> None:
    """Logging in does not ask the database more than it has to."""
    statements: list[str] = []
    with Session(accounts, expire_on_commit=False) as session:
        make_user(session, email="ruth@example.org")
        event.listen(
            accounts,
            "before_cursor_execute",
            lambda _c, _cu, statement, *_: statements.append(statement.split()[0]),
        )
        tried(session)
    assert statements == [
        "INSERT",
        "SELECT",
        "DELETE",
        "UPDATE",
        "DELETE",
        "INSERT",
        "UPDATE",
        "INSERT",
    ]
