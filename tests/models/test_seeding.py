"""The demo's rows fit the rules, belong together, and come again the same."""

import hashlib
import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from backoffice.database.base import Base
from backoffice.database.engine import database_url, make_engine
from backoffice.errors import EnvironmentProblem, Refused, SettingsError
from backoffice.seeding import stream
from backoffice.seeding.plan import Plan, load_project
from backoffice.seeding.seeder import seed
from backoffice.settings import DatabaseSettings
from models.analyses import AnalysisStatus, BatchAnalysis, TextAnalysis, hash_of
from models.publishing import Author, Comment, Post
from models.school import Course, Enrollment, ReportCard, School, Student
from models.seeding import uci
from models.seeding.clock import NOW, SCHOOL_YEAR
from models.seeding.people import People, places, plain
from models.shop import Customer, Order, OrderItem, Product
from tests.conftest import _numbers

SIZES = {"students": 600, "products": 80, "authors": 30, "texts": 400}
PROJECT = load_project("models.seeding")


def demo(seed_: int = 7, **sizes: int) -> Plan:
    """A small demo."""
    return PROJECT.plan({**SIZES, **sizes}, seed_)


@pytest.fixture(scope="module")
def seeded(server: Engine) -> Iterator[Engine]:
    """A database with the small demo in it; nobody here writes to it."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(server.url.set(database=name))
    Base.metadata.create_all(engine)
    seed(engine, demo())
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def rows(seeded: Engine) -> Iterator[Session]:
    """A session on the small demo."""
    with Session(seeded) as session:
        yield session


@pytest.fixture
def tables(engine: Engine) -> Engine:
    """An empty database with the demo's tables."""
    Base.metadata.create_all(engine)
    return engine


def size(session: Session, model: type[Base]) -> int:
    """How many rows there are."""
    return session.scalar(select(func.count()).select_from(model)) or 0


def fingerprint(plan: Plan) -> str:
    """A number that changes with any byte of the rows."""
    found = hashlib.sha256()
    for block in stream.make_blocks(plan):
        found.update(block.text)
    return found.hexdigest()


def test_sizes_are_what_was_asked_for(rows: Session) -> None:
    """Each option sizes its own subject; a student has five report cards."""
    assert size(rows, Student) == 600
    assert size(rows, ReportCard) == 3000
    assert size(rows, Product) == 80
    assert size(rows, Order) == 400
    assert size(rows, Author) == 30
    assert size(rows, Comment) == 3 * size(rows, Post)
    assert size(rows, TextAnalysis) == 400


def test_plan_announces_the_number_of_rows(rows: Session) -> None:
    """The progress bar's total is the number of rows, not a guess."""
    plan = demo()
    assert all(
        fill.rows == rows.scalar(select(func.count()).select_from(fill.table))
        for fill in plan.fills
    )


def test_same_seed_gives_the_same_bytes() -> None:
    """A seed is the same on any day, to the byte; another seed gives other rows."""
    assert fingerprint(demo()) == fingerprint(demo())
    assert fingerprint(demo(8)) != fingerprint(demo())


def test_one_size_changes_its_subject_only() -> None:
    """More products change nothing about the school."""
    few, many = (
        [block for block in stream.make_blocks(plan) if block.fill < 5]
        for plan in (demo(), demo(products=90))
    )
    assert few == many


def test_nothing_at_all_can_be_asked_for(tables: Engine) -> None:
    """A size of 0 leaves the subject's tables empty."""
    report = seed(tables, PROJECT.plan(dict.fromkeys(SIZES, 0), 7))
    assert report.rows == 0


@pytest.mark.parametrize("students", [1, 2, 39])
def test_small_schools_fit_the_rules_too(tables: Engine, students: int) -> None:
    """Fewer students than a course has seats are nowhere enrolled twice."""
    sizes = {"products": 1, "authors": 1, "texts": 1}
    report = seed(tables, PROJECT.plan({"students": students, **sizes}, 7))
    assert report.tables[1].rows == students


def test_unknown_size_is_refused() -> None:
    """A size that the project does not declare is named."""
    with pytest.raises(SettingsError, match="declares no size pupils"):
        PROJECT.plan({"pupils": 5}, 7)


def test_negative_size_is_refused() -> None:
    """A size below zero is refused with the range."""
    with pytest.raises(SettingsError, match="students is -1; it should be between 0"):
        PROJECT.plan({"students": -1}, 7)


