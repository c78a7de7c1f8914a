"""What is compared with: SQLAdmin as it comes, over the same tables.

The same columns, searchable columns and sortable columns as our views have, a
`StaticValuesFilter` where we filter by a value, an async engine, no login.
"""

import os
from typing import Any

from sqladmin import Admin, ModelView
from sqladmin.filters import StaticValuesFilter
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette

from models.school import SUBJECTS, ReportCard, School, Student, StudentStatus

URL = "BENCHMARK_DATABASE"
PAGE_SIZE = 50


def values_of(url: str, column: Any) -> list[tuple[str, str]]:
    """The values that a filter offers, read once before anything is measured."""
    engine = create_engine(url)
    with engine.connect() as connection:
        known = connection.scalars(
            select(column).distinct().order_by(column).limit(200)
        ).all()
    engine.dispose()
    return [(str(value), str(value)) for value in known]


def application() -> Starlette:
    """The baseline's application; the database is named by the environment."""
    url = os.environ[URL]
    app = Starlette()
    admin = Admin(app, create_async_engine(url))

    class StudentStock(ModelView, model=Student):
        column_list = (
            Student.code,
            Student.full_name,
            Student.school,
            Student.class_name,
            Student.birth_date,
            Student.status,
            Student.email,
        )
        column_searchable_list = (Student.full_name, Student.email, Student.code)
        column_sortable_list = (Student.code, Student.full_name, Student.class_name)
        column_default_sort = (Student.id, True)
        column_filters = (
            StaticValuesFilter(Student.status, [(s, s) for s in StudentStatus]),
            StaticValuesFilter(Student.class_name, values_of(url, Student.class_name)),
        )
        form_columns = (
            Student.code,
            Student.full_name,
            Student.birth_date,
            Student.school,
            Student.class_name,
            Student.status,
            Student.email,
            Student.guardian,
        )
        page_size = PAGE_SIZE

    class ReportCardStock(ModelView, model=ReportCard):
        column_list = (
            ReportCard.id,
            ReportCard.student,
            ReportCard.academic_year,
            ReportCard.semester,
            *(getattr(ReportCard, subject) for subject in SUBJECTS),
            ReportCard.average,
            "passed",
        )
        column_searchable_list = ("student.full_name", "student.code")
        column_sortable_list = (ReportCard.id, ReportCard.semester)
        column_default_sort = (ReportCard.id, True)
        column_filters = (
            StaticValuesFilter(
                ReportCard.academic_year, values_of(url, ReportCard.academic_year)
            ),
            StaticValuesFilter(ReportCard.semester, [(str(n),) * 2 for n in (1, 2, 3)]),
        )
        page_size = PAGE_SIZE

    class SchoolStock(ModelView, model=School):
        column_list = (School.name, School.city)

    for view in (StudentStock, ReportCardStock, SchoolStock):
        admin.add_view(view)
    return app
