"""Which cells would a spreadsheet compute, and how are they made texts?

A `'` before the cell makes it one. What is looked at is the first character behind
blanks and quotes: some programs drop those before they look. The full-width signs are
what Japanese and Chinese keyboards type; spreadsheets take them for the others.
"""

import re
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Integer, Text, case, func, literal, literal_column

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
    # Numbers compare at a third of the cost of texts, and most texts begin with a
    # letter or a digit.
    first = func.ascii(text, type_=Integer)
    is_plain = first.between(literal_column("65"), literal_column("127"))
    starts = STARTS + (WIDE_STARTS if is_unicode else "")
    blanks = BLANKS + (WIDE_BLANKS if is_unicode else "")
    behind = func.ascii(func.ltrim(text, literal(BREAKS + blanks, Text)), type_=Integer)
    quoted = literal_column("''''", Text) + text
    return case(
        (is_plain, text),
        (first.in_(_codes(starts + BREAKS)), quoted),
        (first.in_(_codes(blanks)) & behind.in_(_codes(starts)), quoted),
        else_=text,
    )


def _codes(characters: Iterable[str]) -> list[ColumnElement[int]]:
    return [literal_column(str(ord(character))) for character in characters]
