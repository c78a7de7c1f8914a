"""The worker's own connections, as ops see them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from backoffice.observability.pool import PoolStatus, meter_of
from tests.jobs.orders import until
from tests.office import (  # noqa: F401 - fixtures
    Office,
    nobody_has_failed,
    office_url,
    quick_passwords,
    site,
)

OURS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'backoffice jobs' AND datname = current_database()"
)


def pool_of(office: Office) -> PoolStatus:
    """The worker's pool."""
    pools = {one.name: one for one in office.backoffice.keeper.pools()}
    return pools["jobs"]


@pytest.fixture
def working(site: Office) -> Iterator[Office]:  # noqa: F811 - a fixture
    """The site with its worker at work in the process."""
    site.site.worker.start()
    until(lambda: len(pool_of(site).holders) == 2)
    yield site
    site.site.worker.stop()


def test_they_are_counted_as_the_server_counts_them(working: Office) -> None:
    """In use and free together are the sessions that bear the worker's name."""

    def is_counted() -> bool:
        with working.engine.connect() as connection:
            there = connection.scalar(text(OURS))
        seen.append(pool_of(working))
        is_same = seen[-1].checked_out + (seen[-1].checked_in or 0) == there
        # Who has just asked for a connection of its own waits while that is made.
        return is_same and seen[-1].waiters == 0

    seen: list[PoolStatus] = []
    until(is_counted)
    status = seen[-1]
    assert (status.size, status.max, status.waiters) == (2, None, 0)
    assert {one.action for one in status.holders} == {"listens", "keeps the place"}
    assert status.wait_p95_ms is not None
    assert "no page waits for them." in " ".join(status.cannot)


def test_the_metrics_page_has_them_in_its_table_of_pools(working: Office) -> None:
    """A row of their own, which makes nothing unhealthy."""
    seen = working.browser("ops").get("/admin/metrics")
    (row,) = [row for row in seen.rows if row and ", jobs, pid" in row[0]]
    assert "Jobs, keeps the place" in " ".join(row)
    assert working.site.foot.fullest() == working.backoffice.keeper.pools()[0]


def test_a_worker_that_waits_in_vain_turns_no_page_away(working: Office) -> None:
    """It is counted, and the process is as ready for requests as before."""
    meter_of(working.backoffice.jobs).waited(1_000, timed_out=True)
    assert pool_of(working).timeouts == 1
    assert working.app.state.probes.ready().code == 200


def test_they_are_gone_with_the_worker(site: Office) -> None:  # noqa: F811 - a fixture
    """A process without a worker has no such row."""
    site.site.worker.start()
    until(lambda: pool_of(site).checked_out > 0)
    site.site.worker.stop()
    status = pool_of(site)
    assert (status.checked_out, status.size, status.holders) == (0, None, ())
    assert ", jobs, pid" not in site.browser("ops").get("/admin/metrics").text
