"""Which words a row holds, for searches by the start of a word on PostgreSQL.

One expression serves the index and the query, so the planner finds the one in the
other:

    Index("ix_students_search", search_vector(Student.full_name, Student.email),
          postgresql_using="gin").ddl_if(dialect="postgresql")

    select(Student).where(starts_words([Student.full_name, Student.email], "ann le"))

Words are what stands between blanks and punctuation, whatever the punctuation:
`ann.lee@example.org` holds ann, lee, example and org, `O'Neil-Smith` holds o, neil
and smith, and a search for `o'nei` asks for o… and nei…. Letters of any script count;
upper and lower case do not. Accents do.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, func
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.sql.roles import ExpressionElementRole
from sqlalchemy.types import Text

# What parts words. PostgreSQL's parser would keep e-mail addresses, host names, paths,
# signed numbers and words with hyphens whole, and start none of their parts. A list of
# characters is immutable and the same under every locale, which a class is not. "%"
# and ":" are left to the parser, which parts there by itself.
PUNCTUATION = "!\"#$&'()*+,-./;<=>?@[\\]^_`{|}~"

# PostgreSQL indexes no word longer than this, and refuses to look for one.
_LONGEST_WORD = 500
# Beginnings shorter than this are those of very many words: `org`, `com`.
_SHORT_START = 4
_CONFIGURATION = "'simple'::regconfig"


@lru_cache(maxsize=256)
def search_vector(
    *columns: ExpressionElementRole[Any],
) -> ColumnElement[Any]:
    """The words of `columns` as PostgreSQL's tsvector; immutable, so it can be indexed.

    No value is bound in it: the planner compares it with the index, part by part.
    """
    if not columns:
        raise ValueError("A search needs at least one column.")
    first, *others = (
        func.coalesce(column, _quoted(""), type_=Text) for column in columns
    )
    document: ColumnElement[str] = first
    for text in others:
        document = document.concat(_quoted(" ")).concat(text)
    blanks = " " * len(PUNCTUATION)
    words = func.translate(document, _quoted(PUNCTUATION), _quoted(blanks), type_=Text)
    return func.to_tsvector(_constant(_CONFIGURATION), words, type_=TSVECTOR)


def starts_words(
    columns: Sequence[ExpressionElementRole[Any]], text: str, *, phrase: bool = False
) -> ColumnElement[bool] | None:
    """Rows in which every word of `text` starts a word; None where it has no words.

    As a `phrase` the words stand side by side, and only the last may go on.
    """
    query = search_text(text, phrase=phrase)
    if not query:
        return None
    vector = search_vector(*columns)
    *first, last = search_words(text)
    if not (phrase and first and len(last) < _SHORT_START):
        return vector.bool_op("@@")(_asked(query))
    # An index would collect every word that begins like the last one. It is asked for
    # the words before it; what follows is looked at where these stand.
    before = " <-> ".join(f"'{word}'" for word in first)
    looked_at = vector.op("||")(_constant("''::tsvector"))
    return and_(
        vector.bool_op("@@")(_asked(before)),
        looked_at.bool_op("@@")(_asked(query)),
    )


def search_text(text: str, *, phrase: bool = False) -> str:
    """`text` in the language of `to_tsquery`, with nothing of the user's left in it."""
    words = search_words(text)
    if not words:
        return ""
    if phrase:
        *first, last = words
        return " <-> ".join([*(f"'{word}'" for word in first), f"'{last}':*"])
    return " & ".join(f"'{word}':*" for word in words)


def search_words(text: str) -> list[str]:
    """The words of `text`, parted as the words of a row are."""
    blanks = dict.fromkeys(map(ord, PUNCTUATION + "%:\0"), " ")
    words = text.translate(blanks).split()
    return [word[:_LONGEST_WORD] for word in words if _has_letters(word)]


def _has_letters(word: str) -> bool:
    """Whether PostgreSQL's parser finds a word in it; a lone symbol is none."""
    return any(character.isalnum() for character in word)


def _asked(query: str) -> ColumnElement[Any]:
    return func.to_tsquery(_constant(_CONFIGURATION), query)


def _quoted(text: str) -> Any:
    """A constant of the index's own text."""
    escaped = text.replace("'", "''")
    return _constant(f"'{escaped}'")


def _constant(sql: str) -> Any:
    """SQL as it stands; unlike a `literal_column` no index takes it for its column."""
    return sql_text(sql)
