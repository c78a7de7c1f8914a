"""What the school's tables promise."""

from sqlalchemy.orm import Session

from tests.factories import make_student


def test_student_has_times(demo_session: Session) -> None:
    """The database says when a row was made."""
    student = make_student(demo_session)

    assert student.created_at == student.updated_at
