"""A view of one model: SQLAdmin's words, our defaults, and a few words more."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import sqladmin
from sqladmin.models import ModelViewMeta
from sqlalchemy import Select
from sqlalchemy.orm import Session

from backoffice.database.words import plural

if TYPE_CHECKING:
    from backoffice.admin.actions import ActionSpec
    from backoffice.admin.call import Call, Page
    from backoffice.admin.description import Description
    from backoffice.editing.fields import FormField

Attribute = Any  # a mapped attribute, or its name; dotted through to-one relationships


class _KeepsIdentity(ModelViewMeta):
    """SQLAdmin overwrites a declared `identity`; here it is kept, and plurals are.

    So two views of one model, or of two models of the same name, can stand side by
    side.
    """

    def __new__(
        cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any
    ) -> "_KeepsIdentity":
        made = super().__new__(cls, name, bases, attrs, **kwargs)
        if attrs.get("identity"):
            made.identity = attrs["identity"]
        if not attrs.get("name_plural") and hasattr(made, "name"):
            made.name_plural = plural(made.name)  # not Categorys and Addresss
        return made  # type: ignore[no-any-return]


class ModelView(sqladmin.ModelView, metaclass=_KeepsIdentity):
    """Staff's view of one model.

    ```python
    class StudentAdmin(ModelView, model=Student):
        category = "School"
        column_list = [Student.full_name, Student.class_name, Student.school]
        column_searchable_list = [Student.full_name, Student.code]
        column_filters = [Student.status, Student.school]
    ```

    SQLAdmin's words mean what they mean there: `name`, `name_plural`, `category`,
    `column_list`, `column_exclude_list`, `column_export_list`, `column_labels`,
    `column_searchable_list`, `column_filters`, `column_sortable_list`,
    `column_default_sort`, `page_size`, `page_size_options`, `column_details_list`,
    `form_columns`, `form_excluded_columns`, `column_formatters`, `can_create`,
    `can_edit`, `can_delete`, `can_view_details`, `can_export`. The words below are
    ours.
    Everything has a default, so an empty class is a usable view.
    """

    page_size: ClassVar[int] = 0  # 0: the settings' listing.page_size
    page_size_options: ClassVar[Sequence[int]] = (20, 50, 100, 200)
    can_import: ClassVar[bool] = False
    can_export: ClassVar[bool] = True

    label_columns: ClassVar[Sequence[Attribute]] = ()
    """The columns a record is called by: "Okafor, Amara (S-099002)". The first is its
    name in lists; all of them are searched where the record is picked by typing.
    Default: the first text column that is searched, else the first, else the key."""

    column_search_modes: ClassVar[Mapping[Attribute, str]] = {}
    """How a field is searched: contains (default), word_start, starts_with, exact."""

    loads: ClassVar[Sequence[Attribute]] = ()
    """What is read along with each record though no column shows it, for formatters
    and labels: relationships, dotted through to-one ones, and long columns. A list
    loads nothing later; what is not loaded a formatter cannot show. The `scope` of
    other views is not applied to it: that is up to who shows it."""

    column_tones: ClassVar[Mapping[Attribute, Mapping[Any, str]]] = {}
    """The colour of a state that is out of the ordinary: none, ok, warn or bad."""

    form_readonly_columns: ClassVar[Sequence[Attribute]] = ()
    """Columns that the form shows and never writes."""

    form_groups: ClassVar[Sequence[tuple[str, str, Sequence[Attribute]]]] = ()
    """Legend, hint and fields of each part of the form; what is left comes last."""

    form_widths: ClassVar[Mapping[Attribute, str]] = {}
    """How much of a line a field takes: w2, w3 or w4 sixths; "" is all of it."""

    details_related: ClassVar[Sequence[Attribute] | None] = None
    """The to-many relationships that details list; None for all, bounded each."""

    column_related_list: ClassVar[Sequence[Attribute]] = ()
    """The columns of its records on the page of a record that they belong to; the first
    leads there. Default: the list's first six without the counted key."""

    empty_list: ClassVar[str] = ""
    """What the list says while it has no rows; by default "No students yet"."""

    export_formats: ClassVar[Sequence[str]] = ("csv",)
    """As what the list can be exported: csv, json."""

    phone_columns: ClassVar[Sequence[Attribute]] = ()
    """The columns that stay below 640 px, the last on a line of its own; by default
    the first ones that fit."""

    disabled_actions: ClassVar[Sequence[str]] = ()
    """Actions that this view does not have: `edit-selected`, `delete-selected`, own."""

    max_statements: ClassVar[int] = 4
    """How many statements a page of the list may cost."""

    max_ms: ClassVar[float] = 0
    """How many milliseconds of the database a page of the list may cost; 0 is any."""

    actions: Mapping[str, "ActionSpec"]
    """The view's actions by name; worked out with its description."""

    description: "Description"
    """What the options come to; worked out once, when the view is added."""

    def scope(self, select: Select[Any], call: "Call") -> Select[Any]:
        """The rows this person may see: list, details, edit, delete, export, lookup.

        Override it to leave rows out; it is applied everywhere.
        """
        del call
        return select

    @property
    def is_partly_seen(self) -> bool:
        """Whether there may be rows that a person does not see."""
        return type(self).scope is not ModelView.scope

    def record_label(self, record: Any) -> str | None:
        """What a record is called on its pages; None for what its columns say."""
        del record
        return None

    @property
    def names_records(self) -> bool:
        """Whether records are called by words of the view's own."""
        return type(self).record_label is not ModelView.record_label

    def show_record(self, call: "Call", record: Any) -> "Page | None":
        """The details page, drawn in a way of its own; None for the usual one."""
        del call, record
        return None

    def form_fields(
        self, call: "Call", *, is_created: bool
    ) -> tuple["FormField", ...] | None:
        """Fields in place of those that the columns give; None for those."""
        del call, is_created
        return None

    def create_record(
        self, session: Session, values: Mapping[str, str], call: "Call"
    ) -> Any | None:
        """Write a new record in a way of its own; None for the usual one.

        `values` are the raw texts of the form. What is not accepted is raised as
        `backoffice.errors.Refused` with a sentence for each field, all of them at once.
        Where a reference was not understood its text is empty, and what is written is
        rolled back: only what else is in the way is asked.
        """
        del session, values, call
        return None

    def update_record(
        self, session: Session, record: Any, changed: Mapping[str, str], call: "Call"
    ) -> bool:
        """Write changes in a way of its own and return True; False for the usual one.

        `changed` holds the raw texts of shown and changed fields only; `record` is
        locked.
        """
        del session, record, changed, call
        return False

    def delete_record(self, session: Session, record: Any, call: "Call") -> bool:
        """Delete in a way of its own and return True; False for the usual one."""
        del session, record, call
        return False

    @property
    def deletes_as_usual(self) -> bool:
        """Whether `delete_record` is not the view's own: then many can go at once."""
        return type(self).delete_record is ModelView.delete_record

    def why_not_deleted(self, record: Any, call: "Call") -> str:
        """Why this record cannot be deleted, told before; "" where it can."""
        del record, call
        return ""

    def may(self, role: str, action: str) -> bool:
        """Whether this view offers the action at all; roles come on top of it."""
        del role
        flag = _FLAGS.get(action)
        return bool(getattr(self, flag)) if flag else True


_FLAGS = {
    "details": "can_view_details",
    "create": "can_create",
    "edit": "can_edit",
    "delete": "can_delete",
    "export": "can_export",
}

Formatter = Callable[[Any, str], Any]
