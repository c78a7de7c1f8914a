"""What the database's refusal means, as a sentence for each field.

The constraint that refused is found by its name in the metadata (on SQLite by what
the message says), and becomes a sentence from `Constraint.info["message"]`, else from
what the constraint is. SQL, names of constraints and values of other columns never
become part of it: of all values only those that the person sent are repeated.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    and_,
    func,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, RelationshipProperty, Session
from sqlalchemy.schema import ColumnCollectionConstraint
from sqlalchemy.sql.elements import ClauseElement

from backoffice.database.conditions import (
    Condition,
    Name,
    checks_of,
    columns_of,
    conditions_of,
    table_of,
)
from backoffice.database.triggers import refusal_of
from backoffice.database.values import format_value, shown
from backoffice.database.words import (
    article,
    field_word,
    plural,
    record_word,
    sentence,
    table_word,
)
from backoffice.errors import (
    BackofficeError,
    DatabaseUnavailable,
    EnvironmentProblem,
    LockNotAvailable,
    Refused,
    StatementTimedOut,
)

# The whole record, where no field can be named.
RECORD = ""
COUNTED = 1000
LONGEST_MESSAGE = 300

Rule: TypeAlias = ColumnCollectionConstraint | Index


def rules_of(table: Table) -> list[Rule]:
    """The constraints and indexes of a table that may refuse a row."""
    own = [
        constraint
        for constraint in table.constraints
        if isinstance(constraint, ColumnCollectionConstraint)
        and not isinstance(constraint, CheckConstraint)
    ]
    return [*own, *checks_of(table), *table.indexes]


def _table_of(rule: Rule) -> Table | None:
    return table_of(rule) if isinstance(rule, CheckConstraint) else rule.table


def explain_refusal(
    error: DBAPIError,
    mapper: Mapper[Any],
    session: Session,
    *,
    values: Mapping[str, Any] | None = None,
    fields: Collection[str] | None = None,
) -> BackofficeError:
    """Why the database did not write a record of `mapper`, in words.

    `values` are the attributes that were to be written (or, of a delete, those of the
    record); `fields` the attributes and relationships that the form shows. A sentence
    about a foreign key goes to the relationship where there is one. The session must
    be able to run statements: roll back to a savepoint first.

    A lock that was waited for too long, a timeout or a lost connection are answered
    by their own errors. Anything that is a fault and no refusal is raised again.
    """
    case = _Case(mapper, session, dict(values or {}), fields, error)
    found = refusal_of(error)
    if found is not None:
        key, message = found
        message = _filled_in(case, key, message) or "The database refuses this."
        return Refused({case.field_for(key): message})
    if getattr(error.orig, "diag", None) is not None or error.connection_invalidated:
        answer = _explain_postgresql(case, error)
    else:
        answer = _explain_sqlite(case, error)
    if answer is None:
        raise error
    return answer


_GAP = re.compile(r"\{(\w+)\}")


def _filled_in(case: "_Case", key: str, message: str) -> str:
    """A trigger's sentence with the columns of the record that its field refers to.

    "" where the record, or a column of it, cannot be found.
    """
    gaps = _GAP.findall(message)
    if not gaps:
        return message
    prop = case.mapper.attrs.get(key)
    if not isinstance(prop, RelationshipProperty):
        return ""
    pairs = [
        (remote, case.value(local))
        for local, remote in prop.local_remote_pairs or ()
        if isinstance(local, Column)
    ]
    known = prop.mapper.columns
    columns = [known[name] for name in gaps if name in known]
    is_known = len(columns) == len(gaps)
    if not is_known or any(value is None for _, value in pairs):
        return ""
    query = select(*columns).where(and_(*(column == value for column, value in pairs)))
    row = case.session.execute(query).first()
    if row is None:
        return ""
    texts = {
        name: format_value(column, value)
        for name, column, value in zip(gaps, columns, row, strict=True)
    }
    return _GAP.sub(lambda gap: texts[gap[1]], message)


def broken_checks(
    mapper: Mapper[Any],
    session: Session,
    values: Mapping[str, Any],
    *,
    fields: Collection[str] | None = None,
    changed: Collection[str],
) -> dict[str, str]:
    """What simple check constraints will refuse, all of it, before the database does.

    `values` are the attributes as they would be written; a constraint counts where
    it is about one that is `changed`.
    """
    case = _Case(mapper, session, dict(values), fields, None)
    found: dict[str, str] = {}
    for table in case.tables:
        for check in checks_of(table):
            for condition in conditions_of(check):
                about = [condition.column]
                if isinstance(condition.other, Name):
                    about.append(condition.other.text)
                columns = [
                    c for name in about if (c := _column(table, name)) is not None
                ]
                if not any(case.attribute(column) in changed for column in columns):
                    continue
                if columns and _broken(case, table, columns[0], condition):
                    for key, message in _check(case, check).fields.items():
                        found.setdefault(key, message)
    return found


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known about one refusal."""

    mapper: Mapper[Any]
    session: Session
    values: dict[str, Any]
    fields: Collection[str] | None
    error: DBAPIError | None
    tables: tuple[Table, ...] = field(init=False)

    def __post_init__(self) -> None:
        tables = tuple(t for t in self.mapper.tables if isinstance(t, Table))
        object.__setattr__(self, "tables", tables)

    @property
    def is_delete(self) -> bool:
        statement = self.error.statement if self.error else None
        return (statement or "").lstrip()[:6].upper() == "DELETE"

    def table(self, name: str | None, schema: str | None = None) -> Table | None:
        """A table of the metadata by its name in the database."""
        if not name:
            return None
        for table in self.tables:
            if table.name == name:
                return table
        default = self.session.get_bind(self.mapper).dialect.default_schema_name
        for table in self.tables[0].metadata.tables.values():
            if table.name == name and schema in (None, table.schema, default):
                return table
        return None

    def key(self, column: Column[Any]) -> str | None:
        """The attribute or relationship that stands for a column in the form."""
        try:
            attribute = self.mapper.get_property_by_column(column).key
        except Exception:  # noqa: BLE001 - SQLAlchemy's error here is not public
            return None
        if self.fields is not None and attribute in self.fields:
            return attribute
        for relationship in _references(self.mapper, column):
            if self.fields is None or relationship.key in self.fields:
                return relationship.key
        return attribute if self.fields is None else None

    def attribute(self, column: Column[Any]) -> str | None:
        """The attribute that holds a column."""
        for prop in self.mapper.column_attrs:
            if column in prop.columns:
                return prop.key
        return None

    def field_for(self, key: str) -> str:
        """A field named by a constraint or trigger, as the form knows it."""
        if self.fields is None or key in self.fields or not key:
            return key
        prop = self.mapper.attrs.get(key)
        if isinstance(prop, RelationshipProperty):
            columns = [c for c in prop.local_columns if isinstance(c, Column)]
            candidates = [self.key(column) for column in columns]
        else:
            column = self.mapper.columns.get(key)
            candidates = [] if column is None else [self.key(column)]
        return next((c for c in candidates if c is not None), RECORD)

    def word(self, column: Column[Any]) -> str:
        """What a column is called in a sentence."""
        attribute = self.attribute(column)
        if attribute is None:
            return table_word_of(column)
        references = list(_references(self.mapper, column))
        return field_word(self.mapper, references[0].key if references else attribute)

    def value(self, column: Column[Any]) -> Any:
        """What was to be written into a column; None where that is not known."""
        attribute = self.attribute(column)
        value = None if attribute is None else self.values.get(attribute)
        return None if isinstance(value, ClauseElement) else value

    def refused(self, columns: Iterable[Column[Any]], message: str) -> Refused:
        """The sentence on the last of the columns that the form shows."""
        keys = [key for column in columns if (key := self.key(column)) is not None]
        return Refused({keys[-1] if keys else RECORD: message})

    def declared(self, constraint: Rule) -> Refused | None:
        """What the constraint's own `info` says about being broken."""
        message = constraint.info.get("message")
        if not message:
            return None
        names = constraint.info.get("fields") or []
        own = _table_of(constraint) in self.tables
        fields = [self.field_for(name) for name in names] if own else [RECORD]
        return Refused(dict.fromkeys(fields or [RECORD], str(message)))


