"""The commands that make accounts."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, select
from sqlalchemy.orm import Session

from backoffice.auth.models import User
from backoffice.auth.passwords import verify_password
from backoffice.auth.sessions import open_session
from backoffice.auth.users import find_user
from backoffice.cli.accounts import make_first_accounts
from tests.cli.conftest import Manage
from tests.cli.test_database_commands import rows_in
from tests.cli.test_serving import RUN, SOURCE

GOOD = "four random words here\n"
USERS = "SELECT email, role, is_active FROM backoffice_users ORDER BY email"


def create(manage: Manage, *more: str, stdin: str = GOOD) -> int:
    """`createsuperuser` for a@example.org."""
    arguments = ("--email", "a@example.org", "--password-stdin", *more)
    return manage("createsuperuser", *arguments, stdin=stdin).code


def test_createsuperuser(migrated: Manage, empty_database: URL) -> None:
    """The account is there and may do everything."""
    assert create(migrated) == 0

    assert rows_in(empty_database, USERS) == [("a@example.org", "admin", True)]


def test_createsuperuser_is_audited(migrated: Manage, empty_database: URL) -> None:
    """The audit names who typed the command."""
    create(migrated)

    query = "SELECT action, actor_label FROM backoffice_audit"
    [(action, actor)] = rows_in(empty_database, query)
    assert action == "create"
    assert str(actor).endswith("at the command line")


def test_createsuperuser_twice(migrated: Manage) -> None:
    """An account that exists is a mistake, and the text says what helps."""
    create(migrated)

    said = migrated(
        *("createsuperuser", "--email", "A@Example.org", "--password-stdin"), stdin=GOOD
    )

    assert said.code == 1
    assert "changepassword" in said.err


def test_createsuperuser_if_missing(migrated: Manage, empty_database: URL) -> None:
    """`--if-missing` can be run any number of times."""
    before = None
    for _ in range(2):
        assert create(migrated, "--if-missing") == 0
        hashes = rows_in(empty_database, "SELECT password_hash FROM backoffice_users")
        assert before in (None, hashes)
        before = hashes


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        pytest.param("a@example.org", "x\n", "10 are the least", id="short"),
        pytest.param("a@example.org", "password123\n", "most used", id="common"),
        pytest.param("nobody", GOOD, "looks like name@example.org", id="address"),
        pytest.param("a@example.org", "", "input is empty", id="no password"),
    ],
)
def test_createsuperuser_validates(
    migrated: Manage, empty_database: URL, email: str, password: str, sentence: str
) -> None:
    """Nothing weaker is accepted here than on the site."""
    said = migrated(
        *("createsuperuser", "--email", email, "--password-stdin"), stdin=password
    )

    assert said.code == 1
    assert sentence in said.err
    assert rows_in(empty_database, USERS) == []


def test_createsuperuser_from_the_environment(
    migrated: Manage, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container gives both by environment."""
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_EMAIL", "boss@example.org")
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_PASSWORD", GOOD.strip())

    assert migrated("createsuperuser", "--if-missing").code == 0

    assert rows_in(empty_database, USERS) == [("boss@example.org", "admin", True)]


def test_createsuperuser_asks_again_for_an_address(
    migrated: Manage, root: Path, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mistypes it at a terminal is told, and types it once more."""
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_PASSWORD", GOOD.strip())
    person, terminal = pty.openpty()
    os.write(person, b"boss\nboss@example.org\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(SOURCE), "createsuperuser"],
        cwd=root,
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(person)
    os.close(terminal)

    assert done.returncode == 0
    assert done.stderr.count("E-mail address: ") == 2
    assert "looks like name@example.org" in done.stderr
    assert rows_in(empty_database, USERS) == [("boss@example.org", "admin", True)]


def test_environment_is_validated_too(
    migrated: Manage, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password from the environment has to be as good as any."""
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_EMAIL", "boss@example.org")
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_PASSWORD", "x")

    assert migrated("createsuperuser").code == 1

    assert rows_in(empty_database, USERS) == []


def test_createsuperuser_does_not_wait_for_nobody(migrated: Manage) -> None:
    """Without a terminal the missing option is named."""
    said = migrated("createsuperuser", "--email", "a@example.org")

    assert said.code == 1
    assert "--password-stdin" in said.err


def test_changepassword(migrated: Manage, empty_database: URL) -> None:
    """The account has another password afterwards, and no session."""
    create(migrated)
    query = "SELECT password_hash FROM backoffice_users"
    before = rows_in(empty_database, query)
    engine = create_engine(empty_database)
    with Session(engine) as session:
        open_session(session, session.scalars(select(User.id)).one(), hours=1)
        session.commit()
    engine.dispose()

    said = migrated(
        *("changepassword", "a@example.org", "--password-stdin"),
        stdin="another four good words\n",
    )

    assert said.code == 0
    assert rows_in(empty_database, query) != before
    assert rows_in(empty_database, "SELECT count(*) FROM backoffice_sessions") == [(0,)]


def test_changepassword_of_nobody(migrated: Manage) -> None:
    """An unknown address is said."""
    said = migrated("changepassword", "x@example.org", "--password-stdin", stdin=GOOD)

    assert (said.code, said.err) == (1, "Error: There is no account x@example.org.\n")


def test_the_first_accounts_are_the_environments(
    migrated: Manage, empty_database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` makes the superuser that is named, with that password, and each role."""
    del migrated
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_EMAIL", "boss@example.org")
    monkeypatch.setenv("BACKOFFICE_SUPERUSER_PASSWORD", GOOD.strip())
    engine = create_engine(empty_database)

    with Session(engine) as session:
        made = make_first_accounts(session)
        session.commit()
        again = make_first_accounts(session)
        boss = find_user(session, "boss@example.org")
    engine.dispose()

    assert [one.email.partition("@")[0] for one in made] == [
        *("boss", "ops", "editor", "viewer")
    ]
    assert [one.role for one in made] == ["admin", "ops", "editor", "viewer"]
    # What was given is not shown; the others are random, and shown this once.
    assert [bool(one.password) for one in made] == [False, True, True, True]
    assert len({one.password for one in made}) == 4
    assert boss is not None
    assert verify_password(boss.password_hash, GOOD.strip())
    assert again == []
