"""Tests of how accounts come to be, change and end."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditEntry
from backoffice.auth.models import LoginSession, User
from backoffice.auth.passwords import verify_password
from backoffice.auth.sessions import digest_of, find_session, open_session
from backoffice.auth.users import (
    activate_user,
    change_password,
    create_user,
    deactivate_user,
    delete_user,
    email_problem,
    end_session,
    find_user,
    has_admin,
    restore_user,
    set_password,
    set_role,
    update_user,
)
from backoffice.errors import BackofficeError, NotPermitted, RecordNotFound, Refused
from tests.auth.conftest import PASSWORD, MakeUser

NOW = datetime(2031, 3, 1, 12, 0, tzinfo=UTC)
NEW_PASSWORD = "nine quiet lamps burn"


@pytest.fixture
def admin(db: Session, make_user: MakeUser) -> User:
    """The administrator who acts."""
    return make_user(db, "admin")


def refused_fields(function: Callable[[], object]) -> dict[str, str]:
    """The sentences of the refusal that this call ends in."""
    with pytest.raises(Refused) as caught:
        function()
    return caught.value.fields


# Making


def test_an_operator_makes_the_first_account(db: Session) -> None:
    """At the command line nobody has to be logged in."""
    create_user(
        db,
        None,
        email=" Ruth@Example.org ",
        name=" Ruth   Adeyemi ",
        role="admin",
        password=PASSWORD,
    )
    user = find_user(db, "RUTH@example.ORG")
    assert user is not None
    assert (user.email, user.name) == ("Ruth@Example.org", "Ruth Adeyemi")
    assert verify_password(user.password_hash, PASSWORD)


def test_everything_wrong_is_said_at_once(db: Session, admin: User) -> None:
    """A form with four mistakes has four sentences."""
    fields = refused_fields(
        lambda: create_user(
            db, admin.id, email="nobody", name=" ", role="king", password="short"
        )
    )
    assert fields == {
        "email": "An e-mail address looks like name@example.org.",
        "name": "A person has a name.",
        "role": "The role is one of admin, ops, editor, viewer.",
        "password": "The password has 5 characters; 10 are the least.",
    }


def test_an_address_in_use_is_refused_whatever_its_case(
    db: Session, admin: User
) -> None:
    """Two accounts cannot differ in nothing but capital letters."""
    fields = refused_fields(
        lambda: create_user(
            db,
            admin.id,
            email=admin.email.upper(),
            name="Another",
            role="viewer",
            password=PASSWORD,
        )
    )
    assert fields == {"email": "Another account has this e-mail address."}


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@b.org",
        "a@",
        "a@b@c.org",
        "a b@c.org",
        "a@b..org",
        "a@b.org\n",
        "<a@b.org>",
        "a@b.org,c@d.org",
        "x" * 250 + "@b.org",
        "a\x00@b.org",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    """Everything that mail could not be sent to has a problem."""
    assert email_problem(email)


@pytest.mark.parametrize("email", ["a@b.org", "a+b@c.co.uk", "jürgen@müller.de", "a@h"])
def test_what_is_an_address_is_accepted(email: str) -> None:
    """Plus signs, other alphabets and hosts of the own network are fine."""
    assert email_problem(email) == ""


# Rights


Acting = Callable[[Session, uuid.UUID, User], object]
WRITES: dict[str, Acting] = {
    "create": lambda db, me, _: create_user(
        db, me, email="n@example.org", name="N", role="viewer", password=PASSWORD
    ),
    "update": lambda db, me, user: update_user(db, me, user.id, {"name": "X"}),
    "role": lambda db, me, user: set_role(db, me, user.id, "viewer"),
    "deactivate": lambda db, me, user: deactivate_user(db, me, user.id),
    "activate": lambda db, me, user: activate_user(db, me, user.id),
    "delete": lambda db, me, user: delete_user(db, me, user.id),
    "restore": lambda db, me, user: restore_user(db, me, user.id),
    "password": lambda db, me, user: set_password(db, me, user.id, NEW_PASSWORD),
}


@pytest.mark.parametrize("role", ["ops", "editor", "viewer"])
@pytest.mark.parametrize("write", WRITES)
def test_only_admins_write_accounts(
    db: Session, admin: User, make_user: MakeUser, role: str, write: str
) -> None:
    """No other role reaches any function that writes an account."""
    me = make_user(db, role)
    with pytest.raises(NotPermitted, match="Only an administrator"):
        WRITES[write](db, me.id, admin)


@pytest.mark.parametrize("role", ["ops", "editor", "viewer"])
def test_nobody_lifts_themselves(
    db: Session, admin: User, make_user: MakeUser, role: str
) -> None:
    """Giving oneself another role is refused, and the role stays."""
    me = make_user(db, role)
    with pytest.raises(NotPermitted):
        update_user(db, me.id, me.id, {"role": "admin"})
    db.rollback()
    assert db.scalar(select(User.role).where(User.id == me.id)) == role


@pytest.mark.parametrize("lost", [{"role": "editor"}, {"is_active": False}])
def test_who_has_lost_the_right_may_not_act(
    db: Session, admin: User, make_user: MakeUser, lost: dict[str, object]
) -> None:
    """An administrator who was demoted a moment ago cannot act any more."""
    other = make_user(db, "admin")
    update_user(db, None, other.id, lost)
    with pytest.raises(NotPermitted):
        set_role(db, other.id, admin.id, "viewer")


@pytest.mark.parametrize(
    "field", ["id", "password_hash", "deleted_at", "last_login_at", "created_at", "no"]
)
def test_only_four_fields_can_be_changed(db: Session, admin: User, field: str) -> None:
    """A field smuggled into the form is refused, not written."""
    fields = refused_fields(lambda: update_user(db, admin.id, admin.id, {field: "x"}))
    assert fields == {field: "This is not changed here."}


# Changing


def test_an_account_is_changed(db: Session, admin: User, make_user: MakeUser) -> None:
    """Name, address and role of somebody else can be changed together."""
    user = make_user(db)
    values = {"email": "new@example.org", "name": "New", "role": "ops"}
    update_user(db, admin.id, user.id, values)
    db.commit()
    db.refresh(user)
    assert (user.email, user.name, user.role) == ("new@example.org", "New", "ops")


def test_a_taken_address_is_refused_and_nothing_else_is_lost(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """What the database refuses becomes a sentence, and the session can go on."""
    user = make_user(db)
    fields = refused_fields(
        lambda: update_user(db, None, user.id, {"email": admin.email.title()})
    )
    assert fields == {"email": "Another account has this e-mail address."}
    update_user(db, None, user.id, {"name": "Still works"})


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": "x"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"role": "superuser"}, "role"),
        ({"role": None}, "role"),
        ({"is_active": "yes"}, "is_active"),
        ({"email": None}, "email"),
    ],
)
def test_wrong_values_are_refused_on_their_field(
    db: Session, admin: User, make_user: MakeUser, values: dict[str, object], field: str
) -> None:
    """Each value that cannot be has a sentence where it was typed."""
    user = make_user(db)
    assert set(refused_fields(lambda: update_user(db, admin.id, user.id, values))) == {
        field
    }


def test_an_unknown_account_is_not_found(db: Session, admin: User) -> None:
    """An id that belongs to nobody is said to."""
    with pytest.raises(RecordNotFound):
        update_user(db, admin.id, uuid.uuid4(), {"name": "X"})


def test_deactivating_ends_all_sessions(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """Who is not active is logged out everywhere."""
    user = make_user(db)
    open_session(db, user.id, hours=1)
    deactivate_user(db, admin.id, user.id)
    assert db.scalar(select(func.count()).select_from(LoginSession)) == 0


# The last administrator


LOSSES: dict[str, Acting] = {
    "role": lambda db, _, user: set_role(db, None, user.id, "editor"),
    "deactivate": lambda db, _, user: deactivate_user(db, None, user.id),
    "delete": lambda db, _, user: delete_user(db, None, user.id),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_last_admin_stays(
    db: Session, admin: User, make_user: MakeUser, loss: str
) -> None:
    """Not even an operator can take the last administrator away."""
    make_user(db, "admin", is_active=False)
    make_user(db, "admin", deleted_at=NOW)
    with pytest.raises(Refused, match="last active administrator"):
        LOSSES[loss](db, admin.id, admin)
    assert has_admin(db)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_admin_goes_where_another_stays(
    db: Session, admin: User, make_user: MakeUser, loss: str
) -> None:
    """With two administrators one can be taken away."""
    LOSSES[loss](db, admin.id, make_user(db, "admin"))
    db.commit()
    assert has_admin(db)


@pytest.mark.parametrize("values", [{"role": "editor"}, {"is_active": False}])
def test_admins_do_not_demote_themselves(
    db: Session, admin: User, make_user: MakeUser, values: dict[str, object]
) -> None:
    """One's own rights are changed by somebody else, never by a slip."""
    make_user(db, "admin")
    fields = refused_fields(lambda: update_user(db, admin.id, admin.id, values))
    assert fields == dict.fromkeys(
        values, "You cannot change this of your own account; another administrator can."
    )