def table_word_of(column: Column[Any]) -> str:
    """A column of another table, in words."""
    return column.name.replace("_", " ")


def _references(
    mapper: Mapper[Any], column: Column[Any]
) -> Iterator[RelationshipProperty[Any]]:
    """The to-one relationships that stand on exactly this column."""
    for relationship in mapper.relationships:
        if (
            relationship.direction.name == "MANYTOONE"
            and not relationship.viewonly
            and relationship.local_columns == {column}
        ):
            yield relationship


# What each kind of constraint says


def _unique(case: _Case, constraint: Rule) -> Refused:
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    columns = list(constraint.columns)
    what = record_word(case.mapper)
    if constraint.table not in case.tables:
        return Refused({RECORD: "The database has this already."})
    if len(columns) == 1:
        column = columns[0]
        value = case.value(column)
        references = list(_references(case.mapper, column))
        word = case.word(column)
        if value is None or column.info.get("secret") or references:
            message = f"Another {what} has this {word}."
        else:
            text = shown(format_value(column, value))
            message = (
                f"{sentence(article(what))} {what} with the {word} {text}"
                " already exists."
            )
        return case.refused(columns, message)
    if not columns:
        return Refused({RECORD: f"Such {article(what)} {what} already exists."})
    *first, last = [case.word(column) for column in columns]
    message = f"This combination of {', '.join(first)} and {last} is already taken."
    return case.refused(columns, message)


