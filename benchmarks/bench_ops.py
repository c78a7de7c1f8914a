"""What observing costs besides the hooks: a flush, a snapshot, a picture, a page.

    python benchmarks/bench_ops.py postgresql+psycopg://… [rows]

Makes its tables in the database it is given (an empty one) and leaves them there.
`rows` is the size of the slow log that the newest entries are read from.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from backoffice.observability.exposition import exposition
from backoffice.observability.keeper import Keeper, make_flush_engine
from backoffice.observability.live import read_live
from backoffice.observability.models import (
    SlowStatement,
    StatementHour,
    StatementText,
    TableSize,
)
from backoffice.observability.ops_connection import (
    OpsReader,
    Question,
    make_ops_engine,
)
from backoffice.observability.reads_postgresql import Look
from backoffice.observability.request_log import RequestLog
from backoffice.observability.statement_texts import table_of
from backoffice.settings import DatabaseSettings, ObservabilitySettings

STATEMENTS = 1_000
ROUNDS = 9
WEEK_HOURS = 168


def milliseconds(work: Callable[[], object]) -> float:
    """The median of some rounds."""
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        work()
        times.append((perf_counter() - started) * 1000)
    return median(times)


def main() -> None:
    """Fill the tables, and time each part."""
    url = make_url(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    engine = create_engine(url)
    tables = [
        table_of(model)
        for model in (StatementText, SlowStatement, StatementHour, TableSize)
    ]
    tables[0].metadata.create_all(engine, tables=tables)
    keeper = Keeper(
        ObservabilitySettings(slow_ms=10_000, fingerprints=STATEMENTS),
        Path(tempfile.mkdtemp()),
        flush_engine=make_flush_engine(url, DatabaseSettings()),
    )
    engine.dispose()
    keeper.observe(engine)
    run(engine, STATEMENTS)
    started = perf_counter()
    keeper.flush()
    print(f"first flush of {STATEMENTS} statements {since(started):8.1f} ms")
    run(engine, STATEMENTS)
    started = perf_counter()
    keeper.flush()
    print(f"next flush of {STATEMENTS} statements  {since(started):8.1f} ms")
    fill(engine, rows)
    keeper.snapshots.write(statements=True)
    size = keeper.snapshots.path.stat().st_size / 1024
    whole = milliseconds(lambda: keeper.snapshots.write(statements=True))
    print(f"snapshot with statements, {size:.0f} kB   {whole:8.1f} ms")
    print(
        f"snapshot of counters          {milliseconds(keeper.snapshots.write):8.1f} ms"
    )
    print(f"picture from memory           {milliseconds(keeper.picture):8.1f} ms")
    picture = keeper.picture()
    shown = milliseconds(lambda: exposition(picture))
    print(f"/metrics from a picture       {shown:8.1f} ms")
    ops = make_ops_engine(url, DatabaseSettings())
    reader = OpsReader(ops)
    migrations: Question[int] = Question("migrations", "SELECT 1", lambda _: 0)
    read_live(reader, migrations)
    live = milliseconds(lambda: read_live(reader, migrations))
    print(f"five live panels, {rows} slow rows {live:8.1f} ms")
    ops.dispose()
    sizes = milliseconds(keeper.measure)
    print(f"sizes of all tables           {sizes:8.1f} ms")
    print(f"looks at a page, before, after{milliseconds(looks(engine)):8.1f} ms")
    keeper.stop()
    engine.dispose()


def looks(engine: object) -> Callable[[], object]:
    """Both looks at what a page reads."""

    def look() -> None:
        with Session(engine) as session:  # type: ignore[call-overload]
            session.execute(text("SELECT 1")).all()
            Look(session, RequestLog()).end()

    return look


def run(engine: object, number: int) -> None:
    """As many different statements."""
    with engine.connect() as connection:  # type: ignore[attr-defined]
        for index in range(number):
            connection.execute(text(f"SELECT 1 AS a{index}")).all()


def fill(engine: object, rows: int) -> None:
    """A slow log of a week."""
    with engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(
            text(
                "INSERT INTO backoffice_slow_statements (at, total_ms, wait_ms,"
                " execute_ms, fetch_ms, commit_ms, reason, fingerprint)"
                " SELECT now() - n * interval '6 seconds', n, 0, 0, 0, 0, 'slow',"
                " (SELECT min(fingerprint) FROM backoffice_statements)"
                f" FROM generate_series(1, {rows}) AS n"
            )
        )
    with engine.connect() as connection:  # type: ignore[attr-defined]
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("ANALYZE backoffice_slow_statements")
        )


def since(started: float) -> float:
    """Milliseconds since a moment."""
    return (perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
