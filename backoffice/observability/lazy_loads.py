"""Which relationships are loaded one by one, and which are loaded and never used.

Found through the ORM's own events: a lazy load names its relationship and its parent.
Five parents in one request are a finding; one record and its parent are not.
"""

import re
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapper,
    ORMExecuteState,
    RelationshipProperty,
    Session,
    registry,
)

from backoffice.database.base import Base
from backoffice.observability.measurement import Measurement
from backoffice.observability.request_log import RequestLog, current_request

# So many records that each asked for its own are a pattern, not a coincidence.
PARENTS = 5
# Enough to see what a query loads along; more would only cost.
WATCHED_PER_CLASS = 3
TRACKED_PATHS = 200


@dataclass(frozen=True, slots=True)
class LazyLoads:
    """A relationship that was loaded record by record: one statement each.

    `path` is `Enrollment.course`; `model` and `key` are where the records came from and
    the way from there: `Student` and `enrollment.course`. `ms` is the time of all
    those statements.
    """

    path: str
    model: str
    key: str
    parents: int
    ms: float


@dataclass(slots=True)
class Lazy:
    """The lazy loads of one relationship so far: parents, statements, nanoseconds."""

    model: str
    key: str
    parents: set[Any] = field(default_factory=set)
    fingerprints: set[str] = field(default_factory=set)
    total: int = 0


class LoadWatch:
    """The relationship loads of one request."""

    __slots__ = ("asked", "awaited", "lazy", "missed", "watched")

    def __init__(self) -> None:
        self.lazy: dict[str, Lazy] = {}
        self.asked: set[tuple[str, str]] = set()
        self.watched: dict[type[Any], list[Any]] = {}
        # By thread: the lazy load whose statement comes next.
        self.awaited: dict[int, Lazy] = {}
        # What was asked of records that may load nothing: model and way, how often.
        self.missed: dict[tuple[str, str], int] = {}

    def has_run(self, thread: int, measured: Measurement) -> None:
        """Count the statement that a lazy load of this thread has waited for.

        What a flush writes before it is not of it.
        """
        if measured.fingerprint.operation != "SELECT":
            return
        lazy = self.awaited.pop(thread, None)
        if lazy is not None:
            lazy.total += measured.total
            lazy.fingerprints.add(measured.fingerprint.id)


class ObservedRelationship(InstrumentedAttribute[Any]):
    """A relationship's attribute that notes, within a request, that it was looked at.

    SQLAlchemy has no event for reading what is loaded already.
    """

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        """The related objects, as ever."""
        if instance is not None:
            self._note()
        return super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        """Assign, as ever; who assigns it has a use for it."""
        self._note()
        super().__set__(instance, value)

    def _note(self) -> None:
        request = current_request.get()
        if request is not None:
            loads_of(request).asked.add((self.class_.__name__, self.key))


_registries: list[registry] = []


def watch_loads(*registries: registry) -> None:
    """Listen to every session of this process, and to the mappers of `registries`.

    Without any it is the shared base's registry. Calling it again adds registries.
    """
    wanted = registries or (Base.registry,)
    _registries.extend(one for one in wanted if one not in _registries)
    if not event.contains(Session, "do_orm_execute", note_lazy_load):
        event.listen(Session, "do_orm_execute", note_lazy_load)
        event.listen(Session, "loaded_as_persistent", note_loaded)
        event.listen(Mapper, "after_configured", observe_relationships)
    observe_relationships()


def note_lazy_load(state: ORMExecuteState) -> None:
    """Count the parent whose relationship is loaded now."""
    request = current_request.get()
    if request is None or not state.is_relationship_load:
        return
    parent = state.lazy_loaded_from
    if parent is None:
        return  # loaded along for many parents at once
    path: Any = state.loader_strategy_path
    prop = path[-1] if path else None
    if not isinstance(prop, RelationshipProperty):
        return
    name = f"{prop.parent.class_.__name__}.{prop.key}"
    lazy = loads_of(request).lazy
    if name not in lazy:
        if len(lazy) >= TRACKED_PATHS:
            return
        lazy[name] = Lazy(*_way(parent, prop))
    lazy[name].parents.add(parent.key or id(parent))
    loads_of(request).awaited[get_ident()] = lazy[name]


