"""A small project to seed: trees and their apples, with times and a trigger."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.database.base import Timestamps
from backoffice.database.triggers import Trigger, declare
from backoffice.seeding.plan import Fill, Plan, Size


class OrchardBase(DeclarativeBase):
    """Tables apart from everything else."""

    metadata = MetaData()


class Tree(Timestamps, OrchardBase):
    """A tree knows how many apples it has."""

    __tablename__ = "trees"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    apples: Mapped[int] = mapped_column(default=0, server_default="0")


class Apple(Timestamps, OrchardBase):
    """An apple hangs on a tree."""

    __tablename__ = "apples"
    id: Mapped[int] = mapped_column(primary_key=True)
    tree_id: Mapped[int] = mapped_column(ForeignKey("trees.id"))
    weight: Mapped[int | None]


declare(
    Apple.__table__,
    Trigger(
        name="apples_count",
        dialect="postgresql",
        create=(
            """\
CREATE OR REPLACE FUNCTION apples_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE trees SET apples = trees.apples + more.apples
  FROM (SELECT tree_id, count(*) AS apples FROM made GROUP BY tree_id) more
  WHERE trees.id = more.tree_id;
  RETURN NULL;
END $$""",
            """\
CREATE TRIGGER apples_count AFTER INSERT ON apples
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION apples_count()""",
        ),
        drop=("DROP FUNCTION IF EXISTS apples_count() CASCADE",),
    ),
)

TREES, APPLES = (
    OrchardBase.metadata.tables["trees"],
    OrchardBase.metadata.tables["apples"],
)
START = datetime(2025, 3, 1, 8, tzinfo=UTC)
SIZES = (Size("trees", 20, "Trees; three apples hang on each."),)


def plan(sizes: Mapping[str, int], seed: int) -> Plan:
    """Trees with three apples each."""
    trees = sizes["trees"]
    return Plan(
        fills=(
            Fill(TREES, ("id", "name", "created_at", "updated_at"), trees, trees, grow),
            Fill(
                APPLES,
                ("id", "tree_id", "weight", "created_at", "updated_at"),
                trees,
                3 * trees,
                ripen,
            ),
        ),
        seed=seed,
        resets=(TREES, APPLES),
    )


def grow(units: range, _random: Random) -> Iterator[tuple[Any, ...]]:
    """Trees with names that COPY has to escape."""
    for unit in units:
        time = START + timedelta(minutes=unit)
        yield unit + 1, f"Tree\t{unit + 1}\\é\n", time, time


def ripen(units: range, random: Random) -> Iterator[tuple[Any, ...]]:
    """Three apples a tree, some not weighed."""
    for unit in units:
        time = START + timedelta(days=100, seconds=unit)
        for number in range(3):
            weight = None if random.random() < 0.1 else random.randrange(80, 220)
            yield 3 * unit + number + 1, unit + 1, weight, time, time