def _foreign_key(case: _Case, constraint: ForeignKeyConstraint) -> Refused:
    is_own = constraint.table in case.tables
    is_target = constraint.referred_table in case.tables
    if is_target and (case.is_delete or not is_own):
        return _still_used(case, constraint)
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    columns = list(constraint.columns)
    if not is_own:
        return Refused({RECORD: "Something that this needs does not exist any more."})
    word = case.word(columns[-1])
    target = table_word(constraint.referred_table)
    this = f"This {word}" if word != target else f"This {target}"
    return case.refused(columns, f"{this} does not exist any more.")


def _still_used(case: _Case, constraint: ForeignKeyConstraint) -> Refused:
    """The sentence `Still used by 3 orders.`, counted."""
    table = constraint.table
    word = table_word(table)
    pairs = [(e.parent, case.value(e.column)) for e in constraint.elements]
    if any(value is None for _, value in pairs):
        return Refused({RECORD: f"Still used by {plural(word)}."})
    rows = (
        select(1)
        .select_from(table)
        .where(and_(*(column == value for column, value in pairs)))
        .limit(COUNTED + 1)
        .subquery()
    )
    number = case.session.scalar(select(func.count()).select_from(rows)) or 0
    if number > COUNTED:
        return Refused({RECORD: f"Still used by more than {COUNTED:,} {plural(word)}."})
    if number == 1:
        return Refused({RECORD: f"Still used by 1 {word}."})
    count = f"{number:,} " if number else ""
    return Refused({RECORD: f"Still used by {count}{plural(word)}."})


def _check(case: _Case, constraint: CheckConstraint) -> Refused:
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    table = _table_of(constraint)
    if table not in case.tables or table is None:
        return Refused({RECORD: "The database refuses this."})
    for condition in conditions_of(constraint):
        column = _column(table, condition.column)
        if column is None:
            continue
        message = _broken(case, table, column, condition)
        if message:
            return case.refused([column], message)
    columns = [table.columns[name] for name in columns_of(constraint, table)]
    if not columns:
        return Refused({RECORD: "The database does not accept this."})
    *first, last = [case.word(column) for column in columns]
    if first:
        message = f"{sentence(', '.join(first))} and {last} do not fit together."
    else:
        message = f"The database does not accept this {last}."
    return case.refused(columns, message)


def _column(table: Table, name: str) -> Column[Any] | None:
    for column in table.columns:
        if column.name == name or column.name.lower() == name.lower():
            return column
    return None


def _broken(
    case: _Case, table: Table, column: Column[Any], condition: Condition
) -> str:
    """How a value breaks a condition; empty where it does not, or is not known."""
    value = case.value(column)
    if value is None:
        return ""
    other: Any = condition.other
    is_column = isinstance(other, Name)
    if isinstance(other, Name):
        other_column = _column(table, other.text)
        if other_column is None or case.value(other_column) is None:
            return ""
        other = case.value(other_column)
        limit = f"the {case.word(other_column)}"
    else:
        limit = f"{other:,}" if isinstance(other, Decimal) else str(other)
    measured = len(value) if condition.is_length else value
    if not breaks(measured, condition.operator, other):
        return ""
    word = case.word(column)
    if is_column:
        return f"{sentence(word)} {_RELATION[condition.operator]} {limit}."
    if condition.operator == "in":
        choices = ", ".join(str(choice) for choice in other)
        return f"{shown(format_value(column, value))} is not one of: {choices}."
    if condition.is_length:
        return _LENGTH[condition.operator].format(number=measured, limit=limit)
    text = shown(format_value(column, value)) or "An empty text"
    return _VALUE[condition.operator].format(value=text, limit=limit, word=word)


