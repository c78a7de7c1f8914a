"""What PostgreSQL's refusal means: by its SQLSTATE, and by what it names.

Its messages are in the server's language and hold values: of them only the names of
columns are read. A trigger that raises speaks in its project's own words.
"""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Table, text
from sqlalchemy.exc import DBAPIError

from backoffice.database.constraints import (
    LONGEST_MESSAGE,
    RECORD,
    Case,
    StoredCheck,
    broad_words,
    column_called,
    generated_words,
    required_words,
    rule_called,
    rule_words,
    stored_check,
    stored_check_words,
    too_long,
    too_much,
)
from backoffice.errors import (
    BackofficeError,
    DatabaseUnavailable,
    EnvironmentProblem,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)

# Broken constraints; of a foreign key that restricts, PostgreSQL 18 says so itself.
BROKEN = {
    "23505": "23505",
    "23503": "23503",
    "23001": "23503",
    "23514": "23514",
    "23P01": "23P01",
}
# What a trigger may raise to be tried again, or to say that the server is in trouble.
TRANSIENT = ("08", "25", "40", "53", "55", "57", "58", "XX")
ROW_POLICY = "ExecWithCheckOptions"
RAISED = "exec_stmt_raise"


def explain_postgresql(case: Case, error: DBAPIError) -> BackofficeError | None:
    """The refusal in words; None where the error is a fault."""
    if error.connection_invalidated:
        return DatabaseUnavailable("The connection to the database was lost.")
    orig: Any = error.orig
    diagnostic = orig.diag
    state = str(getattr(orig, "sqlstate", None) or diagnostic.sqlstate or "")
    table = case.table(diagnostic.table_name, diagnostic.schema_name)
    if _speaks(diagnostic, state):
        return _raised(case, diagnostic)
    if state in BROKEN:
        rule = rule_called(case, table, diagnostic.constraint_name)
        if rule is None and state == "23514" and table in case.tables:
            check = _stored_check(case, diagnostic)
            if check is not None and table is not None:
                return stored_check_words(case, check, table)
        columns = _key_columns(table, diagnostic.message_detail)
        return rule_words(case, BROKEN[state], rule, table, columns)
    if state == "23502":
        return required_words(case, table, diagnostic.column_name)
    special = _SPECIAL.get(state)
    if special is not None:
        return special(case, diagnostic)
    simple = _SIMPLE.get(state) or _SIMPLE.get(state[:2])
    return simple() if simple else None


def _speaks(diagnostic: Any, state: str) -> bool:
    """Whether a trigger of the project says in its own words why it refuses."""
    has_words = diagnostic.message_primary != state
    is_refusal = not (diagnostic.constraint_name or state.startswith(TRANSIENT))
    return diagnostic.source_function == RAISED and has_words and is_refusal


def _raised(case: Case, diagnostic: Any) -> Refused:
    """What a trigger of the project says, on the column that it names."""
    words = " ".join((diagnostic.message_primary or "").split())[:LONGEST_MESSAGE]
    words = words or "The database refuses this."
    for table in case.tables:
        column = column_called(table, diagnostic.column_name or "")
        if column is not None:
            return case.refused([column], words)
    return Refused({RECORD: words})


_KEY = re.compile(r"^[^(]*\((.*?)\)=\(", re.DOTALL)


def _key_columns(table: Table | None, detail: str | None) -> list[Column[Any]]:
    """The columns of `Key (a, lower(b))=(…)`; of the values behind nothing is read."""
    found = _KEY.match(detail or "")
    if found is None or table is None:
        return []
    return [
        c
        for name in _NAME.findall(found[1])
        if (c := table.columns.get(name)) is not None
    ]


_NAME = re.compile(r"\w+")


