"""What did not fit into memory? Rules on sorts, hashes and temporary files."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backoffice.explain.advice import existing_index, index_name, order_columns
from backoffice.explain.findings import Case, Finding, Severity
from backoffice.explain.numbers import count, kilobytes, pages
from backoffice.explain.plan import Node

INFO, WARN = Severity.INFO, Severity.WARN
# In memory a sort takes about so many times what it takes on disk.
IN_MEMORY = 2.5
# So few look-ups cost nobody anything.
FEW = 1_000


def sort_spill(case: Case) -> Iterable[Finding]:
    """P5: a sort went to disk."""
    for node in case.plan.of_kind("Sort", "Incremental Sort"):
        used = max(_disk(node), default=0.0)
        if not used:
            continue
        keys = [str(key) for key in node.get("Sort Key", [])]
        words, code, sql = _sorted_by_index(case, node, keys)
        yield Finding(
            "P5",
            WARN,
            "A sort went to disk",
            f"{kilobytes(used)} were written to sort {count(node.found or 0)} rows.",
            "Sorting on disk is several times slower, and takes disk time from others.",
            f"{words}{_work_mem(used)}",
            code,
            sql,
            node.number,
            node.share,
        )


def hash_spill(case: Case) -> Iterable[Finding]:
    """P6: a hash join went to disk."""
    for node in case.plan.of_kind("Hash"):
        batches = int(node.get("Hash Batches", 1))
        if batches <= 1:
            continue
        planned = int(node.get("Original Hash Batches", batches))
        memory = float(node.get("Peak Memory Usage"))
        more = (
            f" The planner had counted on {planned}: it expected fewer rows."
            if planned < batches
            else ""
        )
        yield Finding(
            "P6",
            WARN,
            "A hash table went to disk",
            f"It was split into {batches} parts of {kilobytes(memory)}.{more}",
            "Both sides of the join are written to files and read again.",
            _work_mem(memory * batches / IN_MEMORY)
            + (" ANALYZE the tables of this join." if more else ""),
            node=node.number,
            share=node.share + (node.parent.share if node.parent else 0.0),
        )


def aggregate_spill(case: Case) -> Iterable[Finding]:
    """P7: groups went to disk."""
    for node in case.plan.of_kind("Aggregate"):
        disk = float(node.get("Disk Usage"))
        batches = int(node.get("HashAgg Batches", 1))
        if not disk and batches <= 1:
            continue
        yield Finding(
            "P7",
            WARN,
            "Grouping went to disk",
            f"{kilobytes(disk)} were written in {batches} rounds for "
            f"{count(node.found or 0)} groups.",
            "There were more groups than memory for them.",
            _work_mem(disk),
            node=node.number,
            share=node.share,
        )


def stored_on_disk(case: Case) -> Iterable[Finding]:
    """P8: what is kept for another look went to disk; known from 18 on."""
    for node in case.plan.nodes:
        if node.get("Storage", "") != "Disk":
            continue
        used = float(node.get("Maximum Storage"))
        yield Finding(
            "P8",
            WARN,
            "Rows that are kept for another look went to disk",
            f"{node.name} keeps {kilobytes(used)} on disk.",
            "They are written once and read again for each look.",
            f"{_work_mem(used)} Or let the part that is read twice be read once.",
            node=node.number,
            share=node.share,
        )


def temporary_files(case: Case) -> Iterable[Finding]:
    """P9: temporary files were written."""
    written = float(case.plan.root.get("Temp Written Blocks"))
    if written > 0:
        yield Finding(
            "P9",
            INFO,
            "Temporary files were written",
            f"{pages(written)} in all.",
            "Whatever does not fit into work_mem is written to disk and read again.",
            "The steps that went to disk are named by findings of their own.",
        )


def memoize_thrash(case: Case) -> Iterable[Finding]:
    """P23: a cache inside of a join that hardly ever helps."""
    for node in case.plan.of_kind("Memoize"):
        hits, misses = float(node.get("Cache Hits")), float(node.get("Cache Misses"))
        evictions = float(node.get("Cache Evictions"))
        if misses < FEW or (evictions <= misses / 2 and hits >= misses):
            continue
        yield Finding(
            "P23",
            INFO,
            "A cache inside of a join hardly helps",
            f"{count(hits)} of {count(hits + misses)} look-ups were answered by it; "
            f"{count(evictions)} entries had to make way.",
            "To keep the cache costs time, and the values looked up differ too much.",
            "The planner expected fewer different values: ANALYZE the tables of this "
            "join; if entries make way, raise work_mem.",
            node=node.number,
            share=node.share,
        )


def _disk(node: Node) -> Iterator[float]:
    """Kilobytes on disk, of the leader, of each worker, and of an incremental sort."""
    places: list[Mapping[str, Any]] = [node.raw, *node.get("Workers", [])]
    for place in places:
        if place.get("Sort Space Type") == "Disk":
            yield float(place.get("Sort Space Used", 0))
        for key in ("Full-sort Groups", "Pre-sorted Groups"):
            disk = place.get(key, {}).get("Sort Space Disk", {})
            if disk:
                yield float(disk.get("Peak Sort Space Used", 0))


def _work_mem(kilobytes_on_disk: float) -> str:
    """How much memory would have been enough, in a round number."""
    megabytes = max(8, 2 ** math.ceil(math.log2(kilobytes_on_disk * IN_MEMORY / 1024)))
    return (
        f"work_mem of {megabytes} MB would keep it in memory (each running sort and "
        "hash may take that much)."
    )


def _sorted_by_index(case: Case, node: Node, keys: list[str]) -> tuple[str, str, str]:
    """An index in the order of the sort, where one table's columns make it."""
    tables = {one.table for one in node.below() if one.table}
    facts = (
        case.catalog.tables.get(next(iter(tables), "")) if len(tables) == 1 else None
    )
    order = order_columns(keys, facts) if facts is not None else []
    if facts is None or not order:
        return "", "", ""
    names = [name for name, _ in order]
    if existing_index(facts, names) or any(_mixed(order)):
        return "", "", ""
    index = index_name(facts.name, names)
    quoted, listed = ", ".join(f'"{n}"' for n in names), ", ".join(names)
    return (
        (
            f"An index on {listed} of {case.owner(facts.name)} gives the rows in this "
            "order without a sort. Or: "
        ),
        f'Index("{index}", {quoted})',
        f"CREATE INDEX CONCURRENTLY {index} ON {facts.name} ({listed})",
    )


def _mixed(order: list[tuple[str, bool]]) -> Iterator[bool]:
    first = order[0][1]
    return (descending != first for _, descending in order)
