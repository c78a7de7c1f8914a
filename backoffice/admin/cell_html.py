"""How is a cell written in a table? In Python: a page has hundreds of them.

A template takes several times as long for each, and they are all of a few kinds. What
comes from the database is escaped, here as there.
"""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from backoffice.admin.presentation import Cell

try:
    # What `markupsafe.escape` calls, without making an object of every text: a tenth
    # of the time, hundreds of times a page.
    from markupsafe._speedups import _escape_inner as escape
except ImportError:  # built without its C part
    from html import escape


def row_html(openings: Sequence[str], cells: Sequence[Cell]) -> Markup:
    """A row's cells; `openings` are their `<td>` tags, column by column."""
    drawn = [
        f"{opening}{_KINDS.get(cell.kind, _mono)(cell)}</td>"
        for opening, cell in zip(openings, cells, strict=True)
    ]
    return Markup("".join(drawn))  # noqa: S704 - each part is escaped


def _text(cell: Cell) -> str:
    return escape(cell.text)


def _link(cell: Cell) -> str:
    return f'<a class="strong" href="{escape(cell.url)}">{escape(cell.text)}</a>'


def _ref(cell: Cell) -> str:
    if not cell.url:
        return escape(cell.text)
    return f'<a class="ref" href="{escape(cell.url)}">{escape(cell.text)}</a>'


def _empty(cell: Cell) -> str:
    return f'<span class="muted">{escape(cell.text)}</span>'


def _state(cell: Cell) -> str:
    kind = "badge" if cell.tone in {"warn", "bad"} else "dot"
    return _span(f"{kind} {cell.tone}" if cell.tone else kind, cell)


def _bool(cell: Cell) -> str:
    return _span(f"dot {cell.tone}" if cell.tone else "dot", cell)


def _span(css: str, cell: Cell) -> str:
    return f'<span class="{escape(css)}">{escape(cell.text)}</span>'


def _date(cell: Cell) -> str:
    iso = escape(cell.iso)
    return f'<time datetime="{iso}"{_title(cell)}>{escape(cell.text)}</time>'


def _long(cell: Cell) -> str:
    return f'<span class="long"{_title(cell)}>{escape(cell.text)}</span>'


def _muted(cell: Cell) -> str:
    return f'<span class="muted"{_title(cell)}>{escape(cell.text)}</span>'


def _mono(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.url:
        text = f'<a href="{escape(cell.url)}">{text}</a>'
    return f'<span class="mono"{_title(cell)}>{text}</span>'


def _title(cell: Cell) -> str:
    return f' title="{escape(cell.title)}"' if cell.title else ""


_KINDS: dict[str, Callable[[Cell], str]] = {
    "text": _text,
    "link": _link,
    "ref": _ref,
    "empty": _empty,
    "state": _state,
    "bool": _bool,
    "date": _date,
    "long": _long,
    "muted": _muted,
}
