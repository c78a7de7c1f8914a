"""What the database's refusal means, as a sentence for each field.

The constraint that refused is found by its name in the metadata (on SQLite by what
the message says), and becomes a sentence from `Constraint.info["message"]`, else from
what the constraint is. SQL, names of constraints and values of other columns never
become part of it: of all values only those that the person sent are repeated.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    and_,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapper, RelationshipProperty, Session
from sqlalchemy.sql.elements import ClauseElement

from backoffice.database.conditions import (
    Condition,
    Name,
    checks_of,
    columns_of,
    conditions_of,
)
from backoffice.database.constraint_names import Rule, names_of, rules_of, table_of_rule
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
    Refused,
)

# The whole record, where no field can be named.
RECORD = ""
COUNTED = 1000
LONGEST_MESSAGE = 300


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
    case = Case(mapper, session, dict(values), fields, None)
    found: dict[str, str] = {}
    for table in case.tables:
        for check in checks_of(table):
            for condition in conditions_of(check):
                about = [condition.column]
                if isinstance(condition.other, Name):
                    about.append(condition.other.text)
                columns = [
                    c for name in about if (c := column_called(table, name)) is not None
                ]
                if not any(case.attribute(column) in changed for column in columns):
                    continue
                if columns and _broken(case, table, columns[0], condition):
                    for key, message in check_words(case, check).fields.items():
                        found.setdefault(key, message)
    return found


@dataclass(frozen=True, slots=True)
class Case:
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
        """Whether it was a record's deletion that was refused."""
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
        own = table_of_rule(constraint) in self.tables
        fields = [self.field_for(name) for name in names] if own else [RECORD]
        return Refused(dict.fromkeys(fields or [RECORD], str(message)))


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A check constraint as the database stores it, and the columns that it names."""

    constraint: CheckConstraint
    columns: tuple[str, ...]


def stored_check(expression: str, columns: Iterable[str]) -> StoredCheck:
    """A check constraint that belongs to no table of the metadata."""
    condition: ColumnElement[Any] = literal_column(expression)
    return StoredCheck(CheckConstraint(condition), tuple(columns))


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


def unique_words(case: Case, constraint: Rule) -> Refused:
    """What a unique constraint or index says."""
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    columns = list(dict.fromkeys(constraint.columns))
    what = _kind_of(case, constraint)
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
                f" already exists.{_letters(constraint)}"
            )
        return case.refused(columns, message)
    if not columns:
        return Refused({RECORD: f"Such {article(what)} {what} already exists."})
    words = [case.word(column) for column in columns]
    return case.refused(columns, _taken(what, words))


def _letters(rule: Rule) -> str:
    """What is to be said of an index over `lower(…)`."""
    folded = any(
        getattr(expression, "name", "") in {"lower", "upper"}
        for expression in getattr(rule, "expressions", ())
    )
    return " Capital and small letters count as the same." if folded else ""


_EQUALS = re.compile(r"\(?\"?(?:\w+\.)?(\w+)\"?\)? = '?(\w+)'?", re.IGNORECASE)


def _kind_of(case: Case, rule: Rule) -> str:
    """What the rule counts: `door`, or `door with the colour red`."""
    what = record_word(case.mapper)
    if not isinstance(rule, Index):
        return what
    where = next(
        (
            condition
            for options in rule.dialect_options.values()
            if (condition := options.get("where")) is not None
        ),
        None,
    )
    if where is None:
        return what
    literal = where.compile(compile_kwargs={"literal_binds": True})
    found = _EQUALS.fullmatch(str(literal))
    column = (
        column_called(rule.table, found[1])
        if found and rule.table is not None
        else None
    )
    if found is None or column is None or column.info.get("secret"):
        return what
    return f"{what} with the {case.word(column)} {found[2]}"


def foreign_key_words(case: Case, constraint: ForeignKeyConstraint) -> Refused:
    """What a foreign key says: a target that is gone, or that is still used."""
    is_own = constraint.table in case.tables
    is_target = constraint.referred_table in case.tables
    if is_target and (case.is_delete or not is_own):
        return still_used(case, constraint)
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    columns = list(constraint.columns)
    if not is_own:
        return Refused({RECORD: "Something that this needs does not exist any more."})
    target = table_word(constraint.referred_table)
    if len(columns) > 1:
        named = _listed([case.word(column) for column in columns])
        return case.refused(columns, f"There is no {target} with this {named}.")
    word = case.word(columns[-1])
    this = f"This {word}" if word != target else f"This {target}"
    return case.refused(columns, f"{this} does not exist any more.")


def still_used(case: Case, constraint: ForeignKeyConstraint) -> Refused:
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


def check_words(case: Case, constraint: CheckConstraint) -> Refused:
    """What a check constraint says: the limit, where it can be told."""
    declared = case.declared(constraint)
    if declared is not None:
        return declared
    table = table_of_rule(constraint)
    if table not in case.tables or table is None:
        return Refused({RECORD: "The database refuses this."})
    names = columns_of(constraint, table)
    columns = [table.columns[name] for name in names]
    return _condition_words(case, constraint, table, columns)


def stored_check_words(case: Case, check: StoredCheck, table: Table) -> Refused:
    """What a check constraint says that no model declares, as the database stores it.

    It is told on a field where it names no column but those of this record's table.
    """
    columns = [column_called(table, name) for name in check.columns]
    known = [column for column in columns if column is not None]
    if len(known) < len(columns) or table not in case.tables:
        return Refused({RECORD: "The database does not accept this."})
    return _condition_words(case, check.constraint, table, known)


def _condition_words(
    case: Case,
    constraint: CheckConstraint,
    table: Table,
    columns: Sequence[Column[Any]],
) -> Refused:
    """By the limit that is broken, where it can be told, else by the columns."""
    for condition in conditions_of(constraint):
        column = column_called(table, condition.column)
        if column is None:
            continue
        message = _broken(case, table, column, condition)
        if message:
            return case.refused([column], message)
    if not columns:
        return Refused({RECORD: "The database does not accept this."})
    *first, last = [case.word(column) for column in columns]
    if first:
        message = f"{sentence(', '.join(first))} and {last} do not fit together."
    else:
        message = f"The database does not accept this {last}."
    return case.refused(columns, message)


def column_called(table: Table, name: str) -> Column[Any] | None:
    """The column of this name, in whatever letters."""
    for column in table.columns:
        if column.name == name or column.name.lower() == name.lower():
            return column
    return None


def _broken(case: Case, table: Table, column: Column[Any], condition: Condition) -> str:
    """How a value breaks a condition; empty where it does not, or is not known."""
    value = case.value(column)
    if value is None:
        return ""
    other: Any = condition.other
    is_column = isinstance(other, Name)
    if isinstance(other, Name):
        other_column = column_called(table, other.text)
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
        return f"{_said(column, value)} is not one of: {choices}."
    if condition.is_length:
        return _LENGTH[condition.operator].format(number=measured, limit=limit)
    return _VALUE[condition.operator].format(
        value=_said(column, value), limit=limit, word=word
    )


def _said(column: Column[Any], value: Any) -> str:
    """A value as a sentence repeats it; of a secret only that it is one."""
    if column.info.get("secret"):
        return "This value"
    return shown(format_value(column, value)) or "An empty text"


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
    "like": "{value} has not the form {limit}, which {word} has to have.",
}


def breaks(value: Any, operator: str, other: Any) -> bool:
    """Whether `value operator other` is known to be false."""
    if operator == "in":
        return all(breaks(value, "=", choice) for choice in other)
    if operator == "like":
        return isinstance(value, str) and not _is_like(value, other)
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


def _is_like(value: str, pattern: str) -> bool:
    """Whether a text fits a pattern, whatever the case: SQLite has no eye for it."""
    parts = {"%": ".*", "_": "."}
    wanted = "".join(parts.get(one, re.escape(one)) for one in pattern)
    return bool(re.fullmatch(wanted, value, re.DOTALL | re.IGNORECASE))


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


def required_words(case: Case, table: Table | None, name: str | None) -> Refused:
    """What NOT NULL says."""
    column = column_called(table, name) if table is not None and name else None
    if column is None or table not in case.tables:
        return Refused({RECORD: "A value that is required is missing."})
    if case.key(column) is None:
        word = sentence(case.word(column))
        return Refused({RECORD: f"{word} is required and is not on this form."})
    return case.refused([column], "A value is required.")


def too_long(case: Case) -> Refused:
    """The sentence for a text that its column cannot hold."""
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


def too_much(case: Case) -> Refused:
    """The sentence for a number that its column cannot hold."""
    for table in case.tables:
        for column in table.columns:
            value, most = case.value(column), _most(column)
            if most is None or isinstance(value, bool):
                continue
            if isinstance(value, int | float | Decimal) and abs(Decimal(value)) > most:
                word = case.word(column)
                message = f"{shown(format_value(column, value))} is too large; "
                return case.refused([column], f"{message}{word} can be up to {most:,}.")
    return Refused({RECORD: "A number is larger than its field holds."})


def _most(column: Column[Any]) -> Decimal | None:
    """The largest number that a column holds, as far as its type says."""
    kind = column.type
    for types, bits in ((SmallInteger, 15), (BigInteger, 63), (Integer, 31)):
        if isinstance(kind, types):
            return Decimal(2**bits - 1)
    if isinstance(kind, Numeric) and kind.precision is not None:
        scale = kind.scale or 0
        return Decimal(10 ** (kind.precision - scale)) - Decimal(1).scaleb(-scale)
    return None


def broad_words(case: Case) -> Refused:
    """The sentence for a text that is too long for an index; on the longest text."""
    texts: list[tuple[int, Column[Any]]] = [
        (len(value), column)
        for table in case.tables
        for column in table.columns
        if isinstance(value := case.value(column), str)
    ]
    message = "This text is longer than an index of the database holds."
    if not texts:
        return Refused({RECORD: message})
    _, longest = max(texts, key=lambda found: found[0])
    return case.refused([longest], message)


def generated_words(case: Case, name: str) -> Refused:
    """The sentence for a column that only the database itself writes."""
    for table in case.tables:
        column = column_called(table, name)
        if column is not None:
            word = sentence(case.word(column))
            message = f"{word} is computed by the database and cannot be written."
            return case.refused([column], message)
    message = "A value that the database computes itself cannot be written."
    return Refused({RECORD: message})


# Which rule it was


def rule_words(
    case: Case,
    state: str,
    rule: Rule | None,
    table: Table | None,
    columns: Sequence[Column[Any]] = (),
) -> Refused:
    """What a broken rule says; one that nobody declared, by its state and columns."""
    if isinstance(rule, ForeignKeyConstraint):
        return foreign_key_words(case, rule)
    if isinstance(rule, CheckConstraint):
        return check_words(case, rule)
    if state == "23505" and rule is not None:
        return unique_words(case, rule)
    if rule is not None and (declared := case.declared(rule)):
        return declared
    found = list(columns) or list(rule.columns if rule is not None else ())
    return _undeclared(case, state, table, found)


def _undeclared(
    case: Case, state: str, table: Table | None, columns: Sequence[Column[Any]]
) -> Refused:
    """By the kind of rule, and the columns that the database names."""
    what = record_word(case.mapper)
    is_own = table is None or table in case.tables
    if state == "23503" and (case.is_delete or not is_own):
        word = plural(table_word(table)) if table is not None and not is_own else ""
        return Refused({RECORD: f"Still used by {word or 'other records'}."})
    messages = {
        "23505": f"Such {article(what)} {what} already exists.",
        "23503": "Something that this refers to does not exist any more.",
        "23P01": f"This overlaps with another {what}.",
    }
    words = [case.word(column) for column in columns] if is_own else []
    if not words:
        message = messages.get(state, "The database does not accept this.")
        return Refused({RECORD: message})
    messages = {
        "23505": _taken(what, words),
        "23503": f"This {words[-1]} does not exist any more.",
        "23P01": f"{sentence(_listed(words))}: this overlaps with another {what}.",
    }
    return case.refused(
        columns, messages.get(state, f"The database does not accept this {words[-1]}.")
    )


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _taken(what: str, words: Sequence[str]) -> str:
    if len(words) == 1:
        return f"Another {what} has this {words[0]}."
    return f"This combination of {_listed(words)} is already taken."


def rule_called(case: Case, table: Table | None, name: str | None) -> Rule | None:
    """The constraint or unique index that the database calls by this name."""
    if not name:
        return None
    dialect = case.session.get_bind(case.mapper).dialect
    candidates = [table] if table is not None else list(case.tables)
    for candidate in candidates:
        for constraint in rules_of(candidate):
            if name in names_of(constraint, candidate, dialect):
                return constraint
    return None