_RELATION = {
    "<": "has to be less than",
    "<=": "cannot be more than",
    ">": "has to be more than",
    ">=": "cannot be less than",
    "=": "has to be the same as",
    "<>": "cannot be the same as",
}
_LENGTH = {
    "<": "The text has {number:,} characters; it has to be shorter than {limit}.",
    "<=": "The text has {number:,} characters; {limit} is the most.",
    ">": "The text has {number:,} characters; it has to be longer than {limit}.",
    ">=": "The text has {number:,} characters; {limit} is the least.",
    "=": "The text has {number:,} characters; it has to have {limit}.",
    "<>": "The text cannot have {limit} characters.",
}
_VALUE = {
    "<": "{value} is too much; {word} has to be less than {limit}.",
    "<=": "{value} is more than {limit}, the most that {word} can be.",
    ">": "{value} is too little; {word} has to be more than {limit}.",
    ">=": "{value} is less than {limit}, the least that {word} can be.",
    "=": "{value} is not {limit}, which {word} has to be.",
    "<>": "{value} is not accepted here.",
}


def breaks(value: Any, operator: str, other: Any) -> bool:
    """Whether `value operator other` is known to be false."""
    if operator == "in":
        return all(breaks(value, "=", choice) for choice in other)
    pair = _comparable(value, other)
    if pair is None:
        return False
    left, right = pair
    holds: dict[str, bool] = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "=": left == right,
        "<>": left != right,
    }
    return not holds[operator]


def _comparable(value: Any, other: Any) -> tuple[Any, Any] | None:
    """Both sides as one kind of value, or None."""
    if isinstance(value, bool) or isinstance(other, bool):
        return (value, other) if isinstance(value, type(other)) else None
    if isinstance(value, int | float | Decimal) and isinstance(
        other, int | float | Decimal
    ):
        left, right = Decimal(str(value)), Decimal(str(other))
        return None if left.is_nan() or right.is_nan() else (left, right)
    if isinstance(value, str) and isinstance(other, str):
        return value, other
    if hasattr(value, "isoformat") and isinstance(other, str):
        # ISO texts of dates order as the dates do.
        return value.isoformat(), other
    if isinstance(value, type(other)):
        return value, other
    name = getattr(value, "name", None)  # an enum's word
    return (name, other) if isinstance(name, str) and isinstance(other, str) else None


def _required(case: _Case, table: Table | None, name: str | None) -> Refused:
    column = _column(table, name) if table is not None and name else None
    if column is None or table not in case.tables:
        return Refused({RECORD: "A value that is required is missing."})
    if case.key(column) is None:
        word = sentence(case.word(column))
        return Refused({RECORD: f"{word} is required and is not on this form."})
    return case.refused([column], "A value is required.")


def _too_long(case: _Case) -> Refused:
    for table in case.tables:
        for column in table.columns:
            length = getattr(column.type, "length", None)
            value = case.value(column)
            if length and isinstance(value, str) and len(value) > length:
                message = (
                    f"The text has {len(value):,} characters;"
                    f" {length:,} is the most that fits."
                )
                return case.refused([column], message)
    return Refused({RECORD: "A text is longer than its field holds."})


# PostgreSQL


def _explain_postgresql(case: _Case, error: DBAPIError) -> BackofficeError | None:
    if error.connection_invalidated:
        return DatabaseUnavailable("The connection to the database was lost.")
    orig: Any = error.orig
    state = str(getattr(orig, "sqlstate", None) or orig.diag.sqlstate or "")
    diagnostic = orig.diag
    table = case.table(diagnostic.table_name, diagnostic.schema_name)
    if state in ("23505", "23503", "23514", "23P01"):
        constraint = _by_name(case, table, diagnostic.constraint_name)
        return _broken_constraint(case, state, constraint, table)
    if state == "23502":
        return _required(case, table, diagnostic.column_name)
    if state == "22001":
        return _too_long(case)
    if state == "P0001":
        # A trigger of the project that says in its own words why it refuses.
        message = " ".join((diagnostic.message_primary or "").split())
        return Refused({RECORD: message[:LONGEST_MESSAGE] or "The database refuses."})
    simple = _SIMPLE.get(state) or _SIMPLE.get(state[:2])
    return simple() if simple else None


