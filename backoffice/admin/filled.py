"""What stands in a form as it is drawn, and what is wrong with it?"""

from dataclasses import dataclass, field

from backoffice.admin.call import Call
from backoffice.admin.cells import record_name
from backoffice.admin.presentation import Choice, Link
from backoffice.admin.record import records_by_key
from backoffice.admin.referring import named
from backoffice.admin.twins import twin_links
from backoffice.editing.fields import FormField
from backoffice.editing.references import Ambiguous
from backoffice.errors import BackofficeError, Refused, StatementTimedOut


@dataclass(slots=True)
class Filled:
    """A form as it is drawn: texts, labels of references, and what is wrong."""

    fields: tuple[FormField, ...]
    texts: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    shown_labels: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    candidates: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    # The ways to the records that have already what was typed.
    links: dict[str, Link] = field(default_factory=dict)
    sentence: str = ""

    def refuse(self, refused: Refused) -> None:
        """Take over what was refused; what is no field here stands above all."""
        own = {one.key for one in self.fields}
        for key, text in refused.fields.items():
            if key in own:
                self.errors[key] = text
            else:
                self.sentence = " ".join(filter(None, (self.sentence, text)))
        if not refused.fields:
            self.sentence = str(refused)
        if isinstance(refused, Ambiguous):
            self.candidates.update(
                {
                    key: tuple(Choice(one.key, one.label) for one in found)
                    for key, found in refused.candidates.items()
                }
            )


def take_refusal(call: Call, filled: Filled, refused: BackofficeError) -> None:
    """What was refused, on its fields; locks and limits are nobody's field."""
    if isinstance(refused, Refused):
        filled.refuse(refused)
        name_candidates(call, filled)
        name_references(call, filled)
        filled.links = twin_links(call, call.model_view, filled.texts, filled.errors)
        return
    sentence = str(refused)
    if isinstance(refused, StatementTimedOut):
        limit = call.site.backoffice.settings.database.statement_timeout
        sentence = (
            f"The database did not get this saved within {limit:g} seconds and stopped."
        )
    elif not sentence:
        sentence = "Somebody else is writing this record."
    filled.sentence = sentence
    if "typed" not in sentence:
        filled.sentence += " Nothing was saved; all that you typed is here."
        if "once more" not in sentence:
            filled.sentence += " Try again in a moment."


def name_candidates(call: Call, filled: Filled) -> None:
    """Call candidates what their view calls them: two may share a name."""
    targets = {one.key: one.target for one in filled.fields}
    for key, choices in filled.candidates.items():
        target = targets[key]
        view = call.site.view_of(target) if target is not None else None
        if view is None:
            continue
        found = records_by_key(call, view, [choice.value for choice in choices])
        filled.candidates[key] = tuple(
            Choice(choice.value, record_name(view, found[choice.value]))
            for choice in choices
            if choice.value in found
        )


def name_references(call: Call, filled: Filled) -> None:
    """Say which records were understood, beside what is in the way."""
    for one in filled.fields:
        is_open = one.key not in filled.candidates and not filled.keys.get(one.key)
        if one.target is None or not is_open:
            continue
        found = named(call, one, filled.labels.get(one.key, ""))
        if found is not None:
            filled.texts[one.key] = filled.keys[one.key] = found.key
            filled.labels[one.key] = found.label
