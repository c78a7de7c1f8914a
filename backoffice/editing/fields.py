"""What a form has to ask for: its fields, as the columns and their rules declare them.

A to-one relationship is one field, named by the relationship; its columns are not
asked for again. To-many relationships are no fields: a record's children are lists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Integer, Table
from sqlalchemy import types as sql
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty

from backoffice.database.conditions import Condition, Name, table_conditions
from backoffice.database.values import format_value, has_text_form
from backoffice.database.words import field_word, sentence

# Up to here a VARCHAR is one line.
LONG_TEXT = 500


class FieldKind(StrEnum):
    """What is asked for, and so which control asks for it."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    INTERVAL = "interval"
    CHOICE = "choice"
    REFERENCE = "reference"
    JSON = "json"
    LIST = "list"
    UUID = "uuid"
    BINARY = "binary"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form: what it is called, what it takes, and what refuses."""

    key: str
    label: str
    kind: FieldKind
    # A value has to be given; an empty one does not mean a default or NULL.
    required: bool = False
    # Why it cannot be typed; empty where it can.
    read_only: str = ""
    hint: str = ""
    minimum: str = ""
    maximum: str = ""
    min_length: int | None = None
    max_length: int | None = None
    # As HTML's `step`: "1", "0.01", "any"; empty where it has no meaning.
    step: str = ""
    # Value and label; without the empty choice, which `required` decides.
    choices: tuple[tuple[str, str], ...] = ()
    # The class that a reference refers to.
    target: type[Any] | None = None
    # May have several lines.
    is_long: bool = False
    # Never shown; an empty text leaves what is there.
    secret: bool = False
    # Blanks before and behind what is typed belong to it.
    keeps_blanks: bool = False
    # A date and time with a zone.
    has_zone: bool = False
    # The empty text is NULL.
    nullable: bool = False


def form_fields(
    mapper: Mapper[Any],
    keys: Iterable[str] | None = None,
    dialect: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[FormField, ...]:
    """The fields of a form for these attributes, or for all that a form can ask for.

    `dialect` is the database's name: some types can be written on PostgreSQL alone.
    """
    labels = labels or {}
    keys = form_keys(mapper) if keys is None else keys
    return tuple(
        _field(mapper, key, labels.get(key, ""), dialect) for key in dict.fromkeys(keys)
    )


def form_keys(mapper: Mapper[Any]) -> tuple[str, ...]:
    """What a form asks for by default, in the order of the columns.

    Left out are keys that the database counts up, secrets, and to-many relationships.
    """
    references = {
        column: relationship.key
        for relationship in references_of(mapper)
        for column in relationship.local_columns
    }
    keys: list[str] = []
    for prop in mapper.column_attrs:
        column = prop.columns[0]
        if not isinstance(column, Column) or column.info.get("secret"):
            continue
        if is_counted(column):
            continue
        keys.append(references.get(column, prop.key))
    return tuple(dict.fromkeys(keys))


def references_of(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """The to-one relationships whose columns stand in the record's own row."""
    return [
        relationship
        for relationship in mapper.relationships
        if relationship.direction.name == "MANYTOONE" and not relationship.viewonly
    ]


def is_counted(column: Column[Any]) -> bool:
    """Whether the database makes this key itself."""
    table = column.table
    is_key = column.primary_key and isinstance(table, Table)
    if not is_key or column.foreign_keys:
        return False
    if column.identity is not None or column.server_default is not None:
        return True
    return column is table.autoincrement_column and isinstance(column.type, Integer)


def why_read_only(mapper: Mapper[Any], key: str) -> str:
    """Why an attribute cannot be written by a form; empty where it can."""
    prop = mapper.attrs.get(key)
    if prop is None:
        return "Worked out from other fields."
    if isinstance(prop, RelationshipProperty):
        if prop.direction.name != "MANYTOONE" or prop.viewonly:
            return "Changed on its own pages."
        reasons = [_column_read_only(c) for c in prop.local_columns]
        return next((reason for reason in reasons if reason), "")
    if not isinstance(prop, ColumnProperty):
        return "Worked out from other fields."
    return _column_read_only(prop.columns[0])


def _column_read_only(column: Any) -> str:
    if not isinstance(column, Column) or not isinstance(column.table, Table):
        return "Worked out from other fields."
    if column.info.get("read_only"):
        return str(column.info["read_only"])
    if column.computed is not None:
        return "Computed by the database."
    if column.identity is not None and column.identity.always:
        return "Counted by the database."
    if is_counted(column):
        return "Given by the database."
    if not has_text_form(column):
        return "This kind of value cannot be typed."
    return ""


