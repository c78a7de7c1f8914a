"""Is what comes out of the templates sound HTML, and nobody else's?"""

from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from backoffice.admin.own_names import TOKEN
from backoffice.admin.presentation import (
    Frame,
    MenuGroup,
    MenuItem,
    Message,
    stacked,
)
from backoffice.admin.presentation_bulk import PickBar
from backoffice.admin.templating import render
from tests.admin.sample_pages import PAGES, STUDENTS, frame, rows

VOID = {"meta", "link", "input", "br", "use", "img"}
POISON = "\"'><script>alert(1)</script>"
KEPT = {"kind", "control", "level", "fate", "theme", "width", "icon", "method", "stack"}


class Reader(HTMLParser):
    """Collects tags that do not match, ids and what refers to ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.referred: set[str] = set()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag and what it says about ids."""
        values = dict(attrs)
        if len(values) < len(attrs):
            self.wrong.append(f"{tag} says something twice")
        self.tags.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("for", "aria-describedby", "aria-labelledby"):
            if values.get(name):
                self.referred.add(str(values[name]))
        href = values.get("href") or ""
        if tag == "a" and href.startswith("#"):
            self.referred.add(href[1:])

    def handle_endtag(self, tag: str) -> None:
        """Check that a tag closes the one that is open."""
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> in the wrong place")


def read(html: str) -> Reader:
    """The tags of a page."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def poisoned(value: Any) -> Any:
    """The same view with hostile text wherever there is text."""
    if isinstance(value, str):
        return POISON if value else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        return type(value)(
            *(each if name in KEPT else poisoned(each) for name, each in pairs)
        )
    if isinstance(value, tuple):
        return tuple(poisoned(each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            each.name: poisoned(getattr(value, each.name))
            for each in fields(value)
            if each.init and each.name not in KEPT
        }
        return replace(value, **changed)
    return value


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(name: str) -> None:
    """Tags match, ids are there once, and whatever is referred to exists."""
    reader = read(render(*PAGES[name]))
    assert not reader.wrong
    assert not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.referred <= set(reader.ids)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_heading(name: str) -> None:
    """There is exactly one h1 and one main."""
    tags = [tag for tag, _ in read(render(*PAGES[name])).tags]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1


@pytest.mark.parametrize("name", PAGES)
def test_text_is_never_markup(name: str) -> None:
    """Nothing that a person could have typed becomes a tag or an attribute."""
    template, view, around = PAGES[name]
    home = around.home_url
    html = render(template, poisoned(view), replace(poisoned(around), home_url=home))
    assert "<script>alert" not in html
    assert not read(html).wrong


@pytest.mark.parametrize("name", PAGES)
def test_every_post_carries_the_token(name: str) -> None:
    """No form that changes something lacks the token that proves where it is from."""
    html = render(*PAGES[name])
    posts = html.split('method="post"')[1:]
    assert all(
        f'name="{TOKEN}" value="token"' in post.partition("</form>")[0]
        for post in posts
    )


def test_a_page_with_errors_says_so_in_its_title() -> None:
    """Who hears only the title hears that the form was refused."""
    assert "<title>Error: Edit report card" in render(*PAGES["form"])


@pytest.mark.parametrize(
    ("total", "choice"),
    [
        ("400", "all 400 that match"),
        ("about 40,000", "all that match, about 40,000"),
        ("more than 10,000", "all that match, more than 10,000"),
    ],
)
def test_all_that_match_is_said_in_english(total: str, choice: str) -> None:
    """A number that was not counted stands behind the words."""
    pick = PickBar("/admin/student/actions", "", total, (), rows=2)
    html = render("list", replace(STUDENTS, pick=pick), frame("Students"))
    assert f"<span>{choice}</span>" in html


def test_the_theme_is_on_the_page() -> None:
    """A chosen theme is there before any script; automatic leaves it out."""
    assert 'data-bs-theme="dark"' in render(
        "list", STUDENTS, frame("Students", theme="dark")
    )
    assert "data-bs-theme" not in render("list", STUDENTS, frame("Students"))


def test_a_text_keeps_its_first_line_break() -> None:
    """A text area that begins with an empty line comes back with it."""
    template, view, around = PAGES["form"]
    html = render(template, view, around)
    assert 'name="note" rows="3" maxlength="500">\nGood.</textarea>' in html


def test_a_wrong_day_stays_in_its_field() -> None:
    """A date field would drop what is no date, so that it gets a plain one."""
    tags = read(render(*PAGES["form"])).tags
    kinds = {each.get("name"): each.get("type") for tag, each in tags if tag == "input"}
    assert kinds["due"] == "date"
    assert kinds["wrong"] is None


def test_a_long_menu_folds() -> None:
    """Above 30 entries the groups of the menu open and close, the current one open."""
    menu = tuple(
        MenuGroup(
            f"Group {group}",
            tuple(
                MenuItem(f"View {group}.{line}", "/x", group == line == 2)
                for line in range(8)
            ),
        )
        for group in range(4)
    )
    html = render("list", STUDENTS, frame("Students", menu=menu))
    assert html.count('<details class="fold"') == 4
    assert html.count('<details class="fold" open>') == 1


def test_a_message_is_announced() -> None:
    """What the last request did is told to those who do not see it."""
    saved = frame("Students", messages=(Message("ok", "Saved."), Message("bad", "No.")))
    tags = read(render("list", STUDENTS, saved)).tags
    roles = [each.get("role") for _, each in tags]
    assert "status" in roles
    assert "alert" in roles


def test_a_project_overrides_a_page(tmp_path: Path) -> None:
    """A file of the same name in the project's `templates/` is drawn instead."""
    folder = tmp_path / "templates" / "backoffice"
    folder.mkdir(parents=True)
    (folder / "error.html").write_text(
        "{% extends 'backoffice/base.html' %}"
        "{% block main %}Ours: {{ view.text }}{% endblock %}"
    )
    _, view, around = PAGES["error"]
    assert "Ours: Saving stopped" in render("error", view, around, tmp_path)


def test_assets_stand_under_the_admin() -> None:
    """A site that does not stand at /admin has its files where it stands."""
    html = render("list", STUDENTS, Frame("Students", home_url="/office/"))
    assert 'href="/office/assets/' in html
    assert "/admin/assets/" not in html


def test_a_list_is_not_padded() -> None:
    """Fifty rows cost few bytes more than their words."""
    html = render("list", replace(STUDENTS, rows=rows(50)), frame("Students"))
    assert len(html) < 45_000


@pytest.mark.parametrize(
    ("kinds", "stacks"),
    [
        (("link", "text", "state"), ("first", "", "up")),
        (("mono", "link", "ref", "date"), ("gone", "first", "bare", "")),
        (("text", "text", "text", "text", "text"), ("first", "", "", "", "gone")),
        (("state", "text"), ("first", "")),
        (
            ("link", "ref", *["text"] * 7, "bool", "date"),
            ("first", "bare", "", "", *["gone"] * 4, "", "", "gone"),
        ),
    ],
)
def test_stacked(kinds: tuple[str, ...], stacks: tuple[str, ...]) -> None:
    """On a telephone a row is its name, its state and little more."""
    assert stacked(kinds) == stacks
