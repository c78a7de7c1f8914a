"""What SQLite's refusal means: by what its message says, as it names no constraint."""

import re
from collections.abc import Callable

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError

from backoffice.database.conditions import checks_of, columns_of
from backoffice.database.constraint_names import names_of, rules_of
from backoffice.database.constraints import (
    LONGEST_MESSAGE,
    RECORD,
    Case,
    StoredCheck,
    check_words,
    foreign_key_words,
    generated_words,
    required_words,
    rule_words,
    still_used,
    stored_check,
    stored_check_words,
    unique_words,
)
from backoffice.errors import (
    BackofficeError,
    EnvironmentProblem,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)

_SQLITE = re.compile(
    r"(?P<kind>UNIQUE|CHECK|NOT NULL|FOREIGN KEY) constraint failed(?:: (?P<what>.*))?",
    re.DOTALL,
)


_GENERATED = re.compile(r"cannot (?:UPDATE|INSERT into) generated column \"(.+)\"")


def explain_sqlite(case: Case, error: DBAPIError) -> BackofficeError | None:
    """The refusal in words; None where the error is a fault."""
    message = str(error.orig)
    for part, make in _SQLITE_SIMPLE.items():
        if part in message:
            return make()
    generated = _GENERATED.search(message)
    if generated is not None:
        return generated_words(case, generated[1])
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_TRIGGER":
        # A trigger of the project that says in its own words why it refuses.
        words = " ".join(message.split())[:LONGEST_MESSAGE]
        return Refused({RECORD: words or "The database refuses this."})
    found = _SQLITE.search(message)
    if found is None:
        return None
    what = found["what"] or ""
    if found["kind"] == "NOT NULL":
        name, _, column = what.rpartition(".")
        return required_words(case, case.table(name), column)
    if found["kind"] == "CHECK":
        return _sqlite_check(case, what)
    if found["kind"] == "UNIQUE":
        return _sqlite_unique(case, what)
    return _sqlite_foreign_key(case)


_SQLITE_SIMPLE: dict[str, Callable[[], BackofficeError]] = {
    "is locked": lambda: LockNotAvailable(
        "Somebody else is writing to the database at this moment; save once more."
    ),
    "interrupted": lambda: StatementTimedOut(
        "The database stopped this because it took too long; nothing was changed."
    ),
    "readonly database": lambda: Refused(
        {RECORD: "The database takes no changes at present."}
    ),
    "disk is full": lambda: EnvironmentProblem("The database's disk is full."),
    "datatype mismatch": lambda: Refused(
        {RECORD: "A value is not of the kind that its field holds."}
    ),
    "too big": lambda: Refused({RECORD: "A value is larger than its field holds."}),
}


def _sqlite_check(case: Case, what: str) -> Refused:
    dialect = case.session.get_bind(case.mapper).dialect
    for table in _all_tables(case):
        for check in checks_of(table):
            # SQLite names a constraint, or repeats the condition of one without a name.
            if what in names_of(check, table, dialect) or what == str(check.sqltext):
                return check_words(case, check)
    found = _stored_check(case, what)
    if found is not None:
        return stored_check_words(case, *found)
    return Refused({RECORD: "The database does not accept this."})


def _stored_check(case: Case, what: str) -> tuple[StoredCheck, Table] | None:
    """A check constraint of the record's own that no model declares."""
    inspector = inspect(case.session.connection({"mapper": case.mapper}))
    for table in case.tables:
        for rule in inspector.get_check_constraints(table.name, table.schema):
            if what in (rule["name"], rule["sqltext"]):
                expression = rule["sqltext"]
                names = columns_of(stored_check(expression, ()).constraint, table)
                return stored_check(expression, names), table
    return None


def _sqlite_unique(case: Case, what: str) -> Refused:
    index = re.fullmatch(r"index '(.*)'", what)
    columns = [part.strip().rpartition(".") for part in what.split(",")]
    table = None if index else case.table(columns[0][0])
    for candidate in [table] if table is not None else _all_tables(case):
        for constraint in rules_of(candidate):
            is_unique = isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
            if not is_unique and not (
                isinstance(constraint, Index) and constraint.unique
            ):
                continue
            if index and constraint.name == index[1]:
                return unique_words(case, constraint)
            names = [c.name for c in constraint.columns]
            if not index and names == [name for _, _, name in columns]:
                return unique_words(case, constraint)
    return rule_words(case, "23505", None, table)


def _sqlite_foreign_key(case: Case) -> Refused:
    """SQLite does not say which key it was: each is looked at."""
    if case.is_delete:
        for table in _all_tables(case):
            for constraint in table.foreign_key_constraints:
                if constraint.referred_table not in case.tables:
                    continue
                if _referring_exists(case, constraint):
                    return still_used(case, constraint)
        return Refused({RECORD: "Still used by other records."})
    for table in case.tables:
        for constraint in table.foreign_key_constraints:
            if _target_is_missing(case, constraint):
                return foreign_key_words(case, constraint)
    return rule_words(case, "23503", None, case.tables[0])


def _all_tables(case: Case) -> list[Table]:
    rest = [t for t in case.tables[0].metadata.tables.values() if t not in case.tables]
    return [*case.tables, *rest]


def _referring_exists(case: Case, constraint: ForeignKeyConstraint) -> bool:
    if constraint.ondelete in ("CASCADE", "SET NULL", "SET DEFAULT"):
        return False
    pairs = [(e.parent, case.value(e.column)) for e in constraint.elements]
    if any(value is None for _, value in pairs):
        return False
    query = select(1).where(*(column == value for column, value in pairs)).limit(1)
    return case.session.scalar(query) is not None


def _target_is_missing(case: Case, constraint: ForeignKeyConstraint) -> bool:
    pairs = [(e.column, case.value(e.parent)) for e in constraint.elements]
    if any(value is None for _, value in pairs):
        return False
    query = select(1).where(*(column == value for column, value in pairs)).limit(1)
    return case.session.scalar(query) is None
