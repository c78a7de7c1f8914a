r"""How does PostgreSQL write a record's key as we do, and read it again?

As `format_key_values`: one column as its value's text, several joined by `;` with `\`
before what is no separator.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CHAR,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Numeric,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal,
    type_coerce,
)

# Python knows no years beyond; such a value is read as the text that it has anyway.
FIRST, LAST = literal("0001-01-01"), literal("9999-12-31 23:59:59.999999")
PART = r"((?:[^\\;]|\\.)*)"


def has_plain_keys(keys: Sequence[Column[Any]]) -> bool:
    """Whether the database writes the key as text just as we do."""
    return all(map(_is_plain, keys))


def _is_plain(key: Column[Any]) -> bool:
    kind = key.type
    if isinstance(kind, Numeric):
        return kind.asdecimal and not isinstance(kind, Float)
    if isinstance(kind, CHAR):
        return False  # as text it has no blanks at its end
    return isinstance(kind, Integer | String | Uuid | Date | DateTime | Boolean)


def key_text_postgresql(keys: Sequence[Any]) -> ColumnElement[str]:
    """The key as `format_key_values` writes it; for plain keys."""
    if len(keys) == 1:
        return _text(keys[0])
    escaped = [
        func.regexp_replace(_text(key), r"([\\;])", r"\\\1", "g") for key in keys
    ]
    joined: ColumnElement[str] = escaped[0]
    for part in escaped[1:]:
        joined = joined + literal(";") + part
    return joined


def _text(key: Any) -> ColumnElement[str]:
    if isinstance(key.type, DateTime):
        return _moment(key)
    return cast(key, Text)


def _moment(key: Any) -> ColumnElement[str]:
    """As Python's `isoformat`: with the fraction if there is one, and in UTC."""
    has_zone = bool(key.type.timezone)
    plain = func.timezone(literal("UTC"), key) if has_zone else key
    plain = type_coerce(plain, DateTime())
    is_whole = func.date_trunc("second", plain) == plain
    form = 'YYYY-MM-DD"T"HH24:MI:SS'
    text: ColumnElement[Any] = case(
        (is_whole, func.to_char(plain, form)), else_=func.to_char(plain, f"{form}.US")
    )
    if has_zone:
        text = text + literal("+00:00")
    is_known = plain.between(cast(FIRST, DateTime()), cast(LAST, DateTime()))
    return case((is_known, text), else_=cast(key, Text))


def keys_postgresql(
    text: ColumnElement[str], keys: Sequence[Column[Any]]
) -> list[ColumnElement[Any]]:
    """The values that a key's text stands for, each of its column's type."""
    if len(keys) == 1:
        return [cast(text, keys[0].type)]
    parts = func.regexp_match(
        text, f"^{';'.join([PART] * len(keys))}$", type_=ARRAY(Text)
    )
    return [
        cast(func.regexp_replace(parts[place], r"\\(.)", r"\1", "g"), key.type)
        for place, key in enumerate(keys, 1)
    ]
