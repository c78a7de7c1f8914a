"""Tests of the rows behind the cookies."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.orm import Session

from backoffice.auth.models import LoginSession, User
from backoffice.auth.permissions import Role
from backoffice.auth.sessions import (
    close_all_sessions,
    close_other_sessions,
    close_session,
    digest_of,
    find_session,
    open_session,
    sessions_of,
    sign_token,
    touch_session,
    unsign_token,
)
from tests.auth.conftest import MakeUser

NOW = datetime(2031, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "a secret for tests"


@pytest.fixture
def user(db: Session, make_user: MakeUser) -> User:
    """An editor."""
    return make_user(db, "editor")


def opened(db: Session, user: User, **given: str) -> str:
    """The token of a session that lasts twelve hours."""
    token = open_session(db, user.id, hours=12, now=NOW, **given)
    db.commit()
    return token


def test_a_token_finds_its_person(db: Session, user: User) -> None:
    """Who has logged in is found by the token, with everything that pages need."""
    login = find_session(db, opened(db, user), NOW)
    assert login is not None
    assert (login.user_id, login.email, login.name) == (user.id, user.email, user.name)
    assert login.role is Role.EDITOR
    assert login.expires_at == NOW + timedelta(hours=12)


def test_finding_a_session_takes_one_statement(db: Session) -> None:
    """Session and person come together, or each page would cost two."""
    statements: list[str] = []
    event.listen(
        db.get_bind(),
        "before_cursor_execute",
        lambda _c, _cu, statement, *_: statements.append(statement),
    )
    find_session(db, "nothing", NOW)
    assert len([text for text in statements if text != "BEGIN"]) == 1


def test_the_table_does_not_hold_the_token(db: Session, user: User) -> None:
    """Who reads the table cannot become anybody."""
    token = opened(db, user)
    (kept,) = db.scalars(select(LoginSession.id)).all()
    assert kept == digest_of(token) != token
    assert find_session(db, kept, NOW) is None


def test_every_login_has_a_token_of_its_own(db: Session, user: User) -> None:
    """Two logins never share a session."""
    assert opened(db, user) != opened(db, user)


@pytest.mark.parametrize("token", ["", "x", "\x00", "\ud800", "'; DROP TABLE x; --"])
def test_nonsense_finds_nobody(db: Session, token: str) -> None:
    """A token that was never given out belongs to nobody."""
    assert find_session(db, token, NOW) is None


def test_an_expired_session_finds_nobody(db: Session, user: User) -> None:
    """At its last moment a session is over."""
    token = opened(db, user)
    assert find_session(db, token, NOW + timedelta(hours=12)) is None


@pytest.mark.parametrize("change", [{"is_active": False}, {"deleted_at": NOW}])
def test_an_account_that_may_not_log_in_is_not_found(
    db: Session, user: User, change: dict[str, object]
) -> None:
    """Inactive and deleted accounts are out at once, sessions or not."""
    token = opened(db, user)
    db.execute(update(User).values(change))
    assert find_session(db, token, NOW) is None


def test_a_new_role_holds_at_once(db: Session, user: User) -> None:
    """The role is read with the session, so a demotion waits for no new login."""
    token = opened(db, user)
    db.execute(update(User).values(role="viewer"))
    login = find_session(db, token, NOW)
    assert login is not None
    assert login.role is Role.VIEWER


def test_a_closed_session_is_dead(db: Session, user: User) -> None:
    """After logging out the old cookie opens nothing."""
    token = opened(db, user)
    assert close_session(db, digest_of(token))
    assert find_session(db, token, NOW) is None
    assert not close_session(db, digest_of(token))


def test_other_sessions_are_closed_and_this_one_stays(db: Session, user: User) -> None:
    """All of a person's sessions end but the one that is kept."""
    first, second, third = (opened(db, user) for _ in range(3))
    assert close_other_sessions(db, user.id, keep=digest_of(second)) == 2
    found = [
        find_session(db, token, NOW) is not None for token in (first, second, third)
    ]
    assert found == [False, True, False]


