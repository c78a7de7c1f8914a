"""What the school's tables promise."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import (
    Engine,
    delete,
    func,
    insert,
    literal,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.database.base import Base
from backoffice.database.engine import make_engine
from backoffice.database.triggers import refusal_of
from backoffice.settings import DatabaseSettings
from models.school import SUBJECTS, Course, Enrollment, ReportCard, School, Student
from tests.factories import (
    make_course,
    make_enrollment,
    make_report_card,
    make_school,
    make_student,
)

MARKS = [
    pytest.param((None, None, None, None, None), "0.0", None, id="none"),
    pytest.param((75, 75, 75, 75, 75), "75.0", "75.00", id="just enough"),
    pytest.param((75, 75, 75, 75, 74), "74.8", "74.80", id="just not"),
    pytest.param((100, None, 100, None, 100), "60.0", "100.00", id="two missing"),
    pytest.param((71, 66, 63, None, None), "40.0", "66.67", id="rounded up"),
    pytest.param((70, 66, 63, None, None), "39.8", "66.33", id="rounded down"),
    pytest.param((0, 0, 0, 0, 0), "0.0", "0.00", id="all zero"),
    pytest.param((100, 100, 100, 100, 100), "100.0", "100.00", id="all full"),
]


@pytest.fixture(params=["postgresql", "sqlite"])
def any_session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """The demo's tables on each dialect."""
    if request.param == "postgresql":
        yield request.getfixturevalue("demo_session")
        return
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    engine = make_engine(make_url(url), DatabaseSettings(), application_name="test")
    Base.metadata.create_all(engine)
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()


@pytest.mark.parametrize(("marks", "average", "of_given"), MARKS)
def test_average(
    any_session: Session,
    marks: tuple[int | None, ...],
    average: str,
    of_given: str | None,
) -> None:
    """The database's average counts a missing mark 0; that of the given does not."""
    card = make_report_card(any_session, **dict(zip(SUBJECTS, marks, strict=True)))
    any_session.refresh(card)

    row = any_session.execute(
        select(ReportCard.average, ReportCard.passed, ReportCard.average_of_given)
    ).one()

    assert row.average == card.average == Decimal(average)
    expected = None if of_given is None else Decimal(of_given)
    assert row.average_of_given == card.average_of_given == expected
    assert row.passed == card.passed == (Decimal(average) >= 75)


def test_passed_follows_marks_before_saving(demo_session: Session) -> None:
    """A card that is not saved yet tells by its marks whether it passes."""
    card = ReportCard(**dict.fromkeys(SUBJECTS, 80))
    assert card.passed

    card.mathematics = None
    assert not card.passed


def test_passed_filters(demo_session: Session) -> None:
    """Who passed can be asked of the database."""
    good = make_report_card(demo_session, **dict.fromkeys(SUBJECTS, 90))
    make_report_card(demo_session)

    assert demo_session.scalars(select(ReportCard).where(ReportCard.passed)).all() == [
        good
    ]


def test_enrolled_is_counted(any_session: Session) -> None:
    """Enrollments that come, move and go are counted by the database."""
    here, there = make_course(any_session), make_course(any_session)
    one = make_enrollment(any_session, course=here)
    make_enrollment(any_session, course=here)
    assert _enrolled(any_session, here, there) == [2, 0]

    one.course = there
    any_session.flush()
    assert _enrolled(any_session, here, there) == [1, 1]

    any_session.delete(one)
    any_session.flush()
    assert _enrolled(any_session, here, there) == [1, 0]


def test_enrolled_follows_deleted_student(any_session: Session) -> None:
    """Enrollments that go with their student give their seats back."""
    course = make_course(any_session)
    enrollment = make_enrollment(any_session, course=course)

    any_session.execute(delete(Student).where(Student.id == enrollment.student_id))

    assert _enrolled(any_session, course) == [0]


def test_nobody_writes_the_count_by_hand(any_session: Session) -> None:
    """Neither a new course's nor an old one's, past the models or through them."""
    course = make_course(any_session)
    make_enrollment(any_session, course=course)
    for write in (
        text("UPDATE courses SET enrolled = 5"),
        text("UPDATE courses SET enrolled = 0"),
        insert(Course).values(code="BY-HAND", title="x", capacity=9, enrolled=3),
    ):
        with pytest.raises(IntegrityError) as refused, any_session.begin_nested():
            any_session.execute(write)
        found = refusal_of(refused.value)
        assert found == (
            "enrolled",
            "Enrolled is counted from the enrollments; nobody writes it.",
        )
    any_session.execute(text("UPDATE courses SET enrolled = enrolled, title = 'same'"))
    assert _enrolled(any_session, course) == [1]


def test_enrolled_counts_bulk_writes(demo_session: Session) -> None:
    """One statement for many rows counts every one of them, in each course."""
    courses = [make_course(demo_session), make_course(demo_session)]
    school = make_school(demo_session)
    students = [make_student(demo_session, school=school) for _ in range(6)]

    demo_session.execute(
        insert(Enrollment).from_select(
            ["student_id", "course_id"],
            select(Student.id, Course.id)
            .join(Course, literal(value=True))
            .where(Student.school_id == school.id),
        )
    )
    assert _enrolled(demo_session, *courses) == [6, 6]

    demo_session.execute(
        delete(Enrollment).where(Enrollment.student_id <= students[3].id)
    )
    assert _enrolled(demo_session, *courses) == [2, 2]


