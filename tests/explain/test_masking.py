"""No literal of a plan is shown to those who may not see values."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from backoffice.explain.masking import mask_plan, mask_text
from backoffice.explain.running_postgresql import explain
from backoffice.explain.statement import Caught

CANARY = "canary7351"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("(a.name = 'it''s')", "(a.name = '…')"),
        ("(a ~~* '%ann%'::text)", "(a ~~* '%…%'::text)"),
        ("(a ~~ 'ann%'::text)", "(a ~~ '…%'::text)"),
        ("((a > 5) AND (b <= 1.5e3))", "((a > ?) AND (b <= ?))"),
        ("(t1.c2 = $1)", "(t1.c2 = $1)"),
        ("(a = ANY ('{1,2}'::integer[]))", "(a = ANY ('…'::integer[]))"),
        ('("it\'s 5".a = 5)', '("it\'s 5".a = ?)'),
        ("(a = (InitPlan 1).col1)", "(a = (InitPlan 1).col1)"),
        ("(x = E'a\\'b') AND y = 'z'", "(x = '…') AND y = '…'"),
        ("(x = 'a\\') AND y = 'secret'", "(x = '…') AND y = '…'"),
        ("(x = ''::text)", "(x = ''::text)"),
        ("(x = $tag$secret$tag$)", "(x = '…')"),
        ("(x = B'101')", "(x = '…')"),
        ("(x = 'never closed", "(x = '…'"),
    ],
)
def test_literals_are_masked_and_names_are_not(text: str, masked: str) -> None:
    """Whichever way a literal is written, nothing of it is left."""
    assert mask_text(text) == masked


def test_names_settings_and_numbers_of_a_plan_stay() -> None:
    """What the server itself says is no value."""
    plan = {
        "Plan": {
            "Node Type": "Seq Scan",
            "Relation Name": "big2",
            "Filter": "(a = 5)",
            "Plan Rows": 5,
            "Output": ["'x'::text", "id"],
        },
        "Settings": {"work_mem": "64kB"},
        "Query Text": "SELECT 'secret'",
    }
    assert mask_plan(plan) == {
        "Plan": {
            "Node Type": "Seq Scan",
            "Relation Name": "big2",
            "Filter": "(a = ?)",
            "Plan Rows": 5,
            "Output": ["'…'::text", "id"],
        },
        "Settings": {"work_mem": "64kB"},
    }


@given(
    before=st.text("'\"\\$%_ aE?1\n", max_size=12),
    after=st.text("'\"\\$%_ aE?1\n", max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_no_value_is_left_in_a_real_plan(lab: Engine, before: str, after: str) -> None:
    """Whatever stands around it: quotes, backslashes, dollars."""
    value = f"{before}{CANARY}{after}"
    text = (
        "SELECT name || %(a)s::text FROM people WHERE name = %(a)s::text"
        " AND name ILIKE %(b)s::text AND name = ANY (%(c)s::text[])"
        " ORDER BY name = %(a)s::text"
    )
    values = {"a": value, "b": f"%{value}%", "c": [value, "x"]}
    found = plan_of(lab, Caught("", text, values))
    assert CANARY in json.dumps(found)
    assert CANARY not in json.dumps(mask_plan(found))


def test_no_number_or_date_is_left_in_a_real_plan(lab: Engine) -> None:
    """Also those of arrays, ranges and limits."""
    text = (
        "SELECT * FROM people WHERE kind = %(a)s::int AND born > %(b)s::date"
        " AND id = ANY (%(c)s::int[]) LIMIT 73514"
    )
    values = {"a": 73515, "b": "7351-06-07", "c": [73516, 73517]}
    masked = mask_plan(plan_of(lab, Caught("", text, values)))
    assert "7351" not in json.dumps(masked["Plan"])


def plan_of(lab: Engine, caught: Caught) -> Any:
    """The plan of one statement."""
    (one,) = explain(lab, [caught]).explained
    assert one.problem == ""
    return one.plan[0]
