"""Which index would serve this step? As a line for the model, and as SQL."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from backoffice.explain.catalog_postgresql import TableFacts
from backoffice.explain.conditions import (
    PLAIN,
    Looked,
    Test,
    either_of,
    is_understood,
    looked_at,
)
from backoffice.explain.findings import Case
from backoffice.explain.masking import mask_text
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


CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Join Filter")


def advise_index(
    case: Case,
    node: Node,
    keys: Sequence[str] = (),
    *,
    kept: float | None = None,
    of: Sequence[str] = CONDITIONS,
) -> IndexAdvice | None:
    """The index for what a step filters by, then orders by; None where none is known.

    `keys` are the sort keys above it, as the server writes them; `kept` is the part of
    the rows that the filter leaves, where that is known; `of` are the conditions that
    it is for.
    """
    facts = case.table(node)
    if facts is None or (facts.rows or 0) < WORTH_AN_INDEX:
        return None
    condition = node.condition(*of)
    looked = looked_at(condition, facts.columns)
    if any(one.test is Test.CONTAINS for one in looked):
        text = [one for one in looked if one.test is Test.CONTAINS]
        return _for_text(case, facts, text)
    if any(one.test is Test.WORDS for one in looked):
        return _for_words(case, facts, condition)
    plain = [one for one in looked if one.test in PLAIN]
    order = order_columns(keys, facts)
    either = either_of(condition, facts.columns)
    if either and not any(one.test is Test.EQUAL for one in plain):
        return _for_each(case, facts, either)
    if not plain and not order:
        return None
    if not is_understood(condition, facts.columns):
        # How many rows are left by what an index has is not known: others do more.
        kept = None if kept is None or kept <= MOST_KEPT else kept
        plain = [one for one in plain if one.test is not Test.RANGE or order]
    return _btree(case, facts, plain, order, kept)


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
    case: Case,
    facts: TableFacts,
    looked: Sequence[Looked],
    order: Sequence[tuple[str, bool]],
    kept: float | None,
) -> IndexAdvice | None:
    """Equality first, the most selective in front; then the order, or one range."""
    lowered = {one.column for one in looked if one.is_lowered}
    # What is the same in every row finds none of them sooner.
    equal = [
        one.column
        for one in looked
        if one.test is Test.EQUAL and facts.distinct.get(one.column) != 1
    ]
    equal.sort(key=lambda name: -facts.distinct.get(name, 0))
    ranges = [one.column for one in looked if one.test is Test.RANGE]
    columns = [(name, False) for name in equal]
    is_ordered = False
    is_wide = kept is not None and kept > MOST_KEPT and bool(order)
    starts = [one for one in looked if one.test is Test.START]
    if starts and not equal and not ranges and not is_wide:
        return _for_start(case, facts, starts[0])
    if ranges and not is_wide and not (order and order[0][0] in ranges):
        columns.append((ranges[0], False))
    else:
        columns += [one for one in order if one[0] not in equal]
        is_ordered = len(columns) > len(equal)
    columns = columns[:MOST_COLUMNS]
    if not columns:
        return None
    names = [f"lower({name})" if name in lowered else name for name, _ in columns]
    there = existing_index(facts, names)
    if there:
        return IndexAdvice(series(names), existing=there)
    if not is_ordered and not _is_selective(facts, equal, kept):
        return None
    model, sql = _parts(case, facts, columns, lowered, len(equal))
    words = [f"lower_{name}" if name in lowered else name for name, _ in columns]
    index = index_name(facts.name, words)
    return IndexAdvice(
        f"an index on {series(names)}",
        f'Index("{index}", {", ".join(model)})',
        f"CREATE INDEX CONCURRENTLY {index} ON {facts.name} ({', '.join(sql)})",
    )


def _for_start(case: Case, facts: TableFacts, one: Looked) -> IndexAdvice:
    """The index that finds texts by how they begin, in any language's order."""
    ops = "text_pattern_ops"
    sql = f"lower({one.column})" if one.is_lowered else one.column
    index = index_name(facts.name, [one.column], "start")
    there = existing_index(facts, [sql], ops)
    if there:
        return IndexAdvice(sql, existing=there)
    key = f'"{one.column}"'
    if one.is_lowered:
        key = f'func.lower({_called(case, facts, one.column)}).label("{one.column}")'
    return IndexAdvice(
        f"an index on the beginning of {sql}",
        f'Index("{index}", {key}, postgresql_ops={{"{one.column}": "{ops}"}})',
        f"CREATE INDEX CONCURRENTLY {index} ON {facts.name} ({sql} {ops})",
    )


