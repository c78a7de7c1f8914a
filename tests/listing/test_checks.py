"""Declarations that cannot work are found before anybody asks for the list."""

import pytest
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.checks import Level
from backoffice.listing.checks import check_list
from backoffice.listing.spec import (
    FilterField,
    FilterKind,
    ListSpec,
    Order,
    SearchField,
    SearchMode,
)
from tests.listing.models import Base, Customer
from tests.listing.models import Order as Purchase


class Page(Base):
    """Has a column with the name of a parameter."""

    __tablename__ = "pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    page: Mapped[int]
    page_number: Mapped[int | None]
    page_number__from: Mapped[int | None]


def said(**declared: object) -> list[str]:
    """What is wrong with a list of customers that is declared so."""
    spec = ListSpec(Customer, "customer", **{"columns": ("name",), **declared})  # type: ignore[arg-type]
    return [message.text for message in check_list(spec)]


def test_a_good_declaration_says_nothing() -> None:
    """Columns, relations, hybrids and properties may be shown."""
    assert (
        said(
            columns=("name", "region", "manager.region.name", "is_rich", "shout"),
            search=(
                SearchField("name", SearchMode.WORD_START),
                SearchField("tags.word"),
                SearchField("rank"),
            ),
            filters=(
                FilterField("region", FilterKind.REFERENCE),
                FilterField("is_rich", FilterKind.BOOLEAN),
                FilterField("seen_at", FilterKind.DATE),
            ),
            sortable=("region", "is_rich", "manager.name"),
            default_order=(Order("name"),),
        )
        == []
    )


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"columns": ("nmae",)}, "customer: the column nmae does not exist."),
        ({"columns": ("region.x",)}, "customer: the column region.x does not exist."),
        ({"columns": ("tags",)}, "customer: the column tags is of many records."),
        ({"columns": ("orders",)}, "customer: the column orders is of many records."),
        (
            {"columns": ("tags.word",)},
            "customer: the column tags.word is of many records.",
        ),
        ({"columns": ("password",)}, "customer: the column password is secret."),
        ({"loads": ("nowhere",)}, "customer: the column nowhere does not exist."),
        (
            {"search": (SearchField("shout"),)},
            "customer: shout cannot be searched: it is no column.",
        ),
        (
            {"search": (SearchField("password"),)},
            "customer: password cannot be searched: it is secret.",
        ),
        (
            {"filters": (FilterField("name", FilterKind.REFERENCE),)},
            "customer: name cannot be filtered: it is no relationship to one record.",
        ),
        (
            {"filters": (FilterField("shout", FilterKind.TEXT),)},
            "customer: shout cannot be filtered: it is no column.",
        ),
        (
            {"filters": (FilterField("extra", FilterKind.TEXT),)},
            "customer: extra cannot be filtered: its type is JSON().",
        ),
        (
            {"filters": (FilterField("rank", FilterKind.BOOLEAN),)},
            (
                "customer: rank cannot be filtered: its type is Integer(), "
                "which has no boolean filter."
            ),
        ),
        (
            {"sortable": ("shout",)},
            (
                "customer: the list cannot be ordered by shout: "
                "the database knows no such column."
            ),
        ),
        (
            {"default_order": (Order("extra"),)},
            "customer: the list cannot be ordered by extra: its type is JSON().",
        ),
    ],
)
def test_what_cannot_work_is_an_error(
    declared: dict[str, object], message: str
) -> None:
    """One error that names the path and the reason."""
    assert said(**declared) == [message]


def test_words_of_a_number_are_an_error() -> None:
    """Only texts have words."""
    found = said(search=(SearchField("rank", SearchMode.WORD_START),))

    assert "customer: rank has no words to be searched by their start." in found


def test_a_missing_word_index_is_a_warning() -> None:
    """The hint is the index, ready to be copied."""
    spec = ListSpec(
        Purchase,
        "order",
        columns=("id",),
        search=(SearchField("reference", SearchMode.WORD_START),),
    )

    (found,) = check_list(spec)

    assert found.level is Level.WARNING
    assert "search_vector(Order.reference)" in found.hint


def test_a_filter_with_the_name_of_a_parameter_is_an_error() -> None:
    """`page=3` cannot mean both."""
    spec = ListSpec(
        Page,
        "page",
        columns=("id",),
        filters=(FilterField("page", FilterKind.NUMBER),),
    )

    assert [m.id for m in check_list(spec)] == ["listing.E007"]


def test_a_filter_called_as_the_end_of_another_is_an_error() -> None:
    """`page__from=3` cannot mean the column and where the range of another begins."""
    paths = ("page_number", "page_number__from")
    numbers = tuple(FilterField(path, FilterKind.NUMBER) for path in paths)

    found = check_list(ListSpec(Page, "page", columns=("id",), filters=numbers))

    assert [(m.id, "page_number__from" in m.text) for m in found] == [
        ("listing.E007", True)
    ]
