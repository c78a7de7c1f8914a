"""One row of each table, with only the values that matter given by the test.

Each `make_…` adds the row, flushes it and gives it back; what it belongs to is made
as well, unless given. Numbers in names make rows of one test differ.
"""

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from models.analyses import BatchAnalysis, TextAnalysis
from models.publishing import Author, Comment, Post
from models.school import Course, Enrollment, ReportCard, School, Student
from models.shop import Customer, Order, OrderItem, Product

_numbers = count(1)

Row = TypeVar("Row")


def _add(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row


def make_school(session: Session, **given: Any) -> School:
    """A school."""
    given.setdefault("name", f"School {next(_numbers)}")
    return _add(session, School(**given))


def make_student(session: Session, **given: Any) -> Student:
    """A pupil, in a school of their own."""
    number = next(_numbers)
    if "school_id" not in given and "school" not in given:
        given["school"] = make_school(session)
    values = {
        "code": f"S{number:05}",
        "full_name": f"Student {number}",
        "email": f"student{number}@example.org",
        "class_name": "7A",
        "birth_date": date(2012, 5, 17),
    }
    return _add(session, Student(**values | given))


def make_report_card(session: Session, **given: Any) -> ReportCard:
    """A report card without marks."""
    if "student_id" not in given and "student" not in given:
        given["student"] = make_student(session)
    values = {"semester": 1, "academic_year": 2025}
    return _add(session, ReportCard(**values | given))


def make_course(session: Session, **given: Any) -> Course:
    """A course of thirty seats."""
    number = next(_numbers)
    values = {"code": f"C{number:04}", "title": f"Course {number}", "capacity": 30}
    return _add(session, Course(**values | given))


def make_enrollment(session: Session, **given: Any) -> Enrollment:
    """One pupil in one course."""
    if "student_id" not in given and "student" not in given:
        given["student"] = make_student(session)
    if "course_id" not in given and "course" not in given:
        given["course"] = make_course(session)
    return _add(session, Enrollment(**given))


def make_product(session: Session, **given: Any) -> Product:
    """Ten pieces of something."""
    values = {
        "name": f"Product {next(_numbers)}",
        "category": "Office",
        "price": Decimal("2.50"),
        "stock": 10,
    }
    return _add(session, Product(**values | given))


def make_customer(session: Session, **given: Any) -> Customer:
    """Somebody who buys."""
    number = next(_numbers)
    values = {
        "full_name": f"Customer {number}",
        "email": f"customer{number}@example.org",
    }
    return _add(session, Customer(**values | given))


def make_order(session: Session, **given: Any) -> Order:
    """An order without lines."""
    if "customer_id" not in given and "customer" not in given:
        given["customer"] = make_customer(session)
    return _add(session, Order(**given))


def make_order_item(session: Session, **given: Any) -> OrderItem:
    """One line of an order; takes nothing from stock."""
    if "order_id" not in given and "order" not in given:
        given["order"] = make_order(session)
    if "product_id" not in given and "product" not in given:
        given["product"] = make_product(session)
    values = {"quantity": 1, "price": Decimal("2.50")}
    return _add(session, OrderItem(**values | given))


def make_author(session: Session, **given: Any) -> Author:
    """Somebody who writes."""
    number = next(_numbers)
    values = {
        "username": f"author{number}",
        "full_name": f"Author {number}",
        "email": f"author{number}@example.org",
    }
    return _add(session, Author(**values | given))


def make_post(session: Session, **given: Any) -> Post:
    """A draft."""
    if "author_id" not in given and "author" not in given:
        given["author"] = make_author(session)
    values = {"title": f"Post {next(_numbers)}", "body": "What there is to say."}
    return _add(session, Post(**values | given))


def make_comment(session: Session, **given: Any) -> Comment:
    """What one reader said."""
    if "post_id" not in given and "post" not in given:
        given["post"] = make_post(session)
    values = {"name": f"Reader {next(_numbers)}", "body": "I see."}
    return _add(session, Comment(**values | given))


def make_batch_analysis(session: Session, **given: Any) -> BatchAnalysis:
    """A batch of ten texts, none of them processed."""
    values = {"name": f"Batch {next(_numbers)}", "size": 10}
    return _add(session, BatchAnalysis(**values | given))


def make_text_analysis(session: Session, **given: Any) -> TextAnalysis:
    """A text that waits."""
    values = {"text": f"Text number {next(_numbers)}."}
    return _add(session, TextAnalysis(**values | given))