def test_admins_do_not_delete_themselves(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """One's own account is deleted by somebody else."""
    make_user(db, "admin")
    fields = refused_fields(lambda: delete_user(db, admin.id, admin.id))
    assert "another administrator can" in fields[""]


def test_admins_change_their_own_name(db: Session, admin: User) -> None:
    """What has nothing to do with rights one may change of oneself."""
    values = {"name": "New", "role": "admin", "is_active": True}
    assert update_user(db, admin.id, admin.id, values).name == "New"


@pytest.mark.parametrize("loss", LOSSES)
def test_two_admins_cannot_take_each_other_away_at_once(
    accounts: Engine, make_user: MakeUser, loss: str
) -> None:
    """Two transactions that each take the other one away cannot both end well."""
    with Session(accounts, expire_on_commit=False) as session:
        admins = make_user(session, "admin"), make_user(session, "admin")

    def take(victim: User) -> str:
        with Session(accounts) as session:
            try:
                LOSSES[loss](session, victim.id, victim)
                session.commit()
            except BackofficeError as error:
                return type(error).__name__
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take, admins)) == ["Refused", "done"]


def test_who_waits_for_a_demotion_sees_it(
    accounts: Engine, make_user: MakeUser
) -> None:
    """A second change waits for the first and then finds that it may not be."""
    with Session(accounts, expire_on_commit=False) as session:
        one, two = make_user(session, "admin"), make_user(session, "admin")
    with ThreadPoolExecutor(1) as pool, Session(accounts) as first:
        set_role(first, one.id, two.id, "editor")

        def second() -> None:
            with Session(accounts) as session:
                set_role(session, two.id, one.id, "editor")

        waiting: Future[None] = pool.submit(second)
        first.commit()
        with pytest.raises(NotPermitted):
            waiting.result()


