"""Which columns a list's paths lead to, and which joins they need."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, inspect, select, tuple_
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapper,
    RelationshipDirection,
    RelationshipProperty,
    aliased,
)
from sqlalchemy.types import JSON, LargeBinary, Text

from backoffice.database.words import label_key

Entity = Any  # a mapped class, or an alias of one
Scope = Callable[[Select[Any]], Select[Any]]

# How many relationships a path goes through at most.
DEEPEST = 6


class PathKind(Enum):
    """What stands at the end of a path."""

    COLUMN = auto()
    EXPRESSION = auto()  # a hybrid, or a column_property of SQL
    RELATIONSHIP = auto()  # to one record
    COLLECTION = auto()  # to many records, anywhere on the way
    PYTHON = auto()  # a property that the database knows nothing of
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a path leads.

    `prefix` is the path of the relationship before its last part, or "". `column` is
    the table's own column, None for anything else. `expression` stands on the alias
    that `Paths.join` joins for the prefix; a relationship's is its foreign key, None
    where that has several columns.
    """

    path: str
    prefix: str
    key: str
    kind: PathKind
    mapper: Mapper[Any]
    column: Column[Any] | None = None
    expression: ColumnElement[Any] | None = None
    relationship: RelationshipProperty[Any] | None = None
    is_nullable: bool = True


class Paths:
    """The paths of one list, each resolved once; a relation has one alias in it."""

    def __init__(
        self,
        model: type[Any],
        reference_labels: Mapping[str, str] | None = None,
        partly_seen: Collection[type[Any]] = (),
    ) -> None:
        self.model = model
        self.reference_labels = dict(reference_labels or {})
        # Models of which a person may not see every row.
        self.partly_seen = frozenset(partly_seen)
        self._places: dict[str, Place] = {}
        self._entities: dict[str, Entity] = {"": model}

    @property
    def mapper(self) -> Mapper[Any]:
        """The model's mapper."""
        mapper: Mapper[Any] = inspect(self.model)
        return mapper

    def place(self, path: str) -> Place:
        """Where the path leads; PathKind.UNKNOWN where it leads nowhere."""
        found = self._places.get(path)
        if found is not None:
            return found
        if path.count(".") > DEEPEST:
            return Place(path, "", path, PathKind.UNKNOWN, self.mapper)
        found = self._resolve(path)
        # What leads nowhere may come from outside, and there is no end of it.
        is_kept = found.kind is not PathKind.UNKNOWN
        return self._places.setdefault(path, found) if is_kept else found

    def entity(self, prefix: str) -> Entity:
        """The model, or the one alias of the relation that the prefix leads to."""
        found = self._entities.get(prefix)
        if found is None:
            target = self.place(prefix).relationship
            if target is None:
                raise LookupError(f"{prefix} is not a relationship.")
            # Two threads that meet here agree on one alias.
            found = self._entities.setdefault(prefix, aliased(target.mapper.class_))
        return found

    def searched(self, path: str, target: type[Any]) -> Entity:
        """The alias on which a search looks into a relation, apart from any join."""
        name = f"{path} searched"  # no path has a blank in it
        found = self._entities.get(name)
        if found is None:
            found = self._entities.setdefault(name, aliased(target))
        return found

    def join(
        self,
        rows: Select[Any],
        prefixes: Iterable[str],
        *,
        inner: bool = False,
        scopes: Mapping[type[Any], Scope] | None = None,
    ) -> Select[Any]:
        """Join each relation by an outer join, those on the way to it before it.

        With `inner`, a relation that every row has is joined as such: it hides no
        row, and the planner may start from it. A record outside of its model's scope
        is joined as if there were none.
        """
        for prefix in prefixes:
            place = self.place(prefix)
            entity = self.entity(prefix)
            joined = getattr(self.entity(place.prefix), place.key).of_type(entity)
            is_outer = not inner or place.is_nullable
            scope = (scopes or {}).get(entity_class(entity))
            if scope is not None:
                joined = joined.and_(within(scope, entity))
            rows = rows.join(joined, isouter=is_outer)
        return rows

    def label_path(self, path: str) -> str:
        """The path of the column by which a relationship's records are called."""
        place = self.place(path)
        if place.relationship is None:
            return path
        declared = self.reference_labels.get(path)
        if declared:
            # Either way of writing it is understood: "name" and "school.name".
            return declared if declared.startswith(f"{path}.") else f"{path}.{declared}"
        return f"{path}.{label_key(place.relationship.mapper)}"

    def label(self, path: str) -> str:
        """The path in words, from the column's own label or its name."""
        place = self.place(path)
        if place.column is not None and place.column.info.get("label"):
            own = str(place.column.info["label"])
        else:
            own = place.key.replace("_", " ").strip()
            own = own[:1].upper() + own[1:]
        if not place.prefix:
            return own
        return f"{self.label(place.prefix)}: {own[:1].lower()}{own[1:]}"

    def _resolve(self, path: str) -> Place:
        prefix, _, key = path.rpartition(".")
        if prefix:
            parent = self.place(prefix)
            if parent.kind is PathKind.COLLECTION:
                return Place(path, prefix, key, PathKind.COLLECTION, parent.mapper)
            if parent.relationship is None:
                return Place(path, prefix, key, PathKind.UNKNOWN, parent.mapper)
            mapper = parent.relationship.mapper
            may_miss = parent.is_nullable
        else:
            mapper, may_miss = self.mapper, False
        relationship = mapper.relationships.get(key)
        if relationship is not None:
            if relationship.uselist:
                return Place(
                    path,
                    prefix,
                    key,
                    PathKind.COLLECTION,
                    mapper,
                    None,
                    None,
                    relationship,
                )
            return self._reference(path, mapper, relationship, may_miss=may_miss)
        if key in mapper.column_attrs or isinstance(
            mapper.all_orm_descriptors.get(key), hybrid_property
        ):
            return self._value(path, mapper, may_miss=may_miss)
        if key in mapper.all_orm_descriptors and key in mapper.synonyms:
            own = mapper.synonyms[key].name
            return self._value(
                f"{prefix}.{own}" if prefix else own, mapper, may_miss=may_miss
            )
        is_known = hasattr(mapper.class_, key)
        kind = PathKind.PYTHON if is_known else PathKind.UNKNOWN
        return Place(path, prefix, key, kind, mapper)

    def _reference(
        self,
        path: str,
        mapper: Mapper[Any],
        relationship: RelationshipProperty[Any],
        *,
        may_miss: bool,
    ) -> Place:
        prefix, _, key = path.rpartition(".")
        pairs = relationship.local_remote_pairs or []
        column = expression = None
        is_many_to_one = relationship.direction is RelationshipDirection.MANYTOONE
        if is_many_to_one and len(pairs) == 1:
            assert isinstance(pairs[0][0], Column)  # noqa: S101 - of a table
            column = pairs[0][0]
            own = mapper.get_property_by_column(column).key
            expression = getattr(self.entity(prefix), own)
        is_enforced = is_many_to_one and all(
            not local.nullable and local.foreign_keys for local, _ in pairs
        )
        return Place(
            path,
            prefix,
            key,
            PathKind.RELATIONSHIP,
            mapper,
            column,
            expression,
            relationship,
            is_nullable=may_miss
            or not is_enforced
            or relationship.mapper.class_ in self.partly_seen,
        )

    def _value(self, path: str, mapper: Mapper[Any], *, may_miss: bool) -> Place:
        prefix, _, key = path.rpartition(".")
        expression = getattr(self.entity(prefix), key)
        column = None
        if key in mapper.column_attrs:
            found = mapper.column_attrs[key].columns[0]
            column = found if isinstance(found, Column) else None
        kind = PathKind.EXPRESSION if column is None else PathKind.COLUMN
        is_nullable = may_miss or column is None or bool(column.nullable)
        return Place(
            path,
            prefix,
            key,
            kind,
            mapper,
            column,
            expression,
            is_nullable=is_nullable,
        )


