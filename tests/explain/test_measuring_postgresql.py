"""Who may set measuring up, and what is said where nobody may."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, NullPool, create_engine, text

from backoffice.database.embedded import embedded_postgres
from backoffice.explain.measuring_postgresql import INSTALL, REMOVE
from backoffice.explain.running_postgresql import Answer, How, explain
from backoffice.explain.statement import Caught


@pytest.fixture(scope="module", params=[18, 16])
def embedded(request: pytest.FixtureRequest) -> Iterator[URL]:
    """The application's role, which is no superuser, on an embedded server."""
    root = Path(tempfile.mkdtemp(prefix="postgres-"))
    root.chmod(0o755)
    with embedded_postgres(root, version=request.param, durable=False) as server:
        yield server.url
    shutil.rmtree(server.data_directory.parent, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)


def measured(engine: Engine) -> Answer:
    """What came of a statement on a table of one's own."""
    sql = Caught("", "SELECT * FROM own", {})
    return explain(engine, [sql], measure=True)


def test_the_embedded_applications_role_measures(embedded: URL) -> None:
    """Its migration sets everything up, and takes it away."""
    engine = create_engine(embedded, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE own (id int)"))
        connection.execute(text(INSTALL))
    answer = measured(engine)
    assert answer.why_not_measured == ""
    assert answer.explained[0].how is How.MEASURED
    assert answer.explained[0].problem == ""
    with engine.begin() as connection:
        connection.execute(text(REMOVE))
    assert "not set up" in measured(engine).why_not_measured


def test_a_role_without_rights_goes_without(
    server: Engine, empty_database: URL
) -> None:
    """The migration succeeds, measuring is off, and plans are there."""
    role = f"plain_{empty_database.database}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{role}'"))
        name = empty_database.database
        connection.execute(text(f'ALTER DATABASE "{name}" OWNER TO "{role}"'))
    try:
        own = create_engine(
            empty_database.set(username=role, password=role), poolclass=NullPool
        )
        with own.begin() as connection:
            connection.execute(text("CREATE SCHEMA own"))
            connection.execute(text('SET LOCAL search_path = "own"'))
            connection.execute(text(INSTALL))
        sql = Caught("", "SELECT 1", {})
        answer = explain(own, [sql], measure=True)
        assert "may not make them" in answer.why_not_measured
        assert answer.explained[0].how is How.PLANNED
    finally:
        with server.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER'))
        admin = create_engine(empty_database, poolclass=NullPool)
        with admin.begin() as connection:
            connection.execute(text(f'DROP OWNED BY "{role}" CASCADE'))
        with server.connect() as connection:
            connection.execute(text(f'DROP ROLE "{role}"'))
