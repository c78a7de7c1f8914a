"""Which triggers a table has: declared beside its columns, made and dropped with it.

    declare(Enrollment.__table__, Trigger(name="…", dialect="…", create=…, drop=…))

`metadata.create_all` runs their text, and `makemigrations` writes it into a revision
(`execute_on`) wherever the database's differs, so both give the same catalogue. A
table whose `updated_at` comes from `base.Timestamps` has its trigger unasked.

**A trigger that refuses** speaks to the person who typed. On PostgreSQL it raises with
`ERRCODE = 'check_violation'`, `CONSTRAINT` = a name as of a check constraint, `MESSAGE`
= the sentence to show, and `HINT = 'backoffice:field=course'`, the attribute that the
sentence is shown on (empty: the whole record). On SQLite, where an error has nothing
but a constant text, that text is `backoffice:field=course: {title} is full`: what
stands in braces is read from the record that the field refers to.
`refusals.explain_refusal` reads both (`refusal_of`).
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import DDL, Connection, Table, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

TRIGGERS = "triggers"
# `Column.info` key: a trigger keeps this `updated_at`.
TOUCHED = "touched"

_MARK = re.compile(r"backoffice:field=(\w*)(?:: *(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger of one table on one dialect, and the statements that make it.

    `create` and `drop` may be run twice; `create` may hold several statements, as
    the function of a PostgreSQL trigger and the trigger itself.
    """

    name: str
    dialect: str
    create: tuple[str, ...]
    drop: tuple[str, ...]


def declare(table: Any, *triggers: Trigger) -> None:
    """Give `table` these triggers wherever it is created from now on."""
    table.info[TRIGGERS] = (*table.info.get(TRIGGERS, ()), *triggers)


def triggers_of(table: Table, dialect: str) -> list[Trigger]:
    """Every trigger that `table` has on `dialect`, in the order they are made."""
    declared = [t for t in table.info.get(TRIGGERS, ()) if t.dialect == dialect]
    if dialect == "postgresql":
        column = table.columns.get("updated_at")
        if column is not None and column.info.get(TOUCHED):
            declared.append(touch_trigger(table.name, schema=table.schema))
    return declared


def create_triggers(connection: Connection, table: Table) -> None:
    """Make the triggers of `table` on the database of `connection`."""
    for statement in create_statements(table, connection.dialect.name):
        connection.execute(as_ddl(statement))


def create_statements(table: Table, dialect: str) -> Iterator[str]:
    """What makes the triggers of `table`."""
    for trigger in triggers_of(table, dialect):
        yield from trigger.create


def drop_statements(table: Table, dialect: str) -> Iterator[str]:
    """What takes the triggers of `table` and their functions away."""
    for trigger in reversed(triggers_of(table, dialect)):
        yield from trigger.drop


def touch_trigger(table: str, *, schema: str | None = None) -> Trigger:
    """The trigger that keeps `updated_at`, whoever writes, on PostgreSQL."""
    quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]
    name, function = quote(f"{table}_touch"), "backoffice_touch_updated_at"
    target = f"{quote(schema)}.{quote(table)}" if schema else quote(table)
    literal = "'" + target.replace("'", "''") + "'"
    return Trigger(
        name=f"{table}_touch",
        dialect="postgresql",
        # No condition: NEW has no generated columns yet, and json no equality.
        create=(
            f"""\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$""",
            f"""\
CREATE OR REPLACE TRIGGER {name} BEFORE UPDATE ON {target}
FOR EACH ROW EXECUTE FUNCTION {function}()""",
        ),
        drop=(
            f"""\
DO $$ BEGIN
  IF to_regclass({literal}) IS NOT NULL THEN
    DROP TRIGGER IF EXISTS {name} ON {target};
  END IF;
  -- The last table that leaves takes the function with it.
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('{function}')) THEN
    DROP FUNCTION IF EXISTS {function}();
  END IF;
END $$""",
        ),
    )


def as_ddl(statement: str) -> DDL:
    """`statement` as it stands: nothing in it is a parameter."""
    return DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]


def execute_on(operations: Any, dialect: str, statement: str) -> None:
    """Run one dialect's statement in a revision: `execute_on(op, "postgresql", …)`."""
    if operations.get_context().dialect.name == dialect:
        operations.execute(as_ddl(textwrap.dedent(statement)))


def touch_updated_at(operations: Any, *tables: str) -> None:
    """In a revision: let the database keep `updated_at` of these tables."""
    for statement in (s for table in tables for s in touch_trigger(table).create):
        execute_on(operations, "postgresql", statement)


def leave_updated_at(operations: Any, *tables: str) -> None:
    """In a revision, the way back from `touch_updated_at`."""
    for statement in (s for table in tables for s in touch_trigger(table).drop):
        execute_on(operations, "postgresql", statement)


def refusal_of(error: DBAPIError) -> tuple[str, str] | None:
    """Field and sentence of a trigger that refused; None for every other error."""
    diagnostic = getattr(error.orig, "diag", None)
    if diagnostic is None:
        found = _MARK.search(str(error.orig))
        return (found[1], found[2] or "") if found else None
    hint = _MARK.fullmatch(diagnostic.message_hint or "")
    return (hint[1], diagnostic.message_primary or "") if hint else None


@event.listens_for(Table, "after_create")
def _create_with_table(table: Table, connection: Connection, **_: object) -> None:
    create_triggers(connection, table)


@event.listens_for(Table, "after_drop")
def _drop_with_table(table: Table, connection: Connection, **_: object) -> None:
    # The triggers went with the table; their functions did not.
    for statement in drop_statements(table, connection.dialect.name):
        connection.execute(as_ddl(statement))
