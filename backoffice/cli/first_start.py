"""From a fresh clone to a site that is served: database, tables, demo, accounts."""

import os
import sys

import typer

from backoffice.auth.users import has_admin
from backoffice.bootstrap import Backoffice
from backoffice.cli.accounts import DEMO_EMAIL, EMAIL_VARIABLE, make_first_accounts
from backoffice.cli.project import opened, root_of, transaction
from backoffice.cli.site import address_of, serve, take_port, try_views
from backoffice.cli.terminal import BOLD, print_columns, styled, typed
from backoffice.database.migrations import pending, upgrade
from backoffice.errors import Refused
from backoffice.seeding.plan import load_project
from backoffice.seeding.seeder import check_empty, seed
from backoffice.settings import load_settings

SEED = 7


def start_and_serve(context: typer.Context) -> None:
    """From a fresh clone to a site, step by step; each step only where it is due."""
    root = root_of(context)
    settings = load_settings(root)
    try_views(root)
    # The server reports for this process; a second report would replace its file.
    with (
        take_port(settings.web) as listening,
        opened(context, kind="") as backoffice,
    ):
        if backoffice.notice:
            _say(backoffice.notice)
        if backoffice.is_embedded:
            lines = _prepare(context, backoffice)
        else:
            lines = _look(context, backoffice)
        backoffice.engine.dispose()
        print(f"\n{styled(settings.app.title, BOLD)} is at {address_of(settings)}")
        for line in lines:
            print(line)
        print("\nCtrl-C stops it.")
        sys.stdout.flush()
        serve(root, settings, listening)


def _prepare(context: typer.Context, backoffice: Backoffice) -> list[str]:
    """Migrate, seed and make accounts; what to say about the login and the demo."""
    lock_timeout = backoffice.settings.database.migration_lock_timeout
    upgrade(
        backoffice.engine, backoffice.project, report=_say, lock_timeout=lock_timeout
    )
    steps = _seed_if_empty(backoffice)
    with transaction(context, backoffice) as session:
        made = make_first_accounts(session)
    if not made:
        email = os.environ.get(EMAIL_VARIABLE, "") or DEMO_EMAIL
        return [
            "Log in with the account you have; the passwords were shown once.",
            f"A new one: {typed(f'changepassword {email}')}",
            *steps,
        ]
    print("\nAccounts (the passwords are shown this once):")
    print_columns(
        [
            (f"  {one.email}", one.password or "(the password you gave)", one.role)
            for one in made
        ]
    )
    return [f"Log in as {made[0].email}.", *steps]


def _look(context: typer.Context, backoffice: Backoffice) -> list[str]:
    """Refuse where the tables are not up to date; change nothing.

    Raises:
        Refused: naming the commands that would do it.
    """
    due = pending(backoffice.engine, backoffice.project)
    if due:
        raise Refused(
            message=f"This database is yours, so nothing was changed in it, and "
            f"{len(due)} migration{'s are' if len(due) > 1 else ' is'} due. "
            f"`{typed('migrate')}` makes the tables, `{typed('createsuperuser')}` an "
            f"account, `{typed('seed')}` fills in the demo; then run this again."
        )
    with transaction(context, backoffice) as session:
        if not has_admin(session):
            return [
                f"Nobody can log in yet: `{typed('createsuperuser')}` makes an account."
            ]
    return []


def _seed_if_empty(backoffice: Backoffice) -> list[str]:
    """Fill the demo's tables where none has a row; what to try first."""
    module = backoffice.settings.app.seeding
    if not module:
        return []
    project = load_project(module)
    plan = project.plan({}, SEED)
    try:
        with backoffice.engine.connect() as connection:
            check_empty(connection, plan)
    except Refused:
        return _first_steps(module)
    _say("Seeding the demo")
    report = seed(backoffice.engine, plan)
    _say(f"Seeded {report.rows:,} rows in {report.seconds:.1f} s")
    return _first_steps(module)


def _first_steps(module: str) -> list[str]:
    """What the project's seeding module says is worth trying."""
    steps = getattr(sys.modules[module], "FIRST_STEPS", ())
    return ["", "Try first:", *(f"  - {step}" for step in steps)] if steps else []


def _say(text: str) -> None:
    """Told at once, into a pipe, too."""
    print(text, flush=True)