def test_marks_of_a_pupil_belong_together(rows: Session) -> None:
    """Who is good at one subject tends to be good at another, and next year too."""
    across = rows.scalar(select(func.corr(ReportCard.mathematics, ReportCard.english)))
    earlier, later = ReportCard.__table__.alias(), ReportCard.__table__.alias()
    years = rows.scalar(
        select(func.corr(earlier.c.average, later.c.average)).where(
            earlier.c.student_id == later.c.student_id,
            earlier.c.academic_year == SCHOOL_YEAR - 1,
            earlier.c.semester == 1,
            later.c.academic_year == SCHOOL_YEAR,
            later.c.semester == 2,
        )
    )
    assert across is not None
    assert across > 0.5
    assert years is not None
    assert years > 0.6


def test_some_pass_and_some_marks_are_missing(rows: Session) -> None:
    """Neither nobody nor everybody passes, and a few marks are not there."""
    passed = rows.scalar(select(func.count()).where(ReportCard.passed)) or 0
    missing = rows.scalar(select(func.count()).where(ReportCard.english.is_(None))) or 0
    assert 900 < passed < 2100
    assert 0 < missing < 150


def test_class_fits_the_date_of_birth(rows: Session) -> None:
    """Those who are at school are 12 to 13 when the seventh year begins, or repeat."""
    pupils = rows.execute(
        select(Student.class_name, Student.birth_date).where(
            Student.status != "graduated"
        )
    )
    for class_name, born in pupils:
        assert born is not None
        grade, letter = int(class_name[:-1]), class_name[-1]
        age = (date(SCHOOL_YEAR, 7, 1) - born).days / 365.25
        assert 7 <= grade <= 12
        assert letter in "ABCDEF"
        assert grade + 4.9 <= age <= grade + 7.1


def test_addresses_come_from_names(rows: Session) -> None:
    """An e-mail begins with its owner's first name, and is nobody else's."""
    found = rows.execute(
        select(Student.full_name, Student.email).where(Student.email.is_not(None))
    ).all()
    assert len({email for _, email in found}) == len(found)
    assert all(
        email is not None and plain(name)[:3] == plain(email)[:3]
        for name, email in found
    )


def test_people_are_different_people() -> None:
    """Among many thousands no two have the same address."""
    people = People(7, "students")
    assert len({people[n].local for n in range(50_000)}) == 50_000


def test_family_names_belong_to_one_place() -> None:
    """A family name in two lists would give two people one address."""
    families = [
        name for place in {p.last: p for p in places()}.values() for name in place.last
    ]
    plain_names = [letters for _, letters in families]
    assert len(set(plain_names)) == len(plain_names)


def test_names_fit_their_columns() -> None:
    """The longest name still makes an address and a user name that fit."""
    longest = max(
        len(max(p.first, key=lambda n: len(n[1]))[1])
        + len(max(p.middle, key=lambda n: len(n[1]))[1])
        + len(max(p.last, key=lambda n: len(n[1]))[1])
        for p in places()
    )
    assert longest + len(".99999") <= 50


def test_courses_count_whom_they_hold(rows: Session) -> None:
    """`enrolled` is the number of enrollments; some courses are full."""
    counted = (
        select(func.count())
        .where(Enrollment.course_id == Course.id)
        .correlate(Course)
        .scalar_subquery()
    )
    wrong = rows.scalars(select(Course).where(Course.enrolled != counted)).all()
    full = rows.scalars(select(Course).where(Course.enrolled == Course.capacity)).all()
    assert wrong == []
    assert 0 < len(full) < size(rows, Course)


def test_courses_keep_their_times(rows: Session) -> None:
    """Counting the enrollments is no change of today."""
    assert (rows.scalar(select(func.max(Course.updated_at))) or NOW) < NOW


def test_orders_add_up(rows: Session) -> None:
    """An order's total is the sum of its lines, and each order has a line."""
    added = func.sum(OrderItem.price * OrderItem.quantity)
    sums = {
        order: (total, lines)
        for order, total, lines in rows.execute(
            select(Order.id, Order.total, added)
            .outerjoin(OrderItem, OrderItem.order_id == Order.id)
            .group_by(Order.id)
        )
    }
    assert len(sums) == 400
    assert all(total == lines for total, lines in sums.values())


def test_orders_have_seasons(rows: Session) -> None:
    """More is ordered in December than in February."""
    month = func.extract("month", Order.created_at)
    counts = {
        int(number): count
        for number, count in rows.execute(select(month, func.count()).group_by(month))
    }
    assert counts[12] > 1.5 * counts[2]


