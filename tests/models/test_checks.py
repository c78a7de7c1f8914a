"""Which rows the demo's tables refuse, by the constraint that refuses them."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import CheckConstraint, Table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import models.tables  # noqa: F401 - makes the metadata whole
from backoffice.database.base import OWN_PREFIX, Base
from models.school import SUBJECTS
from tests import factories

Make = Callable[..., Any]


def make_narrow_course(session: Session) -> None:
    """A course with fewer seats than students."""
    course = factories.make_course(session, capacity=1)
    factories.make_enrollment(session, course=course)
    course.capacity = 0
    session.flush()


REFUSED: list[tuple[str, Make, dict[str, Any]]] = [
    ("ck_schools_name_given", factories.make_school, {"name": ""}),
    ("ck_students_code_given", factories.make_student, {"code": ""}),
    ("ck_students_full_name_given", factories.make_student, {"full_name": ""}),
    ("ck_students_class_name_given", factories.make_student, {"class_name": ""}),
    ("ck_students_email_has_at", factories.make_student, {"email": "ann"}),
    (
        "ck_students_birth_date_believable",
        factories.make_student,
        {"birth_date": date(1899, 12, 31)},
    ),
    ("ck_students_status_known", factories.make_student, {"status": "asleep"}),
    ("ck_report_cards_semester_known", factories.make_report_card, {"semester": 4}),
    (
        "ck_report_cards_academic_year_believable",
        factories.make_report_card,
        {"academic_year": 1989},
    ),
    *(
        (f"ck_report_cards_{subject}_range", factories.make_report_card, {subject: 101})
        for subject in SUBJECTS
    ),
    ("ck_courses_code_given", factories.make_course, {"code": ""}),
    ("ck_courses_title_given", factories.make_course, {"title": ""}),
    (
        "ck_courses_enrolled_within_capacity",
        make_narrow_course,
        {},
    ),
    ("ck_products_name_given", factories.make_product, {"name": ""}),
    ("ck_products_category_given", factories.make_product, {"category": ""}),
    ("ck_products_price_not_negative", factories.make_product, {"price": Decimal(-1)}),
    ("ck_products_stock_not_negative", factories.make_product, {"stock": -1}),
    ("ck_customers_full_name_given", factories.make_customer, {"full_name": ""}),
    ("ck_customers_email_has_at", factories.make_customer, {"email": "@"}),
    ("ck_orders_total_not_negative", factories.make_order, {"total": Decimal(-1)}),
    ("ck_orders_status_known", factories.make_order, {"status": "lost"}),
    ("ck_order_items_quantity_positive", factories.make_order_item, {"quantity": 0}),
    (
        "ck_order_items_price_not_negative",
        factories.make_order_item,
        {"price": Decimal(-1)},
    ),
    ("ck_authors_username_given", factories.make_author, {"username": ""}),
    ("ck_authors_full_name_given", factories.make_author, {"full_name": ""}),
    ("ck_authors_email_has_at", factories.make_author, {"email": "ann.example.org"}),
    ("ck_posts_title_given", factories.make_post, {"title": ""}),
    ("ck_posts_published_has_time", factories.make_post, {"status": "published"}),
    ("ck_posts_status_known", factories.make_post, {"status": "burnt"}),
    ("ck_comments_name_given", factories.make_comment, {"name": ""}),
    ("ck_comments_body_given", factories.make_comment, {"body": ""}),
    ("ck_batch_analyses_name_given", factories.make_batch_analysis, {"name": ""}),
    (
        "ck_batch_analyses_size_not_negative",
        factories.make_batch_analysis,
        {"size": -1},
    ),
    (
        "ck_batch_analyses_processed_not_negative",
        factories.make_batch_analysis,
        {"processed": -1},
    ),
    (
        "ck_batch_analyses_failed_not_negative",
        factories.make_batch_analysis,
        {"failed": -1},
    ),
    (
        "ck_batch_analyses_within_size",
        factories.make_batch_analysis,
        {"size": 10, "processed": 8, "failed": 3},
    ),
    (
        "ck_batch_analyses_status_known",
        factories.make_batch_analysis,
        {"status": "lost"},
    ),
    ("ck_text_analyses_text_length", factories.make_text_analysis, {"text": ""}),
    (
        "ck_text_analyses_text_length",
        factories.make_text_analysis,
        {"text": "x" * 10_001},
    ),
    (
        "ck_text_analyses_sentiment_range",
        factories.make_text_analysis,
        {"sentiment": Decimal("-1.001")},
    ),
    (
        "ck_text_analyses_quality_range",
        factories.make_text_analysis,
        {"quality": Decimal("1.001")},
    ),
    (
        "ck_text_analyses_milliseconds_not_negative",
        factories.make_text_analysis,
        {"milliseconds": -1},
    ),
    *(
        (
            "ck_text_analyses_emotions_are_scores",
            factories.make_text_analysis,
            {"emotions": emotions},
        )
        for emotions in (
            *({"joy": 1.01}, {"joy": -0.1}, {"joy": "0.5"}, {"joy": None}),
            *({"joy": 0.5, "fear": [0.5]}, [0.5], 0.5),
        )
    ),
    ("ck_text_analyses_type_known", factories.make_text_analysis, {"type": "smell"}),
    ("ck_text_analyses_tier_known", factories.make_text_analysis, {"tier": "free"}),
    ("ck_text_analyses_status_known", factories.make_text_analysis, {"status": "x"}),
    ("uq_schools_name", factories.make_school, {"name": "taken"}),
    ("uq_students_code", factories.make_student, {"code": "taken"}),
    ("uq_courses_code", factories.make_course, {"code": "taken"}),
    ("uq_products_name", factories.make_product, {"name": "taken"}),
    ("uq_authors_username", factories.make_author, {"username": "taken"}),
    ("uq_authors_lower_email", factories.make_author, {"email": "Taken@example.org"}),
    (
        "uq_customers_lower_email",
        factories.make_customer,
        {"email": "Taken@example.org"},
    ),
    ("uq_text_analyses_hash", factories.make_text_analysis, {"text": "taken"}),
]


def _violated(error: IntegrityError) -> str | None:
    assert isinstance(error.orig, psycopg.Error)
    return error.orig.diag.constraint_name


@pytest.mark.parametrize(
    ("constraint", "make", "values"),
    REFUSED,
    ids=[f"{row[0]} {number}" for number, row in enumerate(REFUSED)],
)
def test_wrong_row_is_refused(
    demo_session: Session, constraint: str, make: Make, values: dict[str, Any]
) -> None:
    """The database refuses it, and names the constraint that does."""
    if constraint.startswith("uq_"):
        make(demo_session, **{k: v.lower() for k, v in values.items()})

    with pytest.raises(IntegrityError) as refused:
        make(demo_session, **values)

    # Where two rules are in the way, the one that comes first by name speaks.
    assert _violated(refused.value) == constraint


def test_every_check_is_tried() -> None:
    """No table of the demo has a check that no row above runs into."""
    tried = {constraint for constraint, _, _ in REFUSED}

    assert {str(rule.name) for table in _tables() for rule in _checks(table)} <= tried


def test_every_rule_has_a_sentence() -> None:
    """What refuses says so in words, and on which fields."""
    for table in _tables():
        rules = [*_checks(table), *(i for i in table.indexes if i.unique)]
        assert all(rule.info["message"] and rule.info["fields"] for rule in rules)


def test_edges_are_accepted(demo_session: Session) -> None:
    """What lies just within the rules is stored."""
    factories.make_report_card(
        demo_session, semester=3, mathematics=0, indonesian=100, academic_year=2100
    )
    factories.make_text_analysis(
        demo_session, text="x" * 10_000, sentiment=Decimal(-1), quality=Decimal(1)
    )
    factories.make_post(
        demo_session, status="published", published_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    factories.make_batch_analysis(demo_session, size=10, processed=7, failed=3)
    factories.make_student(demo_session, email=None, birth_date=None)


def _tables() -> list[Table]:
    every = Base.metadata.tables.values()
    return [table for table in every if not table.name.startswith(OWN_PREFIX)]


def _checks(table: Table) -> list[CheckConstraint]:
    return [rule for rule in table.constraints if isinstance(rule, CheckConstraint)]
