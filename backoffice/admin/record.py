"""Which record an address means, with what its page shows of others."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Mapper, joinedload, lazyload, selectinload, undefer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.strategy_options import _AbstractLoad
from sqlalchemy.sql.base import ExecutableOption

from backoffice.admin import words
from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.database.keys import (
    format_key,
    format_key_values,
    no_such_record,
    parse_key,
)
from backoffice.errors import RecordNotFound


def key_condition(view: ModelView, text: str) -> list[Any]:
    """The primary key's columns equal to what the address says.

    Raises:
        RecordNotFound: the text cannot be a key of this model.
    """
    mapper = view.description.mapper
    try:
        values = parse_key(mapper, text)
    except RecordNotFound:
        raise no_such_record(mapper, text, word_of(view)) from None
    if format_key_values(mapper, values) != text:
        # Another spelling of a key is no address: the history knows only one.
        raise no_such_record(mapper, text, word_of(view))
    return [
        getattr(view.model, mapper.get_property_by_column(column).key) == value
        for column, value in zip(mapper.primary_key, values, strict=True)
    ]


def word_of(view: ModelView) -> str:
    """What the view calls a record, within a sentence."""
    return words.within_sentence(view.name)


def select_record(call: Call, view: ModelView, text: str) -> Select[Any]:
    """One record within what this person may see."""
    return view.scope(select(view.model).where(*key_condition(view, text)), call)


def single_references(view: ModelView) -> tuple[ExecutableOption, ...]:
    """Options that load every single reference of a record along with it.

    And whatever else the view has declared to be loaded.
    """
    mapper = view.description.mapper
    references = (
        joinedload(getattr(view.model, relationship.key))
        for relationship in mapper.relationships
        if not relationship.uselist
    )
    declared = (declared_load(mapper, path) for path in view.description.loads)
    return (*references, *declared)


def declared_load(mapper: Mapper[Any], path: str) -> _AbstractLoad:
    """An option for one path of `loads`: a relationship, or a column left out."""
    option: Any = None
    for key in path.split("."):
        relationship = mapper.relationships.get(key)
        attribute = getattr(mapper.class_, key)
        if relationship is None:
            return undefer(attribute) if option is None else option.undefer(attribute)
        kind = "selectinload" if relationship.uselist else "joinedload"
        first = selectinload if relationship.uselist else joinedload
        further = first if option is None else getattr(option, kind)
        option = further(attribute)
        mapper = relationship.mapper
    found: _AbstractLoad = option
    return found


def load_record(call: Call, view: ModelView, text: str) -> Any:
    """The record with every single reference of it, in one statement.

    Raises:
        RecordNotFound: there is none, or not for this person.
    """
    statement = select_record(call, view, text).options(*single_references(view))
    record = call.session.scalars(statement).unique().one_or_none()
    if record is None:
        raise no_such_record(view.description.mapper, text, word_of(view))
    hide_references(call, view, [record])
    return record


def records_by_key(call: Call, view: ModelView, keys: Sequence[str]) -> dict[str, Any]:
    """The records that these keys are of, in one statement, by key."""
    if not keys:
        return {}
    mapper = view.description.mapper
    wanted = or_(*(and_(*key_condition(view, key)) for key in keys))
    statement = view.scope(select(view.model).where(wanted), call)
    options = single_references(view)
    found = list(call.session.scalars(statement.options(*options)).unique())
    hide_references(call, view, found)
    return {format_key(mapper, record): record for record in found}


def hide_references(call: Call, view: ModelView, records: Sequence[Any]) -> None:
    """Read as none what loaded records refer to and this person may not see.

    One statement for each reference to a model of which not everybody sees every row.
    """
    for relationship in view.description.mapper.relationships:
        target = call.site.view_of(relationship.mapper.class_)
        if relationship.uselist or target is None or not target.is_partly_seen:
            continue
        key = relationship.key
        loaded = [r for r in records if r.__dict__.get(key) is not None]
        mapper = target.description.mapper
        keys = {format_key(mapper, getattr(record, key)) for record in loaded}
        if not keys:
            continue
        wanted = or_(*(and_(*key_condition(target, one)) for one in sorted(keys)))
        seen = target.scope(select(target.model).where(wanted), call)
        found = call.session.scalars(seen.options(lazyload("*"))).unique()
        visible = {format_key(mapper, one) for one in found}
        for record in loaded:
            if format_key(mapper, getattr(record, key)) not in visible:
                set_committed_value(record, key, None)
