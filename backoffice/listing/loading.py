"""What is read with each row of a list, in the same statement, and what never is."""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column
from sqlalchemy.orm import Mapper, contains_eager, defer, raiseload, selectinload
from sqlalchemy.orm.strategy_options import _AbstractLoad

from backoffice.listing.cutting import cut_paths
from backoffice.listing.paths import PathKind, Paths, is_heavy, prefixes_of
from backoffice.listing.spec import ListSpec

_options: WeakKeyDictionary[Paths, tuple[_AbstractLoad, ...]] = WeakKeyDictionary()
_prefixes: WeakKeyDictionary[Paths, tuple[str, ...]] = WeakKeyDictionary()


def eager_prefixes(spec: ListSpec) -> tuple[str, ...]:
    """The relations that come with a row, each after those on the way to it."""
    found = _prefixes.get(spec.paths)
    if found is None:
        found = _prefixes[spec.paths] = prefixes_of(_shown(spec))
    return found


def loading_options(spec: ListSpec) -> tuple[_AbstractLoad, ...]:
    """Fill the joined relations, leave out what is long or secret, load nothing later.

    Reading anything else from a row raises an error instead of asking the database
    once per row.
    """
    found = _options.get(spec.paths)
    if found is None:
        shown = set(_shown(spec))
        found = _options[spec.paths] = tuple(_beneath(spec, "", shown))
    return found


def _shown(spec: ListSpec) -> list[str]:
    """The paths of columns and relations that are shown or declared to be loaded.

    A relation stands there with its label's column, so that it is joined.
    """
    shown = []
    for path in (*spec.columns, *spec.loads):
        if spec.paths.place(path).kind is PathKind.RELATIONSHIP:
            shown.append(spec.paths.label_path(path))
            shown.append(f"{path}.")
        else:
            shown.append(path)
    return shown


def _beneath(spec: ListSpec, prefix: str, shown: set[str]) -> Iterator[_AbstractLoad]:
    """The options of one entity, with those of the relations that hang on it."""
    paths = spec.paths
    relationship = paths.place(prefix).relationship if prefix else None
    mapper: Mapper[Any] = paths.mapper if relationship is None else relationship.mapper
    entity = paths.entity(prefix)
    yield raiseload("*")
    for attribute in mapper.column_attrs:
        path = f"{prefix}.{attribute.key}" if prefix else attribute.key
        column = attribute.columns[0]
        if path in cut_paths(spec) or (
            path not in shown and isinstance(column, Column) and _is_left_out(column)
        ):
            yield defer(getattr(entity, attribute.key), raiseload=True)
    for child in eager_prefixes(spec):
        parent, _, key = child.rpartition(".")
        if parent == prefix:
            to_child = getattr(entity, key).of_type(paths.entity(child))
            yield contains_eager(to_child).options(*_beneath(spec, child, shown))
    for path in spec.loads:
        place = paths.place(path)
        if place.kind is PathKind.COLLECTION and place.prefix == prefix:
            to_many = selectinload(getattr(entity, place.key))
            yield to_many.options(raiseload("*"))


def _is_left_out(column: Column[Any]) -> bool:
    return bool(column.info.get("secret")) or (
        is_heavy(column) and not column.primary_key
    )
