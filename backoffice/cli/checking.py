"""What can be wrong with a project, found before its users find it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from backoffice.auth.users import has_admin
from backoffice.bootstrap import Backoffice
from backoffice.checks import CheckMessage, Level
from backoffice.cli.terminal import typed
from backoffice.database.autogenerate import make_revision
from backoffice.database.engine import is_unmade
from backoffice.database.migrations import pending
from backoffice.database.secret_names import hide_secrets, secrets_by_name
from backoffice.errors import BackofficeError
from backoffice.observability.health import Status, pool_checks
from backoffice.observability.housekeeping import (
    connections_beside,
    contradictions,
    server_question,
)
from backoffice.settings import Settings

# The columns of each index of a table; an expression is None.
Standing = Callable[[Table], Sequence[Sequence[str | None]]]

OLDEST, NEWEST = 14, 18
SECRET_LENGTH = 32
READ_ONLY = "25006"
NO_RIGHT = "42501"
# Comparing tries rules and triggers and takes them back; not every role can.
NOT_COMPARED = {
    READ_ONLY: CheckMessage(
        Level.WARNING,
        "The database takes no changes: people can read and not save, and the "
        "models were not compared with the tables.",
        "Point database.url to the primary server.",
        "database.W007",
    ),
    NO_RIGHT: CheckMessage(
        Level.INFO,
        "The models were not compared with the tables: the database's role does not "
        "own them.",
        "Run this as the role that migrates to compare them.",
        "database.I003",
    ),
}
LOG_HINT = (
    "Set log_error_verbosity = terse and log_parameter_max_length = 0 on the server."
)


def check_models(
    metadata: list[MetaData], standing: Standing = lambda _table: []
) -> Iterator[CheckMessage]:
    """Tables that pages cannot address, or that get slow as they grow.

    `standing` tells of the indexes that a table has and its model does not declare.
    """
    for one in metadata:
        for table in one.sorted_tables:
            if not table.primary_key.columns:
                yield CheckMessage(
                    Level.ERROR,
                    f"{table.name} has no primary key.",
                    "A record's address is its key; declare one.",
                    "models.E001",
                )
            yield from _unindexed_references(table, standing)
    hide_secrets(metadata)
    for column in secrets_by_name(metadata):
        is_needed = not column.nullable and column.server_default is None
        is_missing = is_needed and column.default is None
        yield CheckMessage(
            Level.INFO,
            f"{column.table.name}.{column.name} looks secret by its name, so it is "
            "hidden everywhere.",
            'info={"secret": False} on the column shows it; {"secret": True} says that '
            "it is one."
            + (
                " New records need it: name it in the view's form_columns, where it "
                "can be written and never read."
                if is_missing
                else ""
            ),
            "models.I001",
        )


def check_deployment(
    settings: Settings, *, is_embedded: bool
) -> Iterator[CheckMessage]:
    """What is right on a desk and wrong in production."""
    web, database = settings.web, settings.database
    if not web.secret_key.get_secret_value():
        yield CheckMessage(
            Level.WARNING,
            "web.secret_key is empty; one is made and kept in var/secret_key.",
            "Set BACKOFFICE_WEB__SECRET_KEY, the same for every machine.",
            "deploy.W001",
        )
    elif len(web.secret_key.get_secret_value()) < SECRET_LENGTH:
        yield CheckMessage(
            Level.WARNING,
            f"web.secret_key has fewer than {SECRET_LENGTH} characters.",
            "python -c 'import secrets; print(secrets.token_urlsafe(48))' makes one.",
            "deploy.W002",
        )
    if not web.https_only:
        yield CheckMessage(
            Level.WARNING,
            "web.https_only is off: cookies are sent over plain HTTP, too.",
            "Set BACKOFFICE_WEB__HTTPS_ONLY=true behind HTTPS.",
            "deploy.W003",
        )
    if "*" in web.allowed_hosts:
        yield CheckMessage(
            Level.WARNING,
            "web.allowed_hosts answers every host name.",
            "Name the site's own: BACKOFFICE_WEB__ALLOWED_HOSTS=office.example.org.",
            "deploy.W004",
        )
    if is_embedded:
        yield CheckMessage(
            Level.WARNING,
            "database.url is empty: the data are in var/postgres, on this disk only.",
            "Set BACKOFFICE_DATABASE__URL to a server that is backed up.",
            "deploy.W005",
        )
    if not is_embedded:
        yield CheckMessage(
            Level.INFO,
            "PostgreSQL's own log quotes rows in its DETAIL lines, as it is set up.",
            f"{LOG_HINT} `check --database` looks.",
            "deploy.I001",
        )
    if database.echo:
        yield CheckMessage(
            Level.WARNING,
            "database.echo is on: the log holds every statement, without its values.",
            "Leave it off in production; it slows every page.",
            "deploy.W006",
        )
    if not (database.statement_timeout and database.lock_timeout):
        yield CheckMessage(
            Level.WARNING,
            "database.statement_timeout or lock_timeout is 0: one page may hold a "
            "connection for ever.",
            "Give both a few seconds.",
            "deploy.W007",
        )


def check_database(backoffice: Backoffice) -> Iterator[CheckMessage]:
    """Whether the database can be reached, and is what the code expects."""
    try:
        if not is_unmade(backoffice.engine.url):
            with backoffice.engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    yield from _server_of_postgresql(connection)
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        yield CheckMessage(
            Level.ERROR,
            f"The database cannot be reached: {reason}",
            "Is database.url right, and does the server run?",
            "database.E001",
        )
        return
    yield from _migrations(backoffice)
    yield from _health(backoffice)


def _health(backoffice: Backoffice) -> Iterator[CheckMessage]:
    """What /healthz says: the pools of all processes here, and settings at odds."""
    picture = backoffice.keeper.picture()
    for check in pool_checks(picture.pools):
        if check.status is Status.FAIL:
            yield CheckMessage(
                Level.ERROR,
                f"{check.name} is {check.value} %, more than 80.",
                "The metrics page says who holds the connections.",
                "database.E004",
            )
    server = None
    if backoffice.ops.is_postgresql:
        server = backoffice.ops.ask(server_question())["server"].value
    for one in contradictions(
        backoffice.settings.database,
        server=server,
        processes=backoffice.settings.web.processes,
        beside=connections_beside(backoffice.settings),
    ):
        yield CheckMessage(Level.WARNING, one.text, one.fix, "database.W006")


def _migrations(backoffice: Backoffice) -> Iterator[CheckMessage]:
    due = pending(backoffice.engine, backoffice.project)
    if due:
        yield CheckMessage(
            Level.ERROR,
            f"Migrations are due: {', '.join(one.id for one in due)}.",
            f"{typed('migrate')} applies them.",
            "database.E002",
        )
        return
    try:
        found = make_revision(backoffice.engine, backoffice.project, dry_run=True)
    except BackofficeError as error:
        yield CheckMessage(Level.INFO, f"{error}", "", "database.I001")
    except DBAPIError as error:
        why = NOT_COMPARED.get(getattr(error.orig, "sqlstate", None) or "")
        if why is None:
            raise
        yield why
    else:
        if found.changes:
            yield CheckMessage(
                Level.WARNING,
                f"The models differ from the tables: {'; '.join(found.changes)}.",
                f"{typed('makemigrations')} writes the revision.",
                "database.W001",
            )
    with backoffice.sessions() as session:
        if not has_admin(session):
            yield CheckMessage(
                Level.WARNING,
                "Nobody can log in and manage accounts.",
                f"{typed('createsuperuser')} makes an account.",
                "database.W002",
            )


def _server_of_postgresql(connection: Connection) -> Iterator[CheckMessage]:
    row = connection.execute(
        text(
            "SELECT current_setting('server_version_num')::int / 10000 AS version,"
            " current_setting('server_encoding') AS encoding,"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super,"
            " current_setting('log_error_verbosity') AS verbosity,"
            " current_setting('log_parameter_max_length') AS logged"
        )
    ).one()
    if not OLDEST <= row.version <= NEWEST:
        yield CheckMessage(
            Level.WARNING,
            f"The server is PostgreSQL {row.version}.",
            f"{OLDEST} to {NEWEST} are tried.",
            "database.W003",
        )
    if row.encoding != "UTF8":
        yield CheckMessage(
            Level.ERROR,
            f"The database's encoding is {row.encoding}.",
            "Make it with ENCODING 'UTF8'; other letters would be refused.",
            "database.E003",
        )
    if row.super:
        yield CheckMessage(
            Level.WARNING,
            "The site's role is a superuser of the database.",
            "Give it a role that owns its database, with pg_monitor.",
            "database.W004",
        )
    if row.verbosity != "terse" or row.logged != "0":
        yield CheckMessage(
            Level.INFO,
            "The server's own log holds values of rows: its DETAIL lines and "
            "parameters quote them.",
            LOG_HINT,
            "database.I002",
        )


def indexes_of(engine: Engine) -> Standing:
    """What the database itself says of a table's indexes; nothing where it cannot."""

    def standing(table: Table) -> list[list[str | None]]:
        if is_unmade(engine.url):
            return []
        try:
            found = inspect(engine).get_indexes(table.name, schema=table.schema)
        except (NoSuchTableError, DBAPIError):
            return []
        where = f"{engine.dialect.name}_where"
        return [
            one["column_names"]
            for one in found
            if not one.get("dialect_options", {}).get(where)
        ]

    return standing


