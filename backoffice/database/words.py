"""What a record and its fields are called in a sentence."""

import re
from typing import Any

from sqlalchemy import Column, String, Table
from sqlalchemy.orm import Mapper, RelationshipProperty

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
# By these names a record is called, if no label column is declared.
LABEL_NAMES = ("full_name", "name", "title", "label", "username", "code", "email")
_AS_THEY_ARE = frozenset({"series", "news", "data", "equipment", "staff", "media"})


def words(name: str) -> str:
    """`ReportCard`, `report_card` and `reportCard` as `report card`."""
    parts = _WORD.findall(name)
    if not parts:
        return name
    return " ".join(
        part if part.isupper() and len(part) > 1 else part.lower() for part in parts
    )


def plural(word: str) -> str:
    """The plural of an English noun, as far as rules go."""
    head, _, last = word.rpartition(" ")
    head = f"{head} " if head else ""
    if last.lower() in _AS_THEY_ARE:
        return word
    if re.search(r"[^aeiou]y$", last):
        return f"{head}{last[:-1]}ies"
    if re.search(r"(s|x|z|ch|sh)$", last):
        is_latin = last.endswith("sis")
        return f"{head}{last[:-2]}es" if is_latin else f"{head}{last}es"
    return f"{head}{last}s"


def record_word(mapper: Mapper[Any]) -> str:
    """What one record is called: `Table.info["label"]`, else the class's name."""
    table = mapper.local_table
    label = table.info.get("label") if isinstance(table, Table) else None
    return str(label) if label else words(mapper.class_.__name__)


def records_word(mapper: Mapper[Any]) -> str:
    """What several records are called: `Table.info["labels"]`, else the plural."""
    table = mapper.local_table
    label = table.info.get("labels") if isinstance(table, Table) else None
    return str(label) if label else plural(record_word(mapper))


def label_key(mapper: Mapper[Any]) -> str:
    """The column by which a model's records are called, where none is declared.

    A column with one of the usual names, else the first text that is no secret, else
    the key.
    """
    keys = [
        attribute.key
        for attribute in mapper.column_attrs
        if isinstance(column := attribute.columns[0], Column)
        and isinstance(column.type, String)
        and not column.info.get("secret")
        and not column.foreign_keys
    ]
    named = [name for name in LABEL_NAMES if name in keys]
    first = mapper.get_property_by_column(mapper.primary_key[0]).key
    return (named or keys or [first])[0]


def table_word(table: Table) -> str:
    """What a table's records are called where no class is known; singular."""
    label = table.info.get("label")
    if label:
        return str(label)
    word = words(table.name)
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith("yses"):
        return f"{word[:-2]}is"
    if re.search(r"(ss|x|zz|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def field_word(mapper: Mapper[Any], key: str) -> str:
    """What a field is called within a sentence: its label, else its name.

    A reference is called by its relationship: `school`, not `school id`.
    """
    prop = mapper.attrs.get(key)
    if prop is None or isinstance(prop, RelationshipProperty):
        return words(key)
    columns: list[Any] = list(getattr(prop, "columns", ()))
    label = columns[0].info.get("label") if columns else None
    if label:
        return _within(str(label))
    word = words(key)
    is_reference = bool(columns) and bool(columns[0].foreign_keys)
    return word.removesuffix(" id") if is_reference else word


def _within(label: str) -> str:
    """A label as it stands inside a sentence: `Class name` as `class name`."""
    first, rest = label[:1], label[1:]
    return label if rest[:1].isupper() else first.lower() + rest


def sentence(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def article(word: str) -> str:
    """`a` or `an`, as the word sounds in most cases."""
    is_vowel = word[:1].lower() in "aeiou" and not word.lower().startswith(
        ("uni", "use", "eu", "one")
    )
    return "an" if is_vowel else "a"
