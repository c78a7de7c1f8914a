"""Where do the rows come from? Two databases of the demo, filled once and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL, create_engine, make_url, text

from backoffice.database.embedded import embedded_postgres
from benchmarks.servers import ROOT, manage

SMALL = 2_000


@dataclass(frozen=True, slots=True)
class Databases:
    """The same tables twice: as in a first minute, and as after years."""

    small: URL
    large: URL
    students: int


@contextmanager
def databases(server: str, students: int) -> Iterator[Databases]:
    """Both databases, vacuumed; made and filled where they are missing.

    On the server of this URL of a superuser, else on one that is started here and
    keeps its data in `var/bench`.
    """
    if server:
        yield _filled(make_url(server), students)
        return
    home = ROOT / "var" / "bench"
    home.mkdir(parents=True, exist_ok=True)
    with embedded_postgres(home) as embedded:
        yield _filled(embedded.superuser_url, students)


def _filled(server: URL, students: int) -> Databases:
    server = server.set(drivername="postgresql+psycopg")
    return Databases(
        small=_database(server, SMALL),
        large=_database(server, students),
        students=students,
    )


def _database(server: URL, students: int) -> URL:
    name = f"backoffice_bench_{students}"
    url = server.set(database=name)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        known = connection.scalar(
            text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name}
        )
        if not known:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    manage(url, "migrate")
    own = create_engine(url, isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        if not connection.scalar(text("SELECT true FROM students LIMIT 1")):
            print(f"filling {name} with {students:,} students", flush=True)
            manage(url, "seed", "--students", str(students))
        connection.execute(text("VACUUM (ANALYZE)"))
        # What a checkpoint costs meanwhile is nobody's fault.
        connection.execute(text("CHECKPOINT"))
    own.dispose()
    return url
