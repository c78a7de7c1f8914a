"""What a view's options come to: its list, its form, its details, in plain data.

Worked out once, when the view is added, so that a request has nothing to infer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    inspect,
)
from sqlalchemy.orm import Mapper, RelationshipProperty

from backoffice.admin.model_view import ModelView
from backoffice.admin.option_names import check_names
from backoffice.editing.fields import is_counted
from backoffice.errors import SettingsError
from backoffice.listing.spec import (
    FilterField,
    FilterKind,
    ListSpec,
    Order,
    SearchField,
    SearchMode,
)
from backoffice.settings import Settings

RELATED_LIMIT = 10


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One column of the list: its path, its head, and how its values are drawn.

    `name` is what addresses call it; `path` is what is read of a row: a relationship
    is drawn by its target's first label column and leads to the target.
    """

    name: str
    path: str
    label: str
    kind: str
    is_num: bool = False
    reference: str = ""  # the relationship that the value belongs to
    choices: Mapping[Any, str] = field(default_factory=dict)
    tones: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Description:
    """A view in plain data."""

    mapper: Mapper[Any]
    table_name: str
    list_spec: ListSpec
    columns: tuple[ListColumn, ...]
    details: tuple[ListColumn, ...]
    form_keys: tuple[str, ...]
    readonly: frozenset[str]
    form_widths: Mapping[str, str]
    related: tuple[str, ...]
    # As another record's page lists them.
    related_columns: tuple[ListColumn, ...]
    loads: tuple[str, ...]
    label_keys: tuple[str, ...]
    labels: Mapping[str, str]
    search_label: str


def describe(
    view: ModelView, settings: Settings, partly_seen: Collection[type[Any]] = ()
) -> Description:
    """Everything that pages need of a view.

    `partly_seen` are the models of which a person may not see every row.

    Raises:
        SettingsError: an option names something that the model does not have.
    """
    check_names(view)
    mapper: Mapper[Any] = inspect(view.model)
    labels = _Labels(view, mapper)
    label_keys = label_columns(view, mapper)
    paths = list_paths(view, mapper, label_keys)
    columns = tuple(_column(view, mapper, path, labels) for path in paths)
    search = _search_fields(view, mapper, label_keys)
    loads = _loads(view, mapper)
    spec = ListSpec(
        model=view.model,
        identity=view.identity,
        columns=tuple(column.name for column in columns),
        search=search,
        filters=tuple(
            found
            for one in view.get_filters()
            if not is_secret(mapper, (found := _filter(view, mapper, one, labels)).path)
        ),
        sortable=_sortable(view, mapper, columns, label_keys),
        default_order=_default_order(view),
        page_size=view.page_size or settings.listing.page_size,
        page_sizes=tuple(
            sorted(
                {*view.page_size_options, view.page_size or settings.listing.page_size}
            )
        ),
        labels={
            **{path: labels[path] for path in _exported(view, mapper, labels)},
            **{column.name: column.label for column in columns},
        },
        loads=tuple(dict.fromkeys([*(c.path for c in columns if c.reference), *loads])),
        exported=_exported(view, mapper, labels),
        reference_labels={c.name: c.path for c in columns if c.name == c.reference},
        exact_count_limit=settings.listing.exact_count_limit,
        partly_seen=frozenset(partly_seen),
        is_formatted=bool(view.column_formatters),
    )
    return Description(
        mapper=mapper,
        table_name=_table_name(mapper),
        list_spec=spec,
        columns=columns,
        details=_details(view, mapper, labels),
        form_keys=form_keys(view, mapper),
        readonly=frozenset(key_of(one) for one in view.form_readonly_columns),
        form_widths={key_of(k): width for k, width in view.form_widths.items()},
        related=_related(view, mapper),
        related_columns=_related_columns(view, mapper, columns, labels),
        loads=loads,
        label_keys=label_keys,
        labels={c.key: labels[c.key] for c in mapper.attrs},
        search_label=_sentence(list(dict.fromkeys(labels[f.path] for f in search))),
    )


