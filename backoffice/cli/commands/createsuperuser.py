"""Make an account that may do everything.

The address comes from --email, BACKOFFICE_SUPERUSER_EMAIL or a question; the password
from --password-stdin, BACKOFFICE_SUPERUSER_PASSWORD or a question. It is validated in
each case.
"""

import os
from typing import Annotated

import typer

from backoffice.cli.project import opened, transaction
from backoffice.cli.prompts import ask, new_password, piped_password
from backoffice.errors import Refused

GROUP = "Accounts"


def run(
    context: typer.Context,
    *,
    email: Annotated[str, typer.Option(help="The address to log in with.")] = "",
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    if_missing: Annotated[
        bool,
        typer.Option("--if-missing", help="Be content if the account is there."),
    ] = False,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from the input."),
    ] = False,
) -> None:
    """Ask for what is missing and make the account."""
    from backoffice.auth.permissions import Role
    from backoffice.auth.users import clean_email, create_user, email_problem, find_user
    from backoffice.cli.accounts import EMAIL_VARIABLE, name_from

    email = clean_email(
        email
        or os.environ.get(EMAIL_VARIABLE, "")
        or ask(
            "E-mail address",
            f"--email or {EMAIL_VARIABLE}",
            lambda typed: email_problem(clean_email(typed)),
        )
    )
    problem = email_problem(email)
    if problem:
        raise Refused({"email": problem})
    name = name or name_from(email)
    with opened(context) as backoffice:
        with transaction(context, backoffice) as session:
            found = find_user(session, email)
            if found is not None:
                if not if_missing:
                    raise Refused(
                        message=f"There is an account {found.email} already (role "
                        f"{found.role}); `changepassword` gives it a new password."
                    )
                print(f"{found.email} exists (role {found.role}); nothing was changed.")
                return
        # Asked outside of any transaction: nobody waits for a person.
        password = _password(email, name, is_piped=password_stdin)
        with transaction(context, backoffice) as session:
            create_user(
                session,
                None,
                email=email,
                name=name,
                role=Role.ADMIN,
                password=password,
            )
    print(f"{email} may now log in, and may do everything.")


def _password(email: str, name: str, *, is_piped: bool) -> str:
    from backoffice.cli.accounts import PASSWORD_VARIABLE, problems_for

    if is_piped:
        return piped_password()
    given = os.environ.get(PASSWORD_VARIABLE, "")
    return given or new_password(
        lambda password: problems_for(email, name, password),
        f"--password-stdin or {PASSWORD_VARIABLE}",
    )
