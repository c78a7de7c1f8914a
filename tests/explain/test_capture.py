"""Statements are caught on their way; nothing is sent."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, literal, select
from sqlalchemy.orm import Session

from backoffice.admin.explaining import is_sent
from backoffice.explain.capture import catch
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import FEW, MANY, page_statements, read_page
from backoffice.listing.params import parse_list
from backoffice.listing.spec import FilterField, FilterKind, ListSpec, SearchField
from models.school import Course
from tests.office import counted

SPEC = ListSpec(
    model=Course,
    identity="course",
    columns=("code", "title"),
    search=(SearchField("title"), SearchField("code")),
    filters=(FilterField("capacity", FilterKind.NUMBER, "Capacity"),),
    sortable=("code", "title"),
    exact_count_limit=100,
)
CODEC = CursorCodec("for tests alone " * 3)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody@/none?host=/nonexistent", "sqlite://"]
)
def test_no_server_is_needed(url: str) -> None:
    """Text and values are those of the dialect, and nobody is asked."""
    caught = catch(create_engine(url), select(literal("a") + "b").limit(3), "Rows")
    assert caught.text.startswith("SELECT")
    assert caught.values
    assert "a" in list(
        caught.values.values() if isinstance(caught.values, dict) else caught.values
    )


def sent(engine: Engine, query: str) -> list[str]:
    """What a page with this query string really sends."""
    items = [tuple(one.split("=")) for one in query.split("&") if one]
    with counted(engine) as statements, Session(engine) as session:
        read_page(session, SPEC, parse_list(SPEC, items, CODEC), CODEC)  # type: ignore[arg-type]
    return [plain(one) for one in statements]


def caught(engine: Engine, query: str) -> list[str]:
    """What is caught of it."""
    items: Any = [tuple(one.split("=")) for one in query.split("&") if one]
    found = page_statements(SPEC, parse_list(SPEC, items, CODEC), engine.dialect.name)
    return [plain(catch(engine, one.statement, one.title).text) for one in found]


def plain(text: str) -> str:
    """Without the comment that says for whom."""
    return text.rpartition("*/ ")[2]


@pytest.mark.parametrize(
    "query", ["", "search=a", "search=zz&capacity__from=5", "sortBy=title&page=3"]
)
@pytest.mark.parametrize("rows", [5, 150])
def test_a_page_sends_what_was_caught(
    demo_engine: Engine, query: str, rows: int
) -> None:
    """Few rows or many, searched or not: the statements are the very same."""
    with Session(demo_engine) as session:
        session.add_all(
            Course(code=f"C{n}", title=f"a course {n}", capacity=9) for n in range(rows)
        )
        session.commit()
    # An estimate of the planner's is asked for by a statement of its own.
    real = [one for one in sent(demo_engine, query) if not one.startswith("EXPLAIN")]
    assert set(real) <= set(caught(demo_engine, query))


@pytest.mark.parametrize(
    "query",
    ["search=a", "search=a&sortBy=title", "capacity__from=5", "search=a&pageSize=20"],
)
@pytest.mark.parametrize(("rows", "title"), [(100, FEW), (101, MANY)])
def test_the_count_tells_which_statement_a_page_sends(
    demo_engine: Engine, query: str, rows: int, title: str
) -> None:
    """By the rows that it has met, whatever way it has put them in order."""
    spec = replace(
        SPEC, filters=(*SPEC.filters, FilterField("title", FilterKind.CHOICE))
    )
    with Session(demo_engine) as session:
        session.add_all(
            Course(code=f"C{n}", title=f"a course {n % 9}", capacity=9)
            for n in range(rows)
        )
        session.flush()
        items: Any = [tuple(one.split("=")) for one in query.split("&")]
        parsed = parse_list(spec, items, CODEC)
        count, *others = (
            catch(demo_engine, one.statement, one.title)
            for one in page_statements(spec, parsed, "postgresql")
        )
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {count.text}"
        cursor = session.connection().connection.cursor()
        plan = cursor.execute(explain, count.values).fetchone()[0]

    assert [one.title for one in others if is_sent(100, one, plan)] == [title]


def test_catching_sends_nothing(demo_engine: Engine) -> None:
    """Not even a BEGIN."""
    with counted(demo_engine) as statements:
        assert caught(demo_engine, "search=a&sortBy=title")
    assert statements == []
    assert demo_engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_list_with_problems_sends_nothing(demo_engine: Engine) -> None:
    """There is nothing to explain where nothing would be asked."""
    assert caught(demo_engine, "capacity__from=x") == []
