"""What is read in vain? Rules on scans: filters, indexes, LIMIT and OFFSET."""

import re
from collections.abc import Iterable

from backoffice.explain.advice import (
    MOST_KEPT,
    IndexAdvice,
    advise_index,
    order_columns,
)
from backoffice.explain.conditions import (
    Test,
    columns_in,
    looked_at,
    parts,
)
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, percent, series
from backoffice.explain.plan import Node

INFO, WARN, BAD = Severity.INFO, Severity.WARN, Severity.BAD

# Thrown away by a filter: from this share of what is read, at least so many rows.
DISCARDS, DISCARDS_MOST, DISCARDED_ROWS = 0.5, 0.9, 1_000
HOT = 0.1
DEEP = 1_000
DEEP_FACTOR = 10
WRONG_ORDER = 10_000
OR_REMOVED = 10_000
FETCHES = 100
FETCHES_MANY, FETCHES_MOST = 0.4, 0.9

OPEN_START = re.compile(r"!?~~\*? '%")
GUESSES = re.compile(r"@@|~~")
_QUALIFIED = re.compile(r'(\w+|"[^"]+")\.(?:\w+|"[^"]+")')


def read_rows(case: Case, node: Node) -> float:
    """How many rows a scan looks at, of which it keeps some; 0 where not known."""
    if node.found is not None:
        return node.removed + node.found
    facts = case.table(node)
    if node.kind == "Seq Scan" and node.get("Filter") and facts and facts.rows:
        if node.is_cut_short:
            return _expected_walk(case, node)
        return max(float(facts.rows), node.expected)
    inner, condition = node.inputs, node.condition("Filter")
    if node.kind == "Bitmap Heap Scan" and condition and len(inner) == 1:
        # What the index is expected to find; of words and patterns that is a guess.
        return 0.0 if GUESSES.search(condition) else float(inner[0].get("Plan Rows"))
    return 0.0


def discards(case: Case, node: Node) -> tuple[float, float]:
    """Rows that a scan throws away, and their share of what it reads."""
    read = read_rows(case, node)
    removed = read - kept_rows(case, node)
    return removed, removed / read if read > 0 else 0.0


def kept_rows(case: Case, node: Node) -> float:
    """How many rows of a scan are wanted: no more than a LIMIT above it asks for."""
    if node.found is not None:
        return node.found
    facts = case.table(node)
    if node.is_cut_short and facts and facts.rows and node.expected:
        return node.expected * _expected_walk(case, node) / float(facts.rows)
    return node.expected


def scan_discards(case: Case) -> Iterable[Finding]:
    """P3: a whole table is read and most of it thrown away."""
    for node in case.plan.of_kind("Seq Scan"):
        severity = _discard_severity(case, node)
        if severity is None or OPEN_START.search(node.condition("Filter")):
            continue
        removed, share = discards(case, node)
        advice = advise_index(case, node, sort_keys(node), kept=1 - share)
        if 1 - share > MOST_KEPT:
            severity = INFO  # the quickest way for so many
        columns = _columns(case, node)
        by = f" The filter is on {series(columns)}." if columns else ""
        kept = kept_rows(case, node)
        yield Finding(
            "P3",
            severity,
            "Most of what is read is thrown away",
            f"{_verb(case, 'reads')} {count(removed + kept)} rows of {node.table} and "
            f"{_keeps(case)} {count(kept)}: {percent(share)} for nothing.{by}",
            "Reading a whole table takes longer with every row that is added to it, "
            "however few are wanted.",
            *_index_advice(case, node, advice, kept=1 - share),
            node.number,
            node.share,
        )


