"""Which index would serve this step? As a line for the model, and as SQL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backoffice.explain.catalog_postgresql import TableFacts
from backoffice.explain.conditions import Looked, Test, looked_at
from backoffice.explain.findings import Case
from backoffice.explain.numbers import series
from backoffice.explain.plan import Node

# A table of a few pages is read as a whole in less time than an index takes.
WORTH_AN_INDEX = 500
MOST_COLUMNS = 4
# Of a larger part of its rows a table is read as a whole in less time, too.
MOST_KEPT = 0.25
LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class IndexAdvice:
    """One index: what it is good for in words, its line for the model, its SQL.

    `existing` is the name of an index that has these columns already.
    """

    words: str
    code: str = ""
    sql: str = ""
    existing: str = ""


def advise_index(
    case: Case, node: Node, keys: Sequence[str] = (), *, kept: float | None = None
) -> IndexAdvice | None:
    """The index for what a step filters by, then orders by; None where none is known.

    `keys` are the sort keys above it, as the server writes them; `kept` is the part of
    the rows that the filter leaves, where that is known.
    """
    facts = case.table(node)
    if facts is None or (facts.rows or 0) < WORTH_AN_INDEX:
        return None
    condition = node.condition("Filter", "Index Cond", "Recheck Cond", "Join Filter")
    looked = looked_at(condition, facts.columns)
    if any(one.test is Test.CONTAINS for one in looked):
        text = [one for one in looked if one.test is Test.CONTAINS]
        return _for_text(case, facts, text)
    if any(one.test is Test.WORDS for one in looked):
        return _for_words(case, facts)
    plain = [one for one in looked if one.test is not Test.OTHER]
    order = order_columns(keys, facts)
    if not plain and not order:
        return None
    return _btree(facts, plain, order, kept)


def order_columns(keys: Sequence[str], facts: TableFacts) -> list[tuple[str, bool]]:
    """The sort keys as (column, descending) where all are this table's own columns."""
    found = []
    for key in keys:
        match = _KEY.fullmatch(key)
        name = match.group("column").strip('"') if match else ""
        if match is None or name not in facts.columns:
            return []
        if match.group("nulls") and not _is_usual(match):
            return []
        found.append((name, bool(match.group("desc"))))
    return found


_KEY = re.compile(
    r'\(*(?:(?P<table>\w+|"[^"]+")\.)?(?P<column>\w+|"[^"]+")\)*(?P<desc> DESC)?'
    r"(?: NULLS (?P<nulls>FIRST|LAST))?"
)


def _is_usual(match: re.Match[str]) -> bool:
    """Whether nulls stand where an index of this direction has them anyway."""
    return (match.group("nulls") == "FIRST") == bool(match.group("desc"))


def _btree(
    facts: TableFacts,
    looked: Sequence[Looked],
    order: Sequence[tuple[str, bool]],
    kept: float | None,
) -> IndexAdvice | None:
    """Equality first, the most selective in front; then the order, or one range."""
    equal = [one.column for one in looked if one.test is Test.EQUAL]
    equal.sort(key=lambda name: -facts.distinct.get(name, 0))
    ranges = [one.column for one in looked if one.test is Test.RANGE]
    columns = [(name, False) for name in equal]
    is_ordered = False
    is_wide = kept is not None and kept > MOST_KEPT and bool(order)
    if ranges and not is_wide and not (order and order[0][0] in ranges):
        columns.append((ranges[0], False))
    else:
        columns += [one for one in order if one[0] not in equal]
        is_ordered = len(columns) > len(equal)
    columns = columns[:MOST_COLUMNS]
    if not columns:
        return None
    names = [name for name, _ in columns]
    there = existing_index(facts, names)
    if there:
        return IndexAdvice(series(names), existing=there)
    if not is_ordered and not _is_selective(facts, equal, kept):
        return None
    model, sql = _parts(columns)
    index = index_name(facts.name, names)
    return IndexAdvice(
        f"an index on {series(names)}",
        f'Index("{index}", {", ".join(model)})',
        f"CREATE INDEX CONCURRENTLY {index} ON {facts.name} ({', '.join(sql)})",
    )


