"""A school: its pupils, their marks, the courses and who is in them."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Computed,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    case,
    cast,
    func,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship
from sqlalchemy.types import Numeric

from backoffice.database.base import Base, Timestamps
from backoffice.database.choices import choice_column, one_of
from backoffice.database.textsearch import search_vector
from backoffice.database.triggers import declare
from models.seats import (
    count_on_postgresql,
    count_on_sqlite,
    only_counted_on_postgresql,
    only_counted_on_sqlite,
)

PASSING_AVERAGE = 75
SUBJECTS = ("mathematics", "indonesian", "english", "science", "javanese")


class StudentStatus(StrEnum):
    """Where a pupil stands."""

    ACTIVE = "active"
    ON_LEAVE = "on_leave"
    GRADUATED = "graduated"
    LEFT = "left"


class School(Timestamps, Base):
    """One school; it cannot go while it has pupils."""

    __tablename__ = "schools"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    city: Mapped[str | None] = mapped_column(String(100))

    # A school has more pupils than anyone wants to load at once.
    students: WriteOnlyMapped["Student"] = relationship(
        back_populates="school", passive_deletes="all"
    )

    __table_args__ = (
        UniqueConstraint(
            "name",
            info={"fields": ["name"], "message": "Another school has this name."},
        ),
        CheckConstraint(
            "name <> ''",
            name="name_given",
            info={"fields": ["name"], "message": "Give the school a name."},
        ),
    )

    def __str__(self) -> str:
        return self.name


class Student(Timestamps, Base):
    """One pupil of one school."""

    __tablename__ = "students"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(
        String(20), info={"hint": "The number on the pupil's card."}
    )
    full_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254), info={"label": "E-mail"})
    class_name: Mapped[str] = mapped_column(String(20), info={"label": "Class"})
    birth_date: Mapped[date | None] = mapped_column(info={"label": "Born"})
    status: Mapped[str] = choice_column(StudentStatus, default=StudentStatus.ACTIVE)
    guardian: Mapped[str | None] = mapped_column(
        String(200), info={"hint": "Whom to call."}
    )
    school_id: Mapped[int] = mapped_column(
        ForeignKey("schools.id", ondelete="RESTRICT")
    )

    school: Mapped[School] = relationship(back_populates="students")
    report_cards: Mapped[list["ReportCard"]] = relationship(
        back_populates="student", passive_deletes="all"
    )
    enrollments: Mapped[list["Enrollment"]] = relationship(
        back_populates="student", passive_deletes="all"
    )

    __table_args__ = (
        UniqueConstraint(
            "code",
            info={"fields": ["code"], "message": "Another student has this code."},
        ),
        CheckConstraint(
            "code <> ''",
            name="code_given",
            info={"fields": ["code"], "message": "Give the student a code."},
        ),
        CheckConstraint(
            "full_name <> ''",
            name="full_name_given",
            info={"fields": ["full_name"], "message": "Give the student a name."},
        ),
        CheckConstraint(
            "class_name <> ''",
            name="class_name_given",
            info={"fields": ["class_name"], "message": "Give the student a class."},
        ),
        CheckConstraint(
            "email LIKE '%_@_%'",
            name="email_has_at",
            info={
                "fields": ["email"],
                "message": "An e-mail address looks like name@example.org.",
            },
        ),
        CheckConstraint(
            "birth_date >= '1900-01-01'",
            name="birth_date_believable",
            info={
                "fields": ["birth_date"],
                "message": "The date of birth is before 1900.",
            },
        ),
        one_of("status", StudentStatus),
        # The list by name, and its pages by key.
        Index("ix_students_full_name_id", "full_name", "id"),
        # The list by class, the filter on one class, and their pages by key.
        Index("ix_students_class_name_id", "class_name", "id"),
        # One school's pupils in the list's order, and whether a school may go.
        Index("ix_students_school_id_id", "school_id", "id"),
        # The list's search: every word starts a word of the name or the e-mail.
        Index(
            "ix_students_search",
            search_vector(full_name, email),
            postgresql_using="gin",
        ).ddl_if(dialect="postgresql"),
    )

    def __str__(self) -> str:
        return self.full_name


def _mark() -> Mapped[int | None]:
    """A mark of 0 to 100, or none yet."""
    return mapped_column(SmallInteger, info={"hint": "0 to 100; empty if missing."})


def _mark_range(subject: str) -> CheckConstraint:
    """The rule that a mark lies between 0 and 100."""
    return CheckConstraint(
        f"{subject} BETWEEN 0 AND 100",
        name=f"{subject}_range",
        info={"fields": [subject], "message": "A mark is a number from 0 to 100."},
    )


class ReportCard(Timestamps, Base):
    """One pupil's marks of one semester; it goes with the pupil."""

    __tablename__ = "report_cards"

    id: Mapped[int] = mapped_column(primary_key=True)
    student_id: Mapped[int] = mapped_column(
        ForeignKey("students.id", ondelete="CASCADE")
    )
    semester: Mapped[int] = mapped_column(
        SmallInteger, info={"hint": "1, 2, or 3 for the final."}
    )
    academic_year: Mapped[int] = mapped_column(
        SmallInteger, info={"hint": "The year it began in: 2025 is 2025/26."}
    )
    mathematics: Mapped[int | None] = _mark()
    indonesian: Mapped[int | None] = _mark()
    english: Mapped[int | None] = _mark()
    science: Mapped[int | None] = _mark()
    javanese: Mapped[int | None] = _mark()
    # The sum of five whole numbers over five has one decimal: nothing is rounded.
    average: Mapped[Decimal] = mapped_column(
        Numeric(4, 1),
        Computed(
            "(" + " + ".join(f"coalesce({name}, 0)" for name in SUBJECTS) + ") / 5.0",
            persisted=True,
        ),
        nullable=False,
        info={
            "read_only": "The mean of all five marks; a missing one counts 0.",
        },
    )

    student: Mapped[Student] = relationship(back_populates="report_cards")

    __table_args__ = (
        UniqueConstraint(
            "student_id",
            "academic_year",
            "semester",
            info={
                "fields": ["semester"],
                "message": "The student has a report card for this semester.",
            },
        ),
        CheckConstraint(
            "semester BETWEEN 1 AND 3",
            name="semester_known",
            info={
                "fields": ["semester"],
                "message": "A semester is 1, 2, or 3 for the final.",
            },
        ),
        CheckConstraint(
            "academic_year BETWEEN 1990 AND 2100",
            name="academic_year_believable",
            info={
                "fields": ["academic_year"],
                "message": "The academic year is between 1990 and 2100.",
            },
        ),
        *(_mark_range(subject) for subject in SUBJECTS),
        # All cards of one semester.
        Index("ix_report_cards_semester_academic_year", "semester", "academic_year"),
        # One pupil's finals through the years.
        Index(
            "ix_report_cards_student_id_semester_academic_year",
            "student_id",
            "semester",
            "academic_year",
        ),
    )

    @hybrid_property
    def passed(self) -> bool:
        """Whether the average is enough; the marks decide, saved or not."""
        return sum(mark or 0 for mark in _marks(self)) >= PASSING_AVERAGE * len(
            SUBJECTS
        )

    @passed.inplace.expression
    @classmethod
    def _passed(cls) -> ColumnElement[bool]:
        return cls.average >= PASSING_AVERAGE

    @hybrid_property
    def average_of_given(self) -> Decimal | None:
        """The mean of the marks that are there, to two decimals; None without any."""
        given = [mark for mark in _marks(self) if mark is not None]
        if not given:
            return None
        mean = Decimal(sum(given)) / len(given)
        return mean.quantize(Decimal("0.01"), ROUND_HALF_UP)

    @average_of_given.inplace.expression
    @classmethod
    def _average_of_given(cls) -> ColumnElement[Decimal | None]:
        columns = _marks(cls)
        total = sum(
            (func.coalesce(mark, 0) for mark in columns[1:]),
            func.coalesce(columns[0], 0),
        )
        number = sum(
            (case((mark.is_not(None), 1), else_=0) for mark in columns[1:]),
            case((columns[0].is_not(None), 1), else_=0),
        )
        mean = cast(total, Numeric(6, 3)) / func.nullif(number, 0)
        return func.round(mean, 2, type_=Numeric(5, 2))

    def __str__(self) -> str:
        year = f"{self.academic_year}/{(self.academic_year + 1) % 100:02}"
        return f"{year}, semester {self.semester}"


