"""Which cells would a spreadsheet compute, and how are they made texts?

A `'` before the cell makes it one. What is looked at is the first character behind
blanks and quotes: some programs drop those before they look. The full-width signs are
what Japanese and Chinese keyboards type; spreadsheets take them for the others.
"""

import re
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, case, func, literal_column

STARTS = "=+-@"
WIDE_STARTS = "\uff1d\uff0b\uff0d\uff20"
# A cell that begins with one of these has the rest of it in a cell of its own, in some.
BREAKS = "\t\r\n"
BLANKS = " \v\f\"'"
# What else is drawn as nothing: U+0085, the spaces of typography, the zero-width ones.
WIDE_BLANKS = (
    "\x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x2010)))
    + "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)

_FORMULA = re.compile(
    f"[{BREAKS}]|[{BREAKS}{BLANKS}{WIDE_BLANKS}]*[{re.escape(STARTS)}{WIDE_STARTS}]"
)


def harmless(text: str) -> str:
    """The text with a `'` before what a spreadsheet would compute."""
    return f"'{text}" if _FORMULA.match(text) else text


def harmless_postgresql(
    text: ColumnElement[str], *, is_unicode: bool
) -> ColumnElement[str]:
    """The same in SQL, at the price of one comparison for a text like most.

    `is_unicode` is whether the database can hold the wide characters at all.
    """
    starts, firsts, blanks, trimmed = _LITERALS[is_unicode]
    # Numbers compare at a third of the cost of texts, and most texts begin with a
    # letter.
    first = func.ascii(text, type_=Integer)
    behind = func.ascii(func.ltrim(text, trimmed), type_=Integer)
    quoted = _QUOTE + text
    return case(
        (first.between(_LETTERS, _LAST), text),
        (_is_one_of(first, firsts), quoted),
        (_is_one_of(first, blanks) & _is_one_of(behind, starts), quoted),
        else_=text,
    )


def _is_one_of(
    code: ColumnElement[int], codes: ColumnElement[Any]
) -> ColumnElement[bool]:
    return code.bool_op("=")(func.any(codes))


def _codes(characters: str) -> ColumnElement[Any]:
    """The characters' numbers, as one array: there are dozens, for each column."""
    return literal_column(f"'{{{','.join(str(ord(c)) for c in characters)}}}'::int[]")


def _text(characters: str) -> ColumnElement[str]:
    escaped = "".join(f"\\u{ord(c):04x}" for c in characters)
    return literal_column(f"E'{escaped}'", Text)


_QUOTE = literal_column("''''", Text)
# Behind `@`, and before the first wide blank.
_LETTERS: ColumnElement[int] = literal_column("65", Integer)
_LAST: ColumnElement[int] = literal_column("127", Integer)
_LITERALS = {
    is_unicode: (
        _codes(starts),
        _codes(starts + BREAKS),
        _codes(blanks),
        _text(BREAKS + blanks),
    )
    for is_unicode, starts, blanks in (
        (False, STARTS, BLANKS),
        (True, STARTS + WIDE_STARTS, BLANKS + WIDE_BLANKS),
    )
}
