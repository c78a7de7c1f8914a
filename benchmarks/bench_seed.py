"""How long does a seed take, next to a bare COPY of the same rows?

    BACKOFFICE_BENCH_POSTGRES=postgresql://… python benchmarks/bench_seed.py \
        --students 1000000

Both fill tables of the same definition, indexes, constraints and triggers included, in
a database made for it and dropped afterwards. The bare COPY reads its rows from files
that were written before; neither time has the VACUUM in it. The target is a ratio of 2.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import models.tables  # noqa: F401 - makes the tables known
from backoffice.database.base import Base
from backoffice.database.copy import copy_text
from backoffice.seeding import stream
from backoffice.seeding.plan import Plan, load_project
from backoffice.seeding.seeder import seed

TARGET = 2.0
CHUNK = 1 << 20


@contextmanager
def new_database(server: Engine) -> Iterator[Engine]:
    """A database with the demo's tables, dropped at the end."""
    name = f"bench_seed_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(server.url.set(database=name))
    try:
        Base.metadata.create_all(engine)
        yield engine
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            connection.execute(text("CHECKPOINT"))


def dump(plan: Plan, directory: Path) -> float:
    """Write the plan's rows to a file for each table; how long making them takes."""
    started = time.perf_counter()
    with stream.open_stream(plan) as blocks:
        for block in blocks:
            with (directory / f"{block.fill}.copy").open("ab") as file:
                file.write(block.text)
    return time.perf_counter() - started


def bare_copy(engine: Engine, plan: Plan, directory: Path) -> dict[str, float]:
    """Seconds of the same rows by COPY alone, in one transaction."""
    seconds = {}
    started = time.perf_counter()
    with engine.begin() as connection:
        for number, fill in enumerate(plan.fills):
            path = directory / f"{number}.copy"
            if path.exists():
                begun = time.perf_counter()
                copy_text(connection, fill.table, fill.columns, chunks(path))
                seconds[fill.table.name] = time.perf_counter() - begun
    seconds[""] = time.perf_counter() - started
    return seconds


def chunks(path: Path) -> Iterator[bytes]:
    """A file, a megabyte at a time."""
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            yield data


def main() -> int:
    """Measure both in one run; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--students", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    url = os.environ.get("BACKOFFICE_BENCH_POSTGRES", "")
    if not url:
        print("BACKOFFICE_BENCH_POSTGRES is not set: the URL of a superuser.")
        return 2
    server = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    sizes = {
        "students": arguments.students, "products": 0, "authors": 0, "texts": 0
    }  # fmt: skip
    plan = load_project("models.seeding").plan(sizes, seed=7)
    ratios = []
    with tempfile.TemporaryDirectory() as directory:
        making = dump(plan, Path(directory))
        size = sum(path.stat().st_size for path in Path(directory).iterdir())
        print(f"{plan.rows:,} rows, {size / 1e6:,.0f} MB; made in {making:.1f} s")
        for _ in range(arguments.repeat):
            with new_database(server) as engine:
                bare = bare_copy(engine, plan, Path(directory))
            with new_database(server) as engine:
                report = seed(engine, plan)
            seeded = report.seconds - report.tidying
            ratios.append(seeded / bare[""])
            print(f"\n{'':15}{'rows':>12}{'bare COPY':>12}{'seed':>10}")
            for filled in report.tables:
                row = (
                    f"{filled.table:15}{filled.rows:>12,}{bare[filled.table]:>10.1f} s"
                )
                print(f"{row}{filled.seconds:>8.1f} s")
            print(f"{'all':15}{report.rows:>12,}{bare['']:>10.1f} s{seeded:>8.1f} s")
            print(
                f"ratio {ratios[-1]:.2f}; then VACUUM (ANALYZE) {report.tidying:.1f} s"
            )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"memory: {memory:.0f} MB here, {child:.0f} MB where rows are made")
    ratio = sorted(ratios)[len(ratios) // 2]
    print(f"ratio {ratio:.2f} (target {TARGET})")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
