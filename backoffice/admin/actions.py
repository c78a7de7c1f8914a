"""What can be done with many records at once: how an action is declared, and offered.

```python
class StudentAdmin(ModelView, model=Student):
    @action("Mark as graduated", description="Sets the status and nothing else.")
    def graduate(self) -> Values:
        return {Student.status: "graduated"}
```

The method returns what is set: `{column: value or SQL expression}`. With `each=True` it
is called with a session and one locked record at a time. Its parameters become a form.

An action may also change nothing, and answer with something:

```python
    @action("Report cards to print", answers=True)
    def print_cards(self, call: Call, selected: Selected) -> Reply:
        cards = selected.records(call.session, most=200)
        return Page("school/cards", cards, frame(call, title="Report cards"))
```

It has an address of its own, and a transaction that only reads. One that has to begin
something (a report, an import) says `starts=True` as well: it is called by the POST of
its button, may write, and leads to the page of what it began.
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
    Select,
    String,
)

from backoffice.admin.words import within_sentence
from backoffice.auth.permissions import ACTION_PREFIX
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.database.values import parse_value
from backoffice.editing.fields import FieldKind, FormField
from backoffice.errors import Refused, SettingsError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backoffice.admin.call import Call, Reply
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
    ANSWER = "answer"


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


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What was chosen for an action that answers, as far as the person may see it.

    `rows` are the records in no order, `keys` the columns that make one, `words` what
    was chosen: "3 ticked students".
    """

    rows: Select[Any]
    keys: tuple[Any, ...]
    words: str
    name_plural: str = "records"

    def records(
        self, session: "Session", *, most: int, options: Sequence[Any] = ()
    ) -> list[Any]:
        """The records in the order of their key; `options` are the ORM's loads.

        Raises:
            Refused: there are more, and how many may be chosen.
        """
        wanted = self.rows.options(*options).order_by(None).order_by(*self.keys)
        found = list(session.scalars(wanted.limit(most + 1)).unique())
        if len(found) > most:
            raise Refused(
                message=f"More than {most:,} {within_sentence(self.name_plural)} are "
                "chosen, the most at once. Choose fewer."
            )
        return found


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
    # The verb of the button: "Change", "Delete", "Show".
    verb: str = "Change"
    method: str = ""
    # Attributes that a function is known to change.
    touched: tuple[str, ...] = ()
    # An answer that begins something: by POST alone.
    starts: bool = False

    @property
    def right(self) -> str:
        """The right that it asks for; to be answered is to read."""
        if self.does is Does.ANSWER:
            return self.permission or "details"
        return ACTION_PREFIX + self.name

    @property
    def is_answer(self) -> bool:
        """Whether it changes no row and answers with something."""
        return self.does is Does.ANSWER

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

    def answer(
        self,
        view: "ModelView",
        call: "Call",
        selected: "Selected",
        texts: Mapping[str, str],
    ) -> "Reply":
        """What it answers with, for one that changes no row."""
        method = getattr(view, self.method)
        reply: Reply = method(call, selected, **self.read(texts))
        return reply

    def change(self, view: "ModelView", texts: Mapping[str, str]) -> Change:
        """What it does to its rows, for one that is a method of the view.

        Raises:
            Refused: it changes none.
        """
        if self.is_answer:
            raise Refused(message=f"“{self.label}” changes nothing: it answers.")
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
    verb: str = "",
    name: str = "",
    touched: Sequence[str] = (),
    answers: bool = False,
    starts: bool = False,
) -> Callable[[F], F]:
    """Make a method of a view an action on chosen records.

    The method takes its `parameters` by name and returns `{column: value or SQL
    expression}`, which is one update; with `each` it takes a session and one locked
    record before them, changes it, and may return False where there was nothing to do.
    What it raises as `Refused` is that record's alone. Every action is tried, shown
    and rolled back before it is confirmed, and audited when it runs.

    With `answers` it changes nothing: it is called with the call and what is selected,
    and returns a page, a file or an address (`backoffice.admin.call.Reply`). It reads
    alone, at an address of its own, unless it `starts` something: then it is called by
    the POST of its button. Its right is `permission`, by default that of the details.

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
            does=_does(each=each, answers=answers),
            title=title,
            verb=verb or ("Show" if answers else "Change"),
            method=method.__name__,
            touched=tuple(touched),
            starts=starts,
        )
        setattr(method, MARK, spec)
        return method

    if starts and not answers:
        raise SettingsError(f"The action {label!r} starts something: let it answer.")
    return mark


def _does(*, each: bool, answers: bool) -> Does:
    if each and answers:
        raise SettingsError("An action answers, or is called with each record.")
    return Does.ANSWER if answers else Does.EACH if each else Does.SET


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
