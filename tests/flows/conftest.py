"""The site that whole stories are played on, and servers that plan differently."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import URL

from tests.chromium import browser  # noqa: F401 - a fixture
from tests.debian import debian_server
from tests.office import (  # noqa: F401 - fixtures
    nobody_has_failed,
    office_url,
    quick_passwords,
    seed_office,
    site,
)
from tests.servers import own_server


@pytest.fixture(scope="module", params=[18, 16, 15])
def each_office_url(request: pytest.FixtureRequest) -> Iterator[URL]:
    """The demo with some rows on each kind of PostgreSQL that explains differently.

    Generic plans by EXPLAIN came with 16, and estimates of memory with 18.
    """
    if request.param == 18:
        yield request.getfixturevalue("office_url")
        return
    with ExitStack() as stack:
        if request.param == 15:
            url, _ = stack.enter_context(debian_server())
        else:
            url = stack.enter_context(own_server(request.param))
        seed_office(url)
        yield url
