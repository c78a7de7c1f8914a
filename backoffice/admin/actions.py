"""What can be done with many records at once: how an action is declared, and offered.

```python
class StudentAdmin(ModelView, model=Student):
    @action("Mark as graduated", description="Sets the status and nothing else.")
    def graduate(self) -> Values:
        return {Student.status: "graduated"}
```

The method returns what is set: `{column: value or SQL expression}`. With `each=True` it
is called with a session and one locked record at a time. Its parameters become a form.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Numeric,
    String,
)

from backoffice.auth.permissions import ACTION_PREFIX
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.database.values import parse_value
from backoffice.editing.fields import FieldKind, FormField
from backoffice.errors import Refused, SettingsError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView

Values = Mapping[Any, Any]
MARK = "_backoffice_action"
F = TypeVar("F", bound=Callable[..., Any])

TYPES: Mapping[FieldKind, Any] = {
    FieldKind.INTEGER: BigInteger(),
    FieldKind.DECIMAL: Numeric(),
    FieldKind.FLOAT: Float(),
    FieldKind.BOOLEAN: Boolean(),
    FieldKind.DATE: Date(),
    FieldKind.DATETIME: DateTime(timezone=True),
    FieldKind.TEXT: String(),
    FieldKind.LONG_TEXT: String(),
    FieldKind.CHOICE: String(),
}


class Where(StrEnum):
    """On which page an action stands."""

    LIST = "list"
    DETAILS = "details"
    BOTH = "both"


class Does(StrEnum):
    """How an action works."""

    SET = "set"
    EACH = "each"
    EDIT = "edit"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that an action has to be told, as a field of its form.

    `minimum` and `maximum` are values as one types them; a choice is (value, label).
    """

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = True
    hint: str = ""
    default: str = ""
    minimum: str = ""
    maximum: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in TYPES:
            raise SettingsError(
                f"The parameter {self.name!r} is of the kind {self.kind}, "
                "which no action can be told."
            )

    @property
    def field(self) -> FormField:
        """The field that asks for it."""
        return FormField(
            self.name,
            self.label,
            FieldKind.CHOICE if self.choices else self.kind,
            required=self.required and self.kind is not FieldKind.BOOLEAN,
            hint=self.hint,
            minimum=self.minimum,
            maximum=self.maximum,
            choices=self.choices,
            nullable=not self.required,
        )

    def parse(self, text: str) -> Any:
        """The value that was typed.

        Raises:
            ValueError: with a sentence for the field.
        """
        if self.kind is FieldKind.BOOLEAN:
            return text == "true"
        if not text.strip():
            if self.required:
                raise ValueError("A value is required.")
            return None
        column: Column[Any] = Column(self.name, TYPES[self.kind], nullable=True)
        value = parse_value(column, text)
        if self.choices and text not in {choice for choice, _ in self.choices}:
            raise ValueError("This is not one of the choices.")
        if self.minimum and value < parse_value(column, self.minimum):
            raise ValueError(f"{text} is less than {self.minimum}, the least.")
        if self.maximum and value > parse_value(column, self.maximum):
            raise ValueError(f"{text} is more than {self.maximum}, the most.")
        return value


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action of a view, in plain data."""

    name: str
    label: str
    description: str = ""
    # Another right that it needs besides its own: "edit", "delete".
    permission: str = ""
    where: Where = Where.LIST
    parameters: tuple[Parameter, ...] = ()
    does: Does = Does.SET
    # What it is called when its parameters are known: "Raise prices by {percent} %".
    title: str = ""
    # The verb of the button: "Change", "Delete".
    verb: str = "Change"
    method: str = ""
    # Attributes that a function is known to change.
    touched: tuple[str, ...] = ()

    @property
    def right(self) -> str:
        """The right that it asks for."""
        return ACTION_PREFIX + self.name

    @property
    def is_asking(self) -> bool:
        """Whether something has to be told before it can be tried."""
        return bool(self.parameters) or self.does is Does.EDIT

    @property
    def menu_label(self) -> str:
        """Its words where it is chosen."""
        return self.label + ("…" if self.is_asking or self.does is Does.DELETE else "")

    def named(self, texts: Mapping[str, str]) -> str:
        """Its words with what it was told in them."""
        labels = {
            one.name: dict(one.choices).get(
                texts.get(one.name, ""), texts.get(one.name)
            )
            for one in self.parameters
        }
        if not self.title:
            return self.label
        return self.title.format(**{k: v or "" for k, v in labels.items()})

    def read(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The values of its parameters.

        Raises:
            Refused: with a sentence for each that is wrong.
        """
        found, problems = {}, {}
        for one in self.parameters:
            try:
                found[one.name] = one.parse(texts.get(one.name, ""))
            except ValueError as problem:
                problems[one.name] = str(problem)
        if problems:
            raise Refused(problems)
        return found

    def change(self, view: "ModelView", texts: Mapping[str, str]) -> Change:
        """What it does to its rows, for one that is a method of the view."""
        mapper = view.description.mapper
        method = getattr(view, self.method)
        values = self.read(texts)
        if self.does is Does.SET:
            return SetValues(mapper, dict(method(**values)))

        def work(session: "Session", record: Any) -> bool | None:
            done: bool | None = method(session, record, **values)
            return done

        return EachRecord(mapper, work, self.touched)


