"""Which columns are secret by their name, though nobody has said so?

A project that knows nothing of `Column.info["secret"]` has its tokens and password
hashes all the same. They are taken for secret, which hides them everywhere, unless
the column itself says `info={"secret": False}`; `manage.py check` names each.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import ARRAY, JSON, Column, LargeBinary, MetaData, String
from sqlalchemy.types import TypeDecorator, TypeEngine

# `Column.info` key: it is secret by its name alone.
BY_NAME = "secret_by_name"

WORDS = frozenset(
    {
        *("password", "passwd", "passphrase", "passcode", "pwd", "hash", "salt"),
        *("secret", "secrets", "token", "tokens", "credential", "credentials"),
        *("apikey", "otp", "totp", "cvv", "cvc"),
    }
)
PAIRS = frozenset(
    {
        *(("api", "key"), ("api", "keys"), ("private", "key"), ("access", "key")),
        *(("signing", "key"), ("encryption", "key"), ("recovery", "code")),
        *(("recovery", "codes"), ("backup", "codes"), ("security", "code")),
    }
)
# What is told of a secret and is none: `token_type`, `hash_algorithm`.
ABOUT = frozenset(
    {"type", "kind", "name", "algorithm", "status", "state", "label", "title"}
)
TEXTS = (String, LargeBinary, JSON, ARRAY)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def hide_secrets(metadata: Iterable[MetaData]) -> None:
    """Mark every column that looks secret and does not say whether it is."""
    for one in metadata:
        for table in one.tables.values():
            for column in table.columns:
                is_told = "secret" in column.info or "bearer" in column.info
                if not is_told and looks_secret(column):
                    column.info.update({"secret": True, BY_NAME: True})


def secrets_by_name(metadata: Iterable[MetaData]) -> Iterator[Column[Any]]:
    """The columns that are secret by their name alone."""
    for one in metadata:
        for table in one.sorted_tables:
            yield from (column for column in table.columns if column.info.get(BY_NAME))


def looks_secret(column: Column[Any]) -> bool:
    """Whether a column holds what somebody could log in or sign with, by its name.

    A key is none: it stands in every address. Numbers, days and flags are about one.
    """
    if column.primary_key or column.foreign_keys or column.computed is not None:
        return False
    if not isinstance(_stored(column.type), TEXTS):
        return False
    words = [word.lower() for word in _WORD.findall(column.name)]
    if not words or words[-1] in ABOUT:
        return False
    pairs = set(pairwise(words))
    return bool(WORDS.intersection(words) or PAIRS & pairs)


def _stored(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return _stored(kind.impl_instance) if isinstance(kind, TypeDecorator) else kind