# One constraint by its own name and its table's: at most one row is read.
_STORED_CHECK = text("""
SELECT pg_get_expr(rule.conbin, rule.conrelid),
  ARRAY(SELECT CAST(attname AS text) FROM pg_attribute
    WHERE attrelid = rule.conrelid AND attnum = ANY (rule.conkey) ORDER BY attnum)
FROM pg_constraint AS rule
JOIN pg_class ON pg_class.oid = rule.conrelid
JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE rule.contype = 'c' AND conname = :rule AND relname = :table AND nspname = :schema
""")
_CHECKS = "stored_checks"


def _stored_check(case: Case, diagnostic: Any) -> StoredCheck | None:
    """A check constraint that no model declares, asked of the catalogue once."""
    place = {
        "rule": diagnostic.constraint_name,
        "table": diagnostic.table_name,
        "schema": diagnostic.schema_name,
    }
    if not all(place.values()):
        return None
    known = case.session.info.setdefault(_CHECKS, {})
    key = tuple(place.values())
    if key not in known:
        bind = {"mapper": case.mapper}
        row = case.session.execute(_STORED_CHECK, place, bind_arguments=bind).first()
        known[key] = stored_check(row[0], row[1]) if row is not None else None
    found: StoredCheck | None = known[key]
    return found


def _generated(case: Case, diagnostic: Any) -> Refused:
    quoted = re.search(r"[\"«„](\w+)[\"»“]", diagnostic.message_primary or "")
    return generated_words(case, quoted[1] if quoted else "")


def _not_allowed(case: Case, diagnostic: Any) -> Refused:
    del case
    if diagnostic.source_function == ROW_POLICY:
        return Refused({RECORD: "A policy of the database does not allow such a row."})
    return Refused(
        {
            RECORD: "The database does not allow the site to write this. "
            "An operator can grant it the right."
        }
    )


def _unknown_choice(case: Case, diagnostic: Any) -> Refused:
    """A text that is no value of its type; for an enum, on the field that has it."""
    message = diagnostic.message_primary or ""
    columns = [
        column
        for table in case.tables
        for column in table.columns
        if (name := getattr(column.type, "name", None)) and f" {name}:" in message
    ]
    if len(columns) == 1:
        words = f"The database does not know this {case.word(columns[0])}."
        return case.refused(columns, words)
    return Refused({RECORD: "A value is not of the kind that its field holds."})


_SPECIAL: dict[str, Callable[[Case, Any], Refused]] = {
    "22001": lambda case, _: too_long(case),
    "22003": lambda case, _: too_much(case),
    "22P02": _unknown_choice,
    "428C9": _generated,
    "42501": _not_allowed,
    "54000": lambda case, _: broad_words(case),
}
_SIMPLE: dict[str, Callable[[], BackofficeError]] = {
    "22P05": lambda: Refused(
        {RECORD: "A text has a letter or sign that this database cannot hold."}
    ),
    "22": lambda: Refused({RECORD: "A value is not of the kind that its field holds."}),
    "23": lambda: Refused({RECORD: "The database refuses this."}),
    "44": lambda: Refused({RECORD: "The record would not be part of this list."}),
    "25006": lambda: Refused({RECORD: "The database takes no changes at present."}),
    "40001": lambda: LockNotAvailable(
        "Somebody changed the same records at the same moment; save once more."
    ),
    "40P01": lambda: LockNotAvailable(
        "Two people changed the same records at the same moment; save once more."
    ),
    "55P03": lambda: LockNotAvailable(
        "Somebody else is changing this record at this moment; save once more."
    ),
    "57014": lambda: StatementTimedOut(
        "The database stopped this because it took too long; nothing was changed."
    ),
    "25P03": lambda: StatementTimedOut(
        "The database stopped this because it stood idle too long."
    ),
    "53100": lambda: EnvironmentProblem("The database's disk is full."),
    "53": lambda: DatabaseUnavailable("The database has no room for more at present."),
    "57": lambda: DatabaseUnavailable("The database is being stopped or restarted."),
    "08": lambda: DatabaseUnavailable("The connection to the database was lost."),
}
