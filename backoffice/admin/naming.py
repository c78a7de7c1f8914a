"""What are records and values called that are known by a key, or stand in the audit?"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Date, DateTime
from sqlalchemy.orm import RelationshipProperty

from backoffice.admin.cells import record_name
from backoffice.admin.description import choices_of, column_at
from backoffice.admin.record import records_by_key
from backoffice.admin.words import day, moment
from backoffice.database.keys import parse_key
from backoffice.database.words import words
from backoffice.errors import RecordNotFound

if TYPE_CHECKING:
    from backoffice.admin.call import Call
    from backoffice.admin.model_view import ModelView

LONGEST = 200


def names_of(call: "Call", view: "ModelView", keys: Iterable[str]) -> dict[str, str]:
    """What the records are called that these are keys of, as far as one may see them.

    All are read by one statement; whoever asks asks for as many as a page shows.
    """
    if not call.may("details", view):
        return {}
    records = records_by_key(call, view, _keys(view, dict.fromkeys(keys)))
    return {key: record_name(view, one) for key, one in records.items()}


class Names:
    """Values of columns in words: choices, times, and records that are referred to.

    `values` are those that will be asked for: of each model that some refer to, all
    records are read by one statement. A key of none that the person may see stays one.
    """

    def __init__(
        self,
        call: "Call",
        values: Iterable[tuple["ModelView", Mapping[str, Iterable[Any]]]],
    ) -> None:
        self.call = call
        wanted: dict[str, set[str]] = {}
        for view, columns in values:
            if not call.may("details", view):
                continue
            for key, given in columns.items():
                target = self.target_of(view, key)
                keys = {str(value) for value in given if value not in (None, "")}
                if target is not None and keys:
                    wanted.setdefault(target.identity, set()).update(keys)
        self.found = {
            identity: self._read(identity, keys) for identity, keys in wanted.items()
        }

    def label_of(self, view: "ModelView", key: str) -> str:
        """What a column is called: one that holds a key, as what it refers to."""
        labels = view.description.labels
        relationship = _reference(view, key)
        if relationship is not None:
            return labels.get(relationship.key, relationship.key)
        return labels.get(key, words(key))

    def target_of(self, view: "ModelView", key: str) -> "ModelView | None":
        """The view whose records a column's values are keys of."""
        relationship = _reference(view, key)
        if relationship is None:
            return None
        return self.call.site.view_of(relationship.mapper.class_)

    def _read(self, identity: str, keys: set[str]) -> dict[str, str]:
        view = self.call.site.view_called(identity)
        if view is None or not self.call.may("details", view):
            return {}
        return names_of(self.call, view, keys)

    def text_of(self, view: "ModelView | None", key: str, value: Any) -> str:
        """A value, also one that was recorded, as the view's pages would say it."""
        if view is None or value is None:
            return text_of(value)
        target = self.target_of(view, key)
        if target is not None:
            text = str(value)
            return self.found.get(target.identity, {}).get(text, text_of(value))
        column = column_at(view.description.mapper, key)
        for one, label in choices_of(column).items():
            if str(value) in {str(one), getattr(one, "name", None)}:
                return label
        if isinstance(value, str) and column is not None:
            return _time_in_words(column, value)
        return text_of(value)


def _reference(view: "ModelView", key: str) -> RelationshipProperty[Any] | None:
    """The reference whose key a column holds."""
    mapper = view.description.mapper
    prop = mapper.column_attrs.get(key)
    if prop is None:
        return None
    for relationship in mapper.relationships:
        pairs = relationship.local_remote_pairs or ()
        is_single = len(pairs) == 1 and not relationship.uselist
        if is_single and pairs[0][0] is prop.columns[0]:
            return relationship
    return None


def _time_in_words(column: Column[Any], value: str) -> str:
    """A recorded time or day as pages say it; any other text as it stands."""
    with suppress(ValueError):
        if isinstance(column.type, DateTime):
            return moment(datetime.fromisoformat(value), with_time=True).text
        if isinstance(column.type, Date):
            return day(date.fromisoformat(value))
    return text_of(value)


def _keys(view: "ModelView", texts: Iterable[str]) -> list[str]:
    """Those of the texts that are keys of the view's model, in order."""
    mapper, found = view.description.mapper, []
    for text in sorted(texts):
        try:
            parse_key(mapper, text)
        except RecordNotFound:
            continue
        found.append(text)
    return found


def text_of(value: Any) -> str:
    """A recorded value; "" for empty, cut where it is long."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(Decimal(str(value)).normalize(), "f")
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
