"""Names of classes, tables and columns read as English."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from backoffice.database.words import article, plural, table_word, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReportCard", "report card"),
        ("report_cards", "report cards"),
        ("MediaType", "media type"),
        ("HTTPServer", "HTTP server"),
        ("ISBN", "ISBN"),
        ("x", "x"),
        ("_", "_"),
        ("line2", "line2"),
    ],
)
def test_name_becomes_words(name: str, expected: str) -> None:
    """Capitals and underscores part words."""
    assert words(name) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("order", "orders"),
        ("report card", "report cards"),
        ("city", "cities"),
        ("day", "days"),
        ("branch", "branches"),
        ("analysis", "analyses"),
        ("address", "addresses"),
        ("series", "series"),
    ],
)
def test_noun_has_a_plural(word: str, expected: str) -> None:
    """The rules of English, as far as they go."""
    assert plural(word) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orders", "order"),
        ("text_analyses", "text analysis"),
        ("categories", "category"),
        ("branches", "branch"),
        ("houses", "house"),
        ("Album", "album"),
        ("address", "address"),
    ],
)
def test_table_has_a_singular(name: str, expected: str) -> None:
    """A table is called after its rows; one row is one of them."""
    table = Table(name, MetaData(), Column("id", Integer))

    assert table_word(table) == expected


def test_label_of_a_table_wins() -> None:
    """What the project calls it is what it is called."""
    table = Table("tbl_pers", MetaData(), info={"label": "person"})

    assert table_word(table) == "person"


def test_article_follows_the_sound() -> None:
    """An order, a unit."""
    assert [article(word) for word in ("order", "unit", "student")] == ["an", "a", "a"]
