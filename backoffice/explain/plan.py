"""What does a plan say? EXPLAIN's JSON of PostgreSQL 14 to 18 as a tree of steps.

Every step knows its own share: of the time where the statement was measured, of the
expected cost where it was not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Steps that have to read all of what is below them before they give anything.
BLOCKING = frozenset(
    {"Sort", "Aggregate", "Hash", "HashAggregate", "SetOp", "WindowAgg"}
)
_GATHERS = frozenset({"Gather", "Gather Merge"})
_CHILD_ROLES = frozenset({"InitPlan"})
_BESIDE = frozenset({"InitPlan", "SubPlan"})
# What the leader spends on each of its workers, as the planner reckons.
LEADER = 0.3


@dataclass(slots=True, eq=False)
class Node:
    """One step of a plan.

    `total` is the time or the cost with all that is below, `own` without, `share` its
    part of the whole. `found` and `expected` are rows over all rounds (`loops`);
    `found` is None where nothing was measured. `is_cut_short` is True below a LIMIT
    that stopped reading.
    """

    number: int
    kind: str
    raw: Mapping[str, Any]
    depth: int = 0
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    processes: int = 1
    total: float = 0.0
    own: float = 0.0
    share: float = 0.0
    loops: float = 1
    expected: float = 0.0
    found: float | None = None
    is_cut_short: bool = False

    @property
    def table(self) -> str:
        """The table that it reads or writes, "" for other steps."""
        return str(self.raw.get("Relation Name", ""))

    @property
    def index(self) -> str:
        """The index that it reads, ""."""
        return str(self.raw.get("Index Name", ""))

    @property
    def is_executed(self) -> bool:
        """Whether it was run, or would be."""
        return self.loops > 0

    @property
    def removed(self) -> float:
        """Rows that were read and thrown away by filters, over all rounds."""
        keys = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return sum(float(self.raw.get(key, 0)) for key in keys) * self.loops

    @property
    def name(self) -> str:
        """The step in a few words: "Seq Scan on students"."""
        target = self.table or str(
            self.raw.get("CTE Name", self.raw.get("Function Name", ""))
        )
        by = f" using {self.index}" if self.index and target else ""
        if not target and self.index:
            target = self.index
        return f"{self.title}{by} on {target}" if target else self.title

    @property
    def title(self) -> str:
        """The kind of step as PostgreSQL's text form says it."""
        kind = self.kind
        join = str(self.raw.get("Join Type", ""))
        if kind == "ModifyTable":
            kind = str(self.raw.get("Operation", kind))
        elif kind == "Aggregate":
            strategy = str(self.raw.get("Strategy", "Plain"))
            kind = {
                "Hashed": "HashAggregate",
                "Sorted": "GroupAggregate",
                "Mixed": "MixedAggregate",
            }.get(strategy, "Aggregate")
        elif join and join != "Inner":
            kind = (
                f"{kind.removesuffix(' Join')} {join} Join"
                if kind != "Nested Loop"
                else f"Nested Loop {join} Join"
            )
        parallel = "Parallel " if self.raw.get("Parallel Aware") else ""
        backward = " Backward" if self.raw.get("Scan Direction") == "Backward" else ""
        return f"{parallel}{kind}{backward}"

    def get(self, key: str, default: Any = 0) -> Any:
        """One fact of EXPLAIN's."""
        return self.raw.get(key, default)

    def condition(self, *keys: str) -> str:
        """The conditions under these names, joined."""
        found = [str(self.raw[key]) for key in keys if self.raw.get(key)]
        return " AND ".join(found)

    def ancestors(self) -> Iterator["Node"]:
        """The steps above, the nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    @property
    def inputs(self) -> list["Node"]:
        """The steps whose rows it gets; subqueries beside them are none of these."""
        return [
            one
            for one in self.children
            if one.get("Parent Relationship", "") not in _BESIDE
        ]

    def below(self) -> Iterator["Node"]:
        """This step and all below it, as they are drawn."""
        yield self
        for child in self.children:
            yield from child.below()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One statement's plan; times are milliseconds."""

    root: Node
    nodes: tuple[Node, ...]
    is_measured: bool
    planning: float
    execution: float
    raw: Mapping[str, Any]

    @property
    def cost(self) -> float:
        """The planner's cost of all of it."""
        return float(self.root.get("Total Cost"))

    def of_kind(self, *kinds: str) -> Iterator[Node]:
        """The steps of these kinds that are run."""
        return (n for n in self.nodes if n.kind in kinds and n.is_executed)


