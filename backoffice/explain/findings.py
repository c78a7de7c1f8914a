"""What is a finding, and what do the rules get to look at?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from backoffice.explain.catalog_postgresql import Catalog, TableFacts
from backoffice.explain.plan import Node, Plan


class Severity(IntEnum):
    """How much a finding matters."""

    INFO = 0
    WARN = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a plan: what was seen, why it matters, what to do.

    `code` is a line for the model, `sql` the same for the database. `node` is the
    number of the step, 0 for the whole; `share` its part of the time.
    """

    rule: str
    severity: Severity
    heading: str
    evidence: str
    why: str
    advice: str
    code: str = ""
    sql: str = ""
    node: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Searched:
    """A field that a list's search looks into: its path, table, column and mode."""

    path: str
    table: str
    column: str
    mode: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The admin's side of a statement: which list it is, in the admin's words.

    `view` is the class that declares it, `models` the model's class of each table,
    `attributes` what a model calls the columns of its table.
    """

    identity: str = ""
    view: str = ""
    name: str = ""
    table: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    searched: tuple[Searched, ...] = ()
    page: int = 1
    is_searched: bool = False


NOBODY = Subject()


@dataclass(frozen=True, slots=True)
class Case:
    """One plan with all that is known around it. Nothing in it is anybody's value."""

    plan: Plan
    catalog: Catalog
    subject: Subject = NOBODY

    def table(self, node: Node) -> TableFacts | None:
        """What is known of the table that a step reads."""
        return self.catalog.tables.get(node.table)

    def owner(self, table: str) -> str:
        """Where an index on this table is declared, in words."""
        model = self.subject.models.get(table)
        return f"the model {model}" if model else f"the model of {table}"

    def scans(self) -> Iterator[Node]:
        """The steps that read tables."""
        return self.plan.of_kind(
            "Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"
        )

    @property
    def part(self) -> str:
        """What shares are shares of, in words."""
        return "of the time" if self.plan.is_measured else "of the expected cost"