def has_default(column: Column[Any]) -> bool:
    """Whether a value that is not given is filled in."""
    return column.default is not None or column.server_default is not None


@lru_cache(maxsize=4096)
def asks_for_letters(mapper: Mapper[Any], key: str) -> bool:
    """Whether this is a text that has to be given: blanks alone do not give it."""
    prop = mapper.attrs.get(key)
    column = prop.columns[0] if isinstance(prop, ColumnProperty) else None
    if not isinstance(column, Column) or not isinstance(column.table, Table):
        return False
    if not isinstance(column.type, sql.String) or isinstance(column.type, sql.Enum):
        return False
    conditions = [
        c for c in table_conditions(column.table) if c.column in (column.name, key)
    ]
    return _is_required(column, _limits(column, conditions))


def _field(mapper: Mapper[Any], key: str, label: str, dialect: str) -> FormField:
    prop = mapper.attrs.get(key)
    reason = why_read_only(mapper, key)
    if isinstance(prop, RelationshipProperty):
        return _reference(mapper, prop, label, reason)
    column = prop.columns[0] if isinstance(prop, ColumnProperty) else None
    if not isinstance(column, Column) or not isinstance(column.table, Table):
        return FormField(
            key=key,
            label=label or _label(mapper, key, None),
            kind=FieldKind.OTHER,
            read_only=reason,
        )
    conditions = [
        c for c in table_conditions(column.table) if c.column in (column.name, key)
    ]
    limits = _limits(column, conditions)
    kind = _kind(column, limits)
    if not reason and dialect == "sqlite" and _is_postgresql_only(column):
        reason = "Only PostgreSQL has this kind of value."
    return FormField(
        key=key,
        label=label or _label(mapper, key, column),
        kind=kind,
        required=not reason and _is_required(column, limits),
        read_only=reason,
        hint=str(column.info.get("hint", "")),
        minimum=_text(column, limits.minimum),
        maximum=_text(column, limits.maximum),
        min_length=limits.min_length,
        max_length=limits.max_length,
        step=_step(column, kind),
        choices=limits.choices,
        is_long=kind in (FieldKind.LONG_TEXT, FieldKind.JSON),
        secret=bool(column.info.get("secret")),
        keeps_blanks=bool(column.info.get("keeps_blanks")),
        has_zone=bool(getattr(column.type, "timezone", False)),
        nullable=bool(column.nullable),
    )


def _reference(
    mapper: Mapper[Any], prop: RelationshipProperty[Any], label: str, reason: str
) -> FormField:
    columns = [c for c in prop.local_columns if isinstance(c, Column)]
    is_nullable = all(column.nullable for column in columns)
    hints = (prop.info.get("hint"), *(c.info.get("hint") for c in columns))
    own_label = next((c.info["label"] for c in columns if c.info.get("label")), "")
    return FormField(
        key=prop.key,
        label=label
        or str(prop.info.get("label") or own_label)
        or sentence(field_word(mapper, prop.key)),
        kind=FieldKind.REFERENCE,
        required=not reason
        and not is_nullable
        and not any(has_default(column) for column in columns),
        read_only=reason,
        hint=str(next((hint for hint in hints if hint), "")),
        target=prop.mapper.class_,
        nullable=is_nullable,
    )


def _label(mapper: Mapper[Any], key: str, column: Column[Any] | None) -> str:
    label = column.info.get("label") if column is not None else None
    return str(label) if label else sentence(field_word(mapper, key))


@dataclass(slots=True)
class _Limits:
    """What check constraints and the type say together."""

    minimum: Any = None
    maximum: Any = None
    min_length: int | None = None
    max_length: int | None = None
    choices: tuple[tuple[str, str], ...] = ()
    is_filled: bool = False


def _limits(column: Column[Any], conditions: list[Condition]) -> _Limits:
    limits = _Limits()
    kind = column.type
    if isinstance(kind, sql.Enum):
        limits.choices = tuple((word, _choice_label(word)) for word in kind.enums)
    elif isinstance(kind, sql.String):
        limits.max_length = kind.length
    for condition in conditions:
        if isinstance(condition.other, Name):
            continue
        if condition.is_length:
            _limit_length(limits, condition)
        else:
            _limit_value(limits, condition, is_whole=isinstance(kind, Integer))
    declared = column.info.get("choices")
    if declared:
        limits.choices = tuple((str(value), str(label)) for value, label in declared)
    return limits


