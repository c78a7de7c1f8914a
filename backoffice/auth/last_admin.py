"""Why can nobody lock everybody out? The database itself keeps one administrator.

`users.py` says it in words first; these triggers hold for every other writer, and
against two writers at once.
"""

from backoffice.database.base import OWN_PREFIX
from backoffice.database.triggers import Trigger

MESSAGE = "This is the last active administrator; make another one first."
CONSTRAINT = "ck_backoffice_users_last_admin"
_TABLE = f"{OWN_PREFIX}users"
_NAME = f"{_TABLE}_last_admin"
# Of the old rows and of the table alike: who can log in and manage accounts.
_ADMIN = "role = 'admin' AND is_active AND deleted_at IS NULL"
# Any number will do that nobody else locks; these are the letters "last".
_LOCK = 0x6C617374


def postgresql_triggers() -> tuple[Trigger, ...]:
    """After a statement that took an administrator away, one must be left.

    Who takes one away waits for others who do: each then sees what the other left.
    """
    function = f"{_NAME}()"
    refusal = f"""\
CREATE OR REPLACE FUNCTION {function} RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM gone WHERE {_ADMIN}) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock({_LOCK});
  IF NOT EXISTS (SELECT FROM {_TABLE} WHERE {_ADMIN}) THEN
    RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'check_violation',
      CONSTRAINT = '{CONSTRAINT}', HINT = 'backoffice:field=';
  END IF;
  RETURN NULL;
END $$"""
    return tuple(
        Trigger(
            name=f"{_NAME}_{event.lower()}",
            dialect="postgresql",
            create=(
                refusal,
                f"""\
CREATE OR REPLACE TRIGGER {_NAME}_{event.lower()} AFTER {event} ON {_TABLE}
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {function}""",
            ),
            drop=(
                f"""\
DO $$ BEGIN
  IF to_regclass('{_TABLE}') IS NOT NULL THEN
    DROP TRIGGER IF EXISTS {_NAME}_{event.lower()} ON {_TABLE};
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regproc('{_NAME}')) THEN
    DROP FUNCTION IF EXISTS {function};
  END IF;
END $$""",
            ),
        )
        for event in ("UPDATE", "DELETE")
    )


def sqlite_triggers() -> tuple[Trigger, ...]:
    """The same for SQLite, row by row: it has one writer at a time."""
    old = "OLD.role = 'admin' AND OLD.is_active AND OLD.deleted_at IS NULL"
    return tuple(
        Trigger(
            name=f"{_NAME}_{event.lower()}",
            dialect="sqlite",
            create=(
                f"""\
CREATE TRIGGER IF NOT EXISTS {_NAME}_{event.lower()} AFTER {event} ON {_TABLE}
WHEN {old} AND NOT EXISTS (SELECT 1 FROM {_TABLE} WHERE {_ADMIN})
BEGIN
  SELECT RAISE(ABORT, 'backoffice:field=: {MESSAGE}');
END""",
            ),
            drop=(f"DROP TRIGGER IF EXISTS {_NAME}_{event.lower()}",),
        )
        for event in ("UPDATE", "DELETE")
    )