def key_of(attribute: Any) -> str:
    """The name of an attribute that is given as itself or by name."""
    return attribute if isinstance(attribute, str) else str(attribute.key)


def in_words(key: str) -> str:
    """`academic_year` as a head: "Academic year"; `school_id` as "School"."""
    bare = key.removesuffix("_id") if key != "id" else "ID"
    text = "".join(
        f" {letter.lower()}"
        if letter.isupper() and at and bare[at - 1].islower()
        else letter
        for at, letter in enumerate(bare)
    ).replace("_", " ")
    return text[:1].upper() + text[1:]


def is_secret(mapper: Mapper[Any], path: str) -> bool:
    """Whether a path leads to a column that nobody may see, whatever names it."""
    column = column_at(mapper, path)
    return column is not None and bool(column.info.get("secret"))


def _exported(
    view: ModelView, mapper: Mapper[Any], labels: "_Labels"
) -> tuple[str, ...]:
    """The columns of the file, where the view names others than the list's."""
    paths = [key_of(one) for one in view.column_export_list]
    return tuple(_column(view, mapper, path, labels).name for path in paths)


def _loads(view: ModelView, mapper: Mapper[Any]) -> tuple[str, ...]:
    """What the view has loaded along; a path of names leads to each."""
    found = tuple(key_of(one) for one in view.loads)
    for path in found:
        *way, _ = path.split(".")
        for end in range(1, len(way) + 1):
            step = property_at(mapper, ".".join(way[:end]))
            if not isinstance(step, RelationshipProperty) or step.uselist:
                raise SettingsError(
                    f"{type(view).__name__}.loads names {path!r}; "
                    f"{'.'.join(way[:end])!r} is no single reference."
                )
        last = property_at(mapper, path)
        if last is None:
            raise SettingsError(
                f"{type(view).__name__}.loads names {path!r}; "
                f"{mapper.class_.__name__} has no such attribute."
            )
        if getattr(last, "lazy", None) in {"write_only", "dynamic"}:
            raise SettingsError(
                f"{type(view).__name__}.loads names {path!r}, which may hold more "
                "records than can be loaded: ask for them with a statement."
            )
    return found


class _Labels(dict[str, str]):
    """Labels by path: the view's, else the column's own, else its name in words."""

    def __init__(self, view: ModelView, mapper: Mapper[Any]) -> None:
        super().__init__({key_of(k): v for k, v in view.column_labels.items()})
        self.mapper = mapper

    def __missing__(self, path: str) -> str:
        first, _, rest = path.partition(".")
        if rest and first in self:
            return self[first]
        column = column_at(self.mapper, path)
        own = column.info.get("label") if column is not None else None
        if rest and column is None:
            return in_words(path.rpartition(".")[2])
        if rest:
            return own or in_words(first)
        return str(own or in_words(path))


def property_at(mapper: Mapper[Any], path: str) -> Any:
    """What a dotted path leads to: a mapped property, a hybrid, or None."""
    first, _, rest = path.partition(".")
    if rest:
        relationship = mapper.relationships.get(first)
        return (
            property_at(relationship.mapper, rest) if relationship is not None else None
        )
    if first in mapper.attrs:
        return mapper.attrs[first]
    return mapper.all_orm_descriptors.get(first)


def column_at(mapper: Mapper[Any], path: str) -> Column[Any] | None:
    """The table's column behind a path, or None."""
    found = property_at(mapper, path)
    columns = getattr(found, "columns", None)
    return columns[0] if columns and isinstance(columns[0], Column) else None


def label_columns(view: ModelView, mapper: Mapper[Any]) -> tuple[str, ...]:
    """The columns that a record is called by, of a view."""
    given = tuple(key_of(one) for one in view.label_columns)
    if given:
        return given
    searched = [key_of(one) for one in view.column_searchable_list]
    return default_label(mapper, [path for path in searched if "." not in path])


def default_label(
    mapper: Mapper[Any], preferred: Sequence[str] = ()
) -> tuple[str, ...]:
    """The first text column that is searched, else the first, else the key."""
    own = [p.key for p in mapper.column_attrs]
    for key in [*preferred, *own]:
        column = column_at(mapper, key)
        if column is not None and _is_name(column):
            return (key,)
    return tuple(mapper.get_property_by_column(c).key for c in mapper.primary_key)


