"""The first accounts of a project: made once, validated, never twice."""

import os
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backoffice.auth.passwords import password_problems
from backoffice.auth.permissions import Role
from backoffice.auth.users import create_user, find_user, has_admin

EMAIL_VARIABLE = "BACKOFFICE_SUPERUSER_EMAIL"
PASSWORD_VARIABLE = "BACKOFFICE_SUPERUSER_PASSWORD"  # noqa: S105 - its name only
DEMO_EMAIL = "admin@example.org"
DEMO_ROLES = (Role.OPS, Role.EDITOR, Role.VIEWER)

# Without those that are taken for another: 0 and o, 1 and l.
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class MadeAccount:
    """An account that was just made; `password` is "" where the operator chose it."""

    email: str
    role: str
    password: str


def make_first_accounts(session: Session) -> list[MadeAccount]:
    """The superuser and one account of each other role, where nobody is admin yet.

    The superuser is the environment's, else `admin@example.org`; passwords that were
    not given are random.
    """
    if has_admin(session):
        return []
    email = os.environ.get(EMAIL_VARIABLE, "") or DEMO_EMAIL
    given = os.environ.get(PASSWORD_VARIABLE, "")
    made = [_make(session, email, Role.ADMIN, given)]
    for role in DEMO_ROLES:
        address = f"{role}@example.org"
        if find_user(session, address) is None:
            made.append(_make(session, address, role, ""))
    return made


def random_password() -> str:
    """Sixteen letters in four groups: 80 bits, and easy to copy from a screen."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def problems_for(email: str, name: str, password: str) -> list[str]:
    """What is wrong with a password for this account."""
    return password_problems(password, email=email, name=name)


def _make(session: Session, email: str, role: Role, given: str) -> MadeAccount:
    password = given or random_password()
    name = name_from(email)
    create_user(session, None, email=email, name=name, role=role, password=password)
    return MadeAccount(email, role, "" if given else password)


def name_from(email: str) -> str:
    """`jane.doe@example.org` is Jane Doe, until she says otherwise."""
    words = email.partition("@")[0].replace(".", " ").replace("_", " ").split()
    return " ".join(word.capitalize() for word in words) or email
