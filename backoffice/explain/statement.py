"""Which statement is to be explained: its text, and the values bound to it.

Values never enter the text. Where there are none, each place of one is `$1`, `$2` and
so on, for a plan that holds for any value.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from backoffice.errors import Refused

Values = Mapping[str, Any] | Sequence[Any]
RUN_AGAIN = "Run it once more and explain it within 15 minutes, with its values."


class Kind(StrEnum):
    """What a statement does; nothing else is explained."""

    READS = "reads"
    WRITES = "writes"


@dataclass(frozen=True, slots=True)
class Caught:
    """One statement as its driver would send it.

    `values` is None where they are not known: then the text has `$1`, `$2`.

    `title` says what it is for: "Rows", "Count and choices". Of a statement that does
    not run on every page `note` says when it does. `literals` are the numbers of those
    places where the text itself had a word or a number. `remedy` says what to do where
    it cannot be planned without its values. `settings` are the server's parameters that
    are set for it alone.
    """

    title: str
    text: str
    values: Values | None = None
    fingerprint: str = ""
    note: str = ""
    literals: frozenset[int] = frozenset()
    remedy: str = RUN_AGAIN
    settings: Mapping[str, str] = field(default_factory=dict)


_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_KINDS = {
    "SELECT": Kind.READS,
    "WITH": Kind.READS,
    "VALUES": Kind.READS,
    "TABLE": Kind.READS,
    "INSERT": Kind.WRITES,
    "UPDATE": Kind.WRITES,
    "DELETE": Kind.WRITES,
    "MERGE": Kind.WRITES,
}


def kind_of(text: str) -> Kind:
    """Whether a statement reads or writes, by its first word.

    A WITH that writes counts as reading here: only the database knows, and refuses it
    in a transaction that reads.

    Raises:
        Refused: it is no statement that has a plan.
    """
    begun = _COMMENTS.match(text)
    word = _WORD.match(text, begun.end() if begun else 0)
    name = word.group().upper() if word else ""
    if name not in _KINDS:
        raise Refused(
            message="Only SELECT, INSERT, UPDATE and DELETE have a plan; "
            f"this statement begins with {name or 'something else'}."
        )
    return _KINDS[name]


# What writes within a statement that begins as one that reads, or locks what it reads.
_WRITES = re.compile(
    r"(?P<quoted>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")"
    r"|\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b",
    re.IGNORECASE,
)


def only_reads(text: str) -> bool:
    """Whether nothing in a statement says that it writes, or locks what it reads."""
    return kind_of(text) is Kind.READS and all(
        match["quoted"] is not None for match in _WRITES.finditer(text)
    )


def has_plan(text: str) -> bool:
    """Whether a statement is one of those that the planner plans."""
    try:
        kind_of(text)
    except Refused:
        return False
    return True


_PYFORMAT = re.compile(r"%%|%\((?P<name>[^)]*)\)s|%s")


def numbered(text: str) -> tuple[str, list[str]]:
    """The text with `$1`, `$2` for the driver's places, and the names in that order.

    A name that stands twice has one number; places without a name are "1", "2"….
    """
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        name = match.group("name")
        if name is None:
            names.append(str(len(names) + 1))
            return f"${len(names)}"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PYFORMAT.sub(place, text), names


def without_values(one: Caught, note: str, remedy: str, dialect: str) -> Caught:
    """The same statement for any values; `note` says why."""
    text = one.text
    # SQLite's driver has no names: a `?` stays, and a `%` is one.
    if one.values is not None and dialect == "postgresql":
        text = numbered(text)[0]
    return replace(one, text=text, values=None, note=note, remedy=remedy)


_FOLDED = re.compile(
    r"(?P<several>(?<!\w)\([\w.\", ]+,[\w.\", ]+\)\s+(?:NOT\s+)?IN\s*)\(…\)"
    r"|(?P<without>\bNOT\s+IN\s*\(…\))|(?P<list>\bIN\s*\(…\))|(?P<rows>, …)"
    # `NUMERIC(10, 2)`: how many digits is no value, and nothing can be bound there.
    r"|(?P<digits>\b(?:NUMERIC|DECIMAL|VARCHAR|CHAR|CHARACTER(?:\s+VARYING)?|BPCHAR|BIT"
    r"|FLOAT|TIMESTAMP|TIMESTAMPTZ|TIME|TIMETZ|INTERVAL)\s*\(\?(?:,\s*\?)*\))"
    r"|(?P<typed>\b(?:DATE|TIMESTAMPTZ|TIMESTAMP|TIMETZ|TIME|INTERVAL)\s+\?)"
    # jsonb has operators that begin with it.
    r"|(?P<operator>\?[|&]|\?(?=\s+(?:%\(|\$|\?)))"
    r"|(?P<named>%\([^)]*\)s)|(?P<driver>%s)|(?P<literal>\?)"
    r"|(?P<string>'(?:[^']|'')*')|(?P<name>\"(?:[^\"]|\"\")*\")",
    re.IGNORECASE,
)
_CUT = re.compile(r" … \(\d+ more\)\Z")


def from_fingerprint(text: str) -> tuple[str, frozenset[int]]:
    """The text that a fingerprint remembers, as one that can be planned.

    With it the numbers of the places that were literals.

    Raises:
        Refused: only the beginning of it was kept.
    """
    if _CUT.search(text):
        raise Refused(
            message="Only the beginning of this statement was kept: it is too long "
            "to be planned again. Explain it from the page that runs it."
        )
    names: dict[str, str] = {}
    literals: set[int] = set()
    number = 0

    def place(match: re.Match[str]) -> str:
        nonlocal number
        found, kind = match.group(), match.lastgroup
        if kind == "rows":
            return ""
        if kind in ("string", "name", "operator"):
            return found
        if kind == "digits":
            return found[: found.index("(")]
        if kind == "several":
            first, number = number + 1, number + found.count(",") + 1
            row = ", ".join(f"${at}" for at in range(first, number + 1))
            return f"{match['several']}(({row}))"
        if kind == "named" and found in names:
            return names[found]
        number += 1
        if kind == "named":
            names[found] = f"${number}"
        if kind == "typed":
            return f"${number}::{found[:-1].strip()}"
        if kind == "literal":
            literals.add(number)
        lists = {"list": f"= ANY (${number})", "without": f"<> ALL (${number})"}
        return lists.get(kind or "", f"${number}")

    return _FOLDED.sub(place, text.replace("%%", "%")), frozenset(literals)


_MADE_OF = re.compile(
    r"(?P<before>generate_series\(|[-+*/]\s)?\$(?P<number>\d+)(?P<after>\s+AS\s+\w)?",
    re.IGNORECASE,
)


def with_numbers(text: str, literals: Container[int]) -> str:
    """The text with those literals as whole numbers whose kind nothing else tells.

    A word is what the server takes them for: `0 AS step` is one that cannot be counted.
    """

    def typed(match: re.Match[str]) -> str:
        is_one = match["before"] or match["after"]
        if not is_one or int(match["number"]) not in literals:
            return match.group()
        before, after = match["before"] or "", match["after"] or ""
        return f"{before}${match['number']}::integer{after}"

    return _MADE_OF.sub(typed, text)


def places(text: str) -> int:
    """How many values a numbered text takes."""
    found = re.findall(r"\$(\d+)", text)
    return max(map(int, found), default=0)
