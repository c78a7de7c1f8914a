"""Give an account a new password, and log it out everywhere."""

from typing import Annotated

import typer

from backoffice.cli.project import opened, transaction
from backoffice.cli.prompts import new_password, piped_password
from backoffice.errors import RecordNotFound

GROUP = "Accounts"


def run(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The account's address.")],
    *,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from the input."),
    ] = False,
) -> None:
    """Ask for the password and set it."""
    from backoffice.auth.users import find_user, set_password
    from backoffice.cli.accounts import problems_for

    with opened(context) as backoffice:
        with transaction(context, backoffice) as session:
            user = find_user(session, email)
            if user is None:
                raise RecordNotFound(f"There is no account {email}.")
            user_id, address, name = user.id, user.email, user.name
        password = (
            piped_password()
            if password_stdin
            else new_password(
                lambda typed: problems_for(address, name, typed), "--password-stdin"
            )
        )
        with transaction(context, backoffice) as session:
            set_password(session, None, user_id, password)
    print(f"{address} has a new password, and is logged out everywhere.")
