"""What does *Explain this list* ask for? The statements of exactly that page."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import Engine, Table
from sqlalchemy.orm import Mapper

from backoffice.admin.model_view import ModelView
from backoffice.errors import Refused
from backoffice.explain.capture import catch
from backoffice.explain.findings import Searched, Subject
from backoffice.explain.report import Question
from backoffice.explain.statement import Caught
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import FEW, MANY, page_statements
from backoffice.listing.params import parse_list
from backoffice.listing.query import ListQuery
from backoffice.listing.spec import ListSpec

LONGEST_QUERY = 8_000


class NotUnderstood(Refused):
    """The list itself would not answer this query string."""


def list_question(
    engine: Engine,
    view: ModelView,
    spec: ListSpec,
    codec: CursorCodec,
    query_string: str,
) -> Question:
    """The statements of a list page with this query string; none of them is run.

    Raises:
        NotUnderstood: the list would not answer it.
    """
    items = parse_qsl(query_string[:LONGEST_QUERY], keep_blank_values=True)
    query = parse_list(spec, items, codec)
    if query.problems:
        raise NotUnderstood(message=" ".join(one.message for one in query.problems))
    statements = tuple(
        catch(engine, one.statement, one.title, note=one.note, is_known=one.is_known)
        for one in page_statements(spec, query, engine.dialect.name)
    )
    return Question(
        title_of(view, spec, query),
        statements,
        subject_of(view, query),
        functools.partial(is_sent, spec.exact_count_limit),
        urlencode(query.to_items()),
    )


def is_sent(limit: int, one: Caught, count_plan: Any) -> bool:
    """Whether a page would send this statement, by how many rows its count finds.

    Found where it was measured, else expected by the planner.
    """
    if one.title not in (FEW, MANY) or not count_plan:
        return True
    number = _matching_rows(count_plan[0]["Plan"])
    return number is None or (number > limit) == (one.title == MANY)


def _matching_rows(count_plan: Mapping[str, Any]) -> float | None:
    """How many rows the count goes through.

    They stand in a CTE, or are what the first aggregate of the statement itself
    counts; what its filters offer has aggregates of its own in CTEs.
    """
    nodes = _nodes(count_plan)
    found = next((n for n in nodes if n.get("Subplan Name") == "CTE matching"), None)
    if found is None:
        counts = (n for n in _main_nodes(count_plan) if n["Node Type"] == "Aggregate")
        found = next(_main_inner(next(counts, {})), None)
    return float(found.get("Actual Rows", found["Plan Rows"])) if found else None


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _main_nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The node and those under it, without CTEs and subqueries in expressions."""
    yield node
    for inner in _main_inner(node):
        yield from _main_nodes(inner)


def _main_inner(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    apart = ("InitPlan", "SubPlan")
    inner = node.get("Plans", ())
    return (one for one in inner if one.get("Parent Relationship") not in apart)


def title_of(view: ModelView, spec: ListSpec, query: ListQuery) -> str:
    """The list in words, without what was searched or filtered for."""
    parts = [view.name_plural]
    if query.search:
        parts.append("searched")
    if query.filters:
        names = [spec.label(one.path).lower() for one in query.filters]
        parts.append(f"by {', '.join(names)}")
    if query.order:
        names = [spec.label(one.path).lower() for one in query.order]
        parts.append(f"in order of {', '.join(names)}")
    if query.page > 1:
        parts.append(f"page {query.page:,}")
    return ", ".join(parts)


def subject_of(view: ModelView, query: ListQuery | None = None) -> Subject:
    """What advice has to call by the names of the view and its models."""
    spec = view.description.list_spec
    searched = []
    for field in spec.search:
        column = spec.paths.place(field.path).column
        if column is not None:
            searched.append(
                Searched(field.path, column.table.name, column.name, field.mode.value)
            )
    return Subject(
        identity=view.identity,
        view=type(view).__name__,
        name=view.name_plural,
        table=view.description.table_name,
        models=_models(view.description.mapper),
        attributes=_attributes(view.description.mapper),
        searched=tuple(searched),
        page=query.page if query else 1,
        is_searched=bool(query and query.search),
    )


def _attributes(mapper: Mapper[Any]) -> dict[str, dict[str, str]]:
    """What the models call the columns of each table that shares a registry."""
    found: dict[str, dict[str, str]] = {}
    for one in mapper.registry.mappers:
        if isinstance(one.local_table, Table):
            own = found.setdefault(one.local_table.name, {})
            for prop in one.column_attrs:
                own.setdefault(prop.columns[0].name, prop.key)
    return found


def _models(mapper: Mapper[Any]) -> dict[str, str]:
    """The class of each table that shares a registry with this one."""
    found: dict[str, str] = {}
    for one in mapper.registry.mappers:
        if isinstance(one.local_table, Table):
            found.setdefault(one.local_table.name, one.class_.__name__)
    return found