def _is_name(column: Column[Any]) -> bool:
    """A text that people know a record by, and no choice, secret or reference."""
    return (
        isinstance(column.type, String)
        and not isinstance(column.type, Enum)
        and not column.foreign_keys
        and not column.primary_key
        and not column.info.get("choices")
        and not column.info.get("secret")
    )


def list_paths(
    view: ModelView, mapper: Mapper[Any], label_keys: tuple[str, ...]
) -> tuple[str, ...]:
    """The columns of the list; without a choice of its own, the label and some."""
    if getattr(view, "column_list", None) or getattr(view, "column_exclude_list", None):
        return tuple(
            path for path in view.get_list_columns() if not is_secret(mapper, path)
        )
    keys = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
    others = [
        p.key
        for p in mapper.column_attrs
        if isinstance(p.columns[0], Column)
        and not p.columns[0].info.get("secret")
        and not p.columns[0].foreign_keys
        and not isinstance(p.columns[0].type, LargeBinary)
    ]
    named = [key for key in label_keys if key not in keys]
    rest = [key for key in others if key not in (*keys, *named)]
    return (*keys, *named, *rest)[:7]


def _column(
    view: ModelView, mapper: Mapper[Any], path: str, labels: _Labels
) -> ListColumn:
    """A column of a list or of details."""
    found = property_at(mapper, path)
    if found is None:
        raise SettingsError(
            f"{type(view).__name__} names {path!r}; "
            f"{mapper.class_.__name__} has no such attribute."
        )
    if isinstance(found, RelationshipProperty):
        if found.uselist:
            raise SettingsError(
                f"{type(view).__name__} lists {path!r}, which holds many records; "
                "a list shows columns and single references."
            )
        target = default_label_of(view, found.mapper)
        label = labels[path]
        column = column_at(found.mapper, target[0])
        return ListColumn(
            path,
            f"{path}.{target[0]}",
            label,
            "ref",
            is_numeric(column),
            reference=path,
        )
    column = column_at(mapper, path)
    reference = path.rpartition(".")[0]
    choices = choices_of(column)
    tones = {}
    for attribute, given in view.column_tones.items():
        if key_of(attribute) == path:
            tones = dict(given)
    return ListColumn(
        path,
        path,
        labels[path],
        "ref" if reference else kind_of(column, choices, tones),
        is_numeric(column),
        reference=reference,
        choices=choices,
        tones=tones,
    )


def default_label_of(view: ModelView, mapper: Mapper[Any]) -> tuple[str, ...]:
    """What records of another model are called by: its view's word, if there is one."""
    site = getattr(view, "_admin_ref", None)
    known = site.view_of(mapper.class_) if site is not None else None
    if known is not None and known.label_columns:
        return tuple(key_of(one) for one in known.label_columns)
    return default_label(mapper)


def choices_of(column: Column[Any] | None) -> dict[Any, str]:
    """The values that a column may have, with their labels; empty where it is free."""
    if column is None:
        return {}
    declared = column.info.get("choices")
    if declared:
        return dict(declared)
    if isinstance(column.type, Enum):
        if column.type.enum_class is not None:
            return {m: in_words(str(m.name).lower()) for m in column.type.enum_class}
        return {value: in_words(value) for value in column.type.enums}
    return {}


def kind_of(
    column: Column[Any] | None, choices: Mapping[Any, str], tones: Mapping[Any, str]
) -> str:
    """How a column's values are drawn."""
    if column is None:
        return "text"
    if choices:
        return "state" if tones or column.name in {"status", "state"} else "text"
    if isinstance(column.type, Boolean):
        return "bool"
    if isinstance(column.type, Date | DateTime):
        return "date"
    if column.primary_key or column.name in {"code", "sku", "sha256", "hash"}:
        return "mono"
    return "text"


def is_numeric(column: Column[Any] | None) -> bool:
    """Whether a column's values stand right."""
    return (
        column is not None
        and isinstance(column.type, Integer | Numeric | Float)
        # A key is a name, not an amount: 1500, not 1,500.
        and not column.primary_key
        and not column.foreign_keys
        and not column.info.get("choices")
    )