def action(  # noqa: PLR0913 - an action has as many sides, each by its name
    label: str,
    *,
    description: str = "",
    permission: str = "",
    where: Where | str = Where.LIST,
    parameters: Sequence[Parameter] = (),
    each: bool = False,
    title: str = "",
    verb: str = "Change",
    name: str = "",
    touched: Sequence[str] = (),
) -> Callable[[F], F]:
    """Make a method of a view an action on chosen records.

    The method takes its `parameters` by name and returns `{column: value or SQL
    expression}`, which is one update; with `each` it takes a session and one locked
    record before them, changes it, and may return False where there was nothing to do.
    What it raises as `Refused` is that record's alone. Every action is tried, shown
    and rolled back before it is confirmed, and audited when it runs.

    `title` names what is done once the parameters are known ("Raise prices by
    {percent} %"), `verb` begins the button that runs it. The right is
    `action:<name>`, the name by default the method's with dashes; `permission` is
    another one that is needed as well. `touched` are attributes that a function
    changes.
    """

    def mark(method: F) -> F:
        spec = ActionSpec(
            name=name or method.__name__.replace("_", "-"),
            label=label,
            description=description,
            permission=permission,
            where=Where(where),
            parameters=tuple(parameters),
            does=Does.EACH if each else Does.SET,
            title=title,
            verb=verb,
            method=method.__name__,
            touched=tuple(touched),
        )
        setattr(method, MARK, spec)
        return method

    return mark


EDIT_SELECTED = ActionSpec(
    "edit-selected",
    "Edit fields of the selected",
    "Tick the fields to change; all chosen records get the same value.",
    permission="edit",
    does=Does.EDIT,
)
DELETE_SELECTED = ActionSpec(
    "delete-selected",
    "Delete the selected",
    "With what hangs on them; this cannot be undone.",
    permission="delete",
    does=Does.DELETE,
    verb="Delete",
)


def actions_of(view: "ModelView") -> dict[str, ActionSpec]:
    """A view's actions by name, its own first; built once."""
    found: dict[str, ActionSpec] = {}
    for one in _declared(type(view)):
        if one.name in found and found[one.name].method != one.method:
            raise SettingsError(
                f"Two actions of {type(view).__name__} are called {one.name!r}; "
                "give one of them another `name`."
            )
        found.setdefault(one.name, one)
    for built_in in (EDIT_SELECTED, DELETE_SELECTED):
        if built_in.name not in view.disabled_actions and _fits(view, built_in):
            found.setdefault(built_in.name, built_in)
    return {k: v for k, v in found.items() if k not in view.disabled_actions}


def _declared(cls: type) -> Iterator[ActionSpec]:
    """Actions in the order of their methods, the class's before its bases'."""
    for base in cls.__mro__:
        for value in vars(base).values():
            spec = getattr(value, MARK, None)
            if isinstance(spec, ActionSpec):
                yield spec


def _fits(view: "ModelView", spec: ActionSpec) -> bool:
    """Whether an action for every view can be one of this view.

    It may write in ways of its own, which an update of many rows would go around.
    """
    from backoffice.admin.model_view import ModelView

    mapper = view.description.mapper
    if mapper.inherits is not None or len(mapper.tables) != 1:
        return False
    if spec.does is Does.EDIT:
        return type(view).update_record is ModelView.update_record and bool(
            view.description.form_keys
        )
    return True


def offered(call: "Call", view: "ModelView", where: Where) -> tuple[ActionSpec, ...]:
    """The actions that this person may run, on this page."""
    return tuple(
        spec
        for spec in view.actions.values()
        if spec.where in (where, Where.BOTH) and may_run(call, view, spec)
    )


def may_run(call: "Call", view: "ModelView", spec: ActionSpec) -> bool:
    """Whether this person may run an action."""
    return call.may(spec.right, view) and (
        not spec.permission or call.may(spec.permission, view)
    )