def index_discards(case: Case) -> Iterable[Finding]:
    """P4: an index is used, and most of what it finds is thrown away."""
    for node in case.plan.of_kind("Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
        severity = _discard_severity(case, node)
        if severity is None or _is_wrong_order(case, node):
            continue
        if OPEN_START.search(node.condition("Filter")):
            continue
        removed, share = discards(case, node)
        advice = advise_index(case, node, sort_keys(node), kept=1 - share)
        used = {one.index for one in node.below() if one.index}
        if advice is not None and advice.existing in used:
            # It is in use, and has no room for the rest: that needs one of its own.
            advice = advise_index(case, node, kept=1 - share, of=["Filter"])
        finds = "find" if len(used) > 1 else "finds"
        finds = finds if case.plan.is_measured else "would find"
        thrown = "are" if case.plan.is_measured else "would be"
        yield Finding(
            "P4",
            severity,
            "The index finds far more rows than are wanted",
            f"{_index_of(node)} {finds} {count(read_rows(case, node))} rows of "
            f"{node.table}; {count(removed)} ({percent(share)}) {thrown} thrown away "
            f"by conditions that {'they do' if len(used) > 1 else 'it does'} not have.",
            "Each of them is fetched from the table first.",
            *_index_advice(case, node, advice),
            node.number,
            node.share,
        )


def lossy_bitmap(case: Case) -> Iterable[Finding]:
    """P10: a bitmap did not fit into memory and remembers pages instead of rows."""
    for node in case.plan.of_kind("Bitmap Heap Scan"):
        lossy = float(node.get("Lossy Heap Blocks"))
        exact = float(node.get("Exact Heap Blocks"))
        if not lossy:
            continue
        share = lossy / (lossy + exact)
        yield Finding(
            "P10",
            WARN if share > DISCARDS else INFO,
            "A bitmap did not fit into memory",
            f"{count(lossy)} of {count(lossy + exact)} pages of {node.table} are "
            "remembered as a whole; every row of them is looked at again.",
            "The more pages are remembered as a whole, the nearer it comes to reading "
            "the table.",
            "Raise work_mem for this database, or let an index find fewer rows.",
            node=node.number,
            share=node.share,
        )


def heap_fetches(case: Case) -> Iterable[Finding]:
    """P11: an index-only scan has to look into the table after all."""
    for node in case.plan.of_kind("Index Only Scan"):
        fetches = float(node.get("Heap Fetches"))
        if fetches < FETCHES or not node.found:
            continue
        share = min(fetches / node.found, 1.0)
        severity = BAD if share > FETCHES_MOST else WARN
        yield Finding(
            "P11",
            severity if share > FETCHES_MANY else INFO,
            "An index-only scan looks into the table",
            f"{count(fetches)} of {count(node.found)} rows were fetched from "
            f"{node.table} to see whether they are visible.",
            "An index alone is enough only for pages that VACUUM has marked since they "
            "were last written.",
            f"VACUUM {node.table}; if that comes back, let autovacuum come sooner "
            "(autovacuum_vacuum_scale_factor of the table).",
            sql=f"VACUUM (ANALYZE) {node.table}",
            node=node.number,
            share=node.share,
        )


def large_offset(case: Case) -> Iterable[Finding]:
    """P13: rows are read and left out, page after page."""
    for node in case.plan.of_kind("Limit"):
        if not node.inputs:
            continue
        below = node.inputs[0]
        offset = _expected_offset(node, below)
        if offset < 1:
            continue  # what is below may read ahead of what a LIMIT takes
        if node.found is not None:
            read, given = below.found or 0.0, node.found
        else:
            read, given = offset + node.expected, node.expected
        if read < DEEP or read < DEEP_FACTOR * max(given, 1.0):
            continue
        view = case.subject.view
        yield Finding(
            "P13",
            WARN,
            "Many rows are read and left out to come to this page",
            f"{count(read)} rows are read for {count(given)} that are shown.",
            "A page by its number reads all pages before it: the further back, the "
            "slower.",
            "Go on with Next and Previous, which go by key, instead of a page number"
            + (f"; a filter in {view} makes the way shorter." if view else "."),
            node=node.number,
            share=node.share,
        )


def wrong_order(case: Case) -> Iterable[Finding]:
    """P14: no index has both, the filter and the order."""
    yield from _sorted_for_a_page(case)
    for node in case.plan.of_kind("Index Scan"):
        if not _is_wrong_order(case, node):
            continue
        advice = advise_index(case, node, _index_keys(case, node))
        looked = (
            f"{count(node.removed)} rows were"
            if node.found is not None
            else f"about {count(_expected_walk(case, node))} rows are expected to be"
        )
        yield Finding(
            "P14",
            WARN,
            "The order's index is walked in search of matching rows",
            f"{looked} looked at along {node.index} and thrown away before the page "
            "was full.",
            "That is quick where matching rows are many and everywhere, and very slow "
            "where they are few.",
            *_index_advice(case, node, advice),
            node.number,
            node.share,
        )


def _sorted_for_a_page(case: Case) -> Iterable[Finding]:
    """All rows of a table are put in order, and a page of them is wanted."""
    for node in case.plan.of_kind("Sort", "Incremental Sort"):
        limit = next((one for one in node.ancestors() if one.kind == "Limit"), None)
        scan = _only_scan(node)
        if limit is None:
            continue
        below = node.inputs[0]
        rows = below.found if below.found is not None else below.expected
        wanted = limit.found if limit.found is not None else limit.expected
        share = sum(one.share for one in node.below())
        if share < HOT or rows < DEEP or rows < DEEP_FACTOR * max(wanted, 1.0):
            continue
        keys = [str(key) for key in node.get("Sort Key", [])]
        if scan is None:
            yield from _sorted_by_another(case, node, keys, rows, wanted)
            continue
        if _discard_severity(case, scan) or scan.get("Index Cond"):
            continue
        facts = case.table(scan)
        if facts is None or not order_columns(keys, facts):
            continue
        # Most rows are wanted, whatever the filter: the order comes first.
        advice = advise_index(case, scan, keys, kept=1.0)
        if advice is None or not advice.code:
            continue
        yield Finding(
            "P14",
            WARN,
            "A table is put in order for one page of it",
            f"{count(rows)} rows of {scan.table} are read and sorted, and "
            f"{count(wanted)} of them are wanted.",
            "Without an index in this order every page begins with all rows, and there "
            "are more of them every day.",
            *_index_advice(case, scan, advice),
            node.number,
            share,
        )


def _sorted_by_another(
    case: Case, node: Node, keys: list[str], rows: float, wanted: float
) -> Iterable[Finding]:
    """Rows of one table are put in order by a column of another."""
    match = _QUALIFIED.match(keys[0].lstrip("(")) if keys else None
    scans = [one for one in node.below() if one.table and one.is_executed]
    first = match.group(1).strip('"') if match else ""
    ordering = next((one for one in scans if one.get("Alias", "") == first), None)
    whole = max(scans, key=_rows_of, default=None)
    if ordering is None or whole is None or ordering.table == whole.table:
        return
    if _rows_of(whole) < rows / 2 or not _sorts_column(case, ordering, keys[0]):
        return
    column = keys[0].partition(".")[2].partition(" ")[0].strip('")')
    yield Finding(
        "P14",
        WARN,
        "Rows are put in order by a column of another table",
        f"{count(rows)} rows of {whole.table} are read, each with its row of "
        f"{ordering.table}, and sorted by {column}; {count(wanted)} of them are "
        "wanted.",
        "No index has columns of two tables, so every page begins with all rows.",
        f"Order by a column of {whole.table} itself: take {column} of "
        f"{ordering.table} out of column_sortable_list"
        f"{_of_view(case)}, or keep a copy of it in {whole.table}.",
        node=node.number,
        share=sum(one.share for one in node.below()),
    )


def _rows_of(node: Node) -> float:
    return node.found if node.found is not None else node.expected


def _sorts_column(case: Case, scan: Node, key: str) -> bool:
    facts = case.table(scan)
    return facts is not None and bool(order_columns([key], facts))


def _only_scan(node: Node) -> Node | None:
    """The scan whose rows a step gets as they are; None where they are made of more."""
    while len(node.inputs) == 1:
        node = node.inputs[0]
        if node.table:
            return node
        if node.kind not in ("Gather", "Gather Merge", "Subquery Scan", "Sort"):
            return None
    return None


def or_across_join(case: Case) -> Iterable[Finding]:
    """P15: an OR over two tables, which no index can answer."""
    for node in case.plan.nodes:
        condition = node.condition("Join Filter")
        removed = float(node.get("Rows Removed by Join Filter")) * node.loops
        if " OR " not in condition or removed < OR_REMOVED:
            continue
        tables = dict.fromkeys(_QUALIFIED.findall(condition))
        if len(tables) < 2:  # noqa: PLR2004 - an OR over one table is that table's
            continue
        yield Finding(
            "P15",
            INFO,
            "An OR goes over two tables",
            f"{count(removed)} pairs of rows of {series(list(tables))} were compared "
            "and thrown away.",
            "No index has columns of two tables, so every pair has to be formed first.",
            "Ask for each side by itself and put them together (UNION), or leave one "
            f"table's fields out of the searched fields{_of_view(case)}.",
            node=node.number,
            share=node.share,
        )


def open_search(case: Case) -> Iterable[Finding]:
    """P25: a search for something anywhere in a text reads every text."""
    for node in case.plan.of_kind("Seq Scan", "Index Scan"):
        condition = node.condition("Filter")
        facts = case.table(node)
        if not OPEN_START.search(condition) or facts is None:
            continue
        read = read_rows(case, node)
        if node.kind == "Seq Scan":
            read = read or float(facts.rows or 0)
        if read < DISCARDED_ROWS or node.share < HOT:
            continue
        looked = looked_at(condition, facts.columns)
        names = [one.column for one in looked if one.test is Test.CONTAINS]
        names = names or columns_in(condition, facts.columns)
        searched = [
            one
            for one in case.subject.searched
            if one.table == node.table and one.column in names
        ]
        advice = advise_index(case, node)
        _, code, sql = _index_advice(case, node, advice)
        yield Finding(
            "P25",
            WARN,
            "The search looks for text anywhere in a field, in every row",
            f"{count(read)} rows of {node.table} are looked through for "
            f"{series(names) or 'the search'}.",
            "What may stand anywhere in a text cannot be found from its beginning, so "
            "no usual index helps.",
            _search_advice(case, node, [one.path for one in searched], advice),
            code,
            sql,
            node.number,
            node.share,
        )


def _search_advice(
    case: Case, node: Node, paths: list[str], advice: IndexAdvice | None
) -> str:
    """What to do about a search, in the view's words first."""
    index, is_trigram = "", False
    if advice is not None and advice.code:
        index = f"{advice.words} to {case.owner(node.table)}"
        is_trigram = "trgm" in advice.code
    if not paths:
        if advice is not None and advice.existing:
            return _index_advice(case, node, advice)[0]
        way = "Add" if is_trigram else "Look for the starts of words, and add"
        return f"{way} {index}." if index else "Look for the start of a text instead."
    fields = series([f"`{path}`" for path in paths])
    them = "it" if len(paths) == 1 else "them"
    said = (
        f"In {case.subject.view or 'the view'}, drop {fields} from "
        f"column_searchable_list, or give {them} the mode word_start in "
        "column_search_modes"
    )
    if is_trigram:
        return f"{said}. To go on looking anywhere in a text, add {index}."
    return f"{said} and add {index}." if index else f"{said}."


# Parts of these rules


def _discard_severity(case: Case, node: Node) -> Severity | None:
    removed, share = discards(case, node)
    if removed < DISCARDED_ROWS or share <= DISCARDS or node.share < HOT:
        return None
    return WARN if share <= DISCARDS_MOST else BAD


def _is_wrong_order(case: Case, node: Node) -> bool:
    """Whether an index without a condition of its own is walked below a LIMIT."""
    if node.kind != "Index Scan" or node.get("Index Cond") or not node.is_cut_short:
        return False
    if not node.get("Filter"):
        return False
    walked = node.removed if node.found is not None else _expected_walk(case, node)
    return walked >= WRONG_ORDER


def _expected_walk(case: Case, node: Node) -> float:
    """How many rows are expected to be walked past until a LIMIT is reached."""
    facts = case.table(node)
    limit = next((one for one in node.ancestors() if one.kind == "Limit"), None)
    if facts is None or not facts.rows or limit is None or not node.expected:
        return 0.0
    return float(facts.rows) * min(1.0, limit.expected / node.expected)


def _expected_offset(limit: Node, below: Node) -> float:
    """The rows that an OFFSET leaves out, by what they are expected to cost."""
    begin = float(below.get("Startup Cost"))
    whole = float(below.get("Total Cost")) - begin
    # A subquery beside it is paid for before its first row, too.
    beside = sum(
        float(one.get("Total Cost"))
        for one in limit.children
        if one.get("Parent Relationship", "") == "InitPlan"
    )
    skipped = float(limit.get("Startup Cost")) - beside - begin
    return below.expected * skipped / whole if whole > 0 and skipped > 0 else 0.0


def sort_keys(node: Node) -> list[str]:
    """The keys that a step above sorts this one's rows by, under a LIMIT."""
    for above in node.ancestors():
        if above.kind in ("Sort", "Incremental Sort"):
            return [str(key) for key in above.get("Sort Key", [])]
        if above.kind not in ("Gather Merge", "Gather", "Subquery Scan", "Limit"):
            return []
    return []


def _index_keys(case: Case, node: Node) -> list[str]:
    """The columns of the index that a step walks: the order that is asked for."""
    facts = case.table(node)
    found = [i for i in facts.indexes if i.name == node.index] if facts else []
    return list(found[0].columns) if found else []


def _columns(case: Case, node: Node) -> list[str]:
    facts = case.table(node)
    if facts is None:
        return []
    return columns_in(node.condition("Filter"), facts.columns)


def _index_advice(
    case: Case, node: Node, advice: IndexAdvice | None, *, kept: float = 0.0
) -> tuple[str, str, str]:
    """What to do, the model's line, and SQL; `kept` is the part that is wanted."""
    if advice is not None and advice.existing:
        return (
            (
                f"The index {advice.existing} is there already, and reading the table "
                "was thought cheaper: most rows match, or its statistics are old "
                f"(ANALYZE {node.table})."
            ),
            "",
            f"ANALYZE {node.table}",
        )
    if advice is None and kept > MOST_KEPT:
        return (
            (
                f"So many rows match ({percent(kept)}) that reading the table is the "
                "quickest way; no index would be used. A further filter asks for fewer."
            ),
            "",
            "",
        )
    wrapped = _wrapped(case, node)
    same = _always_same(case, node)
    if advice is None and same:
        return (
            (
                f"{series(same)} is the same in every row: an index on it would serve "
                "only values that are not there. Leave the filter out"
                f"{_of_view(case)}."
            ),
            "",
            "",
        )
    if advice is None and wrapped:
        return (
            (
                f"The condition is on an expression of {series(wrapped)}, which no "
                "index on the column itself has. Compare the column with a value of "
                "its own type, or with a range of them, instead of what a function or "
                "a cast makes of it; or index that very expression."
            ),
            "",
            "",
        )
    if advice is None:
        either = len(parts(node.condition("Filter"), " OR ")) > 1
        return (
            "No single index serves this condition"
            + (": it is an OR over several columns" if either else "")
            + f". Leave a filter or a searched field out{_of_view(case)}, or let it "
            "test one column.",
            "",
            "",
        )
    return (
        f"Add {advice.words} to {case.owner(node.table)}.",
        advice.code,
        advice.sql,
    )


def _always_same(case: Case, node: Node) -> list[str]:
    """The columns that a filter tests for being equal, and that have one value."""
    facts = case.table(node)
    looked = looked_at(node.condition("Filter"), facts.columns) if facts else []
    return [
        one.column
        for one in looked
        if facts and one.test is Test.EQUAL and facts.distinct.get(one.column) == 1
    ]


def _wrapped(case: Case, node: Node) -> list[str]:
    """The columns that a filter has inside of an expression."""
    facts = case.table(node)
    looked = looked_at(node.condition("Filter"), facts.columns) if facts else []
    return [one.column for one in looked if one.test is Test.WRAPPED]


def _of_view(case: Case) -> str:
    return f" of {case.subject.view}" if case.subject.view else ""


def _verb(case: Case, verb: str) -> str:
    return "The scan " + (verb if case.plan.is_measured else "would read")


def _keeps(case: Case) -> str:
    return "keeps" if case.plan.is_measured else "is expected to keep"


def _index_of(node: Node) -> str:
    if node.index:
        return node.index
    inner = [one.index for one in node.below() if one.index]
    return series(inner) or "The index"