def _for_each(
    case: Case, facts: TableFacts, either: Sequence[Looked]
) -> IndexAdvice | None:
    """An index for each side of an OR: the server puts together what they find."""
    found = [_btree(case, facts, [one], (), 0.0) for one in either]
    if any(one is None for one in found):
        return None
    missing = [one for one in found if one is not None and one.code]
    if not missing:
        return IndexAdvice("", existing=series([f.existing for f in found if f]))
    words = [one.words.removeprefix("an index on ") for one in missing]
    plural = (
        f"indexes on {series(words)} (one each)" if len(words) > 1 else missing[0].words
    )
    return IndexAdvice(
        plural,
        ",\n".join(one.code for one in missing),
        ";\n".join(one.sql for one in missing),
    )


def _called(case: Case, facts: TableFacts, column: str) -> str:
    """What the model calls a column."""
    return case.subject.attributes.get(facts.name, {}).get(column, column)


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


def _parts(
    case: Case,
    facts: TableFacts,
    columns: Sequence[tuple[str, bool]],
    lowered: Container[str],
    equal: int,
) -> tuple[list[str], list[str]]:
    """The columns as the model and as SQL have them; the first `equal` have no order.

    An index is read backwards as well: only mixed directions have to be said.
    """
    is_mixed = len({descending for _, descending in columns[equal:]}) > 1
    model, sql = [], []
    for name, descending in columns:
        if is_mixed and descending:
            model.append(f'text("{name} DESC")')
            sql.append(f"{name} DESC")
        elif name in lowered:
            model.append(f"func.lower({_called(case, facts, name)})")
            sql.append(f"lower({name})")
        else:
            model.append(f'"{name}"')
            sql.append(name)
    return model, sql


def existing_index(facts: TableFacts, columns: Sequence[str], ops: str = "") -> str:
    """The B-tree that begins with these columns; "" where there is none.

    With `ops` it has to be one of that class of operators.
    """
    for index in facts.indexes:
        own = [_plain_key(column) for column in index.columns[: len(columns)]]
        is_usable = index.method == "btree" and index.is_valid and not index.condition
        wanted = [f"{one} {ops}".strip() for one in columns]
        if is_usable and own == wanted:
            return index.name
    return ""


def _plain_key(key: str) -> str:
    """A key of an index without brackets, casts and quotes: `lower(name)`."""
    text = re.sub(r"::\w+(?: varying)?", "", key).replace('"', "")
    lowered = re.fullmatch(r"\(*lower\(+(\w+)\)+(?P<ops> \w+)?\)*", text)
    if lowered:
        return f"lower({lowered[1]}){lowered['ops'] or ''}"
    return text.strip("()")


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
        and any("trgm" in part for part in (index.name, *index.columns))
        and set(names) <= {c.partition(" ")[0].strip('"') for c in index.columns}
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
    listed = ", ".join(_called(case, facts, name) for name in names)
    return IndexAdvice(
        f"a word index on {series(list(names))}",
        f'Index("ix_{facts.name}_search", search_vector({listed}), '
        'postgresql_using="gin").ddl_if(dialect="postgresql")\n'
        "# from backoffice.database.textsearch import search_vector",
    )


def _for_words(case: Case, facts: TableFacts, condition: str) -> IndexAdvice | None:
    """One GIN index over all fields that are searched by the start of a word."""
    names = [
        one.column
        for one in case.subject.searched
        if one.table == facts.name and one.mode == "word_start"
    ]
    looked = _bare_expression(facts, condition)
    there = [
        index.name
        for index in facts.indexes
        if index.method == "gin"
        and any(_bare_expression(facts, one) in looked for one in index.columns)
    ]
    if there:
        return IndexAdvice("the words", existing=there[0])
    return _word_index(case, facts, names) if names else _own_words(facts, condition)


def _bare_expression(facts: TableFacts, text: str) -> str:
    """An expression without what the server writes once so and once so."""
    plain = re.sub(
        rf"\b{re.escape(facts.name)}\.|::\w+(?: varying)?", "", mask_text(text)
    )
    return re.sub(r"[()\s]", "", plain).lower()


_VECTOR = re.compile(
    r"(?P<vector>to_tsvector\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)) @@"
)


def _own_words(facts: TableFacts, condition: str) -> IndexAdvice | None:
    """The index of a word search that somebody wrote by hand: of its own expression."""
    match = _VECTOR.search(condition)
    if match is None or "…" in match["vector"] or "$" in match["vector"]:
        return None
    vector = re.sub(rf"\b{re.escape(facts.name)}\.", "", match["vector"])
    names = [name for name in facts.columns if re.search(rf"\b{name}\b", vector)]
    index = index_name(facts.name, names, "words")
    return IndexAdvice(
        f"a word index on {series(names)}",
        f'Index("{index}", text("{vector}"), postgresql_using="gin")',
        f"CREATE INDEX CONCURRENTLY {index} ON {facts.name} USING gin ({vector})",
    )
