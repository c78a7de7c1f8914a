"""Who has chosen which rows for which action, kept under a token for an hour."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.bulk.models import Selection
from backoffice.errors import RecordNotFound

LIFETIME = timedelta(hours=1)


def keep_selection(
    session: Session,
    *,
    actor_id: str,
    view: str,
    action: str,
    words: str,
    keys: Sequence[str] | None = None,
    items: Sequence[tuple[str, str]] | None = None,
    undone_run_id: int | None = None,
) -> str:
    """Keep what was chosen, by keys or by the list's query; its token."""
    now = datetime.now(UTC)
    token = secrets.token_urlsafe(24)
    session.add(
        Selection(
            token=token,
            actor_id=actor_id,
            view=view,
            action=action,
            words=words,
            keys=list(dict.fromkeys(keys)) if keys is not None else None,
            items=[list(item) for item in items] if items is not None else None,
            undone_run_id=undone_run_id,
            excluded=[],
            expires_at=now + LIFETIME,
        )
    )
    session.flush()
    return token


def find_selection(
    session: Session, token: str, *, actor_id: str, view: str, lock: bool = False
) -> Selection:
    """What was chosen under this token, by this person and for this view.

    Raises:
        RecordNotFound: there is nothing, not any more, or it is somebody else's.
    """
    query = select(Selection).where(
        Selection.token == token,
        Selection.actor_id == actor_id,
        Selection.view == view,
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.scalars(query).one_or_none()
    if found is None or (found.run_id is None and _is_over(found)):
        raise RecordNotFound(
            "This selection is not there any more: it is kept for an hour, for who "
            "made it. Choose the rows again in the list."
        )
    return found


def _is_over(selection: Selection) -> bool:
    until = selection.expires_at
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return until < datetime.now(UTC)