def test_somebody_elses_sessions_stay(
    db: Session, user: User, make_user: MakeUser
) -> None:
    """Closing all of one person's sessions closes nobody else's."""
    token = opened(db, make_user(db))
    opened(db, user)
    assert close_all_sessions(db, user.id) == 1
    assert find_session(db, token, NOW) is not None


def test_expired_rows_are_deleted_in_passing(db: Session, user: User) -> None:
    """The table holds no more than the sessions that are open."""
    opened(db, user)
    open_session(db, user.id, hours=1, now=NOW + timedelta(days=1))
    assert len(db.scalars(select(LoginSession.id)).all()) == 1


def test_a_person_sees_where_they_are_logged_in(db: Session, user: User) -> None:
    """Each open session says when and from where, the newest first."""
    opened(db, user, user_agent="Firefox", ip="192.0.2.7")
    open_session(db, user.id, hours=1, now=NOW + timedelta(hours=1), ip="192.0.2.8")
    newest, oldest = sessions_of(db, user.id, NOW + timedelta(hours=1))
    assert (newest.ip, oldest.ip) == ("192.0.2.8", "192.0.2.7")
    assert (oldest.user_agent, oldest.created_at) == ("Firefox", NOW)


def test_what_a_browser_says_of_itself_is_kept_harmless(
    db: Session, user: User
) -> None:
    """An endless user agent with control characters is cut and made readable."""
    opened(db, user, user_agent="a\x00b\n" + "x" * 5_000)
    (kept,) = sessions_of(db, user.id, NOW)
    assert kept.user_agent.startswith("a?b?x")
    assert len(kept.user_agent) == 200


def test_reading_does_not_write(accounts: Engine, make_user: MakeUser) -> None:
    """A session is found in a read-only transaction."""
    with Session(accounts, expire_on_commit=False) as writer:
        token = opened(writer, make_user(writer))
    with Session(accounts) as reader:
        reader.connection(execution_options={"postgresql_readonly": True})
        assert find_session(reader, token, NOW) is not None


def test_last_seen_is_due_once_a_minute(db: Session, user: User) -> None:
    """Within a minute nothing is due; after it once, until it has been noted."""
    token = opened(db, user)
    soon, later = NOW + timedelta(seconds=59), NOW + timedelta(seconds=60)
    due = [find_session(db, token, at).is_touch_due for at in (soon, later)]  # type: ignore[union-attr]
    touch_session(db, digest_of(token), later)
    due.append(find_session(db, token, later).is_touch_due)  # type: ignore[union-attr]
    assert due == [False, True, False]


def test_noting_last_seen_waits_for_nobody(
    accounts: Engine, make_user: MakeUser
) -> None:
    """While another transaction holds the session's row, it is left as it is."""
    with Session(accounts, expire_on_commit=False) as writer:
        token = opened(writer, make_user(writer))
    with Session(accounts) as holder, Session(accounts) as other:
        holder.scalars(select(LoginSession).with_for_update()).one()
        touch_session(other, digest_of(token), NOW + timedelta(minutes=5))
        other.commit()
        holder.rollback()
        assert holder.scalars(select(LoginSession.last_seen_at)).one() == NOW


def test_a_cookie_gives_its_token_back() -> None:
    """What was signed here can be read here."""
    assert unsign_token(SECRET, sign_token(SECRET, "token")) == "token"


@pytest.mark.parametrize(
    "cookie", [None, "", "token", "token.signature", ".", "é.ü", "\ud800", "a" * 9_000]
)
def test_a_forged_cookie_is_no_cookie(cookie: str | None) -> None:
    """What was not signed here gives nothing, and no error."""
    assert unsign_token(SECRET, cookie) is None


def test_a_cookie_of_another_key_is_no_cookie() -> None:
    """A new secret key logs everybody out."""
    assert unsign_token("another", sign_token(SECRET, "token")) is None
