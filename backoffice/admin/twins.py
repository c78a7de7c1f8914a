"""Which record has already what somebody typed and no two may have?"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Index, Table, UniqueConstraint, select
from sqlalchemy.orm import Mapper

from backoffice.admin.call import address
from backoffice.admin.presentation import Link
from backoffice.admin.words import within_sentence
from backoffice.database.keys import format_key
from backoffice.database.values import parse_value

if TYPE_CHECKING:
    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView


def twin_links(
    call: "Call",
    view: "ModelView",
    texts: Mapping[str, str],
    refused: Collection[str],
) -> dict[str, Link]:
    """For refused fields the way to the record that has their values already.

    `texts` are the form's texts by field, a reference's is its key. A record that the
    person may not see is not found.
    """
    if not call.may("details"):
        return {}
    mapper = view.description.mapper
    links: dict[str, Link] = {}
    for columns in _unique(mapper):
        fields = [_field_of(mapper, column) for column in columns]
        told = [one for one in fields if one in refused and one not in links]
        if not told or not all(texts.get(one) for one in fields):
            continue
        if any(column.info.get("secret") for column in columns):
            continue  # whose secret it is is nobody's business
        try:
            wanted = [
                column == parse_value(column, texts[one])
                for column, one in zip(columns, fields, strict=True)
            ]
        except ValueError:
            continue
        rows = view.scope(select(view.model).where(*wanted), call).limit(1)
        record = call.session.scalars(rows).first()
        if record is None:
            continue
        key = format_key(mapper, record)
        if key == call.request.path_params.get("pk"):
            continue  # the record itself
        url = address(call.site.base_url, view.identity, "details", key)
        links[told[0]] = Link(f"Open that {within_sentence(view.name)}", url)
    return links


def _unique(mapper: Mapper[Any]) -> Iterator[tuple[Column[Any], ...]]:
    """The columns of each rule that no two rows may have the same of."""
    table = mapper.local_table
    if not isinstance(table, Table):
        return
    yield tuple(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(constraint.columns)
    for index in table.indexes:
        if index.unique and not _is_special(index):
            yield tuple(index.columns)


def _is_special(index: Index) -> bool:
    """Whether an index is of some rows only, or of more than plain columns."""
    partial = any(
        index.dialect_options[name].get("where") is not None
        for name in ("postgresql", "sqlite")
    )
    return partial or not all(isinstance(one, Column) for one in index.expressions)


def _field_of(mapper: Mapper[Any], column: Column[Any]) -> str:
    """The field that asks for a column: its reference, where it is of one."""
    for relationship in mapper.relationships:
        own = list(relationship.local_columns)
        if relationship.direction.name == "MANYTOONE" and own == [column]:
            return relationship.key
    return mapper.get_property_by_column(column).key
