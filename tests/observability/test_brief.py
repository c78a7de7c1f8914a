import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
    text,
    update,
)

from backoffice.observability.brief import brief
from tests.observability.conftest import Kept

metadata = MetaData()
things = Table(
    "brief_things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
)


PAGE = (
    "SELECT s.id, t.id FROM (SELECT t.id AS k0 FROM t WHERE t.x = ? ORDER BY"
    " t.name, t.id LIMIT ?) AS page JOIN t ON t.id = page.k0 JOIN s ON s.id ="
    " t.s ORDER BY page.k0"
)
CHOICES = (
    "WITH RECURSIVE v(value, step) AS (SELECT min(t.kind) AS m FROM t) SELECT"
    " ? AS path, (SELECT count(*) AS n FROM t) AS value UNION ALL SELECT"
    " ? AS path, v.value FROM v"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT set_config(?, %(a)s, true)", "SELECT set_config(…)"),
        ("SELECT pg_try_advisory_lock(?)", "SELECT pg_try_advisory_lock(…)"),
        ("SELECT count(*) AS n FROM a WHERE a.x = ?", "SELECT a count WHERE x"),
        (
            "SELECT u.id FROM u WHERE lower(u.email) = lower(?) AND u.gone IS NULL",
            "SELECT u WHERE lower(email), gone",
        ),
        (PAGE, "SELECT t, s rows WHERE x ORDER BY name, id"),
        (CHOICES, "SELECT t count and choices"),
        (
            "SELECT CASE WHEN (c.x > ?) THEN ? ELSE ? END AS anon_2 FROM c",
            "SELECT c",
        ),
        ("INSERT INTO a (x) VALUES (?) ON CONFLICT (x) DO UPDATE SET y = ?", None),
        ("UPDATE a SET x=?, y=(a.y + ?) WHERE a.id = ?", "UPDATE a SET x, y WHERE id"),
        ("DELETE FROM a WHERE a.at < ?", "DELETE a WHERE at"),
        ("COMMIT", "COMMIT"),
        ("SAVEPOINT ?", "SAVEPOINT ?"),
        ("", "no statement"),
    ],
)
def test_a_statement_in_a_line(text: str, line: str | None) -> None:
    """What it does, to which tables, by what: two statements are two lines."""
    assert brief(text) == (line or "INSERT a ON CONFLICT DO UPDATE")


def test_the_table_is_known_not_guessed(observed: Engine, recorder: Kept) -> None:
    """From SQLAlchemy's own statement, and never a keyword that follows FROM."""
    metadata.create_all(observed)
    inner = select(things.c.id).limit(1).subquery()
    with observed.begin() as link:
        link.execute(select(func.count()).select_from(inner)).all()
        link.execute(insert(things), [{"name": "a"}])
        link.execute(update(things).values(name="b"))
        link.execute(text("SELECT extract(epoch FROM now()) AS a")).all()
        link.execute(
            text(
                "SELECT 1 FROM (SELECT 1 AS a) AS b JOIN LATERAL"
                " (SELECT 2 AS c) AS d ON true"
            )
        )
        link.execute(text("SELECT id FROM brief_things FOR UPDATE OF brief_things"))
    asked = [one for one in recorder.all if "pg_catalog" not in one.fingerprint.text]
    found = [(one.fingerprint.operation, one.fingerprint.table) for one in asked]
    assert [one for one in found if one[0] in {"SELECT", "INSERT", "UPDATE"}] == [
        ("SELECT", "brief_things"),
        ("INSERT", "brief_things"),
        ("UPDATE", "brief_things"),
        ("SELECT", ""),
        ("SELECT", ""),
        ("SELECT", "brief_things"),
    ]