def _is_selective(
    facts: TableFacts, columns: Sequence[str], kept: float | None
) -> bool:
    """Whether few enough rows are left: by the plan, or by the values there are."""
    if kept is not None:
        return kept <= MOST_KEPT
    known = [facts.distinct[name] for name in columns if name in facts.distinct]
    if not known:
        return True
    product = 1.0
    for distinct in known:
        product *= max(distinct, 1.0)
    return product >= 1 / MOST_KEPT


def _parts(columns: Sequence[tuple[str, bool]]) -> tuple[list[str], list[str]]:
    """The columns as the model and as SQL have them.

    An index is read backwards as well: only mixed directions have to be said.
    """
    is_mixed = len({descending for _, descending in columns}) > 1
    model, sql = [], []
    for name, descending in columns:
        if is_mixed and descending:
            model.append(f'text("{name} DESC")')
            sql.append(f"{name} DESC")
        else:
            model.append(f'"{name}"')
            sql.append(name)
    return model, sql


def existing_index(facts: TableFacts, columns: Sequence[str]) -> str:
    """The B-tree that begins with these columns; "" where there is none."""
    for index in facts.indexes:
        own = [column.strip('"') for column in index.columns[: len(columns)]]
        is_usable = index.method == "btree" and index.is_valid and not index.condition
        if is_usable and own == list(columns):
            return index.name
    return ""


def index_name(table: str, columns: Sequence[str], suffix: str = "") -> str:
    """The name as the project's naming convention makes it."""
    name = "_".join(["ix", table, *columns, *([suffix] if suffix else [])])
    return name[:LONGEST_NAME]


def _for_text(
    case: Case, facts: TableFacts, looked: Sequence[Looked]
) -> IndexAdvice | None:
    """A trigram index where the server has them; without, another way to search."""
    names = [one.column for one in looked]
    there = [
        index.name
        for index in facts.indexes
        if index.method in ("gin", "gist")
        and "trgm" in index.name
        and set(names) <= {c.strip('"') for c in index.columns}
    ]
    if there:
        return IndexAdvice(series(names), existing=there[0])
    if case.catalog.can_have_trigrams:
        name = index_name(facts.name, names, "trgm")
        ops = ", ".join(f'"{one}": "gin_trgm_ops"' for one in names)
        quoted = ", ".join(f'"{one}"' for one in names)
        listed = ", ".join(f"{one} gin_trgm_ops" for one in names)
        first = "" if case.catalog.has_trigrams else "CREATE EXTENSION pg_trgm;\n"
        return IndexAdvice(
            f"a trigram index on {series(names)}",
            f'Index("{name}", {quoted}, postgresql_using="gin", '
            f"postgresql_ops={{{ops}}})",
            f"{first}CREATE INDEX CONCURRENTLY {name} ON {facts.name} "
            f"USING gin ({listed})",
        )
    return _word_index(case, facts, names)


def _word_index(case: Case, facts: TableFacts, names: Sequence[str]) -> IndexAdvice:
    """The index of a search by the starts of words."""
    called = case.subject.attributes.get(facts.name, {})
    listed = ", ".join(called.get(name, name) for name in names)
    return IndexAdvice(
        f"a word index on {series(list(names))}",
        f'Index("ix_{facts.name}_search", search_vector({listed}), '
        'postgresql_using="gin").ddl_if(dialect="postgresql")'
        "  # from backoffice.database.textsearch import search_vector",
    )


def _for_words(case: Case, facts: TableFacts) -> IndexAdvice | None:
    """One GIN index over all fields that are searched by the start of a word."""
    names = [
        one.column
        for one in case.subject.searched
        if one.table == facts.name and one.mode == "word_start"
    ]
    there = [
        index.name
        for index in facts.indexes
        if index.method == "gin" and any("to_tsvector" in c for c in index.columns)
    ]
    if there:
        return IndexAdvice("the words", existing=there[0])
    return _word_index(case, facts, names) if names else None
