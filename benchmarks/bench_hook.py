"""What timing a statement costs: the same statements with the hooks and without.

    python benchmarks/bench_hook.py postgresql+psycopg://… [rounds]

Paired runs on one machine, in turns; the median of the differences is the cost in
CPU time of a statement. More than 40 µs fails.
"""

import sys
from statistics import median
from time import thread_time_ns

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    QueuePool,
    String,
    Table,
    create_engine,
    insert,
    select,
)

from backoffice.database.session import Place, Work, working
from backoffice.observability.pool import observed_pool
from backoffice.observability.recorder import Recorder
from backoffice.observability.request_log import RequestLog, observe_request
from backoffice.observability.statements import install

STATEMENTS = 2_000
LIMIT_US = 40.0

metadata = MetaData()
things = Table(
    "bench_hook", metadata, Column("id", Integer, primary_key=True), Column("n", String)
)
by_key = select(things).where(things.c.id == 500)


def run(engine: Engine) -> float:
    """Microseconds of CPU a statement takes, in this thread."""
    with engine.connect() as connection, observe_request(RequestLog()):
        started = thread_time_ns()
        for _ in range(STATEMENTS):
            connection.execute(by_key).all()
        return (thread_time_ns() - started) / STATEMENTS / 1000


def main() -> int:
    """Run the pairs, print the cost, and say whether it is within its limit."""
    url = sys.argv[1] if len(sys.argv) > 1 else "sqlite://"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    plain = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
    watched = create_engine(
        url, poolclass=observed_pool(QueuePool), pool_size=1, max_overflow=0
    )
    install(watched, Recorder())
    for engine in (plain, watched):
        metadata.create_all(engine)
        with engine.begin() as connection:
            if not connection.execute(by_key).all():
                rows = [{"id": key, "n": str(key)} for key in range(1, 1001)]
                connection.execute(insert(things), rows)
    with working(Work(Place("student", "list"))):
        run(plain), run(watched)
        pairs = [(run(plain), run(watched)) for _ in range(rounds)]
    metadata.drop_all(plain)
    cost = median(after - before for before, after in pairs)
    base = median(before for before, _ in pairs)
    print(f"{base:.1f} µs a statement, {cost:+.1f} µs with the hooks ({rounds} pairs)")
    return 0 if cost <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
