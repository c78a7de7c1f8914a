"""How is a plan shown to people who may not see values? Without a single literal.

What the server worked out from values is in a plan's conditions: `(code = 'S-1')`,
`'%ann%'::text`, `LIMIT`. Whatever is not known to be a name is masked:
of literals only a language's, `'english'::regconfig`.
"""

import re
from collections.abc import Mapping
from typing import Any

# Keys whose texts are the server's own words and names, never anybody's values.
NAMES = frozenset(
    {
        "Node Type",
        "Parent Relationship",
        "Subplan Name",
        "Join Type",
        "Strategy",
        "Partial Mode",
        "Scan Direction",
        "Command",
        "Operation",
        "Relation Name",
        "Schema",
        "Alias",
        "Index Name",
        "CTE Name",
        "Tuplestore Name",
        "Function Name",
        "Function Call Schema",
        "Custom Plan Provider",
        "Sort Method",
        "Sort Method Used",
        "Sort Space Type",
        "Group Method",
        "Cache Mode",
        "Storage",
        "Conflict Resolution",
        "Conflict Arbiter Indexes",
        "Format",
        "Query Identifier",
        "Trigger Name",
        "Constraint Name",
        "Relation",
        "Group Key Type",
    }
)
# What PostgreSQL is set to: nothing of it comes from a statement.
WHOLE = frozenset({"Settings", "JIT", "Full-sort Groups", "Pre-sorted Groups"})

_LITERAL = re.compile(
    r"""
    (?P<name>"(?:[^"]|"")*")
  | (?P<config>'[a-z_.]+'::regconfig)
  | (?P<place>\$\d+)
  | (?P<dollar>\$(?P<tag>[A-Za-z_]?\w*)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<escaped>\b[Ee]'(?:[^'\\]|''|\\.)*(?:'|\Z))
  | (?P<string>(?:\b[BbXxNn]|\b[Uu]&)?'(?:[^']|'')*(?:'|\Z))
  | (?P<step>\b(?:InitPlan|SubPlan)[ ]\d+)
  | (?P<word>[A-Za-z_\u0080-\uffff][\w$]*)
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+))
    """,
    re.VERBOSE | re.DOTALL,
)


def mask_text(text: str) -> str:
    """An expression or a statement with `'…'` for each text and `?` for each number.

    Of a search pattern it stays known at which end it is open: `'%…%'`.
    """
    return _LITERAL.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match.group()
    if kind == "number":
        return "?"
    if kind == "dollar":
        return "'…'"
    if kind in ("string", "escaped"):
        inner = found.partition("'")[2].removesuffix("'")
        open_start = "%" if inner.startswith("%") else ""
        open_end = "%" if inner.endswith("%") and not inner.endswith("\\%") else ""
        return f"'{open_start}…{open_end}'" if inner else "''"
    return found


def mask_plan(value: Any, key: str = "") -> Any:
    """A plan, as EXPLAIN gives it in JSON, without literals."""
    if isinstance(value, Mapping):
        return {
            name: inner if name in WHOLE else mask_plan(inner, name)
            for name, inner in value.items()
            if name != "Query Text"
        }
    if isinstance(value, list | tuple):
        return [mask_plan(inner, key) for inner in value]
    if isinstance(value, str) and key not in NAMES:
        return mask_text(value)
    return value