def _search_fields(
    view: ModelView, mapper: Mapper[Any], label_keys: tuple[str, ...]
) -> tuple[SearchField, ...]:
    """What is searched, and how; the label where nothing is declared."""
    modes = {key_of(k): SearchMode(v) for k, v in view.column_search_modes.items()}
    paths = [key_of(one) for one in view.column_searchable_list]
    if not paths:
        paths = [key for key in label_keys if _is_text(column_at(mapper, key))]
    return tuple(
        SearchField(path, modes.get(path, SearchMode.CONTAINS))
        for path in paths
        if not is_secret(mapper, path)
    )


def _is_text(column: Column[Any] | None) -> bool:
    return column is not None and isinstance(column.type, String)


def _filter(
    view: ModelView, mapper: Mapper[Any], declared: Any, labels: _Labels
) -> FilterField:
    """A filter, declared as an attribute or as one of SQLAdmin's filter objects."""
    attribute = getattr(declared, "column", declared)
    attribute = getattr(declared, "foreign_key", attribute)
    path = key_of(attribute)
    found = property_at(mapper, path)
    # A path is a text, and every text has a method of this name.
    own = None if isinstance(declared, str) else getattr(declared, "title", None)
    label = own or labels[path]
    if isinstance(found, RelationshipProperty):
        return FilterField(path, FilterKind.REFERENCE, label)
    column = column_at(mapper, path)
    if column is None:
        raise SettingsError(
            f"{type(view).__name__} filters by {path!r}, which is no column."
        )
    given = tuple(
        (str(value), str(text))
        for value, text in getattr(declared, "values", None) or ()
        if value != ""
    )
    choices = given or tuple((_raw(v), text) for v, text in choices_of(column).items())
    kind = getattr(declared, "kind", None)
    if kind is not None:
        return FilterField(path, FilterKind(kind), label, choices)
    # A foreign key stands for the relationship that it carries; without one it is a
    # value like another.
    for relationship in mapper.relationships:
        if relationship.local_columns == {column} and not relationship.uselist:
            key = relationship.key
            return FilterField(key, FilterKind.REFERENCE, own or labels[key])
    kind = filter_kind(column, has_choices=bool(choices))
    return FilterField(path, kind, label, choices)


def _raw(value: Any) -> str:
    """A choice as it stands in an address."""
    return str(getattr(value, "name", value))


def filter_kind(column: Column[Any], *, has_choices: bool) -> FilterKind:
    """How a column is asked for."""
    if column.foreign_keys:
        return FilterKind.TEXT
    if has_choices:
        return FilterKind.CHOICE
    if isinstance(column.type, Boolean):
        return FilterKind.BOOLEAN
    if isinstance(column.type, Date | DateTime):
        return FilterKind.DATE
    if isinstance(column.type, Integer | Numeric | Float):
        return FilterKind.NUMBER
    return FilterKind.CHOICE


def _sortable(
    view: ModelView,
    mapper: Mapper[Any],
    columns: Sequence[ListColumn],
    label_keys: tuple[str, ...],
) -> tuple[str, ...]:
    """What may be ordered by; by default what an index leads with, and the name."""
    declared = [key_of(one) for one in view.column_sortable_list]
    if declared:
        return tuple(path for path in declared if not is_secret(mapper, path))
    indexed = {c.name for c in mapper.primary_key}
    for index in getattr(mapper.local_table, "indexes", ()):
        first = next(iter(index.columns), None)
        if first is not None:
            indexed.add(first.name)
    for column in mapper.local_table.columns:
        if column.unique:
            indexed.add(column.name)
    keys = {
        mapper.get_property_by_column(c).key
        for c in mapper.local_table.columns
        if c.name in indexed
        and c in mapper.columns.values()
        and not c.info.get("secret")
    }
    return tuple(c.name for c in columns if c.name in keys or c.name in label_keys[:1])


