from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text

from backoffice.observability.growth import (
    WHOLE,
    Size,
    read_before,
    read_sizes,
    write_sizes,
)
from backoffice.observability.keeper import Keeper, make_flush_engine
from backoffice.observability.models import (
    SlowStatement,
    StatementHour,
    StatementText,
    TableSize,
)
from backoffice.observability.pruning import prune, thin_sizes
from backoffice.observability.statement_texts import table_of
from backoffice.settings import DatabaseSettings, ObservabilitySettings

HOUR, DAY = 3600.0, 86400.0
NOW = 400_000 * HOUR
SIZES = table_of(TableSize)
OWN = [
    table_of(model)
    for model in (StatementText, SlowStatement, StatementHour, TableSize)
]


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: Any, tmp_path: Path) -> Iterator[Engine]:
    """A database with the tables of what is observed, on both dialects."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'log.db'}")
    else:
        engine = create_engine(request.getfixturevalue("empty_database"))
    SIZES.metadata.create_all(engine, tables=OWN)
    yield engine
    engine.dispose()


def sizes_at(engine: Engine, moments: list[float], name: str = "public.t") -> None:
    """A table's size at some moments, a byte more each time."""
    with engine.begin() as connection:
        connection.execute(
            insert(SIZES),
            [
                {
                    "at": datetime.fromtimestamp(moment, UTC),
                    "name": name,
                    "row_count": number,
                    "data_size": 1_000 + number,
                    "index_size": 500,
                }
                for number, moment in enumerate(moments)
            ],
        )


def kept(engine: Engine) -> int:
    """How many rows there are."""
    with engine.connect() as connection:
        return len(connection.execute(select(SIZES)).all())


def test_an_hour_is_written_once(database: Engine) -> None:
    """By whoever comes first; the next hour is another."""
    first = write_sizes(database, now=NOW)
    assert first >= 1
    assert write_sizes(database, now=NOW + HOUR - 1) == 0
    assert write_sizes(database, now=NOW + HOUR) == first


def test_sizes_are_the_catalogues(empty_database: Any) -> None:
    """Of tables and of the whole database; one that is held is left out."""
    engine = create_engine(empty_database)
    SIZES.metadata.create_all(engine, tables=OWN)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t SELECT generate_series(1, 900)"))
        connection.execute(text("CREATE TABLE held (id int)"))
    with engine.connect() as link:
        link.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE t"))
    with engine.begin() as holder:
        holder.execute(text("LOCK TABLE held"))
        write_sizes(engine, now=NOW + 130)
    with engine.connect() as connection:
        found = read_before(connection, now=NOW)
        size = connection.scalar(text("SELECT pg_total_relation_size('t')"))
    engine.dispose()
    assert found is not None
    assert found.tables["public.t"] == Size(size, 900)
    assert found.tables[WHOLE].whole > size
    assert "public.held" not in found.tables
    assert found.at == datetime.fromtimestamp(NOW + 120, UTC)


def test_growth_is_since_a_week_ago_or_the_oldest(database: Engine) -> None:
    """Older samples are not compared with; before the first there is nothing."""
    with database.connect() as connection:
        assert read_before(connection, now=NOW) is None
    sizes_at(database, [NOW - 9 * DAY, NOW - 6 * DAY, NOW - DAY])
    with database.connect() as connection:
        found = read_before(connection, now=NOW)
    assert found is not None
    assert found.at == datetime.fromtimestamp(NOW - 6 * DAY, UTC)
    assert found.tables == {"public.t": Size(1_501, 1)}


def test_old_sizes_are_one_a_day(database: Engine) -> None:
    """Two days by the hour, then the first of each day, and nothing after 14."""
    noon = NOW // DAY * DAY + DAY / 2
    sizes_at(database, [noon - hour * HOUR for hour in range(20 * 24)])
    prune(database, keep_days=14, now=noon)
    thin_sizes(database, now=noon)
    assert kept(database) == 49 + 13
    with database.connect() as connection:
        since = datetime.fromtimestamp(0, UTC)
        moments = [at for at, _ in read_sizes(connection, since=since)["public.t"]]
    assert moments == sorted(moments)
    assert {at.hour for at in moments[1:-49]} == {0}


def test_a_process_knows_what_was_before(database: Engine, tmp_path: Path) -> None:
    """After it has measured; without our tables it goes on without."""
    keeper = Keeper(
        ObservabilitySettings(),
        tmp_path,
        flush_engine=make_flush_engine(database.url, DatabaseSettings()),
    )
    assert keeper.measure() >= 1
    assert keeper.sizes_before is not None
    with database.begin() as connection:
        connection.execute(text("DROP TABLE backoffice_table_sizes"))
    assert keeper.measure() == 0
    keeper.stop()
