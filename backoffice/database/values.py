r"""How a column's value is written as text, and read back bit by bit.

`parse_value(column, format_value(column, value)) == value` holds for every value that
a text can stand for. The exceptions are said where they are: line ends are `\n`, and
the empty text of a nullable column is NULL.

What a text may say is the type's business here: its kind, range and precision. Rules
of the table (check constraints, uniqueness) are `backoffice.database.constraints`'.
"""

import ipaddress
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy import null
from sqlalchemy import types as sql
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.ranges import AbstractRange
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeEngine

SHOWN_LENGTH = 40
JSON_LINE = 72
JSON_DEPTH = 200
# PostgreSQL's numeric has this many digits before the point at most.
NUMERIC_DIGITS = 131_072
TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
SURROGATES = re.compile("[\ud800-\udfff]")


def parse_value(column: Any, text: str, *, is_typed: bool = True) -> Any:
    """The value that `text` stands for in this column.

    A browser sends every line break of what was typed as CR LF; they are LF here.

    An empty text is NULL where the column is nullable, else an empty string, else
    refused. JSON's own null is `JSON.NULL`, so that None is always SQL's NULL.

    Raises:
        ValueError: with a sentence that says what was found and what would be right.
    """
    form = text_form(column.type)
    if form is None:
        raise ValueError("This kind of value cannot be written as text.")
    _refuse_unstorable(text)
    if form.is_text:
        if is_typed:
            text = text.replace("\r\n", "\n")
        if not text and getattr(column, "nullable", True):
            return None
        return form.parse(text)
    text = text.strip()
    if not text:
        if getattr(column, "nullable", True):
            return None
        raise ValueError("A value is required.")
    return form.parse(text)


def format_value(column: Any, value: Any) -> str:
    """The text of a column's value; NULL is the empty text."""
    if value is None:
        return ""
    form = text_form(column.type)
    return str(value) if form is None else form.format(value)


