import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    text,
)

from backoffice.observability.fingerprints import Fingerprints, fingerprint, normalise
from backoffice.observability.measurement import Measurement
from tests.observability.conftest import Kept

metadata = MetaData()
things = Table(
    "things", metadata, Column("id", Integer, primary_key=True), Column("name", String)
)


def selects(recorder: Kept) -> list[Measurement]:
    """What was asked of `things`."""
    asked = recorder.of("SELECT")
    return [one for one in asked if one.fingerprint.table == "things"]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("SELECT  1,\n\t'it''s' , 2.5e3", "SELECT ?, ? , ?"),
        ("SELECT * FROM t WHERE a = 'x' -- secret", "SELECT * FROM t WHERE a = ?"),
        ("SELECT /* 'secret' */ a1 FROM t2", "SELECT a1 FROM t2"),
        ("SELECT E'a\\'b', $$x 'y'$$, $q$z$q$", "SELECT ?, ?, ?"),
        ('SELECT "a 1" FROM t WHERE x=$1', 'SELECT "a 1" FROM t WHERE x=?'),
        ("SELECT a FROM t WHERE a IN (1, 2,3)", "SELECT a FROM t WHERE a IN (…)"),
        ("SELECT a FROM t WHERE a in (%s, %s)", "SELECT a FROM t WHERE a IN (…)"),
        ("INSERT INTO t VALUES (1, f('x')), (2, f('y'))", None),
        ("SELECT 'never closed", "SELECT ?"),
        ("SELECT 'back\\' , 'slash'", "SELECT ? , ?"),
        ("SAVEPOINT sa_savepoint_12", "SAVEPOINT …"),
        ("RELEASE SAVEPOINT sa_savepoint_12", "RELEASE SAVEPOINT …"),
        ('ROLLBACK TO SAVEPOINT "_pg3_1"', "ROLLBACK TO SAVEPOINT …"),
        ("SELECT -1, 0xFF, a.b2, .5", "SELECT -?, ?, a.b2, ?"),
    ],
)
def test_text_loses_its_literals(written: str, plain: str | None) -> None:
    """Literals become question marks, lists fold, names stay."""
    assert normalise(written) == (plain or "INSERT INTO t VALUES (?, f(?)), …")


def test_an_id_is_sixteen_hexadecimal_digits() -> None:
    """The id is short enough for an address and has no other signs."""
    found = fingerprint("SELECT 1").id
    assert len(found) == 16
    int(found, 16)


def test_operation_and_table_are_named() -> None:
    """What a statement does, and to which table, is read off its text."""
    found = fingerprint('UPDATE public."things" SET name = 1')
    assert (found.operation, found.table) == ("UPDATE", "things")


def test_a_long_text_is_cut() -> None:
    """A megabyte of SQL is neither read nor kept."""
    found = fingerprint("SELECT '" + "secret" * 200_000)
    assert found.text == "SELECT ?"


def test_remembered_texts_are_bounded() -> None:
    """However many texts come by, two generations of them are kept."""
    cache = Fingerprints()
    for number in range(5_000):
        cache.of_text(f"SELECT a{number}")
    assert len(cache._young) + len(cache._old) <= 2_000


def test_texts_that_differ_in_literals_share_one_object() -> None:
    """The same statement with other literals costs no further text."""
    cache = Fingerprints()
    assert cache.of_text("SELECT 1") is cache.of_text("SELECT 2")


def test_in_lists_of_any_length_are_one_statement(
    observed: Engine, recorder: Kept
) -> None:
    """`IN` with one value, with three and with a hundred has one fingerprint."""
    metadata.create_all(observed)
    with observed.connect() as connection:
        for length in (1, 3, 100):
            connection.execute(select(things).where(things.c.id.in_(range(length))))
    found = selects(recorder)
    assert (len(found), len({one.fingerprint.id for one in found})) == (3, 1)


def test_pages_are_one_statement(observed: Engine, recorder: Kept) -> None:
    """The first page, the second and the tenth have one fingerprint."""
    metadata.create_all(observed)
    with observed.connect() as connection:
        for page in (0, 1, 9):
            statement = select(things).order_by(things.c.id).limit(50).offset(page * 50)
            connection.execute(statement)
    found = selects(recorder)
    assert (len(found), len({one.fingerprint.id for one in found})) == (3, 1)


def test_batches_are_one_statement(observed: Engine, recorder: Kept) -> None:
    """An insert of one row, of a few and of several batches has one fingerprint."""
    metadata.create_all(observed)
    with observed.begin() as connection:
        for number in (1, 10, 2_500):
            connection.execute(
                insert(things).returning(things.c.id),
                [{"name": str(row)} for row in range(number)],
            )
    assert len({one.fingerprint.id for one in recorder.of("INSERT")}) == 1


def test_expanded_text_is_one_statement(observed: Engine, recorder: Kept) -> None:
    """People's own SQL with an expanding parameter has one fingerprint as well."""
    metadata.create_all(observed)
    statement = text("SELECT * FROM things WHERE id IN :ids")
    statement = statement.bindparams(bindparam("ids", expanding=True))
    with observed.connect() as connection:
        for ids in ([1], [1, 2, 3]):
            connection.execute(statement, {"ids": ids})
    found = selects(recorder)
    assert len(found) == 2
    assert found[0].fingerprint == found[1].fingerprint
    assert "IN (…)" in found[0].fingerprint.text


def test_a_literal_never_is_in_a_fingerprint(observed: Engine, recorder: Kept) -> None:
    """A value written into the text by hand is not kept."""
    with observed.connect() as connection:
        connection.exec_driver_sql("SELECT 'canary-4711'")
        connection.execute(text("SELECT 'canary-4711'"))
    assert not any("canary" in one.fingerprint.text for one in recorder.all)