_SIMPLE: dict[str, Callable[[], BackofficeError]] = {
    "22003": lambda: Refused({RECORD: "A number is larger than its field holds."}),
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


def _broken_constraint(
    case: _Case, state: str, constraint: Rule | None, table: Table | None
) -> Refused:
    if isinstance(constraint, ForeignKeyConstraint):
        return _foreign_key(case, constraint)
    if isinstance(constraint, CheckConstraint):
        return _check(case, constraint)
    if state == "23505" and constraint is not None:
        return _unique(case, constraint)
    if constraint is not None and (declared := case.declared(constraint)):
        return declared
    what = record_word(case.mapper)
    if state == "23503" and table is not None and table not in case.tables:
        return Refused({RECORD: f"Still used by {plural(table_word(table))}."})
    unknown = {
        "23505": f"Such {article(what)} {what} already exists.",
        "23503": "Something that this refers to does not exist any more.",
        "23P01": f"This overlaps with another {what}.",
    }
    return Refused({RECORD: unknown.get(state, "The database does not accept this.")})


def _by_name(case: _Case, table: Table | None, name: str | None) -> Rule | None:
    """The constraint or unique index that the database calls by this name."""
    if not name:
        return None
    dialect = case.session.get_bind(case.mapper).dialect
    candidates = [table] if table is not None else list(case.tables)
    for candidate in candidates:
        for constraint in rules_of(candidate):
            if name in _names(constraint, candidate, dialect):
                return constraint
    return None


def _names(constraint: Rule, table: Table, dialect: Dialect) -> Iterator[str]:
    """What the database may call a constraint: its own name, or what it makes up."""
    # Without a name or a convention SQLAlchemy leaves the naming to the database.
    own = None
    if isinstance(constraint.name, str):
        own = dialect.identifier_preparer.format_constraint(
            constraint, _alembic_quote=False
        )
    if own:
        yield own
        return
    names = "_".join(column.name for column in constraint.columns)
    if isinstance(constraint, PrimaryKeyConstraint):
        yield f"{table.name}_pkey"
    elif isinstance(constraint, UniqueConstraint):
        yield f"{table.name}_{names}_key"
    elif isinstance(constraint, ForeignKeyConstraint):
        yield f"{table.name}_{names}_fkey"
    elif isinstance(constraint, CheckConstraint):
        mentioned = columns_of(constraint, table)
        if len(mentioned) == 1:
            yield f"{table.name}_{mentioned[0]}_check"
        else:
            yield f"{table.name}_check"


# SQLite

_SQLITE = re.compile(
    r"(?P<kind>UNIQUE|CHECK|NOT NULL|FOREIGN KEY) constraint failed(?:: (?P<what>.*))?",
    re.DOTALL,
)


def _explain_sqlite(case: _Case, error: DBAPIError) -> BackofficeError | None:
    message = str(error.orig)
    for part, make in _SQLITE_SIMPLE.items():
        if part in message:
            return make()
    found = _SQLITE.search(message)
    if found is None:
        return None
    what = found["what"] or ""
    if found["kind"] == "NOT NULL":
        name, _, column = what.rpartition(".")
        return _required(case, case.table(name), column)
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


def _sqlite_check(case: _Case, what: str) -> Refused:
    dialect = case.session.get_bind(case.mapper).dialect
    for table in _all_tables(case):
        for check in checks_of(table):
            # SQLite names a constraint, or repeats the condition of one without a name.
            if what in _names(check, table, dialect) or what == str(check.sqltext):
                return _check(case, check)
    return Refused({RECORD: "The database does not accept this."})


def _sqlite_unique(case: _Case, what: str) -> Refused:
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
                return _unique(case, constraint)
            names = [c.name for c in constraint.columns]
            if not index and names == [name for _, _, name in columns]:
                return _unique(case, constraint)
    return _broken_constraint(case, "23505", None, table)


def _sqlite_foreign_key(case: _Case) -> Refused:
    """SQLite does not say which key it was: each is looked at."""
    if case.is_delete:
        for table in _all_tables(case):
            for constraint in table.foreign_key_constraints:
                if constraint.referred_table not in case.tables:
                    continue
                if _referring_exists(case, constraint):
                    return _still_used(case, constraint)
        return Refused({RECORD: "Still used by other records."})
    for table in case.tables:
        for constraint in table.foreign_key_constraints:
            if _target_is_missing(case, constraint):
                return _foreign_key(case, constraint)
    return _broken_constraint(case, "23503", None, case.tables[0])


def _all_tables(case: _Case) -> list[Table]:
    rest = [t for t in case.tables[0].metadata.tables.values() if t not in case.tables]
    return [*case.tables, *rest]


def _referring_exists(case: _Case, constraint: ForeignKeyConstraint) -> bool:
    if constraint.ondelete in ("CASCADE", "SET NULL", "SET DEFAULT"):
        return False
    pairs = [(e.parent, case.value(e.column)) for e in constraint.elements]
    if any(value is None for _, value in pairs):
        return False
    query = select(1).where(*(column == value for column, value in pairs)).limit(1)
    return case.session.scalar(query) is not None


def _target_is_missing(case: _Case, constraint: ForeignKeyConstraint) -> bool:
    pairs = [(e.column, case.value(e.parent)) for e in constraint.elements]
    if any(value is None for _, value in pairs):
        return False
    query = select(1).where(*(column == value for column, value in pairs)).limit(1)
    return case.session.scalar(query) is None
