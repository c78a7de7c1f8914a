"""What is compared with: SQLAdmin as it comes, over the same tables.

The columns, searchable columns, sortable columns and fields of our own views, a
`StaticValuesFilter` where we offer a choice, an async engine, no login.
"""

import os
from typing import Any

from sqladmin import Admin, ModelView
from sqladmin.filters import StaticValuesFilter
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette

from models.admin.school import SchoolAdmin, StudentAdmin
from models.school import School, Student, StudentStatus

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
        column_list = StudentAdmin.column_list
        column_searchable_list = StudentAdmin.column_searchable_list
        column_sortable_list = StudentAdmin.column_sortable_list
        column_default_sort = (Student.id, True)
        column_filters = (
            StaticValuesFilter(Student.status, [(s, s) for s in StudentStatus]),
            StaticValuesFilter(Student.class_name, values_of(url, Student.class_name)),
            StaticValuesFilter(Student.school_id, values_of(url, School.id)),
        )
        form_columns = tuple(one for g in StudentAdmin.form_groups for one in g[2])
        page_size = PAGE_SIZE

    class SchoolStock(ModelView, model=School):
        column_list = SchoolAdmin.column_list

    for view in (StudentStock, SchoolStock):
        admin.add_view(view)
    return app