def entity_class(entity: Entity) -> type[Any]:
    """The mapped class of an entity."""
    found: type[Any] = inspect(entity).mapper.class_
    return found


def within(scope: Scope, entity: Entity) -> ColumnElement[bool]:
    """Whether an entity's record is one of those that its model's scope leaves."""
    mapper: Mapper[Any] = inspect(entity).mapper
    names = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
    seen = scope(select(mapper.class_)).with_only_columns(
        *(getattr(mapper.class_, name) for name in names),
        maintain_column_froms=True,
    )
    own = [getattr(entity, name) for name in names]
    key = own[0] if len(own) == 1 else tuple_(*own)
    condition: ColumnElement[bool] = key.in_(seen)
    return condition


def prefixes_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The relationships on the way to these paths, each after those that it needs."""
    found: dict[str, None] = {}
    for path in paths:
        found.update(dict.fromkeys(ways(path.rpartition(".")[0])))
    return tuple(found)


def ways(prefix: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`; nothing of ""."""
    parts = prefix.split(".") if prefix else []
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def is_heavy(column: Column[Any]) -> bool:
    """Whether a list reads the column only where it is shown: it may be long."""
    kind = column.type
    if isinstance(kind, JSON | LargeBinary):
        return True
    if kind.__class__.__name__ in {"TSVECTOR", "ARRAY"}:
        return True
    return isinstance(kind, Text)
