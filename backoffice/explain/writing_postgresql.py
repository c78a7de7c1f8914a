"""What does a statement cost that writes? It is run, undone, and told what stays.

It runs as the application itself, with the rights it has anyway, so not where that is
a superuser. A rollback does not undo everything: numbers of sequences are gone, and
what triggers do outside of the database is done.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import Connection

_ROLE = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
_SEQUENCES = """
SELECT DISTINCT s.relname AS name
FROM unnest(%s::text[], %s::text[]) AS written (schema, name)
JOIN pg_namespace n ON n.nspname = written.schema
JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = written.name
JOIN pg_depend d ON d.refobjid = t.oid AND d.refclassid = 'pg_class'::regclass
     AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
ORDER BY s.relname"""


def why_not_run(connection: Connection) -> str:
    """Why statements that write are not run on this server; "" where they can be."""
    found = connection.execute(_ROLE, prepare=True).fetchone()
    if found is None or found[0]:
        return (
            "What writes is not run: the application's role is a superuser here, and "
            "could do more than write rows."
        )
    return ""


def run_writing(connection: Connection, explain: str, values: Any) -> Any:
    """The plan of a run, in the caller's transaction, which has to be rolled back.

    `explain` is the statement under EXPLAIN (ANALYZE), `values` what is bound to it.
    """
    # What is checked at the end of a transaction is checked now: there is no such end.
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE", prepare=True)
    found = connection.execute(explain.encode(), values, prepare=True).fetchone()
    return found[0] if found else None


def not_undone(connection: Connection, plan: Any) -> tuple[str, ...]:
    """What the rollback of a run with this plan has left, in sentences."""
    said = []
    written = sorted(set(_written(plan, ("Insert", "Merge"))))
    if written:
        schemas, tables = [one for one, _ in written], [one for _, one in written]
        rows = connection.execute(
            _SEQUENCES, [schemas, tables], prepare=True
        ).fetchall()
        if rows:
            names = ", ".join(name for (name,) in rows)
            said.append(f"Numbers that it took from {names} are not given back.")
    triggers = [
        str(one["Trigger Name"])
        for one in plan[0].get("Triggers", ())
        if one.get("Trigger Name") and not one.get("Constraint Name")
    ]
    if triggers:
        names = ", ".join(dict.fromkeys(triggers))
        said.append(
            f"Triggers ran ({names}): what one does outside of this database is done."
        )
    if set(_written(plan, ("Insert", "Update", "Delete", "Merge"))):
        said.append(
            "What it wrote takes room in its tables and the write-ahead log until the "
            "next vacuum."
        )
    return tuple(said)


def _written(plan: Any, operations: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Schema and name of each table that a step of these kinds writes."""
    if isinstance(plan, Mapping):
        if plan.get("Operation") in operations and "Relation Name" in plan:
            yield str(plan.get("Schema", "")), str(plan["Relation Name"])
        for inner in plan.get("Plans", ()):
            yield from _written(inner, operations)
        if "Plan" in plan:
            yield from _written(plan["Plan"], operations)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _written(inner, operations)
