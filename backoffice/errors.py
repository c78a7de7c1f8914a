"""What can go wrong in words that the person who caused it can use.

BackofficeError
├── SettingsError            a setting is missing, unknown or of the wrong kind
│   └── ModuleProblem        a module that they name cannot be imported; where, and why
├── EnvironmentProblem       the machine: a port in use, a full disk, no PostgreSQL
├── MigrationProblem         a revision is missing, ambiguous, or failed
├── DatabaseUnavailable      no connection could be had in time
├── OutcomeUnknown           the connection broke while a commit was asked for
├── StatementTimedOut        the database stopped a statement that took too long
├── LockNotAvailable         another transaction held a row for too long
├── RecordNotFound           no record has this key
├── NotPermitted             the person may not do this
└── Refused                  a write was refused; which field, and why
    └── StaleRecord          somebody changed a shown column meanwhile
"""

from collections.abc import Mapping


class BackofficeError(Exception):
    """A problem whose text is made for the person who meets it."""


class SettingsError(BackofficeError):
    """Settings that cannot be used; the text names every one of them."""


class ModuleProblem(SettingsError):
    """A module of the project that cannot be imported: its file, line and error.

    `frames` are the lines of the project alone that led there, for its developer.
    """

    def __init__(self, message: str, frames: str) -> None:
        """What an operator is told, and what a developer looks at."""
        super().__init__(message)
        self.frames = frames


class EnvironmentProblem(BackofficeError):
    """The machine lacks something; the text says what and what to do."""


class MigrationProblem(BackofficeError):
    """A revision that is not there, is not the only one so named, or failed."""


class DatabaseUnavailable(BackofficeError):
    """The database could not be reached, or had no connection to give."""


class OutcomeUnknown(BackofficeError):
    """The connection was lost during a commit: it is done as a whole, or not at all."""


class StatementTimedOut(BackofficeError):
    """A statement ran into its time limit and was stopped; nothing was changed."""


class LockNotAvailable(BackofficeError):
    """Another transaction held what this one needed for longer than it may wait."""


class RecordNotFound(BackofficeError):
    """No record has this key, or not for this person."""


class NotPermitted(BackofficeError):
    """The person may not do this; the text says which role may."""


class Refused(BackofficeError):
    """A write that was not done, with a sentence for each field that is in the way.

    `fields` maps attribute names to sentences; the empty name is the whole record.
    """

    def __init__(
        self, fields: Mapping[str, str] | None = None, message: str = ""
    ) -> None:
        self.fields = dict(fields or {})
        super().__init__(message or "; ".join(self.fields.values()))


class StaleRecord(Refused):
    """The record changed after it was shown; nothing was written."""
