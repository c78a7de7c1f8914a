"""What in a plan of SQLite's is worth a look? Its sentences, and the statement's text.

SQLite says which table it reads row by row, and not why: what is tested is in the text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backoffice.explain.advice import index_name
from backoffice.explain.findings import NOBODY, Finding, Severity, Subject
from backoffice.explain.numbers import series
from backoffice.explain.running_sqlite import STEP

_SCAN = re.compile(r"SCAN (?:TABLE )?(?P<table>\w+)(?P<index> USING .*)?$")
_MADE = re.compile(r"(?:MATERIALIZE|CO-ROUTINE) (\w+)")
_SORT = "USE TEMP B-TREE FOR ORDER BY"
_ORDER = re.compile(
    r"\bORDER BY (?P<keys>[\w.]+(?: ASC| DESC)?(?:, [\w.]+(?: ASC| DESC)?)*)"
)


@dataclass(frozen=True, slots=True)
class _Tested:
    """What a statement tests of one table: by value, by range, and by a pattern."""

    equal: tuple[str, ...]
    ranges: tuple[str, ...]
    patterns: tuple[str, ...]
    is_either: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.equal, *self.ranges, *self.patterns)


def judge(plan: Any, subject: Subject = NOBODY, text: str = "") -> tuple[Finding, ...]:
    """What is found wrong with a plan; `text` is its statement's."""
    # What the statement itself makes is no table, and what it sorts of that is little.
    made = {m.group(1) for s in _sentences(plan) if (m := _MADE.match(s))}
    made |= {"CONSTANT"}
    found: list[Finding] = []
    for number, (sentence, beside) in enumerate(_with_those_beside(plan), 1):
        scan = _SCAN.match(sentence)
        if scan and not scan.group("index"):
            name, table = scan.group("table"), _table_of(scan.group("table"), text)
            tested = _tested(name, text)
            stops = " LIMIT " in text and _SORT not in beside
            if {name, table} & made or (stops and not tested.columns):
                continue
            found.append(_scan(table, tested, number, subject))
        elif sentence.startswith(_SORT):
            # Of rows that a filter finds by its index the order has to be made.
            read = _SCAN.match(beside[0]) if beside else None
            if read and read.group("table") not in made:
                found.append(_sort(read.group("table"), number, subject, text))
        elif "AUTOMATIC" in sentence:
            found.append(_automatic(sentence, number))
    return tuple(sorted(found, key=lambda one: -one.severity))


def _sentences(plan: Any) -> Iterator[str]:
    yield from (sentence for sentence, _ in _with_those_beside(plan))


def _with_those_beside(plan: Any) -> Iterator[tuple[str, list[str]]]:
    """Every step's sentence, with all of its own level."""
    yield str(plan[STEP]), []
    yield from _inside(plan)


