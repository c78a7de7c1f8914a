"""The real pupils of two Portuguese schools, from the files of the UCI repository.

`student-mat.csv` and `student-por.csv` (P. Cortez and A. Silva, 2008) hold a line for
each pupil with sex, age, guardian and three grades of 0 to 20. They name nobody and no
class, so these are made up, the same each time:

- a code: `MAT-0001` is the first line of pupils in the file for mathematics;
- a Portuguese name that fits the sex, and a guardian that fits the file's;
- a date of birth by which the pupil has the file's age on 30 June 2006;
- a class of the year that pupils of this age are in, `A` at the first school.

A grade of 0 to 20 becomes a mark of 0 to 100. A pupil of both files is two pupils, as
nothing in the files says who is the same.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from backoffice.errors import EnvironmentProblem
from backoffice.seeding.chance import Chance
from backoffice.seeding.plan import Fill, Plan, RefusedLine
from models.school import (
    SUBJECTS,
    Course,
    Enrollment,
    ReportCard,
    School,
    Student,
    StudentStatus,
)
from models.seeding import names
from models.seeding.people import listed
from models.seeding.tables import table_of

TIMES = ("created_at", "updated_at")
Row = tuple[Any, ...]

YEAR = 2005
LAST_DAY = date(2006, 6, 30)
FIRST_DAY = datetime(2005, 9, 15, 8, tzinfo=UTC)
# When the grades of each period were given.
PERIODS = (
    datetime(2005, 12, 16, 9, tzinfo=UTC),
    datetime(2006, 3, 31, 9, tzinfo=UTC),
    datetime(2006, 6, 23, 9, tzinfo=UTC),
)
SCHOOLS = {
    "GP": ("Escola Secundária Gabriel Pereira", "Évora"),
    "MS": ("Escola Secundária Mousinho da Silveira", "Portalegre"),
}
NEEDED = ("school", "sex", "age", "guardian", "G1", "G2", "G3")
GRADES = ("G1", "G2", "G3")
AGES = range(10, 31)
TOP_GRADE = 20


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its subject, the column its grades go to, and its course."""

    file: str
    code: str
    title: str
    column: str


SOURCES = (
    Source("student-mat.csv", "MAT", "Mathematics", "mathematics"),
    Source("student-por.csv", "POR", "Portuguese", "indonesian"),
)


@dataclass(frozen=True, slots=True)
class Pupil:
    """One line that could be read."""

    source: int
    number: int
    school: str
    sex: str
    age: int
    guardian: str
    grades: tuple[int, ...]


def plan(directory: Path) -> Plan:
    """The files' pupils, their courses and report cards; bad lines are left out.

    Raises:
        EnvironmentProblem: a file is missing, or is not such a file.
    """
    pupils: list[Pupil] = []
    refused: list[RefusedLine] = []
    for number, source in enumerate(SOURCES):
        for found in read(directory / source.file, number):
            if isinstance(found, Pupil):
                pupils.append(found)
            else:
                refused.append(found)
    return Plan(
        fills=fills(pupils),
        seed=YEAR,
        resets=tuple(
            table_of(model)
            for model in (School, Student, ReportCard, Course, Enrollment)
        ),
        refused=tuple(refused),
    )


