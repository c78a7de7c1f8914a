"""Which statement is it: one name for all its calls, whatever their values.

SQLAlchemy's compiled text is the same for IN-lists of any length, for batches and for
pages. Text that people wrote has its literals taken out: no value is ever in a
fingerprint.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Table
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql import visitors

from backoffice.observability.brief import tables_in

# Longer text is cut before it is looked at: a megabyte of SQL must not cost a second.
LONGEST_READ = 20_000
LONGEST_KEPT = 4_000
GENERATION = 1_000

_TOKEN = re.compile(
    r"""
    (?P<space>(?:\s+|/\*.*?(?:\*/|\Z)|--[^\n]*)+)
  | (?P<identifier>"(?:[^"]|"")*")
  | (?P<dollar>\$(?P<tag>[A-Za-z_]?\w*)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<escaped>\b[Ee]'(?:[^'\\]|''|\\.)*(?:'|\Z))
  | (?P<string>(?:\b(?:[BbXxNn]|[Uu]&))?'(?:[^']|'')*(?:'|\Z))
  | (?P<expanding>__\[POSTCOMPILE_[^\]]*\])
  | (?P<named>%\(.*?\)s)
  | (?P<positional>\$\d+)
  | (?P<number>(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\b)
    """,
    re.VERBOSE | re.DOTALL,
)
# SQLAlchemy and psycopg number them: each would be a statement of its own.
_SAVEPOINT = re.compile(r"\b(SAVEPOINT|TO SAVEPOINT|ROLLBACK TO) \S+$", re.IGNORECASE)
_PLACEHOLDER = r"(?:\?|%s|%\([^()]*\)s|:\w+)(?:::[\w ]+(?:\[\])?)?"
_IN_LIST = re.compile(
    rf"\bIN\s*\(\s*{_PLACEHOLDER}(?:\s*,\s*{_PLACEHOLDER})*\s*\)", re.IGNORECASE
)
_ROW = r"\((?:[^()]|\([^()]*\))*\)"
_ROWS = re.compile(rf"(\bVALUES\s*{_ROW})(?:\s*,\s*{_ROW})+", re.IGNORECASE)
_OPERATION = re.compile(r"\W*([A-Za-z]+)")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Fingerprint:
    """A statement without its values: 16 hexadecimal digits, and the text they name."""

    id: str
    text: str
    operation: str
    table: str


class Fingerprints:
    """Finds fingerprints again without reading the same text twice.

    Two generations of remembered texts bound the memory: what was not asked for while
    a thousand others were is forgotten.
    """

    def __init__(self) -> None:
        self._young: dict[str, Fingerprint] = {}
        self._old: dict[str, Fingerprint] = {}
        self._known: WeakValueDictionary[str, Fingerprint] = WeakValueDictionary()
        self._lock = Lock()

    def of(self, context: ExecutionContext | None, statement: str) -> Fingerprint:
        """The fingerprint of what SQLAlchemy is about to execute."""
        compiled: Any = context.compiled if context is not None else None
        text = statement if compiled is None else (compiled.string or statement)
        return self.of_text(text, compiled)

    def of_text(self, text: str, compiled: Any = None) -> Fingerprint:
        """The fingerprint of any SQL text; of its tables what SQLAlchemy knows."""
        found = self._young.get(text)
        if found is not None:
            return found
        found = self._old.get(text)
        if found is None:
            found = self._shared(fingerprint(text, tables_of(compiled)))
            if len(text) > LONGEST_READ:
                return found
        with self._lock:
            if len(self._young) >= GENERATION:
                self._old = self._young
                self._young = {}
            self._young[text] = found
        return found

    def _shared(self, made: Fingerprint) -> Fingerprint:
        """One object for texts that differ in their literals only."""
        with self._lock:
            return self._known.setdefault(made.id, made)


def tables_of(compiled: Any) -> list[str]:
    """The tables of a statement of SQLAlchemy's; of a change the changed one."""
    state = getattr(compiled, "compile_state", None)
    written = getattr(state, "dml_table", None)
    if written is not None:
        return [str(getattr(written, "name", ""))]
    statement = getattr(compiled, "statement", None)
    if statement is None or not hasattr(statement, "get_children"):
        return []
    tables = (one for one in visitors.iterate(statement) if isinstance(one, Table))
    return [str(one.name) for one in tables if not one.name.startswith("pg_")]


def fingerprint(text: str, tables: Sequence[str] = ()) -> Fingerprint:
    """The fingerprint of a text, worked out anew; `tables` are known to be in it."""
    plain = normalise(text)
    operation = _OPERATION.match(plain)
    named = tables_in(plain)
    # The text has the order, the statement knows what is a table.
    known = [name for name in named if name in tables] or list(tables) or named
    table = known[0] if known else ""
    kept = plain
    if len(plain) > LONGEST_KEPT:
        kept = f"{plain[:LONGEST_KEPT]} … ({len(plain) - LONGEST_KEPT} more)"
    return Fingerprint(
        id=blake2b(plain.encode(errors="replace"), digest_size=8).hexdigest(),
        text=kept,
        operation=operation.group(1).upper() if operation else "",
        table=table,
    )


def normalise(text: str) -> str:
    """The text with `?` for every literal, one space for any, and lists folded."""
    plain = _TOKEN.sub(_plain, text[:LONGEST_READ]).strip()
    plain = _IN_LIST.sub("IN (…)", plain)
    plain = _ROWS.sub(r"\1, …", plain)
    return _SAVEPOINT.sub(r"\1 …", plain)


def _plain(match: re.Match[str]) -> str:
    """What a token is replaced by."""
    kind = match.lastgroup
    if kind in ("identifier", "named"):
        return match.group()
    return " " if kind == "space" else "?"
