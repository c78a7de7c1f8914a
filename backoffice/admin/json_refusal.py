"""What does a machine read in the place of a page that says no?"""

from collections.abc import Iterator

from backoffice.admin.call import Data, Page
from backoffice.admin.presentation import (
    ConflictView,
    ErrorView,
    FormView,
    ListView,
    Message,
)
from backoffice.admin.presentation_bulk import AskView


def is_refusal(page: Page) -> bool:
    """Whether a page says that there is not what was asked for."""
    return page.status >= 400  # noqa: PLR2004 - where HTTP's errors begin


def refusal_data(page: Page) -> Data:
    """The heading and the sentences of a page whose status is an error's."""
    heading = page.frame.title.removeprefix("Error: ")
    sentences = dict.fromkeys(text for text in _sentences(page.view) if text)
    return Data({"error": heading, "detail": " ".join(sentences)}, page.status)


def _sentences(view: object) -> Iterator[str]:
    """What is wrong, as the page tells it to a person."""
    match view:
        case ErrorView():
            yield view.text
        case ConflictView():
            yield view.sentence
        case ListView():
            wrong = [chip for chip in view.chips if chip.kind == "error"]
            yield from (f"{chip.label}: {chip.text}" for chip in wrong)
            if view.empty is not None:
                yield f"{view.empty.heading.rstrip('.')}. {view.empty.text}".strip()
        case FormView() | AskView():
            yield view.summary
            for one in view.problems:
                yield f"{one.label}: {one.text}" if one.label else one.text
    notes: tuple[Message, ...] = getattr(view, "notes", ())
    yield from (note.text for note in notes)
