"""The plans that were recorded from real servers, as cases for the rules."""

import gzip
import json
from datetime import datetime
from functools import cache
from typing import Any

from backoffice.explain.catalog_postgresql import (
    Catalog,
    IndexFacts,
    Reference,
    TableFacts,
)
from backoffice.explain.findings import Case, Searched, Subject
from backoffice.explain.plan import read_plan
from tests.explain.record_plans import DIRECTORY

VERSIONS = (15, 16, 18)
SUBJECT = Subject(
    identity="big",
    view="BigAdmin",
    name="Big",
    table="big",
    models={"big": "Big", "corr": "Corr"},
    searched=(Searched("note", "big", "note", "contains"),),
    is_searched=True,
)


@cache
def recorded(version: int) -> Any:
    """Everything that was recorded from a server of this version."""
    path = DIRECTORY / f"postgresql_{version}.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def case(version: int, name: str, subject: Subject = SUBJECT) -> Case:
    """One recorded plan with its server's catalog."""
    return Case(read_plan(recorded(version)[name]), catalog(version), subject)


def catalog(version: int) -> Catalog:
    """What the server knew of the tables."""
    found = recorded(version)["catalog"]
    tables = {name: _table(facts) for name, facts in found["tables"].items()}
    references = {
        name: Reference(**{**one, "columns": tuple(one["columns"])})
        for name, one in found["references"].items()
    }
    return Catalog(**{**found, "tables": tables, "references": references})


def _table(facts: dict[str, Any]) -> TableFacts:
    at = facts["analyzed_at"]
    indexes = tuple(
        IndexFacts(**{**one, "columns": tuple(one["columns"])})
        for one in facts["indexes"]
    )
    analyzed = datetime.fromisoformat(at) if at else None
    return TableFacts(**{**facts, "indexes": indexes, "analyzed_at": analyzed})
