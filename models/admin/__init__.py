"""Staff's views of the demo's tables, in the order of the menu."""

from backoffice.admin.model_view import ModelView
from models.admin.analyses import BatchAnalysisAdmin, TextAnalysisAdmin
from models.admin.publishing import AuthorAdmin, CommentAdmin, PostAdmin
from models.admin.school import (
    CourseAdmin,
    EnrollmentAdmin,
    ReportCardAdmin,
    SchoolAdmin,
    StudentAdmin,
)
from models.admin.shop import CustomerAdmin, OrderAdmin, OrderItemAdmin, ProductAdmin

views: list[type[ModelView]] = [
    StudentAdmin,
    ReportCardAdmin,
    CourseAdmin,
    EnrollmentAdmin,
    SchoolAdmin,
    ProductAdmin,
    OrderAdmin,
    OrderItemAdmin,
    CustomerAdmin,
    AuthorAdmin,
    PostAdmin,
    CommentAdmin,
    TextAnalysisAdmin,
    BatchAnalysisAdmin,
]
