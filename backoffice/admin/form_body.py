"""What does a form say that was sent as most forms are, `a=1&b=two+words`?

To decode megabytes takes seconds, as every letter beyond ASCII is written in signs of
three. The event loop would stand still meanwhile: large bodies are read in a thread.
"""

import re
from functools import partial

import anyio.to_thread
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

# Below it is read at once: a thread costs as much.
LARGE = 20_000
ENCODED = "application/x-www-form-urlencoded"

_SIGNS = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


async def read_form(
    request: Request, most_fields: int, threads: anyio.CapacityLimiter
) -> FormData | None:
    """The fields of a form; None where it was sent in another way.

    Raises:
        HTTPException: there are too many of them.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != ENCODED:
        return None
    body = await request.body()
    if len(body) <= LARGE:
        return fields_of(body, most_fields)
    return await anyio.to_thread.run_sync(
        partial(fields_of, body, most_fields), limiter=threads
    )


def fields_of(body: bytes, most: int) -> FormData:
    """The fields of an encoded body, in their order.

    Raises:
        HTTPException: there are more than `most`, or bytes that are no text: what was
            meant is not guessed.
    """
    if body.count(b"&") >= most:
        raise HTTPException(400, f"A form has at most {most:,} fields.")
    pairs = (part.partition(b"=") for part in body.split(b"&") if part)
    try:
        return FormData([(_text(name), _text(value)) for name, _, value in pairs])
    except UnicodeDecodeError as error:
        raise HTTPException(
            400, "The form holds bytes that are no UTF-8 text; nothing of it was read."
        ) from error


def _text(encoded: bytes) -> str:
    return _SIGNS.sub(_signs, encoded.replace(b"+", b" ")).decode()


def _signs(found: "re.Match[bytes]") -> bytes:
    """A whole row of signs at once, as letters take several of them."""
    return bytes.fromhex(found[0].replace(b"%", b"").decode())
