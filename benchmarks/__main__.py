"""Measure all of it, or what is named, and say which bounds hold."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from sqlalchemy import URL, create_engine, text

from backoffice.errors import BackofficeError
from benchmarks import bulk, exports, jumps, lists, metrics, saving, throughput
from benchmarks.databases import Databases, databases
from benchmarks.pairs import Result
from benchmarks.servers import Server, ours, theirs

SERVER = "BACKOFFICE_BENCH_POSTGRES"


class Bench:
    """The servers of one run, each started when it is first asked for."""

    def __init__(self, stack: ExitStack, known: Databases, runs: int) -> None:
        self.stack, self.known, self.runs = stack, known, runs
        self.started: dict[str, Server] = {}
        self.ends: dict[str, ExitStack] = {}

    @property
    def small(self) -> Server:
        """Ours over 2,000 students."""
        return self.server("small", lambda: ours(self.known.small))

    @property
    def large(self) -> Server:
        """Ours over a million."""
        return self.server("large", lambda: ours(self.known.large))

    @property
    def stock(self) -> Server:
        """The baseline over 2,000."""
        return self.server("stock", lambda: theirs(self.known.small))

    def server(self, name: str, start: Callable[[], object]) -> Server:
        """The server of this name."""
        if name not in self.started:
            self.ends[name] = self.stack.enter_context(ExitStack())
            self.started[name] = self.ends[name].enter_context(start())  # type: ignore[arg-type]
        return self.started[name]

    def unused(self, name: str, url: URL) -> URL:
        """The database of a server, once that has ended; it is started anew then."""
        if self.started.pop(name, None) is not None:
            self.ends.pop(name).close()
        return url

    def groups(self) -> dict[str, Callable[[], Iterator[Result]]]:
        """What can be measured, by name."""
        return {
            "list": lambda: lists.beside_stock(self.small, self.stock, self.runs),
            "growth": lambda: lists.as_it_grows(
                self.large, self.small, self.known.students, self.runs
            ),
            "jump": lambda: jumps.jump(
                self.known.large, self.known.students, self.runs
            ),
            "save": lambda: saving.save(self.small, self.stock, self.runs),
            "requests": lambda: throughput.requests(self.small, self.stock),
            "watching": lambda: metrics.watching(self.small),
            "metrics": lambda: metrics.page(self.small, self.known.small),
            "trouble": lambda: metrics.trouble(self.small, self.known.small),
            "export": lambda: exports.export(self.large, self.known.large),
            "bulk": lambda: bulk.bulk(
                self.unused("large", self.known.large), self.known.students
            ),
            "delete": lambda: bulk.deleting(self.unused("large", self.known.large)),
        }


def main() -> int:
    """Measure; 1 where a bound is missed."""
    names = list(Bench.groups(Bench.__new__(Bench)))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(names))
    parser.add_argument("--students", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--runs", type=int, default=100, metavar="N")
    parser.add_argument(
        "--server",
        default=os.environ.get(SERVER, ""),
        metavar="URL",
        help=f"superuser's URL of a PostgreSQL ({SERVER}); else one is started",
    )
    given = parser.parse_args()
    unknown = [name for name in given.groups if name not in names]
    if unknown:
        parser.error(f"{', '.join(unknown)}: there is {', '.join(names)}")
    missed = 0
    try:
        with ExitStack() as stack:
            known = stack.enter_context(databases(given.server, given.students))
            print(about(known), flush=True)
            groups = Bench(stack, known, given.runs).groups()
            for name in given.groups or names:
                for result in groups[name]():
                    missed += not result.holds
                    print(result.line(), flush=True)
    except BackofficeError as problem:
        print(problem, file=sys.stderr)
        return 2
    print("All bounds hold." if not missed else f"{missed} missed.")
    return 1 if missed else 0


def about(known: Databases) -> str:
    """On what it is measured."""
    engine = create_engine(known.large)
    with engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version"))
    engine.dispose()
    return (
        f"PostgreSQL {version}, {os.cpu_count()} cores, Python "
        f"{sys.version.split()[0]}, {known.students:,} students"
    )


if __name__ == "__main__":
    sys.exit(main())
