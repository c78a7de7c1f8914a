"""The demo: four subjects in the sizes that were asked for."""

from collections.abc import Mapping

from sqlalchemy import Table

from backoffice.seeding.plan import Plan, Size
from models.analyses import BatchAnalysis, TextAnalysis
from models.publishing import Author, Comment, Post
from models.school import Course, Enrollment, ReportCard, School, Student
from models.seeding import analyses, publishing, school, shop
from models.seeding.tables import table_of
from models.shop import Customer, Order, OrderItem, Product

SIZES = (
    Size(
        "students",
        2_000,
        "Students, with five report cards each; schools, courses and enrollments "
        "in proportion.",
    ),
    Size(
        "products",
        400,
        "Products; five orders for each, and customers in proportion.",
    ),
    Size("authors", 120, "Authors, with eight posts each and three comments a post."),
    Size("texts", 1_500, "Texts that were analysed, most of them in batches of 50."),
)

# What `make run` says is worth trying.
FIRST_STEPS = (
    "Students: search for two words at once, such as `wahyu sukma`, and open one.",
    "Report cards: sort by semester, filter one year, and correct a mark.",
    "Enrollments: put a student into a course that is full.",
    "Orders: place one of more pieces than there are in stock.",
    "Open one record in two tabs, save both, and see who was first.",
)

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