def _unindexed_references(table: Table, standing: Standing) -> Iterator[CheckMessage]:
    """Foreign keys without an index: deleting a parent reads the whole table."""
    leading = [
        list(one.columns)
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    ]
    leading.append(list(table.primary_key.columns))
    leading.extend(_columns_of(index) for index in table.indexes)
    for constraint in table.foreign_key_constraints:
        columns = set(constraint.columns)
        if any(set(found[: len(columns)]) == columns for found in leading):
            continue
        named = {column.name for column in constraint.columns}
        if any(set(found[: len(named)]) == named for found in standing(table)):
            continue
        names = ", ".join(column.name for column in constraint.columns)
        yield CheckMessage(
            Level.WARNING,
            f"{table.name}.{names} refers to {constraint.referred_table.name} and has "
            "no index.",
            "Without one, deleting or showing the parent reads the whole table.",
            "models.W001",
        )


def _columns_of(index: Index) -> list[Any]:
    """The columns of an index that covers all rows; a partial one covers some.

    One that leaves out only where its column is NULL covers every row that refers.
    """
    columns = list(index.columns)
    whole = f"{columns[0].name} IS NOT NULL" if columns else ""
    for options in index.dialect_options.values():
        where = options.get("where")
        if where is not None and str(where) != whole:
            return []
    return columns
