"""Who may do what on the embedded PostgreSQL: its passwords, roles and database."""

import json
import os
import secrets
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql

from backoffice.database.embedded_place import Place
from backoffice.database.embedded_process import SUPERUSER, Postmaster, run_alone
from backoffice.errors import EnvironmentProblem

APPLICATION = "backoffice"
DATABASE = "backoffice"
# Runs what is measured: reads the tables that it is granted, writes nothing.
EXPLAIN = "backoffice_explain"


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords that were made for one cluster; never printed."""

    superuser: str
    application: str

    def __repr__(self) -> str:
        return "Passwords(…)"


def kept_passwords(place: Place) -> Passwords | None:
    """The passwords of this cluster; None where their file is lost."""
    try:
        return Passwords(**json.loads(place.passwords.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        # An empty file is what a full disk can leave: as good as lost.
        return None


def new_passwords() -> Passwords:
    """Passwords that nobody can guess."""
    return Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24))


def keep_passwords(place: Place, passwords: Passwords) -> None:
    """Write them to a file of mode 0600 beside the data."""
    unfinished = place.passwords.with_name("postgres.passwords.half")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(passwords), file)
        file.flush()
        os.fsync(file.fileno())
    place.own(unfinished)
    unfinished.rename(place.passwords)


def reset_passwords(place: Place, passwords: Passwords) -> None:
    """Give the data of a server that is down these passwords."""
    change = "ALTER ROLE {} PASSWORD '{}';"
    superuser = change.format(SUPERUSER, _verifier(SUPERUSER, passwords.superuser))
    application = change.format(
        APPLICATION, _verifier(APPLICATION, passwords.application)
    )
    condition = f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{APPLICATION}')"
    run_alone(
        place,
        f"{superuser}\nDO $$ BEGIN IF {condition} THEN {application} END IF; END $$;\n",
    )


def _verifier(role: str, password: str) -> str:
    """What the server keeps of a password; the password itself is never sent."""
    # libpq's own work; it needs no server for this, but an object to ask.
    connection = psycopg.pq.PGconn.connect_start(b"host=/nowhere")
    algorithm = b"scram-sha-256"
    try:
        made = connection.encrypt_password(password.encode(), role.encode(), algorithm)
    finally:
        connection.finish()
    return made.decode()


def prepare_roles(place: Place, postmaster: Postmaster, passwords: Passwords) -> None:
    """Make the application's role, its database and the rest, where missing."""
    try:
        connection = psycopg.connect(
            host=postmaster.socket or "127.0.0.1",
            port=postmaster.port,
            user=SUPERUSER,
            password=passwords.superuser,
            dbname="postgres",
            autocommit=True,
            connect_timeout=30,
        )
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EnvironmentProblem(
                f"The password in {place.passwords} is not that of the data in "
                f"{place.data}. Stop all that uses them, delete that file and start "
                "again: new passwords are made."
            ) from error
        raise EnvironmentProblem(
            f"The embedded PostgreSQL does not take connections: {error} "
            f"(its log is {place.log})"
        ) from error
    with connection:
        _prepare(connection, passwords)


def _prepare(connection: psycopg.Connection, passwords: Passwords) -> None:
    application, explain = sql.Identifier(APPLICATION), sql.Identifier(EXPLAIN)
    exists = "SELECT FROM pg_roles WHERE rolname = %s"
    if connection.execute(exists, [EXPLAIN]).fetchone() is None:
        password = sql.Literal(_verifier(APPLICATION, passwords.application))
        with connection.transaction():
            for statement in (
                "CREATE ROLE {application} LOGIN PASSWORD {password}",
                "CREATE ROLE {explain} NOLOGIN",
                "GRANT pg_monitor, pg_signal_backend TO {application}",
                # It can become that role, and has none of its rights before.
                "GRANT {explain} TO {application} WITH INHERIT FALSE, SET TRUE",
            ):
                connection.execute(
                    sql.SQL(statement).format(
                        application=application, explain=explain, password=password
                    )
                )
    exists = "SELECT FROM pg_database WHERE datname = %s"
    if connection.execute(exists, [DATABASE]).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), application
            )
        )
