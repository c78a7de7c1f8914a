r"""How a record's primary key is written in an address, and read back.

One column is written as its value's text. Several are joined by `;`, with `\` before
a `;` or `\\` of their own, as SQLAdmin's `get_object_identifier` does.
"""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import instance_state

from backoffice.database.values import format_value, parse_value, shown
from backoffice.database.words import record_word
from backoffice.errors import RecordNotFound

_PART = re.compile(r"(?:[^\\;]|\\.)*", re.DOTALL)


def parse_key(mapper: Mapper[Any], text: str) -> tuple[Any, ...]:
    """The primary key's values, in the mapper's order, as `Session.get` takes them.

    Raises:
        RecordNotFound: no record can have this key, whatever is wrong with it.
    """
    columns = mapper.primary_key
    parts = [text] if len(columns) == 1 else _split(text)
    if len(parts) != len(columns):
        raise no_such_record(mapper, text)
    try:
        values = [
            parse_value(column, part, is_typed=False)
            for column, part in zip(columns, parts, strict=True)
        ]
    except ValueError:
        raise no_such_record(mapper, text) from None
    if any(value is None for value in values):
        raise no_such_record(mapper, text)
    return tuple(values)


def format_key(mapper: Mapper[Any], record: object) -> str:
    """The text of a record's primary key."""
    state = instance_state(record)
    if state.key is not None and not state.modified:
        return format_key_values(mapper, state.key[1])  # as it was loaded
    return format_key_values(mapper, mapper.primary_key_from_instance(record))


def format_key_values(mapper: Mapper[Any], values: Sequence[Any]) -> str:
    """The text of a primary key given as values in the mapper's order."""
    texts = [
        format_value(column, value)
        for column, value in zip(mapper.primary_key, values, strict=True)
    ]
    if len(texts) == 1:
        return texts[0]
    return ";".join(re.sub(r"([\\;])", r"\\\1", text) for text in texts)


def no_such_record(mapper: Mapper[Any], text: str, word: str = "") -> RecordNotFound:
    """The error that says which record there is not; `word` is what it is called."""
    key = shown("".join(c if c.isprintable() else " " for c in text))
    word = word or record_word(mapper)
    return RecordNotFound(
        f"There is no {word} with the key {key}."
        if key
        else f"There is no such {word}."
    )


def _split(text: str) -> list[str]:
    r"""The parts between unescaped `;`; a `\` at the very end stands for itself."""
    parts = []
    position = 0
    while True:
        found = _PART.match(text, position)
        end = found.end() if found else position
        if end < len(text) and text[end] == "\\":
            end = len(text)
        parts.append(re.sub(r"\\(.)", r"\1", text[position:end], flags=re.DOTALL))
        if end >= len(text):
            return parts
        position = end + 1