def test_nobody_orders_before_they_are_a_customer(rows: Session) -> None:
    """What belongs together happened in a possible order."""
    early_orders = select(func.count()).where(
        Order.customer_id == Customer.id, Order.created_at < Customer.created_at
    )
    early_posts = select(func.count()).where(
        Post.author_id == Author.id, Post.created_at < Author.created_at
    )
    early_comments = select(func.count()).where(
        Comment.post_id == Post.id, Comment.created_at < Post.created_at
    )
    assert rows.scalar(early_orders) == 0
    assert rows.scalar(early_posts) == 0
    assert rows.scalar(early_comments) == 0


def test_times_are_in_the_past_of_the_demo(rows: Session) -> None:
    """No row was changed before it was made, or after the demo's last day."""
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        if table not in demo().resets:
            continue
        wrong = select(func.count()).where(
            (table.c.updated_at < table.c.created_at)
            | (table.c.updated_at > NOW)
            | (table.c.created_at > NOW)
        )
        assert rows.scalar(wrong) == 0, table


def test_batches_count_their_texts(rows: Session) -> None:
    """Size, processed and failed are what the texts of the batch say."""
    for batch in rows.scalars(select(BatchAnalysis)):
        states = rows.scalars(
            select(TextAnalysis.status).where(TextAnalysis.batch_id == batch.id)
        ).all()
        assert batch.size == len(states)
        assert batch.processed == states.count(AnalysisStatus.DONE)
        assert batch.failed == states.count(AnalysisStatus.FAILED)


def test_emotions_follow_the_sentiment(rows: Session) -> None:
    """Joy is found in content texts, anger in others."""
    found = rows.execute(
        select(TextAnalysis.sentiment, TextAnalysis.emotions).where(
            TextAnalysis.emotions.is_not(None)
        )
    ).all()
    content = [e["joy"] for s, e in found if s > Decimal("0.3")]
    angry = [e["joy"] for s, e in found if s < Decimal("-0.3")]
    assert min(len(content), len(angry)) > 10
    assert sum(content) / len(content) > 0.3 + sum(angry) / len(angry)


def test_hashes_are_those_of_the_texts(rows: Session) -> None:
    """What the database computed is what the rows had."""
    found = rows.execute(select(TextAnalysis.text, TextAnalysis.hash).limit(50))
    assert all(hash_ == hash_of(content) for content, hash_ in found)


def test_sqlite_has_the_same_demo(tmp_path: Path, rows: Session) -> None:
    """On SQLite the same rows stand, the courses counted by its own triggers."""
    engine = make_engine(
        database_url(f"sqlite:///{tmp_path / 'demo.db'}"),
        DatabaseSettings(),
        application_name="test",
    )
    Base.metadata.create_all(engine)
    seed(engine, demo())
    columns = select(Course.code, Course.enrolled, Course.capacity).order_by(Course.id)
    marks = select(ReportCard.mathematics, ReportCard.average).order_by(ReportCard.id)
    texts = select(TextAnalysis.hash, TextAnalysis.emotions).order_by(TextAnalysis.id)
    with Session(engine) as session:
        for statement in (columns, marks, texts):
            assert session.execute(statement).all() == rows.execute(statement).all()
    engine.dispose()


# The files of the UCI repository: real, so not ours to keep.


def datasets() -> Path:
    """Where the real files are."""
    for place in (os.environ.get("BACKOFFICE_DATASETS", ""), "../shared/data"):
        found = Path(place) / "uci-student-performance"
        if place and found.is_dir():
            return found
    pytest.skip("no UCI files in $BACKOFFICE_DATASETS or ../shared/data")


def write_uci(directory: Path, *lines: str) -> Path:
    """Both files: these lines for mathematics, one good line for Portuguese."""
    head = "school,sex,age,guardian,absences,G1,G2,G3"
    text = "\n".join([head, *lines])
    (directory / "student-mat.csv").write_text(text)
    (directory / "student-por.csv").write_text(f"{head}\nMS,F,16,other,0,10,11,0\n")
    return directory


def test_real_files_are_loaded_whole(tables: Engine) -> None:
    """Every line of the real files is a pupil with three report cards."""
    report = seed(tables, uci.plan(datasets()))
    assert {filled.table: filled.rows for filled in report.tables} == {
        "schools": 2,
        "students": 1044,
        "report_cards": 3132,
        "courses": 2,
        "enrollments": 1044,
    }
    assert report.refused == ()


