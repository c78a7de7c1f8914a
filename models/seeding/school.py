"""Schools, pupils, five report cards each, courses and who is in them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from math import gcd
from random import Random
from statistics import NormalDist
from typing import Any

from backoffice.seeding.chance import Chance, Weighted, shorts
from backoffice.seeding.plan import Fill
from models.school import (
    Course,
    Enrollment,
    ReportCard,
    School,
    Student,
    StudentStatus,
)
from models.seeding.clock import NOW, SCHOOL_YEAR
from models.seeding.people import People
from models.seeding.tables import table_of

TIMES = ("created_at", "updated_at")
Row = tuple[Any, ...]

PUPILS_OF_A_SCHOOL = 500
PUPILS_OF_A_COURSE = 15  # pupils there are for each course; each is in 1.5 of them
CITIES = (
    "Yogyakarta", "Surakarta", "Semarang", "Magelang", "Salatiga", "Klaten", "Sleman",
    "Bantul", "Wonosari", "Wates", "Kudus", "Jepara", "Pati", "Blora", "Purwokerto",
    "Kebumen", "Temanggung", "Wonosobo", "Boyolali", "Sragen", "Madiun", "Kediri",
    "Malang", "Blitar", "Surabaya", "Jember", "Denpasar", "Bandung", "Cirebon", "Medan",
)  # fmt: skip
TITLES = {
    "MAT": ("Algebra", "Geometry", "Statistics", "Mathematics Olympiad"),
    "SCI": ("Biology Lab", "Chemistry Lab", "Physics Lab", "Astronomy", "Robotics"),
    "LAN": ("English Conversation", "Bahasa Indonesia", "Javanese Script", "Mandarin"),
    "ART": ("Gamelan", "Batik", "Choir", "Theatre", "Photography", "Wayang"),
    "SPO": ("Pencak Silat", "Badminton", "Football", "Swimming", "Volleyball"),
    "SOC": ("Economics", "Geography", "History of Java", "Debating", "Journalism"),
}

STATUSES = Weighted(
    {
        StudentStatus.ACTIVE: 92,
        StudentStatus.GRADUATED: 4,
        StudentStatus.LEFT: 2.5,
        StudentStatus.ON_LEAVE: 1.5,
    }
)


def fills(students: int, seed: int) -> tuple[Fill, ...]:
    """The school's tables in these sizes."""
    schools = max(4, students // PUPILS_OF_A_SCHOOL) if students else 0
    rooms = Courses(students, seed)
    pupils = Pupils(schools, seed)
    return (
        Fill(
            table_of(School), ("id", "name", "city", *TIMES), schools, schools,
            make_schools,
        ),
        Fill(
            table_of(Student),
            (
                "id", "code", "full_name", "email", "class_name", "birth_date",
                "status", "guardian", "school_id", *TIMES,
            ),
            students, students, pupils.make,
        ),
        Fill(
            table_of(ReportCard),
            (
                "id", "student_id", "semester", "academic_year", "mathematics",
                "indonesian", "english", "science", "javanese", *TIMES,
            ),
            students, 5 * students, ReportCards(seed).make,
        ),
        Fill(
            table_of(Course), ("id", "code", "title", "capacity", *TIMES),
            rooms.count, rooms.count, rooms.make,
        ),
        Fill(
            table_of(Enrollment), ("id", "student_id", "course_id", *TIMES),
            rooms.count, rooms.seats[-1], rooms.make_enrollments,
        ),
    )  # fmt: skip


def make_schools(units: range, _random: Random) -> Iterator[Row]:
    """State schools, numbered in each city as they are in Indonesia."""
    founded = datetime(2010, 7, 1, 8, tzinfo=UTC)
    for unit in units:
        number, city = divmod(unit, len(CITIES))
        time = founded + timedelta(hours=unit)
        name = f"SMP-SMA Negeri {number + 1} {CITIES[city]}"
        yield unit + 1, name, CITIES[city], time, time


class Pupils:
    """Pupils of the classes 7A to 12F, as old as their class is."""

    def __init__(self, schools: int, seed: int) -> None:
        self._schools = schools
        self._people = People(seed, "students")

    def make(self, units: range, random: Random) -> Iterator[Row]:
        """The pupils' rows."""
        draws = iter(shorts(random, 8 * len(units)))
        for unit, draw in zip(units, zip(*[draws] * 8, strict=True), strict=True):
            yield self._pupil(unit, draw)

    def _pupil(self, unit: int, draw: tuple[int, ...]) -> Row:
        person = self._people[unit]
        grade = 7 + draw[0] % 6
        status = STATUSES.at(draw[1] / 65536)
        gone = 0
        if status is StudentStatus.GRADUATED:
            grade, gone = 12, 1 + draw[2] % 3
        # One in twenty-five repeats a year and is a year older than the others.
        age = grade + 6 + gone + (draw[2] < 65536 // 25)
        born = date(SCHOOL_YEAR - age, 7, 1) + timedelta(days=draw[3] % 365)
        entry = SCHOOL_YEAR - (grade - 7) - gone
        created = datetime(entry, 7, 1 + draw[4] % 12, 7, tzinfo=UTC) + timedelta(
            seconds=(draw[4] * 7 + draw[5]) % (8 * 3600)
        )
        updated = created
        if draw[5] % 4 == 0:
            days = (NOW - created).days
            updated = created + timedelta(days=draw[6] % days, seconds=draw[5] % 3600)
        return (
            unit + 1,
            f"S{entry}-{unit + 1:06d}",
            person.full_name,
            None if draw[6] % 33 == 0 else f"{person.local}@students.example.org",
            f"{grade}{'ABCDEF'[draw[0] // 6 % 6]}",
            born,
            status.value,
            None if draw[7] % 29 == 0 else person.parent,
            1 + draw[7] % self._schools,
            created,
            updated,
        )


class ReportCards:
    """Marks that belong together: good pupils are good everywhere, and in each year.

    A mark is what the pupil can do, plus a gift for the subject, plus a drift over
    the semesters, plus luck. All four are read from tables made once, as five
    million cards leave time for little more than additions. A pupil of the seventh
    class brought last year's cards from another school.
    """

    # (year, semester, steps of drift so far): last year's three, this year's two.
    CARDS = (
        (SCHOOL_YEAR - 1, 1, 0),
        (SCHOOL_YEAR - 1, 2, 1),
        (SCHOOL_YEAR - 1, 3, 2),
        (SCHOOL_YEAR, 1, 3),
        (SCHOOL_YEAR, 2, 4),
    )
    LUCK = 4096
    # Where 0 stands in the table of marks; a missing one is far below.
    ZERO = 400
    MISSING = -300

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed}/marks")  # noqa: S311 - a demo
        ability = NormalDist(75, 8.5)
        self._ability = [
            self.ZERO + round(ability.inv_cdf((n + 0.5) / 1024)) for n in range(1024)
        ]
        self._gifts = [
            tuple(round(random.gauss(0, 5)) for _ in range(5)) for _ in range(1024)
        ]
        self._drift = [round(random.gauss(0, 1.3), 1) for _ in range(64)]
        self._luck = [
            tuple(
                self.MISSING if random.random() < 0.008 else round(random.gauss(0, 4))
                for _ in range(5)
            )
            for _ in range(self.LUCK)
        ]
        # Values below 100 are marks as they are, those above are cut off.
        top = 2 * self.ZERO
        self._marks: list[int | None] = [
            None if n < self.ZERO - 150 else min(max(n - self.ZERO, 0), 100)
            for n in range(top)
        ]
        self._times = [_issued(year, semester) for year, semester, _ in self.CARDS]

    def make(self, units: range, random: Random) -> Iterator[Row]:
        """Five cards for each pupil."""
        draws = iter(shorts(random, 12 * len(units)))
        marks, lucks, times = self._marks, self._luck, self._times
        cards = [(*card, times[n], n) for n, card in enumerate(self.CARDS)]
        for unit in units:
            ability = self._ability[next(draws) & 1023]
            first = next(draws)
            m, i, e, s, j = self._gifts[first & 1023]
            drift = self._drift[first >> 10]
            m, i, e, s, j = (
                m + ability,
                i + ability,
                e + ability,
                s + ability,
                j + ability,
            )
            key = 5 * unit + 1
            pupil = unit + 1
            for year, semester, steps, issued, n in cards:
                a, b = next(draws), next(draws)
                moved = int(drift * steps)
                lm, li, le, ls, lj = lucks[a & 4095]
                created = issued[b & 511]
                yield (
                    key + n,
                    pupil,
                    semester,
                    year,
                    marks[m + lm + moved],
                    marks[i + li + moved],
                    marks[e + le + moved],
                    marks[s + ls + moved],
                    marks[j + lj + moved],
                    created,
                    # One in sixteen is corrected within some weeks.
                    created if a >> 12 else issued[512 + (b & 511)],
                )


def _issued(year: int, semester: int) -> list[datetime]:
    """512 times at which cards are written, and 512 at which they are corrected."""
    day = {1: date(year, 12, 15), 2: date(year + 1, 3, 23), 3: date(year + 1, 6, 15)}
    monday = day[semester] - timedelta(days=day[semester].weekday())
    start = datetime.combine(monday, datetime.min.time(), UTC)
    written = [
        start + timedelta(days=n % 4, hours=7, seconds=n * 53 + n % 7)
        for n in range(512)
    ]
    corrected = [
        time + timedelta(days=4 + n % 10, seconds=n * 11)
        for n, time in enumerate(written)
    ]
    return written + corrected


class Courses:
    """Courses of 16 to 40 seats, one in eight of them full, and who sits there."""

    def __init__(self, students: int, seed: int) -> None:
        self._chance = Chance(seed, "courses")
        self._students = students
        self.count = max(24, students // PUPILS_OF_A_COURSE) if students else 0
        # How many sit in the courses before each, as keys follow one another.
        taken = (self._taken(course) for course in range(self.count))
        self.seats = list(accumulate(taken, initial=0))
        self._step = next(
            n for n in (7919, 104729, 1299709, 1) if gcd(n, max(students, 1)) == 1
        )

    def _capacity(self, course: int) -> int:
        return 16 + 4 * self._chance.below(7, course)

    def _taken(self, course: int) -> int:
        capacity = self._capacity(course)
        draw = self._chance.number(course, 1)
        taken = capacity if draw % 8 == 0 else capacity * (45 + draw % 53) // 100
        return min(taken, self._students)

    def make(self, units: range, _random: Random) -> Iterator[Row]:
        """The courses; `enrolled` is counted when the enrollments come."""
        titles = [(code, title) for code, all_ in TITLES.items() for title in all_]
        opened = datetime(SCHOOL_YEAR, 6, 2, 8, tzinfo=UTC)
        for unit in units:
            group, number = divmod(unit, len(titles))
            code, title = titles[number]
            time = opened + timedelta(days=unit // 90 % 5, minutes=5 * (unit % 90))
            yield (
                unit + 1,
                f"{code}-{unit + 101}",
                title if group == 0 else f"{title}, group {group + 1}",
                self._capacity(unit),
                time,
                time,
            )

    def make_enrollments(self, units: range, random: Random) -> Iterator[Row]:
        """Each course's pupils; nobody sits in a course twice."""
        opened = datetime(SCHOOL_YEAR, 7, 14, 7, tzinfo=UTC)
        for unit in units:
            first = self._chance.below(self._students, unit, 2)
            begin, end = self.seats[unit], self.seats[unit + 1]
            draws = shorts(random, end - begin)
            for seat, draw in zip(range(begin, end), draws, strict=True):
                pupil = (first + (seat - begin) * self._step) % self._students
                time = opened + timedelta(days=draw % 26, seconds=draw // 26 * 11)
                yield seat + 1, pupil + 1, unit + 1, time, time
