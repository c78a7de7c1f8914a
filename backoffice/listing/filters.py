"""What a filter's texts mean, and the condition that they come to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    DateTime,
    Enum,
    String,
    and_,
    false,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Mapper, RelationshipDirection, RelationshipProperty

from backoffice.database.choices import CHOICES
from backoffice.database.keys import parse_key
from backoffice.database.values import parse_value, shown
from backoffice.errors import RecordNotFound
from backoffice.listing.paths import PathKind, Paths, Place
from backoffice.listing.query import Bound, FilterValue, Span
from backoffice.listing.spec import FilterField, FilterKind, ListSpec

MOST_VALUES = 100

Refuse = Callable[[str, str, str], None]

_DAY = timedelta(days=1)
_YES_NO = {"yes": True, "no": False}


def read_filter(
    spec: ListSpec,
    declared: FilterField,
    asked: Mapping[str, Sequence[str]],
    refuse: Refuse,
) -> FilterValue | None:
    """The filter as it is asked for; None where it is not, or not rightly."""
    path = declared.path
    name = spec.label(path)
    place = spec.paths.place(path)
    texts = [text.strip() for text in asked.get(path, ())]
    low_text = _once(asked, f"{path}__from", name, refuse)
    high_text = _once(asked, f"{path}__to", name, refuse)
    empty_text = _once(asked, f"{path}__empty", name, refuse)
    if not (texts or low_text or high_text or empty_text):
        return None
    read = partial(_read_value, declared, place)
    values: dict[str, Any] = {}
    if len(texts) > MOST_VALUES:
        refuse(
            path,
            texts[0],
            f"{name} has {len(texts)} values; {MOST_VALUES} are the most.",
        )
        texts = []
    for text in texts:
        try:
            values[text] = read(text)
        except ValueError as error:
            refuse(path, text, f"{name}: {error}")
    low = _bound(place, f"{path}__from", low_text, name, refuse)
    high = _bound(place, f"{path}__to", high_text, name, refuse)
    _refuse_backwards(low, high, name, path, refuse)
    empty = _YES_NO.get(empty_text)
    if empty_text and empty is None:
        refuse(
            f"{path}__empty",
            empty_text,
            f"{name}: empty is {shown(empty_text)!r}; yes and no are understood.",
        )
    found = FilterValue(
        path, declared.kind, tuple(values), tuple(values.values()), low, high, empty
    )
    return found if found.items() else None


def filter_condition(paths: Paths, found: FilterValue) -> ColumnElement[bool]:
    """Which rows fit a filter; its relation has to be joined by `Paths.join`."""
    place = paths.place(found.path)
    fits: list[ColumnElement[bool]] = []
    if found.values:
        fits.append(_has_one_of(paths, place, found))
    within = _within(place, found)
    if within is not None:
        fits.append(within)
    if found.empty is None:
        return or_(*fits)
    empty = is_empty(paths, place)
    if found.empty:
        return or_(*fits, empty)
    return and_(or_(*fits), not_(empty)) if fits else not_(empty)


def is_empty(paths: Paths, place: Place) -> ColumnElement[bool]:
    """Whether there is no value: null, or a text of no length."""
    if place.kind is PathKind.RELATIONSHIP:
        if _relationship(place).direction is RelationshipDirection.MANYTOONE:
            columns = _local_columns(paths, place)
            return or_(*(column.is_(None) for column in columns))
        refers: ColumnElement[bool] = getattr(
            paths.entity(place.prefix), place.key
        ).has()
        return not_(refers)
    expression = _expression(place)
    kind = expression.type
    if isinstance(kind, String) and not isinstance(kind, Enum):
        return or_(expression.is_(None), expression == literal("", expression.type))
    return expression.is_(None)


def declared_choices(
    declared: FilterField, place: Place
) -> tuple[tuple[str, str], ...]:
    """What a filter offers without a look at the table, as (value, label)."""
    if declared.choices:
        return declared.choices
    if declared.kind is FilterKind.BOOLEAN:
        return (("true", "Yes"), ("false", "No"))
    if place.column is None or declared.kind is not FilterKind.CHOICE:
        return ()
    if given := place.column.info.get(CHOICES):
        return tuple((str(value), str(label)) for value, label in given)
    if isinstance(place.column.type, Enum):
        return tuple((word, _in_words(word)) for word in place.column.type.enums)
    return ()


def _in_words(word: str) -> str:
    text = word.replace("_", " ").strip()
    text = text if any(c.islower() for c in text) else text.lower()
    return text[:1].upper() + text[1:]


def _once(
    asked: Mapping[str, Sequence[str]], parameter: str, name: str, refuse: Refuse
) -> str:
    values = asked.get(parameter, ())
    if len(values) > 1:
        refuse(parameter, values[1], f"{name} is given twice.")
        return ""
    return values[0].strip() if values else ""


def _read_value(declared: FilterField, place: Place, text: str) -> Any:
    """The value that a text stands for.

    Raises:
        ValueError: with a sentence.
    """
    if declared.kind is FilterKind.REFERENCE and place.relationship is not None:
        try:
            return parse_key(place.relationship.mapper, text)
        except RecordNotFound as error:
            raise ValueError(str(error)) from None
    choices = declared_choices(declared, place)
    known = [value for value, _ in choices]
    if declared.kind is FilterKind.CHOICE and known and text not in known:
        labels = [label for _, label in choices]
        listed = ", ".join(labels[:12]) + (", …" if labels[12:] else "")
        raise ValueError(f"{shown(text)} is not one of: {listed}.")
    if place.column is not None and isinstance(place.column.type, DateTime):
        return _day_or_instant(place.column, text)
    return parse_value(_typed(place), text)


def _typed(place: Place) -> Any:
    """What `parse_value` reads the type from: a column, or an expression's type."""
    return place.column if place.column is not None else _Typed(_expression(place).type)