def _way(parent: Any, prop: RelationshipProperty[Any]) -> tuple[str, str]:
    """The model that the parent was read with, and the way from there."""
    steps = [step.key for step in parent.load_path.path[1::2] if hasattr(step, "key")]
    first = parent.load_path.path[0] if parent.load_path.path else prop.parent
    mapper = getattr(first, "mapper", prop.parent)
    return mapper.class_.__name__, ".".join([*steps, prop.key])


_NOT_LOADED = re.compile(r"'(?:\w+\.)*?(\w+\.\w+)' is not available due to")


def note_not_loaded(error: BaseException, record: Any) -> None:
    """Note what was asked for that must not be loaded, by SQLAlchemy's own words.

    `record` is whom the question began with: the way from there is told.
    """
    request = current_request.get()
    found = _NOT_LOADED.search(str(error))
    if request is None or found is None or not isinstance(error, InvalidRequestError):
        return
    mapper: Mapper[Any] = type(record).__mapper__
    owner, _, key = found[1].partition(".")
    way = _way_to(mapper, owner)
    if way is None:
        return
    missed = loads_of(request).missed
    name = (mapper.class_.__name__, ".".join([*way, key]))
    if name in missed or len(missed) < TRACKED_PATHS:
        missed[name] = missed.get(name, 0) + 1


def _way_to(mapper: Mapper[Any], owner: str) -> list[str] | None:
    """The shortest way over single references to the class of this name."""
    todo: list[tuple[Mapper[Any], list[str]]] = [(mapper, [])]
    seen = {mapper}
    for at, way in todo:
        if owner in {cls.__name__ for cls in at.class_.__mro__}:
            return way
        for one in at.relationships:
            if not one.uselist and one.mapper not in seen:
                seen.add(one.mapper)
                todo.append((one.mapper, [*way, one.key]))
    return None


def note_loaded(_session: Session, instance: Any) -> None:
    """Keep the first records of each class, to see in the end what they came with."""
    request = current_request.get()
    if request is None:
        return
    watched = loads_of(request).watched.setdefault(type(instance), [])
    if len(watched) < WATCHED_PER_CLASS:
        watched.append(instance)


def observe_relationships() -> None:
    """Make all relationships of the registries tell that they are looked at."""
    known = {mapper for one in _registries for mapper in one.mappers}
    for mapper in known:
        if not mapper.configured:
            continue
        for relationship in mapper.relationships:
            attribute = mapper.class_.__dict__.get(relationship.key)
            if type(attribute) is InstrumentedAttribute:
                attribute.__class__ = ObservedRelationship


def loads_of(request: RequestLog) -> LoadWatch:
    """The request's watch; made when first needed."""
    if request.loads is None:
        request.loads = LoadWatch()
    return request.loads


def lazy_loads(request: RequestLog) -> tuple[LazyLoads, ...]:
    """The relationships that five records or more asked for one by one, worst first."""
    if request.loads is None:
        return ()
    found = [
        LazyLoads(
            path=path,
            model=lazy.model,
            key=lazy.key,
            parents=len(lazy.parents),
            ms=lazy.total / 1e6,
        )
        for path, lazy in request.loads.lazy.items()
        if len(lazy.parents) >= PARENTS
    ]
    return tuple(sorted(found, key=lambda load: -load.parents))


def unused_loads(request: RequestLog) -> tuple[str, ...]:
    """The relationships that were loaded along and that nothing looked at, as paths."""
    loads = request.loads
    if loads is None:
        return ()
    found = set()
    for model, instances in loads.watched.items():
        mapper: Mapper[Any] = model.__mapper__
        for relationship in mapper.relationships:
            key = relationship.key
            attribute = getattr(mapper.class_, key, None)
            if type(attribute) is not ObservedRelationship:
                continue  # nobody would know whether it was looked at
            came = any(key in vars(instance) for instance in instances)
            names = {cls.__name__ for cls in model.__mro__}
            if came and not any((name, key) in loads.asked for name in names):
                found.add(f"{relationship.parent.class_.__name__}.{key}")
    return tuple(sorted(found))
