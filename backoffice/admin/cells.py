"""How a record's values are drawn: in lists, among facts, and as its name."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from backoffice.admin import words
from backoffice.admin.call import quoted_part
from backoffice.admin.description import ListColumn, column_at
from backoffice.admin.presentation import Cell
from backoffice.database.keys import format_key
from backoffice.database.values import format_value
from backoffice.observability.lazy_loads import note_not_loaded

if TYPE_CHECKING:
    from backoffice.admin.model_view import ModelView
    from backoffice.admin.site import Site

CellMaker = Callable[[Any], Cell]

EMPTY = Cell("none", "empty")
# There is a record, and this person may not see it.
HIDDEN = Cell("hidden", "empty", title="You may not see this record")
LONG_TEXT = 120
# A name of the length of a text leads to the record by its beginning.
LONGEST_NAME = 48
YES, NO = Cell("yes", "bool"), Cell("no", "bool", tone="none")


def cell_makers(
    site: "Site", view: "ModelView", columns: Sequence[ListColumn], role: str
) -> tuple[CellMaker, ...]:
    """For each column a function from a record to its cell, ready for this role."""
    return tuple(cell_maker(site, view, column, role) for column in columns)


def cell_maker(
    site: "Site", view: "ModelView", column: ListColumn, role: str
) -> CellMaker:
    """The function that draws one column of a record."""
    formatter = _formatter(view, column)
    if formatter is not None:
        return formatter
    draw = value_drawer(view.description.mapper, column)
    if not column.reference:
        read = attrgetter(column.path)
        return lambda record: draw(read(record))
    read_target = _reader(column.reference)
    target = target_mapper(view.description.mapper, column.reference)
    related = site.view_of(target.class_)
    own = column.path.rpartition(".")[2]
    prefix = ""
    if related is not None and site.may(role, "details", related):
        prefix = f"{site.base_url}/{quoted_part(related.identity)}/details/"

    def reference(found: Any) -> Cell:
        cell = draw(getattr(found, own))
        if not prefix:
            return cell if cell.kind == "empty" else Cell(cell.text, title=cell.title)
        url = prefix + quoted_part(format_key(target, found))
        return Cell(cell.text, "ref", url, title=cell.title)

    is_hidden = _hidden_reader(view.description.mapper, column.reference, related)

    # Many records of a page refer to the same one, which is loaded once. It is kept,
    # so that its id is nobody else's.
    drawn: dict[int, tuple[Any, Cell]] = {}

    def once(record: Any) -> Cell:
        found = read_target(record)
        if found is None:
            return HIDDEN if is_hidden(record) else EMPTY
        known = drawn.get(id(found))
        if known is None:
            known = drawn[id(found)] = (found, reference(found))
        return known[1]

    return once


def _reader(path: str) -> Callable[[Any], Any]:
    """Follow single references; None where one of them is empty."""
    names = path.split(".")

    def read(record: Any) -> Any:
        for name in names:
            record = getattr(record, name)
            if record is None:
                return None
        return record

    return read


def _hidden_reader(
    mapper: Mapper[Any], path: str, related: "ModelView | None"
) -> Callable[[Any], bool]:
    """Whether a reference that was read as none has a key all the same."""
    if related is None or not related.is_partly_seen:
        return lambda _record: False
    way, _, name = path.rpartition(".")
    parent = target_mapper(mapper, way) if way else mapper
    keys = [
        parent.get_property_by_column(column).key
        for column in parent.relationships[name].local_columns
    ]
    read = _reader(way) if way else None

    def is_hidden(record: Any) -> bool:
        owner = read(record) if read is not None else record
        return owner is not None and any(getattr(owner, k) is not None for k in keys)

    return is_hidden


def target_mapper(mapper: Mapper[Any], path: str) -> Mapper[Any]:
    """The model that a path of relationships leads to."""
    for name in path.split("."):
        mapper = mapper.relationships[name].mapper
    return mapper


def _formatter(view: "ModelView", column: ListColumn) -> CellMaker | None:
    """The view's own formatter; one that raises costs its cell, not the page."""
    for attribute, function in view.column_formatters.items():
        name = attribute if isinstance(attribute, str) else attribute.key
        if name != column.name:
            continue

        def draw(record: Any, function: Any = function, name: str = name) -> Cell:
            try:
                return Cell(str(function(record, name)))
            except Exception as error:  # noqa: BLE001 - somebody else's function
                note_not_loaded(error, record)
                return Cell("cannot be shown", "empty")

        return draw
    return None


