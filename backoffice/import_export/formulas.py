"""Which cells would a spreadsheet compute, and how are they made texts?

A `'` before the cell makes it one. What is looked at is the first character behind
blanks and quotes: some programs drop those before they look. The full-width signs are
what Japanese and Chinese keyboards type; spreadsheets take them for the others.
"""

import re

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


def harmless_postgresql(text: str, *, is_unicode: bool) -> str:
    """The same in SQL, at the price of one comparison for a text like most.

    `text` is an expression of the program's own. `is_unicode` is whether the database
    can hold the wide characters at all.
    """
    starts = STARTS + (WIDE_STARTS if is_unicode else "")
    blanks = BLANKS + (WIDE_BLANKS if is_unicode else "")
    first, quoted = f"ascii({text})", f"'''' || {text}"
    behind = f"ascii(ltrim({text}, {_literal(BREAKS + blanks)}))"
    # Numbers compare at a third of the cost of texts, and most texts begin with what
    # stands between `@` and the first wide blank.
    return (
        f"CASE WHEN {first} BETWEEN 65 AND 127 THEN {text} "
        f"WHEN {first} = ANY ({_codes(starts + BREAKS)}) THEN {quoted} "
        f"WHEN {first} = ANY ({_codes(blanks)}) AND {behind} = ANY ({_codes(starts)}) "
        f"THEN {quoted} ELSE {text} END"
    )


def _codes(characters: str) -> str:
    return f"'{{{','.join(str(ord(c)) for c in characters)}}}'::int[]"


def _literal(characters: str) -> str:
    escaped = "".join(f"\\u{ord(c):04x}" for c in characters)
    return f"E'{escaped}'"
