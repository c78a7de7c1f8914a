"""Simple check constraints are understood, and nothing else is guessed."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    func,
    or_,
)

from backoffice.database.conditions import Condition, Name, columns_of, conditions_of

LEAST = Condition("x", ">=", Decimal(0))
MOST = Condition("x", "<=", Decimal(100))
TABLE = Table("t", MetaData(), Column("x", Integer), Column("name", String))
X, NAME = TABLE.c.x, TABLE.c.name


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x >= 0 AND x <= 100", (LEAST, MOST)),
        ("x BETWEEN 0 AND 100", (LEAST, MOST)),
        ("(x >= 0) and ((x <= 100))", (LEAST, MOST)),
        ("0 <= x AND 100 >= x", (LEAST, MOST)),
        ("x IS NULL OR x >= 0", (LEAST,)),
        ("x >= (0)::numeric(10,2)", (LEAST,)),
        ("t.x >= 0", (LEAST,)),
        ('"x" >= 0', (LEAST,)),
        ("x > -1.5", (Condition("x", ">", Decimal("-1.5")),)),
        ("x <= capacity", (Condition("x", "<=", Name("capacity")),)),
        ("x IN ('a', 'it''s')", (Condition("x", "in", ("a", "it's")),)),
        ("x = 'a' OR x = 'b'", (Condition("x", "in", ("a", "b")),)),
        ("length(x) <= 5", (Condition("x", "<=", Decimal(5), is_length=True),)),
        ("char_length(x) > 0", (Condition("x", ">", Decimal(0), is_length=True),)),
        ("x <> ''", (Condition("x", "<>", ""),)),
        (
            "(x)::text = ANY ((ARRAY['a'::character varying, 'b'::text])::text[])",
            (Condition("x", "in", ("a", "b")),),
        ),
        ("(x)::text ~~ 'a%'::text", (Condition("x", "like", "a%"),)),
        (
            "x >= '2020-01-01'::timestamp(3) with time zone AND x <> ''",
            (Condition("x", ">=", "2020-01-01"), Condition("x", "<>", "")),
        ),
        ("x LIKE '%_@_%'", (Condition("x", "like", "%_@_%"),)),
        ("x IN ('50%', 'a')", (Condition("x", "in", ("50%", "a")),)),
        (NAME.like("a%"), (Condition("name", "like", "a%"),)),
        (X.between(0, 100), (LEAST, MOST)),
        (and_(X >= 0, X <= 100), (LEAST, MOST)),
        (or_(X.is_(None), X >= 0), (LEAST,)),
        (NAME.in_(["a", "b"]), (Condition("name", "in", ("a", "b")),)),
        (
            func.length(NAME) <= 5,
            (Condition("name", "<=", Decimal(5), is_length=True),),
        ),
    ],
    ids=str,
)
def test_simple_condition_is_understood(
    condition: Any, expected: tuple[Condition, ...]
) -> None:
    """Written as text or as an expression, it says the same."""
    assert conditions_of(CheckConstraint(condition)) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "y IS NULL OR x >= 0",
        "x >= 0 OR y >= 0",
        "x + y > 3",
        "NOT (x > 3)",
        "abs(x) > 3",
        "x ~ '^a'",
        "email NOT LIKE '%_@_%'",
        "email LIKE 'a\\_%'",
        "email LIKE 'a' || '%'",
        "email ILIKE '%_@_%'",
        "x <> ANY (ARRAY['a'])",
        "x = ANY (y)",
        "x = ANY (ARRAY[y])",
        "x = ALL (ARRAY['a'])",
        "x !~~ 'a%'",
        "x IN (SELECT 1)",
        "(x > 0",
        "x >",
        "x > 0)",
        "CASE WHEN x > 0 THEN true ELSE false END",
        "x ?| 'a'",
        "",
    ],
)
def test_anything_else_is_left_to_the_database(condition: str) -> None:
    """What is not understood demands nothing here."""
    assert conditions_of(CheckConstraint(condition)) == ()


def test_mentioned_columns_are_found() -> None:
    """Even a condition that is not understood is about its columns."""
    check = CheckConstraint("lower(NAME) || ' x ' <> 'x' AND x % 2 = 0")

    assert columns_of(check, TABLE) == ["name", "x"]
