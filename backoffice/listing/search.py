"""Which rows a search finds: every word somewhere, each word in any declared field."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    String,
    Text,
    and_,
    cast,
    false,
    func,
    inspect,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.visitors import iterate

from backoffice.database.textsearch import (
    PUNCTUATION,
    search_vector,
    search_words,
    starts_words,
)
from backoffice.database.values import parse_value
from backoffice.listing.paths import (
    Entity,
    PathKind,
    Paths,
    Scope,
    entity_class,
    ways,
    within,
)
from backoffice.listing.query import Term
from backoffice.listing.sorting import is_distinct_by_index
from backoffice.listing.spec import SearchField, SearchMode

POSTGRESQL = "postgresql"


Scopes = Mapping[type[Any], Scope]


def search_condition(
    paths: Paths,
    fields: Sequence[SearchField],
    terms: Iterable[Term],
    dialect: str,
    scopes: Scopes | None = None,
) -> ColumnElement[bool]:
    """Which rows have every term in some field; needs no join, doubles no row.

    Records that are referred to are searched within their models' `scopes`.
    """
    by_way = _by_way(fields)
    scopes = scopes or {}
    way = next(iter(by_way), ())
    if len(by_way) == 1 and _is_to_one(paths, way):
        # One record is behind it: it is looked for once, with all the words.
        return _found(paths, by_way, tuple(terms), dialect, scopes)
    return and_(*(_found(paths, by_way, (term,), dialect, scopes) for term in terms))


def search_parts(
    paths: Paths,
    fields: Sequence[SearchField],
    terms: Sequence[Term],
    dialect: str,
) -> tuple[ColumnElement[bool], ...]:
    """The search condition in parts of which no row fits two; none where one is best.

    Two where each of several words may start a word or be a whole value and an index
    serves both: the rows that have all words by their starts, and the few others.
    PostgreSQL asks the word index for all words at once then. In one condition it asks
    for each word, beside the values, and puts the rows together itself: a third more
    for two words with 32,000 hits among 1,000,000 rows.
    """
    starts = [field for field in fields if field.mode is SearchMode.WORD_START]
    others = [field for field in fields if field.mode is not SearchMode.WORD_START]
    is_parted = (
        dialect == POSTGRESQL
        and len(terms) > 1
        and bool(starts)
        and bool(others)
        and all(_is_exact_by_index(paths, field) for field in others)
        and not any("." in field.path for field in starts)
        and has_word_index(paths.mapper, [field.path for field in starts])
    )
    if not is_parted:
        return ()
    by_start = [_any_field(paths.model, starts, term, dialect) for term in terms]
    by_value = [_any_field(paths.model, others, term, dialect) for term in terms]
    all_start = and_(*by_start)
    each = (or_(*pair) for pair in zip(by_start, by_value, strict=True))
    return all_start, and_(or_(*by_value), *each, not_(all_start))


def _is_exact_by_index(paths: Paths, field: SearchField) -> bool:
    """Whether the value is one of the list's own, looked up in an index."""
    column = paths.place(field.path).column
    return (
        field.mode is SearchMode.EXACT
        and "." not in field.path
        and column is not None
        and is_distinct_by_index(column)
    )


def _by_way(fields: Sequence[SearchField]) -> dict[tuple[str, ...], list[SearchField]]:
    """The fields by the relationships that lead to them."""
    found: dict[tuple[str, ...], list[SearchField]] = {}
    for field in fields:
        *way, _ = field.path.split(".")
        found.setdefault(tuple(way), []).append(field)
    return found


def _is_to_one(paths: Paths, way: Sequence[str]) -> bool:
    """Whether the way leads to one record of each row, through foreign keys."""
    return all(
        paths.place(path).kind is PathKind.RELATIONSHIP for path in ways(".".join(way))
    )


