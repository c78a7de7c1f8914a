"""A record's fields as texts, as a form shows them and a save compares them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Text, cast, inspect, select
from sqlalchemy import types as sql
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty, Session

from backoffice.database.keys import format_key, format_key_values
from backoffice.database.values import format_value, parse_value


def shown_texts(
    session: Session, record: object, keys: Iterable[str]
) -> dict[str, str]:
    """The text of each attribute or to-one relationship (there the target's key).

    JSON is read as the database has written it: Python cannot tell SQL's NULL from
    JSON's null, and rounds long numbers. Secrets are empty. Unknown keys are left out.
    """
    mapper: Mapper[Any] = inspect(record).mapper
    texts: dict[str, str] = {}
    documents: dict[str, Column[Any]] = {}
    for key in keys:
        prop = mapper.attrs.get(key)
        if isinstance(prop, RelationshipProperty):
            if prop.direction.name == "MANYTOONE":
                texts[key] = reference_text(record, prop)
        elif isinstance(prop, ColumnProperty):
            column: Any = prop.columns[0]
            if getattr(column, "info", {}).get("secret"):
                texts[key] = ""
            elif isinstance(column, Column) and is_document(column):
                texts[key] = ""
                documents[key] = column
            else:
                value = getattr(record, key)
                texts[key] = _as_typed(format_value(column, value), value)
    if documents:
        texts.update(_document_texts(session, mapper, record, documents))
    return texts


def _as_typed(text: str, value: Any) -> str:
    """A moment as people write one, to the microsecond; without a zone it is in UTC."""
    if not isinstance(value, datetime) or text[10:11] != "T":
        return text
    return text.replace("T", " ", 1).removesuffix("+00:00")


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but how their lines end."""
    return _lines(one) == _lines(other)


def _lines(text: str) -> str:
    # A browser sends every line end as CR LF, whatever stood there.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_document(column: Column[Any]) -> bool:
    """Whether the column holds JSON."""
    kind = column.type
    if isinstance(kind, sql.TypeDecorator) and not isinstance(kind, sql.Interval):
        return False  # the project's own conversion stands in between
    return isinstance(kind, sql.JSON)


def reference_text(record: object, prop: RelationshipProperty[Any]) -> str:
    """The key of what a to-one relationship refers to, empty for nothing."""
    mapper: Mapper[Any] = inspect(record).mapper
    remote = {target: own for own, target in prop.local_remote_pairs or ()}
    target = prop.mapper
    if all(column in remote for column in target.primary_key):
        # The key stands in the record's own row: nothing has to be loaded.
        values = [
            getattr(record, mapper.get_property_by_column(remote[column]).key)
            for column in target.primary_key
        ]
        if any(value is None for value in values):
            return ""
        return format_key_values(target, values)
    referred = getattr(record, prop.key)
    return "" if referred is None else format_key(target, referred)


def _document_texts(
    session: Session,
    mapper: Mapper[Any],
    record: object,
    documents: dict[str, Column[Any]],
) -> dict[str, str]:
    """The documents, laid out where that loses nothing."""
    identity = mapper.primary_key_from_instance(record)
    query = (
        select(*(cast(column, Text) for column in documents.values()))
        .select_from(mapper.selectable)
        .where(
            *(c == value for c, value in zip(mapper.primary_key, identity, strict=True))
        )
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return {}
    return {
        key: _laid_out(column, text)
        for (key, column), text in zip(documents.items(), row, strict=True)
    }


def _laid_out(column: Column[Any], text: str | None) -> str:
    if text is None:
        return ""
    try:
        return format_value(column, parse_value(column, text))
    except ValueError:
        return text
