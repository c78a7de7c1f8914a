"""With whose values may somebody have a statement planned? With their own.

How many rows a plan expects, and which way it takes, hints at the values that it was
made for, also where they are masked. What somebody typed into a list or an action is
theirs, and what their own scope adds says no more than the list itself does. What a
call ran with was typed by somebody or read from some row, also on one's own page:
without the right to see values its statement is planned for any.
"""

from dataclasses import replace

from backoffice.admin.words import series
from backoffice.auth.permissions import may, roles_that_may
from backoffice.auth.sessions import Login
from backoffice.explain.report import Question
from backoffice.explain.statement import Caught, without_values

RIGHT = "ops:see_values"


def as_asked_by(login: Login, question: Question, dialect: str) -> Question:
    """The question as this person may ask it: as it is, or planned for any values."""
    if may(login.role, RIGHT) or question.typed_by == str(login.user_id):
        return question
    note, remedy = why_generic_for(login.role), f"{_who()} may explain it with them."
    return replace(
        question,
        statements=tuple(
            without_values(one, _noted(one, note), remedy, dialect)
            if one.values is not None or one.fingerprint
            else one
            for one in question.statements
        ),
    )


def why_generic_for(role: str) -> str:
    """Why a plan for this role is one for any values; empty where it is not."""
    if may(role, RIGHT):
        return ""
    return f"Generic plan: the role {role} may not see its values."


def _noted(one: Caught, note: str) -> str:
    """What is to be said of a plan; of a list's statement also when it is sent."""
    return note if one.fingerprint else f"{one.note} {note}".strip()


def why_not_run(role: str) -> str:
    """Why this role may not have a call's statement run again."""
    return (
        "To be measured a statement is run with its values, and the role "
        f"{role} may not see those; {_who()} may."
    )


def _who() -> str:
    return series([str(one) for one in roles_that_may(RIGHT)] or ["nobody"], "or")