def _found(
    paths: Paths,
    by_way: dict[tuple[str, ...], list[SearchField]],
    terms: Sequence[Term],
    dialect: str,
    scopes: Scopes,
) -> ColumnElement[bool]:
    conditions = [
        _reached(paths, "", paths.model, way, fields, terms, dialect, scopes)
        for way, fields in by_way.items()
    ]
    return or_(*conditions) if conditions else false()


def _reached(
    paths: Paths,
    prefix: str,
    entity: Entity,
    way: tuple[str, ...],
    fields: Sequence[SearchField],
    terms: Sequence[Term],
    dialect: str,
    scopes: Scopes,
) -> ColumnElement[bool]:
    """The condition on what the way leads to, as one on where it begins.

    Over a reference by a foreign key the matching records' keys are read first: then
    an index on the foreign key serves, beside other fields too.
    """
    if not way:
        return and_(*(_any_field(entity, fields, term, dialect) for term in terms))
    key, *rest = way
    path = f"{prefix}.{key}" if prefix else key
    place = paths.place(path)
    attribute = getattr(entity, key)
    target = paths.searched(path, attribute.property.mapper.class_)
    condition = _reached(
        paths, path, target, tuple(rest), fields, terms, dialect, scopes
    )
    scope = scopes.get(entity_class(target))
    if scope is not None:
        condition = and_(condition, within(scope, target))
    if place.kind is PathKind.RELATIONSHIP and place.column is not None:
        relationship = attribute.property
        (local, remote), *_ = relationship.local_remote_pairs
        own = getattr(entity, relationship.parent.get_property_by_column(local).key)
        far = getattr(target, relationship.mapper.get_property_by_column(remote).key)
        keys = select(far).where(condition)
        return (
            _in_array_postgresql(own, keys) if dialect == POSTGRESQL else own.in_(keys)
        )
    reached = attribute.of_type(target)
    exists: ColumnElement[bool] = (
        reached.any(condition) if attribute.property.uselist else reached.has(condition)
    )
    return exists


def _in_array_postgresql(column: ColumnElement[Any], keys: Any) -> ColumnElement[bool]:
    """`column = ANY (ARRAY(SELECT …))`: an index on it serves, within an OR too."""
    return column == func.any(func.array(keys.scalar_subquery()))


def _any_field(
    entity: Entity, fields: Sequence[SearchField], term: Term, dialect: str
) -> ColumnElement[bool]:
    conditions = []
    word_start = [f for f in fields if f.mode is SearchMode.WORD_START]
    if word_start:
        by_words = (
            _starts_words_postgresql if dialect == POSTGRESQL else _starts_words_sqlite
        )
        keys = [field.path.rpartition(".")[2] for field in word_start]
        conditions.append(by_words(entity, keys, term))
    for field in fields:
        column = _column(entity, field)
        if field.mode is SearchMode.CONTAINS:
            conditions.append(_contains(column, term.text, dialect))
        elif field.mode is SearchMode.STARTS_WITH:
            lower = func.lower(_as_text(column), type_=Text)
            start = term.text.lower() if dialect == POSTGRESQL else _lowered(term.text)
            conditions.append(_like(lower, f"{_escaped(start)}%", dialect))
        elif field.mode is SearchMode.EXACT:
            conditions.append(_exact(column, term.text))
    found = [condition for condition in conditions if condition is not None]
    return or_(*found) if found else false()


def _starts_words_postgresql(
    entity: Entity, keys: Sequence[str], term: Term
) -> ColumnElement[bool] | None:
    """Whether words of the fields begin so, put as the index has it.

    An index over more columns finds all rows that may fit; those are looked at again.
    """
    mapper: Mapper[Any] = inspect(entity).mapper
    phrase = _is_phrase(term)
    own = [getattr(entity, key) for key in keys]
    indexed = _indexed_words(mapper, frozenset(keys))
    if indexed is None:
        return starts_words(own, term.text, phrase=phrase)
    columns = [getattr(entity, key) for key in indexed]
    found = starts_words(columns, term.text, phrase=phrase)
    if found is None or len(indexed) == len(keys):
        return found
    again = starts_words(own, term.text, phrase=phrase)
    return found if again is None else and_(found, again)


