"""How does a plan look as text? As PostgreSQL's own text form, made from the JSON.

So one EXPLAIN gives the tree, the text and the JSON.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from backoffice.explain.plan import Node, Plan

_LISTS = ("Sort Key", "Presorted Key", "Group Key")
_LINES = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
    "Filter",
    "Cache Key",
)
_COUNTS = (
    ("Rows Removed by Index Recheck", "Rows Removed by Index Recheck"),
    ("Rows Removed by Join Filter", "Rows Removed by Join Filter"),
    ("Rows Removed by Filter", "Rows Removed by Filter"),
    ("Heap Fetches", "Heap Fetches"),
    ("Index Searches", "Index Searches"),
    ("Workers Planned", "Workers Planned"),
    ("Workers Launched", "Workers Launched"),
    ("Subplans Removed", "Subplans Removed"),
)
_BUFFERS = (
    ("shared", ("Hit", "Read", "Dirtied", "Written")),
    ("local", ("Hit", "Read", "Dirtied", "Written")),
    ("temp", ("Read", "Written")),
)


def plan_text(plan: Plan) -> str:
    """The whole plan as lines of text."""
    lines = list(_node_lines(plan.root, 0))
    if plan.raw.get("Settings"):
        settings = plan.raw["Settings"].items()
        listed = ", ".join(f"{name} = '{value}'" for name, value in settings)
        lines.append(f"Settings: {listed}")
    if plan.planning:
        lines.append(f"Planning Time: {plan.planning:.3f} ms")
    lines += _jit(plan.raw.get("JIT", {}))
    lines += [
        f"Trigger {one.get('Constraint Name') or one.get('Trigger Name')}: "
        f"time={one.get('Time', 0):.3f} calls={one.get('Calls', 0):g}"
        for one in plan.raw.get("Triggers", ())
    ]
    serialization = plan.raw.get("Serialization", {})
    if serialization:
        lines.append(
            f"Serialization: time={serialization.get('Time', 0):.3f} ms  "
            f"output={serialization.get('Output Volume', 0)}kB"
        )
    if plan.is_measured:
        lines.append(f"Execution Time: {plan.execution:.3f} ms")
    return "\n".join(lines)


def _node_lines(node: Node, indent: int) -> Iterator[str]:
    name = node.get("Subplan Name", "")
    pad = "  " * indent
    if name:
        yield f"{pad}{name}"
        indent += 1
        pad = "  " * indent
    arrow = "->  " if node.parent is not None else ""
    yield f"{pad}{arrow}{node.name}  {_numbers(node)}"
    pad += "      " if arrow else "  "
    for line in details(node):
        yield f"{pad}{line}"
    for child in node.children:
        yield from _node_lines(child, indent + (3 if arrow else 1))


def _numbers(node: Node) -> str:
    get = node.get
    cost = (
        f"(cost={get('Startup Cost'):.2f}..{get('Total Cost'):.2f} "
        f"rows={get('Plan Rows'):g} width={get('Plan Width')})"
    )
    if "Actual Loops" not in node.raw:
        return cost
    if not node.loops:
        return f"{cost} (never executed)"
    time = ""
    if "Actual Total Time" in node.raw:
        time = f"time={get('Actual Startup Time'):.3f}..{get('Actual Total Time'):.3f} "
    return f"{cost} (actual {time}rows={get('Actual Rows'):g} loops={node.loops:g})"


def details(node: Node) -> Iterator[str]:
    """What stands below a step."""
    for key in _LISTS:
        if node.raw.get(key):
            yield f"{key}: {', '.join(map(str, node.raw[key]))}"
    for key in _LINES:
        if node.raw.get(key):
            yield f"{key}: {node.raw[key]}"
    yield from _memory(node)
    for key, label in _COUNTS:
        if node.raw.get(key) and not (key == "Heap Fetches" and not node.loops):
            yield f"{label}: {node.raw[key]}"
    buffers = list(_buffers(node.raw))
    if buffers:
        yield f"Buffers: {', '.join(buffers)}"


def _memory(node: Node) -> Iterator[str]:
    """What a step kept, and where."""
    if node.raw.get("Sort Method"):
        kind, used = node.get("Sort Space Type"), node.get("Sort Space Used")
        yield f"Sort Method: {node.raw['Sort Method']}  {kind}: {used}kB"
    if node.raw.get("Hash Buckets"):
        yield (
            f"Buckets: {node.get('Hash Buckets')}  Batches: {node.get('Hash Batches')}"
            f"  Memory Usage: {node.get('Peak Memory Usage')}kB"
        )
    if node.raw.get("Storage"):
        used = node.get("Maximum Storage")
        yield f"Storage: {node.raw['Storage']}  Maximum Storage: {used}kB"
    if "Exact Heap Blocks" in node.raw:
        exact, lossy = node.get("Exact Heap Blocks"), node.get("Lossy Heap Blocks")
        if exact or lossy:
            yield f"Heap Blocks: exact={exact} lossy={lossy}"
    if "Cache Hits" in node.raw:
        yield (
            f"Hits: {node.get('Cache Hits')}  Misses: {node.get('Cache Misses')}  "
            f"Evictions: {node.get('Cache Evictions')}"
        )


def _buffers(raw: Mapping[str, Any]) -> Iterator[str]:
    for area, words in _BUFFERS:
        found = [
            f"{word.lower()}={raw[key]}"
            for word in words
            if raw.get(key := f"{area.title()} {word} Blocks")
        ]
        if found:
            yield f"{area} {' '.join(found)}"


def _jit(jit: Mapping[str, Any]) -> Iterator[str]:
    if jit:
        timing = jit.get("Timing", {})
        yield f"JIT: {jit.get('Functions', 0)} functions"
        yield f"  Timing: Total {timing.get('Total', 0):.3f} ms"
