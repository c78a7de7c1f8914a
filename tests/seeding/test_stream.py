"""The same bytes, whoever makes them."""

import pytest

from backoffice.errors import EnvironmentProblem
from backoffice.seeding import stream
from backoffice.seeding.plan import BLOCK, Recipe, make_plan

RECIPE = Recipe("tests.seeding.orchard", {"trees": BLOCK + 10}, 7)


def test_another_process_makes_the_same_blocks() -> None:
    """Where rows are made does not show in them."""
    here = list(stream.make_blocks(make_plan(RECIPE)))
    with stream.make_elsewhere(RECIPE) as blocks:
        there = list(blocks)
    assert there == here


def test_same_seed_same_rows() -> None:
    """A seed gives the same rows each time, and another seed others."""
    first = list(stream.make_blocks(make_plan(RECIPE)))
    again = list(stream.make_blocks(make_plan(RECIPE)))
    other = list(stream.make_blocks(make_plan(Recipe(RECIPE.module, RECIPE.sizes, 8))))
    assert first == again
    assert first != other


def test_a_smaller_plan_begins_like_a_larger_one() -> None:
    """Full blocks do not depend on how many follow."""
    larger = list(stream.make_blocks(make_plan(RECIPE)))
    smaller = list(
        stream.make_blocks(make_plan(Recipe(RECIPE.module, {"trees": BLOCK}, 7)))
    )
    assert smaller[0] == larger[0]


def test_a_process_that_fails_says_why() -> None:
    """What the other process had to say is passed on."""
    broken = Recipe("tests.seeding.no_such_module", {}, 1)
    with (
        pytest.raises(EnvironmentProblem, match="no_such_module"),
        stream.make_elsewhere(broken) as blocks,
    ):
        list(blocks)


def test_leaving_early_ends_the_process() -> None:
    """A reader that stops does not wait for the rest."""
    recipe = Recipe(RECIPE.module, {"trees": 50_000_000}, 7)
    with stream.make_elsewhere(recipe) as blocks:
        assert next(blocks).fill == 0