def _marks(card: Any) -> list[Any]:
    """The five marks of a card, or the five columns of the class."""
    return [getattr(card, subject) for subject in SUBJECTS]


class Course(Timestamps, Base):
    """One course with a number of seats; it cannot go while somebody is in it."""

    __tablename__ = "courses"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    capacity: Mapped[int]
    # Counted by the triggers of `enrollments`, below.
    enrolled: Mapped[int] = mapped_column(
        default=0,
        server_default="0",
        info={"read_only": "Counted from the enrollments."},
    )

    # A popular course has more of them than a page shows.
    enrollments: WriteOnlyMapped["Enrollment"] = relationship(
        back_populates="course", passive_deletes="all"
    )

    __table_args__ = (
        UniqueConstraint(
            "code",
            info={"fields": ["code"], "message": "Another course has this code."},
        ),
        CheckConstraint(
            "code <> ''",
            name="code_given",
            info={"fields": ["code"], "message": "Give the course a code."},
        ),
        CheckConstraint(
            "title <> ''",
            name="title_given",
            info={"fields": ["title"], "message": "Give the course a title."},
        ),
        CheckConstraint(
            "enrolled BETWEEN 0 AND capacity",
            name="enrolled_within_capacity",
            info={
                "fields": ["capacity"],
                "message": "More students than that are in the course.",
            },
        ),
        # The list by title, and its pages by key.
        Index("ix_courses_title_id", "title", "id"),
    )

    def __str__(self) -> str:
        return self.title


class Enrollment(Timestamps, Base):
    """One pupil in one course; it goes with the pupil."""

    __tablename__ = "enrollments"

    id: Mapped[int] = mapped_column(primary_key=True)
    student_id: Mapped[int] = mapped_column(
        ForeignKey("students.id", ondelete="CASCADE")
    )
    course_id: Mapped[int] = mapped_column(
        ForeignKey("courses.id", ondelete="RESTRICT")
    )

    student: Mapped[Student] = relationship(back_populates="enrollments")
    course: Mapped[Course] = relationship(back_populates="enrollments")

    __table_args__ = (
        UniqueConstraint(
            "student_id",
            "course_id",
            info={
                "fields": ["course"],
                "message": "The student is in this course already.",
            },
        ),
        # Who is in one course, and whether the course may go.
        Index("ix_enrollments_course_id_id", "course_id", "id"),
    )

    def __str__(self) -> str:
        return f"Enrollment {self.id}"


# `Course.enrolled`, whoever writes.
declare(Enrollment.__table__, count_on_postgresql(), *count_on_sqlite())
declare(Course.__table__, only_counted_on_postgresql(), *only_counted_on_sqlite())
