"""What is to be filled: declared sizes, tables in order, and rows by the block.

A project's seeding module (`settings.app.seeding`) has

    SIZES: tuple[Size, ...]                                   one option each
    def plan(sizes: Mapping[str, int], seed: int) -> Plan     the demo's rows

and may have

    IMPORTS: tuple[Import, ...]                               files it can load
    FIRST_STEPS: tuple[str, ...]                              what to try with the rows

`seed --help` imports it; where its tables are imported in `plan` that is quick.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from backoffice.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Table

# Units (students, orders, …) that are made in one go: small enough that a block's
# text stays under a few megabytes, large enough that its overhead does not count.
BLOCK = 5_000


@dataclass(frozen=True, slots=True)
class Size:
    """How many of something are made: an option of the command."""

    name: str
    default: int
    help: str
    maximum: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Fill:
    """One table and its rows.

    `make(units, random)` gives the rows of a range of units, each with a value for
    each of `columns`; it may depend on nothing but its arguments and the plan's seed,
    so that blocks can be made anywhere and in any order. `rows` is how many rows all
    units give together, for the progress bar; it may be a little off.
    """

    table: "Table"
    columns: tuple[str, ...]
    units: int
    rows: int
    make: Callable[[range, Random], Iterable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line of a file that was not loaded, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that another process needs to make the same plan."""

    module: str
    sizes: Mapping[str, int]
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables to fill, parents before children, and the number behind the rows.

    `resets` are the tables that `--reset` empties: all that hold what the plan makes,
    also those that it leaves empty. They must be empty before.
    """

    fills: tuple[Fill, ...]
    seed: int
    resets: "tuple[Table, ...]"
    refused: tuple[RefusedLine, ...] = ()
    recipe: Recipe | None = None

    @property
    def rows(self) -> int:
        """About how many rows there are in all."""
        return sum(fill.rows for fill in self.fills)


@dataclass(frozen=True, slots=True)
class Import:
    """Files that the project can load in place of made rows: an option with a path."""

    name: str
    help: str
    plan: Callable[[Path], Plan]
    notes: str = ""


class SeedingModule(Protocol):
    """What a project's seeding module has."""

    SIZES: tuple[Size, ...]

    def plan(self, sizes: Mapping[str, int], seed: int) -> Plan:
        """The demo's rows in these sizes."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's seeding as the command sees it."""

    module: str
    sizes: tuple[Size, ...]
    imports: tuple[Import, ...] = field(default=())

    def plan(self, sizes: Mapping[str, int], seed: int) -> Plan:
        """The demo's rows; a size that is not given has its default.

        Raises:
            SettingsError: a size is unknown or out of its range.
        """
        declared = {size.name: size for size in self.sizes}
        for name, value in sizes.items():
            if name not in declared:
                raise SettingsError(f"{self.module} declares no size {name}.")
            if not 0 <= value <= declared[name].maximum:
                raise SettingsError(
                    f"{name} is {value}; it should be between 0 and "
                    f"{declared[name].maximum:,}."
                )
        full = {size.name: sizes.get(size.name, size.default) for size in self.sizes}
        return make_plan(Recipe(self.module, full, seed))


def load_project(module: str) -> Project:
    """The seeding of the project whose module has this name.

    Raises:
        SettingsError: there is no such module, or it lacks `SIZES` or `plan`.
    """
    if not module:
        raise SettingsError(
            "app.seeding is empty: this project has no rows of its own to seed."
        )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise SettingsError(f"app.seeding is {module!r}; no such module.") from None
    missing = [name for name in ("SIZES", "plan") if not hasattr(found, name)]
    if missing:
        raise SettingsError(f"{module} lacks {' and '.join(missing)}.")
    return Project(module, tuple(found.SIZES), tuple(getattr(found, "IMPORTS", ())))


def make_plan(recipe: Recipe) -> Plan:
    """The plan of a recipe, the same in every process."""
    module: Any = importlib.import_module(recipe.module)
    made: Plan = module.plan(recipe.sizes, recipe.seed)
    return Plan(made.fills, recipe.seed, made.resets, made.refused, recipe)


def blocks(fill: Fill, seed: int) -> Iterator[list[tuple[Any, ...]]]:
    """The fill's rows, block by block, each from a random number of its own."""
    for start in range(0, fill.units, BLOCK):
        units = range(start, min(start + BLOCK, fill.units))
        random = Random(f"{seed}/{fill.table.name}/{start}")  # noqa: S311 - a demo
        rows = [tuple(row) for row in fill.make(units, random)]
        if rows:
            yield rows
