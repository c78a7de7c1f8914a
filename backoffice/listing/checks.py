"""What in a list's declaration cannot work, or not fast, found before anybody asks."""

from collections.abc import Iterator

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Table,
    Time,
)

from backoffice.checks import CheckMessage, Level
from backoffice.listing.params import SUFFIXES, WORDS
from backoffice.listing.paths import PathKind, Place
from backoffice.listing.search import has_word_index
from backoffice.listing.spec import FilterField, FilterKind, ListSpec, SearchMode

_KINDS = {
    FilterKind.BOOLEAN: (Boolean,),
    FilterKind.NUMBER: (Integer, Numeric, Float),
    FilterKind.DATE: (Date, DateTime, Time, Interval),
}
_UNORDERED = (JSON, LargeBinary)
_UNCOMPARED = (JSON, LargeBinary, ARRAY)


def check_list(spec: ListSpec) -> list[CheckMessage]:
    """Everything that is wrong with a list's declaration; asks no database."""
    return [
        *_check_columns(spec),
        *_check_search(spec),
        *_check_filters(spec),
        *_check_order(spec),
    ]


def _error(spec: ListSpec, number: int, text: str, hint: str = "") -> CheckMessage:
    return CheckMessage(
        Level.ERROR, f"{spec.identity}: {text}", hint, f"listing.E{number:03}"
    )


def _check_columns(spec: ListSpec) -> Iterator[CheckMessage]:
    for path in (*spec.columns, *spec.loads):
        place = spec.paths.place(path)
        if place.kind is PathKind.UNKNOWN:
            yield _error(spec, 1, f"the column {path} does not exist.")
        elif place.kind is PathKind.COLLECTION and path in spec.columns:
            yield _error(
                spec,
                2,
                f"the column {path} is of many records.",
                "A list shows one value a row; show a count that a column holds, "
                "or the records on the details page.",
            )
        elif _is_secret(place):
            yield _error(spec, 3, f"the column {path} is secret.")


def _check_search(spec: ListSpec) -> Iterator[CheckMessage]:
    for field in spec.search:
        place = spec.paths.place(field.path)
        column = _search_column(spec, field.path)
        if column is None:
            yield _error(spec, 4, f"{field.path} cannot be searched: it is no column.")
        elif _is_secret(place):
            yield _error(spec, 5, f"{field.path} cannot be searched: it is secret.")
        elif field.mode is SearchMode.WORD_START and not _is_text(column):
            yield _error(
                spec, 6, f"{field.path} has no words to be searched by their start."
            )
    paths = [f.path for f in spec.search if f.mode is SearchMode.WORD_START]
    yield from _check_word_index(spec, paths)


def _check_word_index(spec: ListSpec, paths: list[str]) -> Iterator[CheckMessage]:
    by_prefix: dict[str, list[str]] = {}
    for path in paths:
        by_prefix.setdefault(path.rpartition(".")[0], []).append(path)
    for fields in by_prefix.values():
        mapper = spec.paths.place(fields[0]).mapper
        if spec.paths.place(fields[0]).kind is not PathKind.COLUMN:
            continue
        keys = [field.rpartition(".")[2] for field in fields]
        table = mapper.local_table
        if isinstance(table, Table) and not has_word_index(mapper, keys):
            columns = ", ".join(f"{mapper.class_.__name__}.{key}" for key in keys)
            yield CheckMessage(
                Level.WARNING,
                f"{spec.identity}: no index serves the search in "
                f"{' and '.join(fields)}.",
                f'Index("ix_{table.name}_search", search_vector({columns}), '
                'postgresql_using="gin").ddl_if(dialect="postgresql")',
                "listing.W001",
            )


def _check_filters(spec: ListSpec) -> Iterator[CheckMessage]:
    for declared in spec.filters:
        if declared.path in WORDS:
            yield _error(
                spec,
                7,
                f"a filter on {declared.path} has the name of another parameter.",
                f"A list's address means something else by {', '.join(WORDS)}: "
                f"map the column under another name, as in "
                f'{declared.path}_ = mapped_column("{declared.path}", …).',
            )
        whole, _, end = declared.path.rpartition("__")
        if end in SUFFIXES and any(other.path == whole for other in spec.filters):
            yield _error(
                spec,
                7,
                f"a filter on {declared.path} has the name of an end of the "
                f"filter on {whole}.",
                "Leave one of them out, or map the column under another name.",
            )
        reason = _filter_problem(spec.paths.place(declared.path), declared)
        if reason:
            yield _error(spec, 8, f"{declared.path} cannot be filtered: {reason}.")


def _filter_problem(place: Place, declared: FilterField) -> str:
    if declared.kind is FilterKind.REFERENCE:
        is_reference = place.kind is PathKind.RELATIONSHIP
        return "" if is_reference else "it is no relationship to one record"
    if place.kind not in (PathKind.COLUMN, PathKind.EXPRESSION):
        return "it is no column"
    if _is_secret(place):
        return "it is secret"
    kind = None if place.expression is None else place.expression.type
    wanted = _KINDS.get(declared.kind)
    if wanted is not None and not isinstance(kind, wanted):
        return f"its type is {kind!r}, which has no {declared.kind} filter"
    if isinstance(kind, _UNCOMPARED):
        return f"its type is {kind!r}"
    return ""


def _check_order(spec: ListSpec) -> Iterator[CheckMessage]:
    for path in (*spec.sortable, *(order.path for order in spec.default_order)):
        place = spec.paths.place(spec.paths.label_path(path))
        kind = None if place.expression is None else place.expression.type
        if place.kind not in (PathKind.COLUMN, PathKind.EXPRESSION):
            reason = "the database knows no such column"
        elif _is_secret(place):
            reason = "it is secret"
        elif isinstance(kind, _UNORDERED):
            reason = f"its type is {kind!r}"
        else:
            continue
        yield _error(spec, 9, f"the list cannot be ordered by {path}: {reason}.")


def _is_secret(place: Place) -> bool:
    return place.column is not None and bool(place.column.info.get("secret"))


def _search_column(spec: ListSpec, path: str) -> object | None:
    """The type of the searched column, also behind collections."""
    mapper = spec.paths.mapper
    *way, key = path.split(".")
    for part in way:
        relationship = mapper.relationships.get(part)
        if relationship is None:
            return None
        mapper = relationship.mapper
    attribute = mapper.column_attrs.get(key)
    return None if attribute is None else attribute.columns[0].type


def _is_text(kind: object) -> bool:
    return isinstance(kind, String) and not isinstance(kind, Enum)
