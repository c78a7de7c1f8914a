"""What makes writing slow besides the rows themselves? Triggers and foreign keys."""

from collections.abc import Iterable

from backoffice.explain.advice import WORTH_AN_INDEX, index_name
from backoffice.explain.catalog_postgresql import Reference
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, milliseconds, series

WARN = Severity.WARN
SHARE = 0.25
# So many rows looked through are felt.
MANY = 10_000


def slow_triggers(case: Case) -> Iterable[Finding]:
    """P19: triggers and foreign keys take a quarter of the time, or are going to."""
    if not case.plan.is_measured:
        yield from _expected(case)
        return
    triggers = case.plan.raw.get("Triggers", [])
    spent = sum(float(one.get("Time", 0)) for one in triggers)
    if not case.plan.execution or spent <= SHARE * case.plan.execution:
        return
    worst = max(triggers, key=lambda one: float(one.get("Time", 0)))
    name = str(worst.get("Constraint Name") or worst.get("Trigger Name", ""))
    reference = case.catalog.references.get(name)
    if reference is None:
        advice, code, sql = f"See what {name} does for each row.", "", ""
        if worst.get("Constraint Name"):
            advice = "Index the foreign key's columns on the table that refers to this."
    else:
        advice, code, sql = _indexed(case, reference)
    yield Finding(
        "P19",
        WARN,
        "Triggers take much of the time",
        f"{milliseconds(spent)} of {milliseconds(case.plan.execution)}, most of it "
        f"{name} ({count(float(worst.get('Calls', 0)))} calls).",
        "A foreign key looks for referencing rows once per row; without an index that "
        "reads their whole table."
        if worst.get("Constraint Name")
        else "It is run once for each row that is written.",
        advice,
        code,
        sql,
    )


def _expected(case: Case) -> Iterable[Finding]:
    """What a delete will have to look through, known before it is run."""
    for node in case.plan.of_kind("ModifyTable"):
        if node.get("Operation", "") != "Delete":
            continue
        for name, reference in case.catalog.references.items():
            is_small = reference.rows < WORTH_AN_INDEX
            if reference.target != node.table or reference.has_index or is_small:
                continue
            advice, code, sql = _indexed(case, reference)
            gone = max(1.0, *(one.expected for one in node.inputs), 1.0)
            yield Finding(
                "P19",
                # What it costs is not in the plan's cost.
                WARN if gone * reference.rows >= MANY else Severity.INFO,
                "Each deleted row is looked for in a whole table",
                f"{reference.table} refers to {node.table} by "
                f"{series(list(reference.columns))} ({name}), and no index has that: "
                f"about {count(reference.rows)} rows are read for each row that goes.",
                "The plan does not show it: a foreign key is checked after the delete.",
                advice,
                code,
                sql,
                node.number,
                node.share,
            )


def _indexed(case: Case, reference: Reference) -> tuple[str, str, str]:
    """The index that a foreign key lacks, if it lacks one."""
    names = list(reference.columns)
    if reference.has_index:
        return (
            (
                f"{reference.table} has an index on {series(names)}: it is the number "
                "of rows. Delete fewer at a time."
            ),
            "",
            "",
        )
    index = index_name(reference.table, names)
    quoted = ", ".join(f'"{name}"' for name in names)
    return (
        f"Add an index on {series(names)} to {case.owner(reference.table)}.",
        f'Index("{index}", {quoted})',
        f"CREATE INDEX CONCURRENTLY {index} ON {reference.table} ({', '.join(names)})",
    )