def _as_written(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same for texts that stand for a time that Python has no value for."""
    return lambda value: value if isinstance(value, str) else write(value)


def has_text_form(column: Any) -> bool:
    """Whether values of this column can be typed; otherwise they are read-only."""
    return text_form(column.type) is not None


def value_to_assign(column: Any, value: Any) -> Any:
    """What to set on an object so that None becomes SQL's NULL in JSON columns too."""
    if value is None and _is_json(column.type):
        return null()
    return value


@dataclass(frozen=True, slots=True)
class TextForm:
    """How one type's values are written and read."""

    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    # Spaces count, and the empty text is a value.
    is_text: bool = False
    # Stands in a JSON list without quotes.
    is_bare: bool = False


@lru_cache(maxsize=4096)
def text_form(kind: TypeEngine[Any]) -> TextForm | None:
    """How values of this type are written; None where they cannot be."""
    for types, make in FORMS:
        if isinstance(kind, types):
            return make(kind)
    if isinstance(kind, AbstractRange):
        return _range_form(kind)
    if isinstance(kind, pg.DOMAIN):
        return text_form(kind.data_type)
    if isinstance(kind, sql.PickleType):
        return None
    if isinstance(kind, sql.TypeDecorator):
        return _decorated_form(kind)
    return None


def _is_json(kind: TypeEngine[Any]) -> bool:
    if isinstance(kind, sql.TypeDecorator):
        return isinstance(kind.impl_instance, sql.JSON)
    return isinstance(kind, sql.JSON)


def shown(text: str) -> str:
    """A text as a sentence repeats it: on one line and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LENGTH else line[: SHOWN_LENGTH - 1] + "…"


def _refuse_unstorable(text: str) -> None:
    if "\x00" in text:
        raise ValueError("The text has a NUL character, which cannot be stored.")
    if SURROGATES.search(text):
        raise ValueError("The text has half a character, which cannot be stored.")


# Text


def _text(kind: sql.String) -> TextForm:
    return TextForm(partial(_parse_text, kind.length), str, is_text=True)


def _parse_text(length: int | None, text: str) -> str:
    if length is not None and len(text) > length:
        raise ValueError(
            f"The text has {len(text):,} characters; {length:,} is the most that fits."
        )
    return text


def _enum(kind: sql.Enum) -> TextForm:
    values: list[Any] = list(kind.enums)
    if kind.enum_class is not None:
        # SQLAlchemy keeps the stored words in the order of the members.
        by_word = {word: _enum_member(kind, word) for word in kind.enums}
    else:
        by_word = {word: word for word in values}
    words = {member: word for word, member in by_word.items()}

    def parse(text: str) -> Any:
        if text in by_word:
            return by_word[text]
        for member in by_word.values():
            if isinstance(member, Enum) and text in (member.name, str(member.value)):
                return member
        choices = ", ".join(kind.enums[:12])
        raise ValueError(f"{shown(text)} is not one of: {choices}.")

    return TextForm(parse, lambda value: str(words.get(value, value)))


def _enum_member(kind: sql.Enum, word: str) -> Any:
    process = kind.result_processor(_DIALECT, None)  # type: ignore[no-untyped-call]
    return process(word) if process else word


# Numbers

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _integer(kind: sql.Integer) -> TextForm:
    bits = 31
    if isinstance(kind, sql.BigInteger):
        bits = 63
    elif isinstance(kind, sql.SmallInteger):
        bits = 15
    return TextForm(partial(_parse_integer, bits), str, is_bare=True)


def _parse_integer(bits: int, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a whole number.")
    largest = 2**bits - 1
    # Python refuses to read thousands of digits; nobody needs them to be read.
    digits = text.lstrip("+-").lstrip("0")
    number = int(text) if len(digits) <= len(str(largest)) else None
    if text.startswith("-") and (number is None or number < -largest - 1):
        raise ValueError(
            f"{shown(text)} is too small; {-largest - 1:,} is the least that fits."
        )
    if number is None or number > largest:
        raise ValueError(
            f"{shown(text)} is too large; {largest:,} is the most that fits."
        )
    return number


def _numeric(kind: sql.Numeric[Any]) -> TextForm:
    read: Callable[[Decimal], Any] = Decimal if kind.asdecimal else float

    def parse(text: str) -> Any:
        return read(_parse_decimal(kind.precision, kind.scale, text))

    return TextForm(parse, _format_decimal, is_bare=True)


def _parse_decimal(precision: int | None, scale: int | None, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        hint = "; write decimals with a point" if "," in text else ""
        raise ValueError(f"{shown(text)} is not a number{hint}.")
    whole, _, fraction = text.lstrip("+-").partition(".")
    whole = whole.lstrip("0")
    if precision is not None:
        scale = scale or 0
        if len(fraction.rstrip("0")) > scale:
            raise ValueError(
                f"{shown(text)} has more than {scale} decimals."
                if scale
                else f"{shown(text)} has decimals; only whole numbers fit."
            )
        # 1.5 and 1.50 are one value of the column, and so one text.
        fraction = fraction[:scale].ljust(scale, "0")
    most = NUMERIC_DIGITS if precision is None else precision - (scale or 0)
    if len(whole) > most:
        raise ValueError(
            f"{shown(text)} is too large; {most:,} digits before the point fit."
        )
    if len(fraction) > NUMERIC_DIGITS // 8:
        raise ValueError(f"{shown(text)} has too many decimals.")
    sign = "-" if text.startswith("-") and (whole + fraction).strip("0") else ""
    return Decimal(f"{sign}{whole or 0}.{fraction}")


def _format_decimal(value: Any) -> str:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    return format(number, "f") if number.is_finite() else str(value)


def _float(kind: sql.Float[Any]) -> TextForm:
    is_single = isinstance(kind, sql.REAL) or 0 < (kind.precision or 0) <= 24  # noqa: PLR2004 - as SQL says
    read: Callable[[str], Any] = Decimal if kind.asdecimal else float

    def parse(text: str) -> Any:
        if not _FLOAT.fullmatch(text):
            hint = "; write decimals with a point" if "," in text else ""
            raise ValueError(f"{shown(text)} is not a number{hint}.")
        if _overflows(float(text), is_single=is_single):
            raise ValueError(f"{shown(text)} is too large a number.")
        return read(text)

    return TextForm(parse, _format_float, is_bare=True)


def _format_float(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(float(value))


def _overflows(number: float, *, is_single: bool) -> bool:
    if math.isinf(number):
        return True
    if is_single:
        try:
            struct.pack("<f", number)
        except OverflowError:
            return True
    return False


def _boolean(_kind: sql.Boolean) -> TextForm:
    return TextForm(
        _parse_boolean, lambda value: "true" if value else "false", is_bare=True
    )


def _parse_boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError(f"{shown(text)} is neither yes nor no.")


# Times

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)?"
_IS_DATE = re.compile(_DATE)
_IS_TIME = re.compile(_TIME + _OFFSET)
_IS_DATETIME = re.compile(_DATE + "[T ]" + _TIME + " ?" + _OFFSET)
_INTERVAL = re.compile(
    r"([+-])?(?:([0-9]{1,9}) ?(?:days?|d))?\s*"
    r"(?:([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,6}))?)?)?"
)


def _date(_kind: sql.Date) -> TextForm:
    return TextForm(_parse_date, _as_written(lambda value: str(value.isoformat())))


def _parse_date(text: str) -> date:
    with suppress(ValueError):
        if _IS_DATE.fullmatch(text):
            return date.fromisoformat(text)
    raise ValueError(f"{shown(text)} is not a date such as 2025-08-31.")


def _time(kind: sql.Time) -> TextForm:
    def parse(text: str) -> time:
        found = None
        with suppress(ValueError):
            if _IS_TIME.fullmatch(text):
                found = time.fromisoformat(text)
        if found is None:
            raise ValueError(f"{shown(text)} is not a time such as 14:30 or 14:30:15.")
        if not kind.timezone and found.tzinfo is not None:
            raise ValueError(f"{shown(text)} has an offset; this time has no zone.")
        if kind.timezone and found.tzinfo is None:
            return found.replace(tzinfo=UTC)
        return found

    return TextForm(parse, _as_written(lambda value: str(value.isoformat())))


def _datetime(kind: sql.DateTime) -> TextForm:
    def parse(text: str) -> datetime:
        found = None
        with suppress(ValueError):
            if _IS_DATETIME.fullmatch(text):
                found = datetime.fromisoformat(
                    text.replace(" ", "T", 1).replace(" ", "")
                )
        if found is None:
            raise ValueError(
                f"{shown(text)} is not a date and time such as 2025-08-31 14:30."
            )
        if not kind.timezone:
            if found.tzinfo is not None:
                raise ValueError(f"{shown(text)} has an offset; this time has no zone.")
            return found
        if found.tzinfo is None:
            return found.replace(tzinfo=UTC)
        try:
            # One instant, one value: SQLite would drop the offset.
            return found.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{shown(text)} is out of range.") from None

    return TextForm(parse, _as_written(partial(_format_datetime, kind.timezone)))


def _format_datetime(has_zone: bool, value: datetime) -> str:  # noqa: FBT001 - bound by partial
    if has_zone and value.tzinfo is None:
        # SQLite gives times back without the zone, which was UTC.
        value = value.replace(tzinfo=UTC)
    return value.isoformat()


def _interval(_kind: Any) -> TextForm:
    return TextForm(_parse_interval, _as_written(_format_interval))


def _parse_interval(text: str) -> timedelta:
    found = _INTERVAL.fullmatch(text)
    if found is None or not any(found.group(2, 3)):
        raise ValueError(
            f"{shown(text)} is not a length of time such as 3 days 04:30:00."
        )
    sign, days, hours, minutes, seconds, fraction = found.groups(default="0")
    try:
        length = timedelta(
            days=int(days),
            hours=int(hours),
            minutes=int(minutes),
            seconds=int(seconds),
            microseconds=int(fraction.ljust(6, "0")),
        )
    except OverflowError:
        raise ValueError(f"{shown(text)} is too long a time.") from None
    return -length if sign == "-" else length


def _format_interval(value: timedelta) -> str:
    # Microseconds as a whole number: the negative of the least length overflows.
    total = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign = "-" if total < 0 else ""
    days, rest = divmod(abs(total), 86_400_000_000)
    seconds, micro = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if micro:
        clock += f".{micro:06}"
    if not days:
        return sign + clock
    unit = "day" if days == 1 else "days"
    return f"{sign}{days} {unit} {clock}" if rest else f"{sign}{days} {unit}"


# JSON


def _json(_kind: sql.JSON) -> TextForm:
    return TextForm(_parse_json, _format_json)


def _parse_json(text: str) -> Any:
    value = read_json(text)
    return sql.JSON.NULL if value is None else value


def read_json(text: str, *, number: Callable[[str], Any] | None = None) -> Any:
    """A JSON document whose every part can be stored and read back as it is.

    Raises:
        ValueError: no JSON, a name that stands twice, NaN, a number that Python would
            round, a character that PostgreSQL cannot store, or too deep a nesting.
    """
    if _deepest(text) > JSON_DEPTH:
        raise ValueError(f"The JSON is nested deeper than {JSON_DEPTH} levels.")
    try:
        value = json.loads(
            text,
            parse_float=number or _exact_float,
            parse_int=number or _json_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_without_doubles,
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            f"This is not JSON: {error.msg}, line {error.lineno},"
            f" character {error.colno}."
        ) from None
    for part in _strings(value):
        _refuse_unstorable(part)
    return value


def _format_json(value: Any) -> str:
    if value is sql.JSON.NULL:
        return "null"
    line = json.dumps(value, ensure_ascii=False, default=str)
    if len(line) <= JSON_LINE or not isinstance(value, dict | list):
        return line
    return json.dumps(value, ensure_ascii=False, default=str, indent=2)


def _exact_float(text: str) -> float:
    number = float(text)
    if math.isinf(number) or Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{shown(text)} has more digits than can be kept exactly.")
    return number


def _json_integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python reads numbers of up to 4,300 digits
        raise ValueError(f"{shown(text)} is too long a number.") from None


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that JSON knows.")


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f'The name "{shown(name)}" stands twice in one object.')
        found[name] = value
    return found


def _deepest(text: str) -> int:
    """How deep brackets nest, not counting those in strings."""
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.DOTALL):
        mark = token.group()
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _strings(item)


def _hstore(_kind: pg.HSTORE) -> TextForm:
    def parse(text: str) -> dict[str, str | None]:
        value = read_json(text)
        if not isinstance(value, dict) or not all(
            item is None or isinstance(item, str) for item in value.values()
        ):
            raise ValueError('Write names and texts, as {"colour": "red"}.')
        return value

    return TextForm(parse, _format_json)


# Arrays: a JSON list whose items are written as the item's type writes them.


class _Number(str):
    """A number of a JSON list, as it was written."""

    __slots__ = ()


def _array(kind: sql.ARRAY[Any]) -> TextForm | None:
    item = text_form(kind.item_type)
    if item is None:
        return None
    depth = kind.dimensions or (1 if _is_json(kind.item_type) else None)
    read = partial(_read_item, item, _is_json(kind.item_type))
    write = partial(_write_item, item, _is_json(kind.item_type))

    def parse(text: str) -> Any:
        value = read_json(text, number=None if depth == 1 and is_json else _Number)
        if not isinstance(value, list):
            raise ValueError(  # noqa: TRY004 - what parse_value promises
                f"{shown(text)} is not a list such as {example}."
            )
        _refuse_ragged(value, depth)
        found = _each_item(value, read, depth)
        return _as_tuple(found) if kind.as_tuple else found

    is_json = _is_json(kind.item_type)
    example = "[1, 2]" if item.is_bare else '["a", "b"]'
    return TextForm(parse, lambda value: _write_list(value, write, depth))


def _each_item(value: list[Any], read: Callable[[Any], Any], depth: int | None) -> Any:
    return [
        _each_item(item, read, depth and depth - 1)
        if isinstance(item, list) and depth != 1
        else read(item)
        for item in value
    ]


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list) else value


def _refuse_ragged(value: list[Any], depth: int | None) -> None:
    if depth == 1:
        return
    inner = [item for item in value if isinstance(item, list)]
    if not inner:
        return
    if len(inner) != len(value) or len({len(item) for item in inner}) > 1:
        raise ValueError("The inner lists have to be of one length.")
    for item in inner:
        _refuse_ragged(item, depth and depth - 1)


def _read_item(form: TextForm, is_json: bool, item: Any) -> Any:  # noqa: FBT001 - bound by partial
    if is_json:
        return item
    if item is None:
        return None
    if isinstance(item, bool):
        return form.parse("true" if item else "false")
    if not isinstance(item, str):
        raise ValueError("An item of the list has a list or an object in it.")  # noqa: TRY004
    if isinstance(item, _Number) and not form.is_bare:
        raise ValueError(f"{item} has to stand in quotes in this list.")
    return form.parse(str(item))


def _write_item(form: TextForm, is_json: bool, item: Any) -> str:  # noqa: FBT001 - bound by partial
    if item is None:
        return "null"
    if is_json:
        return json.dumps(item, ensure_ascii=False, default=str)
    text = form.format(item)
    is_bare = form.is_bare and (text in ("true", "false") or _FLOAT.fullmatch(text))
    return text if is_bare else json.dumps(text, ensure_ascii=False)


def _write_list(value: Any, write: Callable[[Any], str], depth: int | None) -> str:
    parts = (
        _write_list(item, write, depth and depth - 1)
        if isinstance(item, list | tuple) and depth != 1
        else write(item)
        for item in value
    )
    return f"[{', '.join(parts)}]"


# The rest: bytes, UUIDs, addresses, ranges, and types made of other types


def _binary(_kind: Any) -> TextForm:
    return TextForm(_parse_binary, lambda value: bytes(value).hex())


def _parse_binary(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("\\x"))
    except ValueError:
        raise ValueError(
            f"{shown(text)} is not a row of bytes in hexadecimal, such as 00ff."
        ) from None


def _uuid(kind: sql.Uuid[Any]) -> TextForm:
    def parse(text: str) -> Any:
        if not re.fullmatch(
            r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", text
        ):
            raise ValueError(f"{shown(text)} is not a UUID.")
        found = UUID(text)
        return found if kind.as_uuid else str(found)

    return TextForm(parse, str)


def _inet(_kind: Any) -> TextForm:
    def parse(text: str) -> Any:
        with suppress(ValueError):
            found = ipaddress.ip_interface(text)
            is_host = found.network.prefixlen == found.max_prefixlen
            return found.ip if is_host else found
        raise ValueError(f"{shown(text)} is not an address such as 192.0.2.1.")

    return TextForm(parse, str)


def _cidr(_kind: Any) -> TextForm:
    def parse(text: str) -> Any:
        with suppress(ValueError):
            return ipaddress.ip_network(text)
        raise ValueError(f"{shown(text)} is not a network such as 192.0.2.0/24.")

    return TextForm(parse, str)


def _mac(octets: int) -> Callable[[Any], TextForm]:
    def parse(text: str) -> str:
        digits = re.sub("[:.-]", "", text).lower()
        if not re.fullmatch(f"[0-9a-f]{{{2 * octets}}}", digits):
            raise ValueError(f"{shown(text)} is not a hardware address.")
        return ":".join(digits[i : i + 2] for i in range(0, 2 * octets, 2))

    return lambda _kind: TextForm(parse, str)


def _bits(_kind: Any) -> TextForm:
    def parse(text: str) -> Any:
        if not re.fullmatch("[01]+", text):
            raise ValueError(f"{shown(text)} is not a row of 0 and 1.")
        return pg.BitString(text)

    return TextForm(parse, str)


_RANGE_ITEMS: dict[type[Any], TypeEngine[Any]] = {
    pg.INT4RANGE: sql.Integer(),
    pg.INT8RANGE: sql.BigInteger(),
    pg.NUMRANGE: sql.Numeric(),
    pg.DATERANGE: sql.Date(),
    pg.TSRANGE: sql.DateTime(),
    pg.TSTZRANGE: sql.DateTime(timezone=True),
}
_RANGE = re.compile(r"([\[(])\s*([^,]*?)\s*,\s*([^,]*?)\s*([\])])")


def _range_form(kind: AbstractRange[Any]) -> TextForm | None:
    item_type = next((t for c, t in _RANGE_ITEMS.items() if isinstance(kind, c)), None)
    item = None if item_type is None else text_form(item_type)
    if item is None:
        return None

    def parse(text: str) -> pg.Range[Any]:
        if text == "empty":
            return pg.Range(empty=True)
        found = _RANGE.fullmatch(text)
        if found is None:
            raise ValueError(f"{shown(text)} is not a range such as [from,to).")
        left, lower, upper, right = found.groups()
        first: Any = item.parse(lower) if lower else None
        last: Any = item.parse(upper) if upper else None
        if first is not None and last is not None and first > last:
            raise ValueError("The range ends before it begins.")
        bounds: Any = left + right
        return pg.Range(first, last, bounds=bounds)

    def form(value: pg.Range[Any]) -> str:
        if value.is_empty:
            return "empty"
        lower, upper = (
            "" if end is None else item.format(end)
            for end in (value.lower, value.upper)
        )
        return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"

    return TextForm(parse, form)


_DIALECT = DefaultDialect()


def _decorated_form(kind: sql.TypeDecorator[Any]) -> TextForm | None:
    """The inner type's form, with the project's own conversion around it."""
    inner = text_form(kind.impl_instance)
    if inner is None:
        return None
    decorator = type(kind)
    reads = decorator.process_result_value is not sql.TypeDecorator.process_result_value
    writes = decorator.process_bind_param is not sql.TypeDecorator.process_bind_param

    def parse(text: str) -> Any:
        value = inner.parse(text)
        if not reads:
            return value
        try:
            return kind.process_result_value(value, _DIALECT)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            raise ValueError(f"{shown(text)} cannot be used here.") from None

    def form(value: Any) -> str:
        stored = kind.process_bind_param(value, _DIALECT) if writes else value
        return "" if stored is None else inner.format(stored)

    return TextForm(parse, form, is_text=inner.is_text, is_bare=inner.is_bare)


# The first that fits is taken: an Enum is a String, an Interval a TypeDecorator.
FORMS: tuple[tuple[Any, Callable[[Any], TextForm | None]], ...] = (
    (sql.Enum, _enum),
    (sql.String, _text),
    (sql.Boolean, _boolean),
    (sql.Integer, _integer),
    (sql.Float, _float),
    (sql.Numeric, _numeric),
    ((sql.Interval, pg.INTERVAL), _interval),
    (sql.DateTime, _datetime),
    (sql.Date, _date),
    (sql.Time, _time),
    (sql.Uuid, _uuid),
    (sql.JSON, _json),
    (sql.ARRAY, _array),
    ((sql.LargeBinary, sql.BINARY, sql.VARBINARY), _binary),
    (pg.INET, _inet),
    (pg.CIDR, _cidr),
    (pg.MACADDR, _mac(6)),
    (pg.MACADDR8, _mac(8)),
    (pg.BIT, _bits),
    (pg.HSTORE, _hstore),
)