class _Typed:
    """An expression's type, as a column has it."""

    nullable = False

    def __init__(self, kind: Any) -> None:
        self.type = kind


def _day_or_instant(column: Column[Any], text: str) -> Any:
    """A whole day in UTC where only a date is given, else the instant."""
    day = _day(text)
    if day is None:
        return parse_value(column, text)
    return Span(_midnight(column, day), _midnight(column, _next(day)))


def _bound(
    place: Place, parameter: str, text: str, name: str, refuse: Refuse
) -> Bound | None:
    """One end of a range; the end of a timestamp's range is a whole day's."""
    if not text:
        return None
    is_low = parameter.endswith("__from")
    column = place.column
    try:
        if column is None or not isinstance(column.type, DateTime):
            return Bound(text, parse_value(_typed(place), text))
        day = _day(text)
        if day is None:
            return Bound(text, parse_value(column, text))
        if is_low:
            return Bound(text, _midnight(column, day))
        return Bound(text, _midnight(column, _next(day)), is_included=False)
    except ValueError as error:
        refuse(parameter, text, f"{name}: {error}")
        return None


def _day(text: str) -> date | None:
    if len(text) != len("2026-01-31"):
        return None
    value: date = parse_value(_Typed(Date()), text)
    return value


def _next(day: date) -> date:
    try:
        return day + _DAY
    except OverflowError:
        raise ValueError(f"{day} is the last day that there is.") from None


def _midnight(column: Column[Any], day: date) -> datetime:
    has_zone = isinstance(column.type, DateTime) and column.type.timezone
    return datetime.combine(day, time(), UTC if has_zone else None)


def _refuse_backwards(
    low: Bound | None, high: Bound | None, name: str, path: str, refuse: Refuse
) -> None:
    if low is None or high is None:
        return
    if low.value > high.value or (low.value == high.value and not high.is_included):
        message = f"{name}: from {low.text} to {high.text} is backwards."
        refuse(f"{path}__from", low.text, message)


def _has_one_of(paths: Paths, place: Place, found: FilterValue) -> ColumnElement[bool]:
    if place.kind is PathKind.RELATIONSHIP:
        return _refers_to(paths, place, found.values)
    expression = _expression(place)
    spans = [v for v in found.values if isinstance(v, Span)]
    plain = [v for v in found.values if not isinstance(v, Span)]
    fits = [
        and_(
            expression >= literal(span.low, expression.type),
            expression < literal(span.end, expression.type),
        )
        for span in spans
    ]
    if len(plain) == 1:
        # `col = true` and `col IS true` differ for an index: the former is served.
        fits.append(expression == literal(plain[0], expression.type))
    elif plain:
        fits.append(expression.in_([literal(v, expression.type) for v in plain]))
    return or_(*fits)


def _refers_to(
    paths: Paths, place: Place, keys: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Whether a row refers to one of the records with these keys."""
    relationship = _relationship(place)
    target = relationship.mapper
    pairs = relationship.local_remote_pairs or []
    by_key = {c: index for index, c in enumerate(target.primary_key)}
    if all(remote in by_key for _, remote in pairs):
        locals_ = _local_columns(paths, place)
        positions = [by_key[remote] for _, remote in pairs]
        if len(locals_) == 1:
            position, local = positions[0], locals_[0]
            values = [literal(key[position], local.type) for key in keys]
            if len(values) == 1:
                return local == values[0]
            return local.in_(values)
        return or_(
            *(
                and_(
                    *(
                        local == literal(key[position], local.type)
                        for local, position in zip(locals_, positions, strict=True)
                    )
                )
                for key in keys
            )
        )
    return _refers_elsewhere(paths, place, target, keys)


def _refers_elsewhere(
    paths: Paths, place: Place, target: Mapper[Any], keys: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """The same where the foreign key names another unique column than the key."""
    pairs = _relationship(place).local_remote_pairs or []
    if len(pairs) != 1:
        return false()
    remote = pairs[0][1]
    matches = or_(
        *(
            and_(*(c == v for c, v in zip(target.primary_key, key, strict=True)))
            for key in keys
        )
    )
    local = _local_columns(paths, place)[0]
    return local.in_(select(remote).where(matches))


def _local_columns(paths: Paths, place: Place) -> list[ColumnElement[Any]]:
    """The foreign key's columns, on the alias that the list joins."""
    entity = paths.entity(place.prefix)
    pairs = _relationship(place).local_remote_pairs or []
    return [
        getattr(entity, place.mapper.get_property_by_column(local).key)
        for local, _ in pairs
    ]


def _within(place: Place, found: FilterValue) -> ColumnElement[bool] | None:
    if found.low is None and found.high is None:
        return None
    expression = _expression(place)
    ends = []
    if found.low is not None:
        low = literal(found.low.value, expression.type)
        ends.append(expression >= low)
    if found.high is not None:
        high = literal(found.high.value, expression.type)
        is_included = found.high.is_included
        ends.append(expression <= high if is_included else expression < high)
    return and_(*ends)


def _expression(place: Place) -> ColumnElement[Any]:
    if place.expression is None:
        raise LookupError(f"{place.path} is no column.")
    return place.expression


def _relationship(place: Place) -> RelationshipProperty[Any]:
    if place.relationship is None:
        raise LookupError(f"{place.path} is no relationship.")
    return place.relationship