def _default_order(view: ModelView) -> tuple[Order, ...]:
    """The usual order; without one the highest key comes first."""
    if not view.column_default_sort:
        return ()
    return tuple(
        Order(key_of(attribute), bool(descending))
        for attribute, descending in view._get_default_sort()  # noqa: SLF001
    )


def form_keys(view: ModelView, mapper: Mapper[Any]) -> tuple[str, ...]:
    """The fields of the form: columns and single references, never to-many."""
    chosen = getattr(view, "form_columns", None) or ()
    if chosen:
        return tuple(key_of(one) for one in chosen)
    left_out = {
        key_of(one) for one in getattr(view, "form_excluded_columns", None) or ()
    }
    references = {
        column: relationship.key
        for relationship in mapper.relationships
        if not relationship.uselist
        and relationship.direction.name == "MANYTOONE"
        and not relationship.viewonly  # it writes nothing: the column itself does
        and len(relationship.local_columns) == 1
        for column in relationship.local_columns
    }
    keys: list[str] = []
    for prop in mapper.column_attrs:
        column = prop.columns[0]
        if not isinstance(column, Column) or column.info.get("secret"):
            continue
        key = references.get(column, prop.key)
        if _is_generated_key(column) or column.name in {"created_at", "updated_at"}:
            continue
        if key not in keys and key not in left_out and prop.key not in left_out:
            keys.append(key)
    return tuple(keys)


def _is_generated_key(column: Column[Any]) -> bool:
    """A key that the database or the model makes itself."""
    if not column.primary_key or column.foreign_keys:
        return False
    return bool(
        column.default is not None
        or column.server_default is not None
        or column.identity is not None
        or column.table.autoincrement_column is column
    )


def _details(
    view: ModelView, mapper: Mapper[Any], labels: _Labels
) -> tuple[ListColumn, ...]:
    """What details show: every column but secrets, references by their label."""
    chosen = getattr(view, "column_details_list", None) or ()
    if chosen:
        keys = [key_of(one) for one in chosen]
    else:
        left_out = {
            key_of(one)
            for one in getattr(view, "column_details_exclude_list", None) or ()
        }
        keys = []
        fk_keys = {
            column: r.key
            for r in mapper.relationships
            if not r.uselist and r.direction.name == "MANYTOONE"
            for column in r.local_columns
        }
        for prop in mapper.column_attrs:
            column = prop.columns[0]
            key = fk_keys.get(column, prop.key)
            if key in keys or key in left_out or prop.key in left_out:
                continue
            keys.append(key)
    return tuple(
        _column(view, mapper, key, labels) for key in keys if not is_secret(mapper, key)
    )


def _related_columns(
    view: ModelView,
    mapper: Mapper[Any],
    columns: tuple[ListColumn, ...],
    labels: _Labels,
) -> tuple[ListColumn, ...]:
    """The columns by which records are listed on another record's page."""
    if view.column_related_list:
        paths = [key_of(one) for one in view.column_related_list]
        return tuple(
            _column(view, mapper, path, labels)
            for path in paths
            if not is_secret(mapper, path)
        )
    first = column_at(mapper, columns[0].path) if columns else None
    if len(columns) > 1 and first is not None and is_counted(first):
        return columns[1:]  # a number that the database counted up says nothing
    return columns


def _related(view: ModelView, mapper: Mapper[Any]) -> tuple[str, ...]:
    """The to-many relationships that details list."""
    if view.details_related is not None:
        return tuple(key_of(one) for one in view.details_related)
    return tuple(r.key for r in mapper.relationships if r.uselist)


def _table_name(mapper: Mapper[Any]) -> str:
    """The table's name, with its schema where it has one."""
    return str(getattr(mapper.local_table, "fullname", mapper.local_table))


def _sentence(words: Sequence[str]) -> str:
    """As in: Name, code or e-mail."""
    parts = [
        word[:1].lower() + word[1:] if at and not word[1:2].isupper() else word
        for at, word in enumerate(words)
    ]
    if len(parts) < 2:  # noqa: PLR2004 - one word needs no "or"
        return "".join(parts)
    return f"{', '.join(parts[:-1])} or {parts[-1]}"
