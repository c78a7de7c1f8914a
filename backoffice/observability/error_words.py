"""What does an error's code say? Words for those who do not know SQLSTATEs by heart."""

import re

from psycopg import errors

# What psycopg has no class for, or a word that tells less than this one.
WORDS = {
    "08001": "no connection",
    "08006": "connection lost",
    "25P03": "idle too long",
    "53300": "no connection left",
    "55P03": "lock timeout",
    "57014": "cancelled",
    "57P01": "session ended",
    "57P03": "server not ready",
    "ConnectionTimeout": "no connection in time",
}
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


def error_words(code: str) -> str:
    """The words, and the code behind them: "division by zero (22012)"."""
    words = WORDS.get(code, "")
    if not words and _SQLSTATE.fullmatch(code):
        try:
            words = _HUMP.sub(" ", errors.lookup(code).__name__).lower()
        except KeyError:
            return code
    if code.startswith("SQLITE_"):
        words = code.removeprefix("SQLITE_").replace("_", " ").lower()
    if code in WORDS and not _SQLSTATE.fullmatch(code):
        # The name of a driver's class tells nobody more than the words.
        return words
    return f"{words} ({code})" if words else code