def _is_phrase(term: Term) -> bool:
    """Whether its words stand side by side: `ann.lee@example.org` was typed as one."""
    return term.is_phrase or len(search_words(term.text)) > 1


def has_word_index(mapper: Mapper[Any], keys: Iterable[str]) -> bool:
    """Whether an index serves searches by the start of words in these attributes."""
    return _indexed_words(mapper, frozenset(keys)) is not None


@lru_cache(maxsize=1024)
def _indexed_words(mapper: Mapper[Any], keys: frozenset[str]) -> tuple[str, ...] | None:
    """The attributes, in order, of the smallest word index that has all of `keys`."""
    found = []
    for index in getattr(mapper.local_table, "indexes", ()):
        if index.dialect_options["postgresql"].get("using") != "gin":
            continue
        expression = next(iter(index.expressions))
        columns = dict.fromkeys(
            part for part in iterate(expression) if isinstance(part, Column)
        )
        if not columns or str(search_vector(*columns)) != str(expression):
            continue
        names = [mapper.get_property_by_column(column).key for column in columns]
        if keys <= set(names):
            found.append(tuple(names))
    return min(found, key=len, default=None)


def _column(entity: Entity, field: SearchField) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(entity, field.path.rpartition(".")[2])
    return column


def _contains(
    column: ColumnElement[Any], text: str, dialect: str
) -> ColumnElement[bool]:
    """Whether the text stands anywhere in the column, whatever the case."""
    pattern = f"%{_escaped(text)}%"
    if dialect == POSTGRESQL:
        return _as_text(column).ilike(pattern)
    return _like(_as_text(column), pattern, dialect)


def _like(
    column: ColumnElement[Any], pattern: str, dialect: str
) -> ColumnElement[bool]:
    if dialect == POSTGRESQL:
        # A backslash escapes by itself; an ESCAPE would hide the pattern from indexes.
        return column.like(pattern)
    return column.like(pattern, escape="\\")


def _exact(column: ColumnElement[Any], text: str) -> ColumnElement[bool] | None:
    """Whether the value is the text's; None where the text can be no such value."""
    if _is_plain_text(column):
        spellings = dict.fromkeys((text, text.upper(), text.lower()))
        return column.in_([literal(each, column.type) for each in spellings])
    try:
        value = parse_value(column, text)
    except ValueError:
        return None
    if value is None:
        return None
    return column == literal(value, column.type)


def _is_plain_text(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, String) and not hasattr(column.type, "enums")


def _as_text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column itself where it is text: a cast would keep indexes from serving."""
    return column if _is_plain_text(column) else cast(column, Text)


def _escaped(text: str) -> str:
    """The text with what means more to LIKE than itself made plain."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _starts_words_sqlite(
    entity: Entity, keys: Sequence[str], term: Term
) -> ColumnElement[bool] | None:
    """What PostgreSQL finds by its vector, found by patterns.

    Other than there, letters beyond ASCII have to be typed in the case they are in.
    """
    words = [_lowered(word) for word in search_words(term.text)]
    if not words:
        return None
    if _is_phrase(term):
        words = [_BETWEEN_WORDS.join(words)]
    columns = [getattr(entity, key) for key in keys]
    # A blank before the text lets its first word begin like any other.
    texts = [literal_column("' '", Text) + func.lower(c, type_=Text) for c in columns]
    return and_(
        *(
            or_(*(text.bool_op("GLOB")(f"*{_BETWEEN_WORDS}{word}*") for text in texts))
            for word in words
        )
    )


def _lowered(text: str) -> str:
    """The text as SQLite's own `lower` makes it."""
    return "".join(c.lower() if c.isascii() else c for c in text)


# In a class of GLOB, "]" stands for itself at the front and "-" at the end.
_BETWEEN_WORDS = (
    "[]" + "".join(c for c in PUNCTUATION if c not in "]-") + "%: \t\r\n\u00a0-]"
)
