"""Is this a request that can be read: text in its address, and not too much of it?"""

from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backoffice.web.middleware.refusal import Refusal

MEGABYTE = 1_000_000

NO_TEXT = Refusal(
    400,
    "This address cannot be read",
    "It holds bytes that are no text. Go back, or start from the first page.",
)


class RequestShape:
    """Refuses addresses that are no text, and bodies beyond `max_bytes`.

    A body whose length is declared is refused before it is read; another as soon as it
    has become too long, by an exception that the page's own error handling draws.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = 10 * MEGABYTE) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.too_large = Refusal(
            413,
            "Too much at once",
            f"A request may carry {max_bytes / MEGABYTE:g} MB; this one has more. "
            "Shorten a text, or ask an operator to raise web.max_request_megabytes.",
            kept="Nothing was changed.",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not (is_text(_sent_path(scope)) and is_text(scope["query_string"])):
            await NO_TEXT.response(scope)(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self.max_bytes:
            await self.refuse(scope, receive, send)
            return
        await self.limited(scope, receive, send)

    async def limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the body through as far as it may go."""
        read, has_begun = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_bytes:
                raise HTTPException(
                    413, self.too_large.text, headers={"Connection": "close"}
                )
            return message

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except HTTPException:
            if read <= self.max_bytes or has_begun:
                raise
            await self.refuse(scope, receive, send)

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say so, and read no further on this connection."""
        response = self.too_large.response(scope)
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def is_text(encoded: bytes) -> bool:
    """Whether this part of an address is UTF-8 without NUL, once decoded."""
    decoded = unquote_to_bytes(encoded)
    try:
        decoded.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in decoded


def _sent_path(scope: Scope) -> bytes:
    """The path as it was sent; servers decode it leniently."""
    sent: bytes = scope.get("raw_path") or scope["path"].encode(
        "utf-8", "surrogatepass"
    )
    return sent
