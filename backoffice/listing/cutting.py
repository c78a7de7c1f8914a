"""How much of a long text does a list read? What a row has room for, cut in SQL.

A row shows the beginning of a text; a text of megabytes would come with every page
otherwise. Whoever computes something of a text needs the whole of it: where the rows
are shown by a formatter or a plain property, and of what is declared to be loaded,
nothing is cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Text, func, inspect
from sqlalchemy.orm import Mapper, defer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.strategy_options import _AbstractLoad

from backoffice.listing.paths import PathKind, Paths
from backoffice.listing.spec import ListSpec

# Characters: more than any cell shows, and no more than an ordinary text has.
LONGEST = 1_000

_cuts: WeakKeyDictionary[Paths, tuple[str, ...]] = WeakKeyDictionary()


def cut_paths(spec: ListSpec) -> tuple[str, ...]:
    """The shown columns of which only the beginning is read."""
    found = _cuts.get(spec.paths)
    if found is None:
        found = _cuts[spec.paths] = tuple(_found(spec))
    return found


def _found(spec: ListSpec) -> Iterator[str]:
    places = [spec.paths.place(path) for path in spec.columns]
    if spec.is_formatted or any(p.kind is PathKind.PYTHON for p in places):
        return
    for place in places:
        column = place.column
        if column is None or place.path in spec.loads or column.info.get("secret"):
            continue
        if isinstance(column.type, Text) and not column.primary_key:
            yield place.path


def cut_columns(spec: ListSpec) -> list[ColumnElement[str]]:
    """The beginnings, to be selected beside the records."""
    expressions = (spec.paths.place(path).expression for path in cut_paths(spec))
    return [_beginning(e) for e in expressions if e is not None]


def put_beginnings(spec: ListSpec, record: Any, values: Sequence[Any]) -> None:
    """Let the record have the beginnings that were selected beside it."""
    for path, value in zip(cut_paths(spec), values, strict=True):
        prefix, _, key = path.rpartition(".")
        owner = attrgetter(prefix)(record) if prefix else record
        if owner is not None:
            _put(owner, key, value)


class RowCut:
    """The same for a plain select of one model's rows, of which `shown` are drawn."""

    def __init__(self, mapper: Mapper[Any], shown: Iterable[str]) -> None:
        wanted = set(shown)
        long = [c.key for c in mapper.column_attrs if _is_long(c)]
        self.keys = [key for key in long if key in wanted]
        model = mapper.class_
        self.columns = [_beginning(getattr(model, key)) for key in self.keys]
        self.options: list[_AbstractLoad] = [defer(getattr(model, k)) for k in long]

    def put(self, record: Any, values: Sequence[Any]) -> Any:
        """The record, with the beginnings that were selected beside it."""
        for key, value in zip(self.keys, values, strict=True):
            _put(record, key, value)
        return record


def _put(record: Any, key: str, value: Any) -> None:
    # What has been read whole for another reason stays so.
    if key in inspect(record).unloaded:
        set_committed_value(record, key, value)


def _is_long(attribute: Any) -> bool:
    column = attribute.columns[0]
    return isinstance(column.type, Text) and not getattr(column, "primary_key", False)


def _beginning(expression: Any) -> ColumnElement[str]:
    found: ColumnElement[str] = func.substr(expression, 1, LONGEST, type_=Text)
    return found