def test_real_grades_arrive(tables: Engine) -> None:
    """The sums of all grades are those of the files, times five; nobody passes."""
    seed(tables, uci.plan(datasets()))
    with Session(tables) as session:
        sums = session.execute(
            select(func.sum(ReportCard.mathematics), func.sum(ReportCard.indonesian))
        ).one()
        passed = session.scalar(select(func.count()).where(ReportCard.passed))
        courses = session.execute(select(Course.code, Course.enrolled).order_by("code"))
        assert [tuple(row) for row in courses] == [("MAT", 395), ("POR", 649)]
    assert tuple(sums) == (5 * 12_655, 5 * 22_634)
    assert passed == 0


def test_pupils_have_their_age_and_guardian(tables: Engine, tmp_path: Path) -> None:
    """Made-up days of birth give the file's age, names the file's guardian."""
    seed(tables, uci.plan(write_uci(tmp_path, "GP,F,18,mother,0,5,6,6")))
    with Session(tables) as session:
        pupil = session.scalars(select(Student).order_by(Student.id)).first()
        assert pupil is not None
        assert pupil.code == "MAT-0001"
        assert pupil.birth_date is not None
        assert date(1987, 7, 1) <= pupil.birth_date <= date(1988, 6, 30)
        assert pupil.guardian is not None
        assert pupil.guardian.endswith(f"{pupil.full_name.split()[-1]} (mother)")
        assert [card.mathematics for card in pupil.report_cards] == [25, 30, 30]
        assert session.get_one(School, pupil.school_id).city == "Évora"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("GP,F,18,mother", "4 values; the first line has 8", id="short"),
        pytest.param("GP,F,18,mother,0,5,6,21", "G3 is '21'", id="grade too high"),
        pytest.param("GP,F,18,mother,0,5,-1,6", "G2 is '-1'", id="grade too low"),
        pytest.param("GP,F,18,mother,0,x,6,6", "G1 is 'x'", id="no number"),
        pytest.param("GP,F,181,mother,0,5,6,6", "age is '181'", id="too old"),
        pytest.param("XX,F,18,mother,0,5,6,6", "GP or MS", id="unknown school"),
        pytest.param("GP,D,18,mother,0,5,6,6", "F or M", id="unknown sex"),
        pytest.param("GP,F,18,aunt,0,5,6,6", "mother, father or other", id="guardian"),
        pytest.param('GP,F,"18,mother,0,5,6,6', "quotes do not match", id="quotes"),
    ],
)
def test_bad_lines_are_refused_with_their_number(
    tmp_path: Path, line: str, reason: str
) -> None:
    """A line that cannot be read is reported; the others are loaded."""
    good = "GP,M,17,father,4,20,0,14"
    plan = uci.plan(write_uci(tmp_path, good, line, "", good))
    (refused,) = plan.refused
    assert (refused.file, refused.line) == ("student-mat.csv", 3)
    assert reason in refused.reason
    assert plan.fills[1].rows == 3


def test_a_missing_guardian_stays_missing(tables: Engine, tmp_path: Path) -> None:
    """A line without a guardian is a pupil without one."""
    plan = uci.plan(write_uci(tmp_path, "GP,M,17,,4,20,0,14"))
    seed(tables, plan)
    assert plan.refused == ()
    with Session(tables) as session:
        assert session.get_one(Student, 1).guardian is None


def test_a_line_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 do not stop the rest."""
    directory = write_uci(tmp_path, "GP,M,17,father,4,20,0,14")
    with (directory / "student-mat.csv").open("ab") as file:
        file.write(b"\nGP,\xff,17,father,4,20,0,14\n")
    (refused,) = uci.plan(directory).refused
    assert str(refused) == "student-mat.csv, line 3: it is not UTF-8 text."


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A directory without the files says which ones belong there."""
    with pytest.raises(EnvironmentProblem, match=r"student-mat\.csv and student-por"):
        uci.plan(tmp_path)


def test_another_file_is_not_taken_for_it(tmp_path: Path) -> None:
    """A file without the columns is refused by its name."""
    (tmp_path / "student-mat.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EnvironmentProblem, match="no column school, sex, age"):
        uci.plan(tmp_path)


def test_pupils_do_not_mix_with_those_who_are_there(
    tables: Engine, tmp_path: Path
) -> None:
    """Where pupils stand the files are refused; with a reset only the school goes."""
    seed(tables, demo(students=5))
    plan = uci.plan(write_uci(tmp_path, "GP,M,17,father,4,20,0,14"))
    with pytest.raises(Refused, match="students has 5 rows"):
        seed(tables, plan)
    seed(tables, plan, reset=True)
    with Session(tables) as session:
        assert size(session, Student) == 2
        assert size(session, Product) == 80
