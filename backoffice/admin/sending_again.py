"""How a form that met no database is sent once more: by a button that carries it.

The browser's Back would load the form anew, without what was typed.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from backoffice.admin.own_names import TOKEN
from backoffice.admin.presentation import Action

# What no page carries, not even hidden.
PASSWORDS = frozenset({"password", "old", "new", "again"})

KEPT = "What you typed is kept in this page: send it again in a moment."


def send_again(request: Request, items: Sequence[tuple[str, Any]]) -> Action | None:
    """The button; none where a password or a file was sent, or nothing at all."""
    sent = [(name, value) for name, value in items if name != TOKEN]
    if not sent or any(
        name in PASSWORDS or not isinstance(value, str) for name, value in sent
    ):
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return Action(
        "Send it again",
        request.url.path + query,
        is_primary=True,
        method="post",
        fields=tuple(sent),
    )