def read_plan(found: Mapping[str, Any] | list[Any]) -> Plan:
    """The plan in what `EXPLAIN (FORMAT JSON)` gave."""
    raw = found[0] if isinstance(found, list) else found
    is_measured = "Actual Loops" in raw["Plan"]
    nodes: list[Node] = []
    root = _read(raw["Plan"], None, nodes, is_measured=is_measured, processes=1)
    if not is_measured:
        for node in nodes:
            if _is_divided(node):
                node.expected *= _divisor(node)
    if is_measured:
        _own_times(root, nodes)
    else:
        _own_costs(root, root.total)
    whole = sum(node.own for node in nodes)
    for node in nodes:
        node.share = node.own / whole if whole else 0.0
    return Plan(
        root=root,
        nodes=tuple(nodes),
        is_measured=is_measured,
        planning=float(raw.get("Planning Time", 0)),
        execution=float(raw.get("Execution Time", 0)),
        raw={key: value for key, value in raw.items() if key != "Plan"},
    )


def _read(
    raw: Mapping[str, Any],
    parent: Node | None,
    nodes: list[Node],
    *,
    is_measured: bool,
    processes: int,
) -> Node:
    facts = {key: value for key, value in raw.items() if key != "Plans"}
    node = Node(
        number=len(nodes) + 1,
        kind=str(raw["Node Type"]),
        raw=facts,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        processes=processes,
    )
    nodes.append(node)
    if is_measured:
        node.loops = float(raw.get("Actual Loops", 0))
        node.total = float(raw.get("Actual Total Time", 0)) * node.loops / processes
        node.found = float(raw.get("Actual Rows", 0)) * node.loops
    else:
        node.total = float(raw.get("Total Cost", 0))
    node.expected = float(raw.get("Plan Rows", 0)) * (node.loops or 1)
    node.is_cut_short = _is_cut_short(node)
    if node.kind in _GATHERS:
        workers = int(raw.get("Workers Launched", raw.get("Workers Planned", 0)))
        processes = workers + (0 if raw.get("Single Copy") else 1) or 1
    for child in raw.get("Plans", ()):
        made = _read(child, node, nodes, is_measured=is_measured, processes=processes)
        node.children.append(made)
    return node


def _is_cut_short(node: Node) -> bool:
    """Whether a LIMIT above stops the reading before the end.

    What stands beside a step, an InitPlan, is read to its own end.
    """
    while node.parent is not None:
        if node.get("Parent Relationship", "") in _BESIDE:
            return False
        node = node.parent
        if node.kind == "Limit":
            return True
        if node.kind in BLOCKING:
            return False
    return False


def _is_divided(node: Node) -> bool:
    """Whether each worker has a part of a step's rows, and not all of them."""
    while node.inputs:
        node = node.inputs[0]
    return bool(node.get("Parallel Aware", default=False))


def _divisor(node: Node) -> float:
    """Into how many parts the planner has divided rows: the leader helps a little."""
    for above in node.ancestors():
        if above.kind in _GATHERS:
            workers = float(above.get("Workers Planned"))
            return workers + max(0.0, 1 - LEADER * workers)
    return 1.0