# Deleting


def test_a_deleted_account_keeps_its_row_and_gives_its_address_free(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """The address can be used again, and the old row still says who it was."""
    user = make_user(db, email="ruth@example.org")
    delete_user(db, admin.id, user.id, NOW)
    assert find_user(db, "ruth@example.org") is None
    again = create_user(
        db,
        admin.id,
        email="Ruth@example.org",
        name="Ruth",
        role="viewer",
        password=PASSWORD,
    )
    assert again.id != user.id


def test_a_deleted_account_is_not_changed(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """To every other function a deleted account is not there."""
    user = make_user(db, deleted_at=NOW)
    with pytest.raises(RecordNotFound):
        activate_user(db, admin.id, user.id)


def test_deleting_ends_all_sessions(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """A deleted account is logged out everywhere."""
    user = make_user(db)
    open_session(db, user.id, hours=1)
    delete_user(db, admin.id, user.id)
    assert db.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_a_deleted_account_can_be_restored(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """Restoring takes the deletion back."""
    user = make_user(db, email="ruth@example.org", deleted_at=NOW)
    restore_user(db, admin.id, user.id)
    assert find_user(db, "ruth@example.org") is not None


def test_restoring_is_refused_where_the_address_is_taken(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """The one who has the address now keeps it."""
    user = make_user(db, email="ruth@example.org", deleted_at=NOW)
    make_user(db, email="RUTH@example.org")
    fields = refused_fields(lambda: restore_user(db, admin.id, user.id))
    assert fields == {"email": "Another account has this e-mail address."}


# Passwords


def changed(db: Session, user: User, old: str, new: str, keep: str = "") -> None:
    """Change a person's own password."""
    change_password(db, user.id, old=old, new=new, keep_session=keep, now=NOW)


def test_changing_a_password_ends_the_other_sessions(db: Session, admin: User) -> None:
    """Whoever else was logged in is out, and this browser stays."""
    here = open_session(db, admin.id, hours=1)
    open_session(db, admin.id, hours=1)
    changed(db, admin, PASSWORD, NEW_PASSWORD, keep=digest_of(here))
    assert db.scalars(select(LoginSession.id)).all() == [digest_of(here)]
    assert verify_password(admin.password_hash, NEW_PASSWORD)


def test_the_old_password_is_asked_for(db: Session, admin: User) -> None:
    """Who finds an open browser cannot take the account over."""
    fields = refused_fields(lambda: changed(db, admin, "guessed wrongly", NEW_PASSWORD))
    assert fields == {"old": "This is not your present password."}


def test_guessing_the_old_password_ends(db: Session, admin: User) -> None:
    """After five wrong ones even the right one has to wait."""
    for _ in range(5):
        refused_fields(lambda: changed(db, admin, "guessed wrongly", NEW_PASSWORD))
    fields = refused_fields(lambda: changed(db, admin, PASSWORD, NEW_PASSWORD))
    assert fields == {"old": "Too many tries have failed. Wait 5 minutes."}


@pytest.mark.parametrize("new", ["short", PASSWORD, "password123"])
def test_a_weak_or_unchanged_password_is_refused(
    db: Session, admin: User, new: str
) -> None:
    """The rules hold for everybody, and the same again is no change."""
    assert set(refused_fields(lambda: changed(db, admin, PASSWORD, new))) == {"new"}


def test_an_admin_gives_somebody_a_new_password(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """The new password holds, and the person is logged out everywhere."""
    user = make_user(db)
    open_session(db, user.id, hours=1)
    set_password(db, admin.id, user.id, NEW_PASSWORD)
    assert verify_password(user.password_hash, NEW_PASSWORD)
    assert db.scalar(select(func.count()).select_from(LoginSession)) == 0


def test_an_admin_does_not_set_their_own(db: Session, admin: User) -> None:
    """One's own password is changed only by who knows the old one."""
    fields = refused_fields(lambda: set_password(db, admin.id, admin.id, NEW_PASSWORD))
    assert set(fields) == {"password"}


# Sessions


def test_an_admin_ends_somebodys_session(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """A session can be ended from outside, and the history says so."""
    user = make_user(db)
    token = open_session(db, user.id, hours=1)
    assert end_session(db, admin.id, user.id, digest_of(token))
    assert find_session(db, token) is None
    assert db.scalars(select(AuditEntry.action)).all() == ["session ended"]


def test_one_ends_ones_own_session(db: Session, make_user: MakeUser) -> None:
    """For one's own sessions no role is asked."""
    user = make_user(db)
    token = open_session(db, user.id, hours=1)
    assert end_session(db, user.id, user.id, digest_of(token))


def test_nobody_else_ends_a_session(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """An editor cannot log the administrator out, under any user's name."""
    me, token = make_user(db, "editor"), open_session(db, admin.id, hours=1)
    with pytest.raises(NotPermitted):
        end_session(db, me.id, admin.id, digest_of(token))
    assert not end_session(db, me.id, me.id, digest_of(token))
    assert find_session(db, token) is not None


# Audit


def test_every_change_has_its_entry(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """A change of role stands in the history, old and new."""
    user = make_user(db, "viewer")
    set_role(db, admin.id, user.id, "editor")
    db.commit()
    entry = db.scalars(select(AuditEntry).where(AuditEntry.key == str(user.id))).one()
    assert entry.changes == {"role": ["viewer", "editor"]}


def test_a_password_is_audited_without_being_told(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """The history says that the password was changed, and no hash."""
    user = make_user(db)
    set_password(db, admin.id, user.id, NEW_PASSWORD)
    db.commit()
    entry = db.scalars(select(AuditEntry).where(AuditEntry.key == str(user.id))).one()
    assert set(entry.changes) == {"password_hash"}
    assert "argon2" not in str(entry.changes)


def test_nothing_changed_nothing_audited(
    db: Session, admin: User, make_user: MakeUser
) -> None:
    """Saving an account as it is leaves no trace."""
    user = make_user(db)
    update_user(db, admin.id, user.id, {"name": user.name, "role": user.role})
    db.commit()
    assert db.scalars(select(AuditEntry)).all() == []
