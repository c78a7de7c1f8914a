"""What do a jump's statements cost next to skipping the same number of keys?"""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from sqlalchemy import URL, Engine, event, text

from backoffice.bootstrap import open_backoffice
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list
from backoffice.web.app import create_app
from benchmarks.pairs import Result, compared, in_turns
from benchmarks.servers import ROOT, our_environment

DEEP = 10_000


def jump(url: URL, students: int, runs: int) -> Iterator[Result]:
    """A jump to page 10,000: all of its statements, by `SELECT id … OFFSET` alone."""
    with open_backoffice(ROOT, environ=our_environment(url)) as backoffice:
        site = create_app(backoffice).state.site
        spec = site.view_called("student").description.list_spec
        number = deep_page(students, spec.page_size)
        query = parse_list(spec, [("page", str(number))], site.codec)
        skipped, shown = spec.page_size * (number - 1), spec.page_size
        bare = text(
            f"SELECT id FROM students ORDER BY id DESC OFFSET {skipped} LIMIT {shown}"
        )
        spent = StatementTimes(backoffice.engine)
        with backoffice.sessions() as session:

            def ours() -> float:
                spent.seconds = 0
                found = read_page(session, spec, query, site.codec)
                assert len(found.rows) == shown
                session.expunge_all()
                return spent.seconds

            def alone() -> float:
                spent.seconds = 0
                assert len(session.execute(bare).all()) == shown
                return spent.seconds

            pair = in_turns(ours, alone, runs)
    yield compared(f"statements of a jump to page {number:,}, by OFFSET", 1.2, pair)


def deep_page(students: int, page_size: int) -> int:
    """The page of that number, or the one in the middle of a shorter list."""
    return min(DEEP, students // page_size // 2)


class StatementTimes:
    """The seconds that an engine's statements take."""

    def __init__(self, engine: Engine) -> None:
        self.seconds = 0.0
        self.started = 0.0
        event.listen(engine, "before_cursor_execute", self.before)
        event.listen(engine, "after_cursor_execute", self.after)

    def before(self, *_given: Any) -> None:
        """A statement begins."""
        self.started = perf_counter()

    def after(self, *_given: Any) -> None:
        """A statement has ended."""
        self.seconds += perf_counter() - self.started