def _own_times(root: Node, nodes: list[Node]) -> None:
    """What each step takes without those below it.

    An InitPlan and a CTE are drawn below one step and run inside of another: their
    time is taken from the one that waits for them.
    """
    for node in nodes:
        node.own = node.total - sum(c.total for c in node.children if not _is_init(c))
    for node in nodes:
        if _is_init(node):
            _take_from_those_who_wait(root, node, nodes)
    for node in nodes:
        node.own = max(node.own, 0.0)


def _own_costs(node: Node, total: float) -> None:
    """What each step is expected to cost by itself, of `total` for all of it.

    What is run once per row of its neighbour counts as often; what is below a LIMIT
    only as far as the LIMIT lets it run, after all that it needs for its first row.
    """
    share = _share_run(node, total)
    node.total = total
    weights = [_spent(node, child, share) for child in node.children]
    inside = sum(weights)
    if inside > total:
        weights = [weight * total / inside for weight in weights]
        inside = total
    node.own = total - inside
    for child, weight in zip(node.children, weights, strict=True):
        _own_costs(child, weight)


def _share_run(node: Node, total: float) -> float:
    """How much of a step is run, of what comes after its first row."""
    begin = float(node.get("Startup Cost"))
    if node.total <= begin:
        return 1.0
    return min(1.0, max(0.0, (total - begin) / (node.total - begin)))


def _spent(node: Node, child: Node, share: float) -> float:
    """What a step spends on one below it, where a part of itself is run."""
    begin = min(float(child.get("Startup Cost")), child.total)
    if node.kind in BLOCKING or node.kind == "Incremental Sort":
        share = 1.0  # it reads all of it before its own first row
    once = begin + share * (child.total - begin)
    return once * max(1.0, share * _rounds(node, child))


def _rounds(node: Node, child: Node) -> float:
    """How often a step is expected to be run by the one above it."""
    if child.get("Parent Relationship", "") == "SubPlan":
        return max(1.0, float(node.get("Plan Rows")))
    if node.kind == "Nested Loop" and child is node.inputs[-1]:
        if child.kind in ("Materialize", "Memoize"):
            return 1.0
        return max(1.0, float(node.inputs[0].get("Plan Rows")))
    return 1.0


def _is_init(node: Node) -> bool:
    return node.get("Parent Relationship", "") in _CHILD_ROLES


def _take_from_those_who_wait(root: Node, init: Node, nodes: list[Node]) -> None:
    """Take an InitPlan's time from the steps that wait for it, as far as theirs goes.

    Of several readers of a CTE the one that comes first waits; which, no plan says.
    """
    left = init.total
    for node in _readers(root, init, nodes):
        taken = min(left, max(node.own, 0.0))
        node.own -= taken
        left -= taken


def _readers(root: Node, init: Node, nodes: list[Node]) -> list[Node]:
    """The steps that read an InitPlan; where none says so, the one it hangs on."""
    name = str(init.get("Subplan Name", ""))
    inside = set(map(id, init.below()))
    if name.startswith("CTE "):
        cte = name.removeprefix("CTE ")
        found = [
            node
            for node in nodes
            if node.get("CTE Name", "") == cte and id(node) not in inside
        ]
    else:
        short = name.partition(" (")[0]
        returned = name.rpartition("returns ")[2].rstrip(")").split(",")
        marks = [f"({short})", f"{short})."]
        marks += [f"({one.strip()})" for one in returned if one.startswith("$")]
        marks += [one.strip() for one in returned if one.startswith("$")]
        found = [
            node for node in nodes if id(node) not in inside and _mentions(node, marks)
        ]
    return found or [init.parent or root]


def _mentions(node: Node, marks: list[str]) -> bool:
    # Outputs are handed up from step to step: only what is worked on counts first.
    for key, value in node.raw.items():
        if key == "Output":
            continue
        text = value if isinstance(value, str) else ""
        if any(mark and mark in text for mark in marks):
            return True
    output = node.raw.get("Output", ())
    return any(mark and mark in str(one) for one in output for mark in marks)