def value_drawer(mapper: Mapper[Any], column: ListColumn) -> Callable[[Any], Cell]:
    """How values of this column are drawn."""
    table_column = column_at(mapper, column.path)
    if column.choices:
        return _choice_drawer(column.choices, column.tones, column.kind)

    # A year is a name, not an amount: 2025, not 2,025.
    is_plain = "year" in column.path

    def draw(value: Any) -> Cell:  # noqa: PLR0911 - one way for each kind
        if value is None:
            return EMPTY
        if type(value) is str:
            return _text(value, column.kind)
        match value:
            case bool():
                return YES if value else NO
            case int() | float() | Decimal():
                if column.is_num and not is_plain:
                    return Cell(words.number(value))
                return Cell(str(value), "mono" if column.kind == "mono" else "text")
            case datetime():
                moment = words.moment(value)
                return Cell(moment.text, "date", title=moment.full, iso=moment.iso)
            case date():
                iso = value.isoformat()
                return Cell(words.day(value), "date", title=iso, iso=iso)
            case str():
                return _text(value, column.kind)
            case dict() | list():
                text = (
                    format_value(table_column, value)
                    if table_column is not None
                    else str(value)
                )
                return _text(text, "code")
        text = (
            format_value(table_column, value)
            if table_column is not None
            else str(value)
        )
        return _text(text, column.kind)

    return draw


def _text(value: str, kind: str) -> Cell:
    """A text on one line; the whole of a long one is on the details page."""
    if not value:
        return Cell("empty", "empty")
    if len(value) > LONG_TEXT:
        return Cell(value[: LONG_TEXT - 1] + "…", kind if kind != "ref" else "text")
    return Cell(value, kind)


def _choice_drawer(
    choices: Mapping[Any, str], tones: Mapping[Any, str], kind: str
) -> Callable[[Any], Cell]:
    """A known value by its label; an unknown one as it stands."""
    known = {
        value: Cell(label, kind, tone=str(tones.get(value, "")))
        for value, label in choices.items()
    }

    def draw(value: Any) -> Cell:
        if value is None:
            return EMPTY
        return known.get(value) or Cell(str(value), kind)

    return draw


def name_column(view: "ModelView", columns: Sequence[ListColumn]) -> int:
    """The column of a table whose cells lead to the record."""
    names = view.description.label_keys[:1]
    return next((at for at, one in enumerate(columns) if one.name in names), 0)


def name_cell(own: Cell, key: str, url: str) -> Cell:
    """The way to a record: by its name, or by its key where it has none to read."""
    is_named = own.kind != "empty" and own.text.strip()
    return Cell(
        words.shortened(own.text if is_named else key, LONGEST_NAME), "link", url
    )


def full_cell(
    site: "Site", view: "ModelView", column: ListColumn, role: str, record: Any
) -> Cell:
    """A value among facts: as in a list, but whole."""
    cell = cell_maker(site, view, column, role)(record)
    if cell.kind in {"text", "long", "code"} and cell.text.endswith("…"):
        value = attrgetter(column.path)(record)
        table_column = column_at(view.description.mapper, column.path)
        text = (
            format_value(table_column, value)
            if table_column is not None
            else str(value)
        )
        return Cell(text, "code" if cell.kind == "code" else "long")
    if cell.kind == "text" and "\n" in cell.text:
        return Cell(cell.text, "long")
    return cell


def record_name(view: "ModelView", record: Any) -> str:
    """What a record is called: its label columns, or what its `__str__` says."""
    own = view.record_label(record)
    if own:
        return words.apart(own)
    cls = type(record)
    if not view.label_columns and "__str__" in {
        name for base in cls.__mro__[:-1] for name in vars(base)
    }:
        return words.apart(str(record))
    return label_of(record, view.description.label_keys)


def primary_keys(mapper: Mapper[Any]) -> set[str]:
    """The attributes of the primary key."""
    return {mapper.get_property_by_column(c).key for c in mapper.primary_key}


def label_of(record: Any, keys: Sequence[str]) -> str:
    """As in: Okafor, Amara (S-099002, 9B)."""
    mapper: Mapper[Any] = inspect(type(record))
    values = []
    for key in keys:
        value = attrgetter(key)(record) if "." not in key else _reader(key)(record)
        # A name of blanks only would be a link that nobody sees.
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        column = column_at(mapper, key)
        values.append(format_value(column, value) if column is not None else str(value))
    if not values:
        return format_key(mapper, record)
    first, *rest = map(words.apart, values)
    if rest and all(key in primary_keys(mapper) for key in keys):
        # Parts of one key: none is a remark on another.
        return ", ".join([first, *rest])
    return f"{first} ({', '.join(rest)})" if rest else first
