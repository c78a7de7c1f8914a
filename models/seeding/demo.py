"""The demo: four subjects in the sizes that were asked for."""

from collections.abc import Mapping

from sqlalchemy import Table

from backoffice.seeding.plan import Plan
from models.analyses import BatchAnalysis, TextAnalysis
from models.publishing import Author, Comment, Post
from models.school import Course, Enrollment, ReportCard, School, Student
from models.seeding import analyses, publishing, school, shop
from models.seeding.tables import table_of
from models.shop import Customer, Order, OrderItem, Product

SCHOOL = (School, Student, ReportCard, Course, Enrollment)
SHOP = (Product, Customer, Order, OrderItem)
PUBLISHING = (Author, Post, Comment)
ANALYSES = (BatchAnalysis, TextAnalysis)


def plan(sizes: Mapping[str, int], seed: int) -> Plan:
    """All rows of the demo; each subject has a size of its own."""
    fills = (
        *school.fills(sizes["students"], seed),
        *shop.fills(sizes["products"], seed),
        *publishing.fills(sizes["authors"], seed),
        *analyses.fills(sizes["texts"], seed),
    )
    return Plan(fills=fills, seed=seed, resets=tables())


def tables() -> tuple[Table, ...]:
    """Every table of the demo, parents before children."""
    models = (*SCHOOL, *SHOP, *PUBLISHING, *ANALYSES)
    return tuple(table_of(model) for model in models)