def read(path: Path, source: int) -> Iterator[Pupil | RefusedLine]:
    """Each line below the head: a pupil, or why it is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be read ({error.strerror}); the directory of --uci holds "
            f"{' and '.join(each.file for each in SOURCES)}."
        ) from error
    head = lines[0].decode("utf-8-sig", "replace") if lines else ""
    delimiter = max(",;\t", key=head.count)
    columns = next(csv.reader([head], delimiter=delimiter), [])
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise EnvironmentProblem(
            f"{path.name} has no column {', '.join(missing)} in its first line; "
            "it is not one of the UCI files."
        )
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            values = split(line, delimiter, columns)
            yield read_pupil(source, number - 1, values)
        except ValueError as error:
            yield RefusedLine(path.name, number, str(error))


def split(line: bytes, delimiter: str, columns: Sequence[str]) -> dict[str, str]:
    """The line's values by column.

    Raises:
        ValueError: it is no text, its quotes do not match, or a value is missing.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text.") from None
    try:
        (values,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        raise ValueError("its quotes do not match.") from None
    if len(values) != len(columns):
        raise ValueError(
            f"it has {len(values)} values; the first line has {len(columns)}."
        )
    return {name: value.strip() for name, value in zip(columns, values, strict=True)}


def read_pupil(source: int, number: int, values: Mapping[str, str]) -> Pupil:
    """A pupil, if all values are what they can be.

    Raises:
        ValueError: naming the first value that is not.
    """
    return Pupil(
        source=source,
        number=number,
        school=_one_of(values, "school", SCHOOLS),
        sex=_one_of(values, "sex", ("F", "M")),
        age=_whole(values, "age", AGES),
        # Many lines name no guardian: theirs is missing here as well.
        guardian=_one_of(values, "guardian", ("mother", "father", "other", "")),
        grades=tuple(_whole(values, grade, range(TOP_GRADE + 1)) for grade in GRADES),
    )


def fills(pupils: Sequence[Pupil]) -> tuple[Fill, ...]:
    """The school's tables with these pupils."""
    count = len(pupils)
    classroom = Classroom(pupils)

    def fill(
        model: Any, columns: Sequence[str], rows: int, make: Callable[[], Iterator[Row]]
    ) -> Fill:
        def all_at_once(_units: range, _random: Random) -> Iterator[Row]:
            return make()

        return Fill(
            table_of(model), (*columns, *TIMES), min(rows, 1), rows, all_at_once
        )

    return (
        fill(School, ("id", "name", "city"), len(SCHOOLS), classroom.schools),
        fill(
            Student,
            (
                "id", "code", "full_name", "email", "class_name", "birth_date",
                "status", "guardian", "school_id",
            ),
            count, classroom.students,
        ),
        fill(
            ReportCard, ("id", "student_id", "semester", "academic_year", *SUBJECTS),
            count * len(PERIODS), classroom.report_cards,
        ),
        fill(
            Course, ("id", "code", "title", "capacity"), len(SOURCES),
            classroom.courses,
        ),
        fill(
            Enrollment, ("id", "student_id", "course_id"), count,
            classroom.enrollments,
        ),
    )  # fmt: skip


class Classroom:
    """The rows of the pupils that were read."""

    def __init__(self, pupils: Sequence[Pupil]) -> None:
        self._pupils = pupils
        self._chance = Chance(YEAR, "uci")
        self._female = listed(names.PORTUGUESE_FEMALE)
        self._male = listed(names.PORTUGUESE_MALE)
        self._last = listed(names.PORTUGUESE_LAST)

    def schools(self) -> Iterator[Row]:
        """The two schools."""
        for key, (name, city) in enumerate(SCHOOLS.values(), start=1):
            yield key, name, city, FIRST_DAY, FIRST_DAY

    def courses(self) -> Iterator[Row]:
        """A course for each file, with a seat for everybody and a few more."""
        for number, source in enumerate(SOURCES):
            taken = sum(pupil.source == number for pupil in self._pupils)
            seats = -(-taken // 50) * 50
            yield number + 1, source.code, source.title, seats, FIRST_DAY, FIRST_DAY

    def students(self) -> Iterator[Row]:
        """The pupils, under names that are made up."""
        keys = list(SCHOOLS)
        for key, pupil in enumerate(self._pupils, start=1):
            code = f"{SOURCES[pupil.source].code}-{pupil.number:04d}"
            first, last = self._name(key, pupil.sex)
            yield (
                key,
                code,
                f"{first[0]} {last[0]}",
                f"{first[1]}.{last[1]}.{code.lower()}@students.example.org",
                self._class(pupil),
                self._born(key, pupil.age),
                StudentStatus.ACTIVE.value,
                self._guardian(key, pupil.guardian, last[0]),
                keys.index(pupil.school) + 1,
                FIRST_DAY,
                FIRST_DAY,
            )

    def report_cards(self) -> Iterator[Row]:
        """Three cards each, with one mark of five."""
        key = 0
        for student, pupil in enumerate(self._pupils, start=1):
            column = SOURCES[pupil.source].column
            for semester, grade in enumerate(pupil.grades, start=1):
                key += 1
                time = PERIODS[semester - 1]
                marks = [
                    grade * 100 // TOP_GRADE if subject == column else None
                    for subject in SUBJECTS
                ]
                yield key, student, semester, YEAR, *marks, time, time

    def enrollments(self) -> Iterator[Row]:
        """Each pupil in the course of their file."""
        for key, pupil in enumerate(self._pupils, start=1):
            yield key, key, pupil.source + 1, FIRST_DAY, FIRST_DAY

    def _name(self, key: int, sex: str) -> tuple[tuple[str, str], tuple[str, str]]:
        first = self._female if sex == "F" else self._male
        return self._chance.pick(first, key, 0), self._chance.pick(self._last, key, 1)

    def _guardian(self, key: int, guardian: str, last: str) -> str | None:
        """A name for the mother, the father, or somebody else with another name."""
        if not guardian:
            return None
        women = self._chance.below(2, key, 2) if guardian == "other" else 0
        is_woman = guardian == "mother" or bool(women)
        first = self._chance.pick(self._female if is_woman else self._male, key, 3)[0]
        if guardian == "other":
            return f"{first} {self._chance.pick(self._last, key, 4)[0]}"
        return f"{first} {last} ({guardian})"

    def _class(self, pupil: Pupil) -> str:
        """Years 10 to 12 of the secondary school, begun at 15."""
        grade = min(max(pupil.age - 5, 10), 12)
        return f"{grade}{'A' if pupil.school == 'GP' else 'B'}"

    def _born(self, key: int, age: int) -> date:
        """A day of birth that gives this age on the last day of school."""
        latest = LAST_DAY.replace(year=LAST_DAY.year - age)
        return latest - timedelta(days=self._chance.below(365, key, 5))


def _one_of(
    values: Mapping[str, str], column: str, known: Mapping[str, Any] | Sequence[str]
) -> str:
    value = values[column]
    if value not in known:
        *first, last = filter(None, known)
        raise ValueError(
            f"{column} is {_shown(value)}; it should be {', '.join(first)} or {last}."
        )
    return value


def _whole(values: Mapping[str, str], column: str, allowed: range) -> int:
    value = values[column]
    number = (
        int(value) if value.isascii() and value.isdigit() and len(value) < 6 else -1
    )
    if number not in allowed:
        raise ValueError(
            f"{column} is {_shown(value)}; it should be a whole number from "
            f"{allowed.start} to {allowed.stop - 1}."
        )
    return number


def _shown(value: str) -> str:
    """A value as it may be printed: quoted, and not endless."""
    return repr(value if len(value) <= 30 else f"{value[:29]}…")