def test_enrolled_counts_copy(demo_session: Session) -> None:
    """Rows that come by COPY are counted as well."""
    course = make_course(demo_session)
    students = [make_student(demo_session) for _ in range(3)]
    driver = demo_session.connection().connection.driver_connection
    assert driver is not None

    with driver.cursor().copy(
        "COPY enrollments (student_id, course_id) FROM STDIN"
    ) as copy:
        for student in students:
            copy.write_row((student.id, course.id))

    assert _enrolled(demo_session, course) == [3]


def test_enrolled_follows_truncate(demo_session: Session) -> None:
    """An emptied table leaves every seat free."""
    enrollment = make_enrollment(demo_session)

    demo_session.execute(text("TRUNCATE enrollments"))

    assert _enrolled(demo_session, enrollment.course) == [0]


def test_update_of_nothing_else_keeps_the_count(demo_session: Session) -> None:
    """An enrollment that does not move takes no seat, even in a full course."""
    course = make_course(demo_session, capacity=1)
    enrollment = make_enrollment(demo_session, course=course)

    demo_session.execute(update(Enrollment).values(student_id=enrollment.student_id))

    assert _enrolled(demo_session, course) == [1]


def test_full_course_refuses(demo_session: Session) -> None:
    """The refusal says how full it is, and is about the enrollment's course."""
    course = make_course(demo_session, title="Algebra", capacity=1)
    make_enrollment(demo_session, course=course)

    with pytest.raises(IntegrityError) as refused:
        make_enrollment(demo_session, course=course)

    assert refusal_of(refused.value) == ("course", "Algebra is full (1 of 1)")


def test_too_many_at_once_are_refused(demo_session: Session) -> None:
    """Several enrollments at once get all their seats or none."""
    course = make_course(demo_session, title="Algebra", capacity=2)
    students = [make_student(demo_session) for _ in range(3)]

    with pytest.raises(IntegrityError) as refused:
        demo_session.execute(
            insert(Enrollment).values(
                [{"student_id": one.id, "course_id": course.id} for one in students]
            )
        )

    assert refusal_of(refused.value) == (
        "course",
        "Algebra has no room for 3 more (0 of 2)",
    )


def test_full_course_refuses_who_moves(any_session: Session) -> None:
    """Nobody moves into a full course either."""
    full, other = make_course(any_session, capacity=1), make_course(any_session)
    make_enrollment(any_session, course=full)
    moving = make_enrollment(any_session, course=other)

    moving.course = full
    with pytest.raises(IntegrityError) as refused:
        any_session.flush()

    field, sentence = refusal_of(refused.value) or ("", "")
    assert field == "course"
    assert "full" in sentence


def test_last_seat_is_one_persons(demo_engine: Engine) -> None:
    """Many who ask for the last seats at once get as many as there are."""
    with Session(demo_engine) as session:
        course = make_course(session, capacity=3).id
        students = [make_student(session).id for _ in range(12)]
        session.commit()

    def enroll(student: int) -> bool:
        try:
            with Session(demo_engine) as session:
                session.add(Enrollment(student_id=student, course_id=course))
                session.commit()
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        seated = list(pool.map(enroll, students))

    assert seated.count(True) == 3
    with Session(demo_engine) as session:
        assert session.get_one(Course, course).enrolled == 3
        assert session.scalar(select(func.count(Enrollment.id))) == 3


def test_crossing_bulk_enrollments_both_end(demo_engine: Engine) -> None:
    """Statements over the same courses in opposite orders do not block each other."""
    with Session(demo_engine) as session:
        courses = [make_course(session, capacity=100).id for _ in range(5)]
        students = [make_student(session).id for _ in range(20)]
        session.commit()

    def enroll(number: int) -> None:
        order = courses if number % 2 else list(reversed(courses))
        rows = [{"student_id": students[number], "course_id": one} for one in order]
        with demo_engine.begin() as connection:
            connection.execute(insert(Enrollment).values(rows))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enroll, range(20)))

    with Session(demo_engine) as session:
        assert set(session.scalars(select(Course.enrolled))) == {20}


def test_school_in_use_stays(demo_session: Session) -> None:
    """A school with students refuses to go."""
    student = make_student(demo_session)

    with pytest.raises(IntegrityError, match="fk_students_school_id_schools"):
        demo_session.execute(delete(School).where(School.id == student.school_id))


def test_course_in_use_stays(demo_session: Session) -> None:
    """A course that somebody is in refuses to go."""
    enrollment = make_enrollment(demo_session)

    with pytest.raises(IntegrityError, match="fk_enrollments_course_id_courses"):
        demo_session.execute(delete(Course).where(Course.id == enrollment.course_id))


def test_deleted_student_takes_own_rows(demo_session: Session) -> None:
    """Report cards and enrollments go with their student, by the database alone."""
    student = make_student(demo_session)
    make_report_card(demo_session, student=student)
    make_enrollment(demo_session, student=student)
    demo_session.commit()

    # The children are loaded, and still SQLAlchemy leaves them to the database.
    assert student.report_cards
    assert student.enrollments
    demo_session.delete(student)
    demo_session.commit()

    assert demo_session.scalar(select(func.count(ReportCard.id))) == 0
    assert demo_session.scalar(select(func.count(Enrollment.id))) == 0


def _enrolled(session: Session, *courses: Course) -> list[int]:
    keys = [course.id for course in courses]
    found = select(Course.enrolled).where(Course.id.in_(keys)).order_by(Course.id)
    return list(session.scalars(found))
