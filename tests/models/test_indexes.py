"""Whether each index of the demo serves the query that it is for."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Index,
    Table,
    UniqueConstraint,
    create_engine,
    inspect,
)
from sqlalchemy.dialects import postgresql

import models.tables  # noqa: F401 - makes the metadata whole
from backoffice.admin.description import key_of
from backoffice.database.base import OWN_PREFIX, Base
from backoffice.database.textsearch import search_text, search_vector
from models.admin import views
from models.school import Student

SERVED = {
    "ix_students_full_name_id": (
        "SELECT * FROM students WHERE (full_name, id) > ('Ann', 7)"
        " ORDER BY full_name, id LIMIT 50"
    ),
    "ix_students_class_name_id": (
        "SELECT * FROM students WHERE class_name = '7A' ORDER BY id LIMIT 50"
    ),
    "ix_students_school_id_id": "SELECT * FROM students WHERE school_id = 3",
    "ix_report_cards_semester_academic_year": (
        "SELECT * FROM report_cards WHERE semester = 3 AND academic_year = 2025"
    ),
    "ix_report_cards_student_id_semester_academic_year": (
        "SELECT * FROM report_cards WHERE student_id = 7 AND semester = 3"
        " ORDER BY academic_year"
    ),
    "uq_report_cards_student_id_academic_year_semester": (
        "SELECT * FROM report_cards WHERE student_id = 7 AND academic_year = 2025"
        " ORDER BY semester"
    ),
    "ix_courses_title_id": "SELECT * FROM courses ORDER BY title, id LIMIT 50",
    "ix_enrollments_course_id_id": (
        "SELECT * FROM enrollments WHERE course_id = 7 ORDER BY id LIMIT 50"
    ),
    "uq_enrollments_student_id_course_id": (
        "SELECT * FROM enrollments WHERE student_id = 7"
    ),
    "ix_products_category_name_id": (
        "SELECT * FROM products WHERE category = 'Office' ORDER BY name, id LIMIT 50"
    ),
    "ix_products_price_id": (
        "SELECT * FROM products WHERE (price, id) > (9.90, 7)"
        " ORDER BY price, id LIMIT 50"
    ),
    "ix_products_stock_id": "SELECT * FROM products ORDER BY stock, id LIMIT 50",
    "ix_customers_full_name_id": (
        "SELECT * FROM customers ORDER BY full_name, id LIMIT 50"
    ),
    "uq_customers_lower_email": (
        "SELECT * FROM customers WHERE lower(email) = 'ann@example.org'"
    ),
    "ix_orders_customer_id_id": (
        "SELECT * FROM orders WHERE customer_id = 7 ORDER BY id DESC LIMIT 50"
    ),
    "ix_orders_status_id": (
        "SELECT * FROM orders WHERE status = 'paid' ORDER BY id LIMIT 50"
    ),
    "ix_orders_total_id": (
        "SELECT * FROM orders ORDER BY total DESC, id DESC LIMIT 50"
    ),
    "ix_orders_created_at_id": (
        "SELECT * FROM orders WHERE (created_at, id) < ('2026-01-01', 7)"
        " ORDER BY created_at DESC, id DESC LIMIT 50"
    ),
    "ix_order_items_order_id_id": (
        "SELECT * FROM order_items WHERE order_id = 7 ORDER BY id"
    ),
    "ix_order_items_product_id_id": "SELECT * FROM order_items WHERE product_id = 7",
    "uq_authors_username": ("SELECT id, full_name FROM authors WHERE username = 'ann'"),
    "uq_authors_lower_email": (
        "SELECT * FROM authors WHERE lower(email) = 'ann@example.org'"
    ),
    "ix_authors_active": (
        "SELECT * FROM authors WHERE is_active ORDER BY full_name, id LIMIT 50"
    ),
    "ix_authors_full_name_id": "SELECT * FROM authors ORDER BY full_name, id LIMIT 50",
    "ix_authors_created_at_id": (
        "SELECT * FROM authors ORDER BY created_at DESC, id DESC LIMIT 50"
    ),
    "ix_authors_is_active_created_at": (
        "SELECT * FROM authors WHERE NOT is_active ORDER BY created_at DESC LIMIT 50"
    ),
    "ix_posts_author_id_id": (
        "SELECT * FROM posts WHERE author_id = 7 ORDER BY id DESC LIMIT 50"
    ),
    "ix_posts_published": (
        "SELECT * FROM posts WHERE status = 'published'"
        " ORDER BY published_at DESC, id DESC LIMIT 50"
    ),
    "ix_posts_published_at_id": (
        "SELECT * FROM posts ORDER BY published_at DESC, id DESC LIMIT 50"
    ),
    "ix_posts_title_id": "SELECT * FROM posts ORDER BY title, id LIMIT 50",
    "ix_comments_post_id_id": "SELECT * FROM comments WHERE post_id = 7 ORDER BY id",
    "ix_comments_waiting": (
        "SELECT * FROM comments WHERE NOT is_approved ORDER BY id LIMIT 50"
    ),
    "ix_batch_analyses_status_created_at": (
        "SELECT * FROM batch_analyses WHERE status = 'done'"
        " ORDER BY created_at DESC LIMIT 50"
    ),
    "ix_text_analyses_hash_type": (
        "SELECT type FROM text_analyses WHERE hash = 'x' AND type = 'full'"
    ),
    "ix_text_analyses_status_created_at": (
        "SELECT * FROM text_analyses WHERE status = 'failed'"
        " ORDER BY created_at DESC LIMIT 50"
    ),
    "ix_text_analyses_sentiment": (
        "SELECT * FROM text_analyses WHERE sentiment < -0.9 ORDER BY sentiment LIMIT 50"
    ),
    "ix_text_analyses_batch_id_id": "SELECT * FROM text_analyses WHERE batch_id = 7",
}


@pytest.fixture(scope="module")
def planner(_shared_demo: Engine) -> Iterator[Engine]:
    """An engine that reads whole tables, and sorts, only where nothing else is left."""
    options = "-c enable_seqscan=off -c enable_sort=off"
    engine = create_engine(_shared_demo.url, connect_args={"options": options})
    yield engine
    engine.dispose()


@pytest.mark.parametrize("index", SERVED)
def test_index_serves_its_query(planner: Engine, index: str) -> None:
    """PostgreSQL answers the query that the index is for with it, and sorts nothing."""
    plan = _plan(planner, SERVED[index])

    assert f" {index} " in plan
    assert "Sort" not in plan


def test_covering_index_answers_alone(planner: Engine) -> None:
    """What a page shows of an author is read from the index."""
    assert "Index Only Scan using uq_authors_username" in _plan(
        planner, SERVED["uq_authors_username"]
    )


def test_search_index_serves_word_starts(planner: Engine) -> None:
    """The search of the list and its index are the same expression."""
    vector = search_vector(Student.full_name, Student.email)
    compiled = str(
        vector.compile(dialect=postgresql.dialect(paramstyle="named"))  # type: ignore[no-untyped-call]
    )
    query = search_text("ann le")

    plan = _plan(
        planner,
        "SELECT id FROM students"
        f" WHERE {compiled} @@ to_tsquery('simple', $${query}$$)",
    )

    assert "ix_students_search" in plan


def test_every_index_has_its_query() -> None:
    """No index stands without a query here that it serves."""
    searches = {"ix_students_search"}
    indexes = {str(index.name) for table in _tables() for index in table.indexes}

    assert indexes == (SERVED.keys() & indexes) | searches


def test_every_order_that_a_list_offers_has_an_index() -> None:
    """No page of a large list sorts the whole table."""
    for view in views:
        table: Any = inspect(view.model).local_table
        leading = {next(iter(table.primary_key)).name}
        leading |= {
            next(iter(rule.columns)).name
            for rule in (*table.indexes, *table.constraints)
            if isinstance(rule, Index | UniqueConstraint) and _is_whole(rule)
        }
        offered = {key_of(column) for column in view.column_sortable_list}
        assert offered <= leading, view


def test_every_foreign_key_has_an_index() -> None:
    """Deleting a parent reads no whole child table."""
    for table in _tables():
        leading = {next(iter(index.columns)).name for index in table.indexes}
        leading |= {
            next(iter(rule.columns)).name
            for rule in table.constraints
            if isinstance(rule, UniqueConstraint)
        }
        assert {key.parent.name for key in table.foreign_keys} <= leading


def _plan(engine: Engine, query: str) -> str:
    with engine.connect() as connection:
        lines = connection.exec_driver_sql(
            "EXPLAIN (COSTS OFF) " + query.replace("%", "%%")
        )
        return "\n".join(f"{line[0]} " for line in lines)


def _is_whole(rule: Index | UniqueConstraint) -> bool:
    """Whether it knows every row, and by columns."""
    if isinstance(rule, UniqueConstraint):
        return True
    is_partial = rule.dialect_options["postgresql"]["where"] is not None
    return not is_partial and isinstance(next(iter(rule.expressions)), Column)


def _tables() -> list[Table]:
    every = Base.metadata.tables.values()
    return [table for table in every if not table.name.startswith(OWN_PREFIX)]
