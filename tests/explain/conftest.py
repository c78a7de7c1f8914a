"""A table to explain statements of, on a server that can measure them."""

import os
from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from backoffice.explain.measuring_postgresql import INSTALL

_numbers = count(1)
TABLE = """
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, kind int, born date);
INSERT INTO people (name, kind, born)
  SELECT 'name ' || g, g % 7, date '2000-01-01' + g % 1000
  FROM generate_series(1, 3000) g;
ANALYZE people;
"""


@pytest.fixture(scope="module")
def lab(server: Engine) -> Iterator[Engine]:
    """An engine whose connections end with their use, on a database with one table."""
    name = f"explain_{os.getpid()}_{next(_numbers)}"
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(server.url.set(database=name), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(TABLE))
        connection.execute(text(INSTALL))
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


PLAIN = """
CREATE ROLE {role} LOGIN PASSWORD 'plain';
GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role};
"""


@pytest.fixture(scope="module")
def plain(lab: Engine) -> Iterator[Engine]:
    """The same database as a role that is no superuser has it."""
    role = f"explain_plain_{os.getpid()}"
    with lab.begin() as connection:
        connection.execute(text(PLAIN.format(role=role)))
    url = lab.url.set(username=role, password="plain")
    engine = create_engine(url, poolclass=NullPool)
    yield engine
    engine.dispose()
    with lab.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
