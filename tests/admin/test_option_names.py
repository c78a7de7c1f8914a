"""Is a wrong name in a view told at once, in one sentence that says where?"""

from typing import Any

import pytest
from sqlalchemy import ForeignKey, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from backoffice.admin.accounts import AccountAdmin
from backoffice.admin.description import form_keys
from backoffice.admin.model_view import ModelView
from backoffice.admin.option_names import ASKED, SHOWN, check_names
from backoffice.errors import SettingsError


class _Base(DeclarativeBase):
    """Tables of these tests alone; no database has them."""


class _Singer(_Base):
    __tablename__ = "option_names_singers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

    @property
    def initial(self) -> str:
        """No column, and all the same an attribute."""
        return self.name[:1]


class _Song(_Base):
    __tablename__ = "option_names_songs"

    title: Mapped[str] = mapped_column(primary_key=True)
    singer_id: Mapped[int] = mapped_column(
        ForeignKey("option_names_singers.id"), primary_key=True
    )
    singer: Mapped[_Singer] = relationship(viewonly=True)


def view_with(**options: Any) -> ModelView:
    """A view of songs with these options."""
    made = type("SongAdmin", (ModelView,), options, model=_Song)()
    assert isinstance(made, ModelView)
    return made


@pytest.mark.parametrize("option", [*SHOWN, *ASKED])
def test_wrong_name_is_told_with_its_option(option: str) -> None:
    """What an option names and the model has not is said, with what was meant."""
    is_mapping = isinstance(getattr(ModelView, option), dict)
    given = {"titel": ""} if is_mapping else ["titel"]
    told = f"SongAdmin.{option} names 'titel'; _Song has no such attribute. "
    with pytest.raises(SettingsError) as caught:
        check_names(view_with(**{option: given}))
    assert str(caught.value) == f"{told}Is 'title' meant?"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"form_groups": [("Words", "", ["titel"])]},
            "form_groups names 'titel'; _Song has no such attribute. Is 'title' meant?",
        ),
        ({"form_groups": [("Words", ["title"])]}, "has ('Words', ['title']); each"),
        ({"column_default_sort": [("titel", True)]}, "Is 'title' meant?"),
        ({"column_list": ["singer.nam"]}, "Is 'singer.name' meant?"),
        (
            {"column_list": ["album.name"]},
            "names 'album.name'; _Song has no such attribute.",
        ),
        ({"label_columns": "title"}, "it takes several names, as in ['title']."),
        (
            {"column_search_modes": {_Song.title: "fuzzy"}},
            "'fuzzy' of 'title'; it takes contains, word_start, starts_with, exact.",
        ),
    ],
)
def test_what_an_option_cannot_mean_is_told(options: dict[str, Any], told: str) -> None:
    """Groups, orders, dotted names and ways of searching are looked at as well."""
    with pytest.raises(SettingsError) as caught:
        check_names(view_with(**options))
    assert told in str(caught.value)


def test_names_that_are_there_are_taken() -> None:
    """Columns, what references lead to, properties, and a form's own fields."""
    check_names(
        view_with(
            column_list="__all__",
            column_details_list=[_Song.title, "singer.name", "singer.initial"],
            column_default_sort=("title", True),
        )
    )
    check_names(AccountAdmin())


def test_reference_that_writes_nothing_leaves_its_column_to_the_form() -> None:
    """Beside a view-only relationship the form asks for the key itself."""
    assert form_keys(view_with(), inspect(_Song)) == ("title", "singer_id")