def _inside(plan: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    beside = [str(inner[STEP]) for inner in plan["Plans"]]
    for inner in plan["Plans"]:
        yield str(inner[STEP]), beside
        yield from _inside(inner)


def _scan(table: str, tested: _Tested, number: int, subject: Subject) -> Finding:
    advice, code, sql = _advice(table, tested, subject)
    looked = list(tested.columns)
    by = f", and each row's {series(looked)} looked at" if looked else ""
    return Finding(
        "P25" if tested.patterns else "P3",
        Severity.WARN if table == subject.table else Severity.INFO,
        "A whole table is read",
        f"{table} is read row by row{by}.",
        "That takes longer with every row that is added to it.",
        advice,
        code,
        sql,
        number,
    )


def _advice(table: str, tested: _Tested, subject: Subject) -> tuple[str, str, str]:
    """What to do, the line for the model, and SQL."""
    owner = subject.models.get(table, "")
    model = f"the model {owner}" if owner else f"the model of {table}"
    if tested.patterns:
        paths = [
            f"`{one.path}`"
            for one in subject.searched
            if one.table == table and one.column in tested.patterns
        ]
        if paths and subject.is_searched:
            return (
                (
                    "SQLite looks for a part of a text in every row; no index helps. "
                    f"In {subject.view}, drop {series(paths)} from "
                    "column_searchable_list, or give each the mode exact in "
                    f"column_search_modes and an index in {model}."
                ),
                "",
                "",
            )
        return (
            (
                "LIKE and GLOB use an index only where the pattern does not begin with "
                "a wildcard: GLOB one on the column itself, LIKE one with COLLATE "
                "NOCASE; and neither uses it for lower() of the column."
            ),
            "",
            "",
        )
    columns = [*tested.equal, *tested.ranges[:1]]
    if not columns:
        return "A filter on an indexed column would ask for less.", "", ""
    groups = [[one] for one in columns] if tested.is_either else [columns]
    names = [index_name(table, group) for group in groups]
    code = [
        f'Index("{name}", {", ".join(_quoted(group))})'
        for name, group in zip(names, groups, strict=True)
    ]
    sql = [
        f"CREATE INDEX {name} ON {table} ({', '.join(group)})"
        for name, group in zip(names, groups, strict=True)
    ]
    each = " each" if len(groups) > 1 else ""
    words = f"Add an index on {series(columns)}{each} to {model}."
    return words, ",\n".join(code), ";\n".join(sql)


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _sort(name: str, number: int, subject: Subject, text: str) -> Finding:
    table = _table_of(name, text)
    keys = _order_of(name, text)
    code = sql = ""
    advice = "An index on the columns of the order, in their order."
    if keys:
        names = [key for key, _ in keys]
        index = index_name(table, names)
        is_mixed = len({descending for _, descending in keys}) > 1
        model = [
            f'text("{key} DESC")' if is_mixed and descending else f'"{key}"'
            for key, descending in keys
        ]
        listed = [
            f"{key} DESC" if is_mixed and descending else key
            for key, descending in keys
        ]
        owner = subject.models.get(table, "")
        advice = (
            f"Add an index on {series(names)} to the model {owner or f'of {table}'}."
        )
        code = f'Index("{index}", {", ".join(model)})'
        sql = f"CREATE INDEX {index} ON {table} ({', '.join(listed)})"
    return Finding(
        "P5",
        Severity.INFO,
        "The rows are sorted",
        f"Of {table} no index gives the rows in the order of the list.",
        "All matching rows are read before the first is shown.",
        advice,
        code,
        sql,
        number,
    )


def _automatic(sentence: str, number: int) -> Finding:
    return Finding(
        "P3",
        Severity.WARN,
        "An index is built for this statement alone",
        f"{sentence}.",
        "It is thrown away afterwards and built again the next time.",
        "Declare it in the model.",
        node=number,
    )


# What the text says


def _table_of(name: str, text: str) -> str:
    """The table behind a name in the statement."""
    found = re.search(rf"\b(\w+) AS {re.escape(name)}\b", text)
    return found.group(1) if found else name


def _tested(name: str, text: str) -> _Tested:
    """Which columns of a table are compared with values, and how."""
    own = rf"\b{re.escape(name)}\."
    if not re.search(own, text) and len(re.findall(r"\bFROM\b|\bJOIN\b", text)) == 1:
        own = r"\b"  # of one table the columns need no name before theirs
    column = rf"(?:\blower\()?{own}(\w+)\)?"
    equal = _once(rf"{column} (?:= \?|= %|= :|IN \(\?|IS NULL|= ')", text)
    ranges = _once(rf"{column} (?:<=?|>=?|BETWEEN) ", text)
    patterns = _once(rf"{column} (?:NOT )?(?:LIKE|GLOB) ", text)
    conditions = re.findall(rf"{column} (?:=|IN|IS|<|>|BETWEEN)[^()]*? OR ", text)
    return _Tested(equal, ranges, patterns, bool(conditions))


def _once(pattern: str, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(pattern, text)))


def _order_of(name: str, text: str) -> list[tuple[str, bool]]:
    """The columns by which rows of this table are put in order, and which way."""
    for match in _ORDER.finditer(text):
        keys = [key.split(" ") for key in match["keys"].split(", ")]
        if all(key[0].startswith(f"{name}.") for key in keys):
            return [(key[0].partition(".")[2], key[-1] == "DESC") for key in keys]
    return []