def _limit_length(limits: _Limits, condition: Condition) -> None:
    if not isinstance(condition.other, Decimal):
        return
    number = int(condition.other)
    match condition.operator:
        case "<=" | "<":
            most = number - (condition.operator == "<")
            limits.max_length = min(most, limits.max_length or most)
        case ">=" | ">":
            least = number + (condition.operator == ">")
            limits.min_length = max(least, limits.min_length or 0)
            limits.is_filled = limits.is_filled or least > 0
        case "=":
            limits.min_length = limits.max_length = number
            limits.is_filled = limits.is_filled or number > 0


def _limit_value(limits: _Limits, condition: Condition, *, is_whole: bool) -> None:
    other: Any = condition.other
    match condition.operator:
        case "in":
            limits.choices = tuple(
                (str(value), _choice_label(str(value))) for value in other
            )
        case ">=" | ">":
            if condition.operator == ">" and is_whole and isinstance(other, Decimal):
                other = other.to_integral_value("ROUND_FLOOR") + 1
            if limits.minimum is None or other > limits.minimum:
                limits.minimum = other
        case "<=" | "<":
            if condition.operator == "<" and is_whole and isinstance(other, Decimal):
                other = other.to_integral_value("ROUND_CEILING") - 1
            if limits.maximum is None or other < limits.maximum:
                limits.maximum = other
        case "<>" if other == "":
            limits.is_filled = True


def _choice_label(word: str) -> str:
    """`on_leave` and `ON_LEAVE` as `On leave`; anything unusual stays as it is."""
    if word.isidentifier() and (word.isupper() or word.islower()):
        return sentence(word.replace("_", " ").lower().strip()) or word
    return word


_KINDS: tuple[tuple[Any, FieldKind], ...] = (
    (sql.Enum, FieldKind.CHOICE),
    (sql.Text, FieldKind.LONG_TEXT),
    (sql.String, FieldKind.TEXT),
    (sql.Boolean, FieldKind.BOOLEAN),
    (sql.Integer, FieldKind.INTEGER),
    (sql.Float, FieldKind.FLOAT),
    (sql.Numeric, FieldKind.DECIMAL),
    ((sql.Interval, pg.INTERVAL), FieldKind.INTERVAL),
    (sql.DateTime, FieldKind.DATETIME),
    (sql.Date, FieldKind.DATE),
    (sql.Time, FieldKind.TIME),
    (sql.Uuid, FieldKind.UUID),
    ((sql.JSON, pg.HSTORE), FieldKind.JSON),
    (sql.ARRAY, FieldKind.LIST),
    ((sql.LargeBinary, sql.BINARY, sql.VARBINARY), FieldKind.BINARY),
)


def _kind(column: Column[Any], limits: _Limits) -> FieldKind:
    if limits.choices:
        return FieldKind.CHOICE
    kind = column.type
    if isinstance(kind, sql.TypeDecorator) and not isinstance(kind, sql.Interval):
        kind = kind.impl_instance
    found = next((k for types, k in _KINDS if isinstance(kind, types)), FieldKind.OTHER)
    if found is FieldKind.TEXT and (
        limits.max_length is None or limits.max_length > LONG_TEXT
    ):
        # VARCHAR without a length is a line unless the column says otherwise.
        is_long = limits.max_length is not None or column.info.get("long")
        return FieldKind.LONG_TEXT if is_long else FieldKind.TEXT
    return found


def _is_required(column: Column[Any], limits: _Limits) -> bool:
    if column.nullable or has_default(column):
        return False
    is_text = isinstance(column.type, sql.String) and not isinstance(
        column.type, sql.Enum
    )
    return limits.is_filled or bool(limits.choices) or not is_text


def _step(column: Column[Any], kind: FieldKind) -> str:
    if kind is FieldKind.INTEGER:
        return "1"
    if kind is FieldKind.FLOAT:
        return "any"
    if kind is FieldKind.DECIMAL:
        scale = getattr(column.type, "scale", None)
        precision = getattr(column.type, "precision", None)
        if scale is None:
            return "any" if precision is None else "1"
        return "1" if scale == 0 else f"0.{'0' * (scale - 1)}1"
    return ""


def _text(column: Column[Any], limit: Any) -> str:
    if limit is None:
        return ""
    if isinstance(limit, Decimal):
        return format(limit, "f")
    return format_value(column, limit) if isinstance(limit, date) else str(limit)


def _is_postgresql_only(column: Column[Any]) -> bool:
    kind = column.type
    return isinstance(kind, sql.ARRAY | pg.HSTORE | pg.JSONB) or (
        type(kind).__module__.startswith("sqlalchemy.dialects.postgresql")
        and not isinstance(kind, sql.JSON | sql.Uuid | sql.Enum | sql.Interval)
    )
