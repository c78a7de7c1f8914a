"""Which statements have a plan, and where their values belong."""

import pytest

from backoffice.errors import Refused
from backoffice.explain.statement import (
    Caught,
    Kind,
    from_fingerprint,
    kind_of,
    numbered,
    with_numbers,
    without_values,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1", Kind.READS),
        ("  /* a */ -- b\n (select 1) union (select 2)", Kind.READS),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Kind.READS),
        ("values (1)", Kind.READS),
        ("INSERT INTO a VALUES (1)", Kind.WRITES),
        ("update a set b = 1", Kind.WRITES),
        ("DELETE FROM a", Kind.WRITES),
    ],
)
def test_the_first_word_tells_what_a_statement_does(text: str, kind: Kind) -> None:
    """Comments and brackets before it do not matter."""
    assert kind_of(text) is kind


@pytest.mark.parametrize(
    "text", ["", "COMMIT", "COPY a TO PROGRAM 'x'", "CALL f()", "DO $$ $$", "/* x", "1"]
)
def test_what_has_no_plan_is_refused(text: str) -> None:
    """Nothing but the statements that the planner plans is sent."""
    with pytest.raises(Refused, match="have a plan"):
        kind_of(text)


def test_a_name_that_stands_twice_has_one_number() -> None:
    """The driver's places become PostgreSQL's."""
    text, names = numbered("a = %(x)s::INT AND b LIKE 'c%%' AND d IN (%(y)s, %(x)s)")
    assert text == "a = $1::INT AND b LIKE 'c%' AND d IN ($2, $1)"
    assert names == ["x", "y"]


@pytest.mark.parametrize(
    ("remembered", "text"),
    [
        (
            "c IN (…) AND d = ? AND e = %(e)s::INT",
            "c = ANY ($1) AND d = $2 AND e = $3::INT",
        ),
        ("e = %(e)s::INT OR f = %(e)s::INT", "e = $1::INT OR f = $1::INT"),
        ("c NOT IN (…)", "c <> ALL ($1)"),
        ("(a.b, a.c) IN (…) AND d = ?", "(a.b, a.c) IN (($1, $2)) AND d = $3"),
        ("CAST(a AS NUMERIC(?, ?)) + ?", "CAST(a AS NUMERIC) + $1"),
        ("a::VARCHAR(?) = ?::TIMESTAMP(?)", "a::VARCHAR = $1::TIMESTAMP"),
        ("a > now() - INTERVAL ?", "a > now() - $1::INTERVAL"),
        ("a ? %(key)s::TEXT AND b ?| ?", "a ? $1::TEXT AND b ?| $2"),
        ("VALUES (?, %s), …", "VALUES ($1, $2)"),
        ('a %% ? AND "?" = ?', 'a % $1 AND "?" = $2'),
    ],
)
def test_a_fingerprint_can_be_planned_again(remembered: str, text: str) -> None:
    """Folded lists, rows and literals become places; what is no value stays or goes."""
    assert from_fingerprint(remembered)[0] == text


def test_literals_that_could_be_counts_are_tried_as_numbers() -> None:
    """Only those, and only where nothing beside them tells what they are."""
    text, literals = from_fingerprint(
        "SELECT ? AS step, %(a)s AS word, generate_series(?, b), coalesce(c, ?)"
    )
    assert literals == {1, 3, 4}
    assert with_numbers(text, literals) == (
        "SELECT $1::integer AS step, $2 AS word, generate_series($3::integer, b), "
        "coalesce(c, $4)"
    )


def test_a_fingerprint_that_was_cut_is_not_planned() -> None:
    """Half a statement has no plan, and it is said what to do instead."""
    with pytest.raises(Refused, match="from the page"):
        from_fingerprint("SELECT a, b … (1234 more)")


@pytest.mark.parametrize(
    ("dialect", "sql", "found"),
    [
        (
            "postgresql",
            "SELECT a %% 2 FROM b WHERE c = %(c)s::INT AND d LIKE %(d)s AND e = %(c)s",
            "SELECT a % 2 FROM b WHERE c = $1::INT AND d LIKE $2 AND e = $1",
        ),
        (
            "sqlite",
            "SELECT strftime('%s', a) FROM b WHERE c LIKE ?",
            "SELECT strftime('%s', a) FROM b WHERE c LIKE ?",
        ),
    ],
)
def test_a_statement_without_its_values_has_the_places_of_its_driver(
    dialect: str, sql: str, found: str
) -> None:
    """Numbers for PostgreSQL; SQLite's question marks stay. It is said why."""
    one = Caught("Rows", sql, {"c": 1, "d": "x"}, "name", "With values.")
    bare = without_values(one, "Generic.", "Ask.", dialect)
    assert bare == Caught("Rows", found, None, "name", "Generic.", remedy="Ask.")
    known = Caught("Rows", "SELECT a % 2 FROM b WHERE c LIKE '%s'")
    assert without_values(known, "", "", dialect).text == known.text
