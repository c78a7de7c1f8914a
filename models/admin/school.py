"""How staff see the school."""

from sqlalchemy.orm import joinedload, selectinload

from backoffice.admin.actions import Parameter, Selected, Values, action
from backoffice.admin.call import Call, Page, Reply, address
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.presentation import Link
from backoffice.editing.fields import FieldKind
from models.school import (
    SUBJECTS,
    Course,
    Enrollment,
    ReportCard,
    School,
    Student,
)

CATEGORY = "School"
# Students whose report cards are printed at once.
SHEETS = 200


class StudentAdmin(ModelView, model=Student):
    """Pupils, found by the start of a word of name or e-mail, or by their code."""

    category = CATEGORY
    column_list = [
        Student.code,
        Student.full_name,
        Student.school,
        Student.class_name,
        Student.birth_date,
        Student.status,
        Student.updated_at,
    ]
    column_searchable_list = [Student.full_name, Student.email, Student.code]
    column_search_modes = {
        Student.full_name: "word_start",
        Student.email: "word_start",
        Student.code: "exact",
    }
    column_filters = [
        Student.status,
        Student.class_name,
        Student.school,
        Student.birth_date,
        Student.guardian,
    ]
    column_sortable_list = [
        Student.code,
        Student.full_name,
        Student.class_name,
    ]
    column_tones = {Student.status: {"on_leave": "none", "left": "none"}}
    label_columns = [Student.full_name, Student.code, Student.class_name]
    form_groups = [
        ("Student", "", [Student.code, Student.full_name, Student.birth_date]),
        ("At school", "", [Student.school, Student.class_name, Student.status]),
        ("Contact", "", [Student.email, Student.guardian]),
    ]

    @action("Mark as graduated", description="Sets the status and nothing else.")
    def graduate(self) -> Values:
        """The status of those who have finished."""
        return {Student.status: "graduated"}

    @action(
        "Report cards to print",
        description="One sheet of paper for each student, by class and name.",
        parameters=[
            Parameter(
                "year",
                "Academic year",
                FieldKind.INTEGER,
                required=False,
                minimum="1990",
                maximum="2100",
                hint="The year it began in; empty for all of them.",
            )
        ],
        answers=True,
    )
    def print_report_cards(
        self, call: Call, selected: Selected, year: int | None
    ) -> Reply:
        """A page of all report cards of these students."""
        students = selected.records(
            call.session,
            most=SHEETS,
            options=[selectinload(Student.report_cards), joinedload(Student.school)],
        )
        sheets = [
            {
                "student": one,
                "cards": sorted(
                    (c for c in one.report_cards if year in (None, c.academic_year)),
                    key=lambda card: (card.academic_year, card.semester),
                ),
            }
            for one in sorted(students, key=lambda one: (one.class_name, one.full_name))
        ]
        when = f" of {year}/{(year + 1) % 100:02}" if year else ""
        view = {
            "sheets": sheets,
            "subjects": SUBJECTS,
            "none": f"There is no report card{when}.",
        }
        title = f"Report cards{when}"
        here = address(call.site.base_url, self.identity, "list")
        crumbs = [Link(CATEGORY, ""), Link(self.name_plural, here)]
        drawn = frame(call, title=title, sub=selected.words, crumbs=crumbs)
        return Page("school/report_cards", view, drawn)


class ReportCardAdmin(ModelView, model=ReportCard):
    """Marks, with the average that the database computes."""

    category = CATEGORY
    name = "Report card"
    name_plural = "Report cards"
    column_list = [
        ReportCard.id,
        ReportCard.student,
        ReportCard.academic_year,
        ReportCard.semester,
        *(getattr(ReportCard, subject) for subject in SUBJECTS),
        ReportCard.average,
        "passed",
    ]
    column_related_list = [
        ReportCard.academic_year,
        ReportCard.semester,
        *(getattr(ReportCard, subject) for subject in SUBJECTS),
        ReportCard.average,
        "passed",
    ]
    column_details_list = [
        ReportCard.id,
        ReportCard.student,
        ReportCard.academic_year,
        ReportCard.semester,
        *(getattr(ReportCard, subject) for subject in SUBJECTS),
        ReportCard.average,
        "passed",
        ReportCard.created_at,
        ReportCard.updated_at,
    ]
    column_searchable_list = ["student.full_name", "student.code"]
    column_search_modes = {
        "student.full_name": "word_start",
        "student.code": "exact",
    }
    column_filters = [
        ReportCard.academic_year,
        ReportCard.semester,
        ReportCard.average,
        ReportCard.student,
    ]
    column_sortable_list = [ReportCard.id, ReportCard.semester]
    form_groups = [
        (
            "Student and term",
            "",
            [ReportCard.student, ReportCard.academic_year, ReportCard.semester],
        ),
        (
            "Marks",
            "0 to 100. Without a mark yet, leave it empty: it counts 0 in the average.",
            [*(getattr(ReportCard, subject) for subject in SUBJECTS), "average"],
        ),
    ]

    @action("Void", description="Takes all marks away; the card stays.")
    def void(self) -> Values:
        """A card without marks."""
        return {getattr(ReportCard, subject): None for subject in SUBJECTS}

    def record_label(self, record: ReportCard) -> str:
        """Whose card it is, and of which term."""
        return f"{record.student.full_name} · {record}"


class CourseAdmin(ModelView, model=Course):
    """Courses and their seats."""

    category = CATEGORY
    column_list = [
        Course.code,
        Course.title,
        Course.capacity,
        Course.enrolled,
        Course.updated_at,
    ]
    column_searchable_list = [Course.title, Course.code]
    column_filters = [Course.capacity, Course.enrolled]
    column_sortable_list = [Course.code, Course.title]
    label_columns = [Course.title, Course.code]


class EnrollmentAdmin(ModelView, model=Enrollment):
    """Who is in which course."""

    category = CATEGORY
    column_list = [
        Enrollment.id,
        Enrollment.student,
        Enrollment.course,
        Enrollment.created_at,
    ]
    column_searchable_list = ["student.full_name", "student.code"]
    column_search_modes = {
        "student.full_name": "word_start",
        "student.code": "exact",
    }
    column_filters = [Enrollment.course, Enrollment.student]
    column_sortable_list = [Enrollment.id]

    def record_label(self, record: Enrollment) -> str:
        """Who is in what."""
        return f"{record.student.full_name} in {record.course.title}"


class SchoolAdmin(ModelView, model=School):
    """Schools."""

    category = CATEGORY
    column_list = [School.name, School.city, School.updated_at]
    column_searchable_list = [School.name, School.city]
    column_sortable_list = [School.name]
