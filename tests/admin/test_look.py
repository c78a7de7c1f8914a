"""Can everybody read it, and does it keep to its own rules?"""

import re
from importlib import resources
from pathlib import Path

import pytest

from backoffice.admin.assets import TABLER, all_assets

HERE = Path(str(resources.files("backoffice.admin")))
TEMPLATES = sorted((HERE / "templates").rglob("*.html"))
SHEET = (HERE / "statics" / "backoffice.css").read_text()

# Every text, with the grounds that it stands on, needs 4.5 …
TEXTS = {
    "text": ("bg", "surface", "sunken", "hover", "tint", "line", "warn-bg", "bad-bg"),
    "muted": ("bg", "surface", "sunken", "hover", "tint", "line"),
    "accent": ("bg", "surface", "hover", "tint", "warn-bg", "bad-bg"),
    "ok": ("surface", "hover", "ok-bg"),
    "warn": ("surface", "hover", "warn-bg"),
    "bad": ("bg", "surface", "hover", "bad-bg"),
}
# … and every control, dot and focus line 3.
SHAPES = {
    "edge": ("bg", "surface"),
    "accent": ("bg", "surface"),
    "ok-dot": ("surface", "ok-bg"),
    "warn-dot": ("surface", "warn-bg"),
    "bad-dot": ("surface", "bad-bg"),
}
WHITE_TEXT_ON = ("accent-fill", "bad-fill")
MEANT = {
    *("badge", "btn", "btn-danger", "btn-primary", "btn-sm", "card", "card-body"),
    *("card-header", "card-title", "form-check-input", "form-control", "form-hint"),
    *("form-label", "form-select", "invalid-feedback", "is-invalid", "small"),
    *("strong", "table"),
}
BUDGET = 150_000  # bytes of a first load, compressed, with a page of 20 KB at most


def tokens(theme: int) -> dict[str, str]:
    """The colours of a theme: 0 is light, 1 is dark."""
    pairs = re.findall(r"--([\w-]+):\s*light-dark\((#\w+),\s*(#\w+)\)", SHEET)
    return {name: colours[theme] for name, *colours in pairs}


def luminance(colour: str) -> float:
    """How bright a colour is, as WCAG counts."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def classes(sheet: str) -> set[str]:
    """All class names of a stylesheet."""
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    sheet = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", sheet)
    return {
        name
        for selector in re.findall(r"([^{}]+)\{", sheet)
        for name in re.findall(r"\.(-?[a-zA-Z_][\w-]*)", selector)
    }


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "ground", "needed"),
    [(front, ground, 4.5) for front, each in TEXTS.items() for ground in each]
    + [(front, ground, 3.0) for front, each in SHAPES.items() for ground in each],
)
def test_contrast(front: str, ground: str, needed: float, theme: int) -> None:
    """Text and shapes stand out from every ground that they stand on."""
    colours = tokens(theme)
    assert contrast(colours[front], colours[ground]) >= needed


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("fill", WHITE_TEXT_ON)
def test_white_on_filled_buttons(fill: str, theme: int) -> None:
    """The words of a filled button can be read."""
    assert contrast("#fff", tokens(theme)[fill]) >= 4.5


def test_no_class_is_tablers_by_accident() -> None:
    """Of our class names only those are Tabler's that are meant to be."""
    assert classes(SHEET) & classes(all_assets().text(TABLER)) == MEANT


def test_every_class_in_use_is_known() -> None:
    """A class in a template has a rule in one of the two stylesheets, or a script."""
    sheets = [name for name in all_assets().files if name.endswith(".css")]
    known = {"field"}.union(*(classes(all_assets().text(name)) for name in sheets))
    used = {
        name
        for template in TEMPLATES
        for value in re.findall(r'class="([^"]*)"', template.read_text())
        for name in re.findall(r"[\w-]+", re.sub(r"\{[%{].*?[%}]\}", " ", value))
    }
    # The beginning of a name whose end is a tone: "t-" of "t-bad".
    beginnings = {name for name in used if name.endswith("-")}
    assert used - beginnings <= known
    assert all(any(one.startswith(name) for one in known) for name in beginnings)


@pytest.mark.parametrize(
    "template", TEMPLATES, ids=lambda path: path.parent.name + "-" + path.name
)
def test_nothing_is_inline(template: Path) -> None:
    """A strict content security policy finds nothing to forbid."""
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


def test_every_icon_exists() -> None:
    """Icons that templates draw, or that actions name, are in icons.svg."""
    known = set(re.findall(r'id="i-(\w+)"', all_assets().text("icons.svg")))
    drawn = {
        name
        for template in TEMPLATES
        for call in re.findall(r"icon\((.*?)\) ?\}\}", template.read_text())
        for name in re.findall(r"'([a-z]+)'", re.sub(r"'\w*':|== '\w+'", "", call))
    }
    named = {
        name
        for source in HERE.rglob("*.py")
        for name in re.findall(r'icon="(\w+)"', source.read_text())
    }
    assert "search" in drawn
    assert drawn | named <= known


def test_the_first_load_is_small() -> None:
    """All stylesheets, scripts and icons leave room for a page within the budget."""
    assert sum(len(asset.gzipped) for asset in all_assets().files.values()) < (
        BUDGET - 20_000
    )
