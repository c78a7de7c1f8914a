"""Was this form made by us, for this session? Tokens that say so.

A token is a random part and a signature over it and the session's id. It holds as long
as the session does, and reads differently on every page, so that a compressed page
does not give it away letter by letter.
"""

import hashlib
import secrets

from itsdangerous import Signer

_RANDOM_BYTES = 12


def make_token(secret: str, session_id: str) -> str:
    """A token for one form of this session (`Login.session_id`)."""
    nonce = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{nonce}.{_signature(secret, session_id, nonce)}"


def check_token(secret: str, session_id: str, token: str | None) -> bool:
    """Whether the token was made here for this session; never raises."""
    nonce, dot, signature = (token or "").partition(".")
    if not (nonce and dot and signature):
        return False
    expected = _signature(secret, session_id, nonce)
    # Bytes: compare_digest raises on text that is not ASCII.
    given = signature.encode("utf-8", "replace")
    return secrets.compare_digest(expected.encode(), given)


def _signature(secret: str, session_id: str, nonce: str) -> str:
    signer = Signer(secret, salt="backoffice.csrf", digest_method=hashlib.sha256)
    value = f"{nonce}.{session_id}".encode("utf-8", "replace")
    return signer.get_signature(value).decode()
