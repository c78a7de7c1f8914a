"""How is a page sent, so that it arrives soon? Compressed, where it is whole and text.

Pages only: files are compressed once at start-up (`admin.assets`), and a stream of rows
shall not wait for its compressor. The token of a form reads differently on every page
(`auth.csrf`), so the length of a compressed page tells nothing of it.
"""

import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A page of 50 rows has 47 kB, 8 kB at this level, in half a millisecond; the highest
# level saves one more and takes three times as long.
LEVEL = 4
GZIP = 16 + zlib.MAX_WBITS
SMALLEST = 1_000
KINDS = ("text/html", "application/json", "application/health+json")


class Compression:
    """Compresses pages that come in one piece, for those who can read it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_wanted = scope["type"] == "http" and "gzip" in Headers(scope=scope).get(
            "accept-encoding", ""
        )
        if not is_wanted:
            await self.app(scope, receive, send)
            return
        begun: Message | None = None

        async def compressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                if is_page(message):
                    begun = message  # its length is known when the body is
                    return
            elif begun is not None:
                start, begun = begun, None
                body = message.get("body", b"")
                is_whole = not message.get("more_body")
                if is_whole and len(body) >= SMALLEST:
                    message = {**message, "body": pack(body)}
                    headers = MutableHeaders(raw=list(start["headers"]))
                    headers["Content-Encoding"] = "gzip"
                    headers["Content-Length"] = str(len(message["body"]))
                    headers.add_vary_header("Accept-Encoding")
                    start = {**start, "headers": headers.raw}
                await send(start)
            await send(message)

        await self.app(scope, receive, compressed)


def is_page(start: Message) -> bool:
    """Whether an answer is text of ours that nobody has encoded yet."""
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in KINDS and "content-encoding" not in headers


def pack(body: bytes) -> bytes:
    """The bytes as gzip."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return packer.compress(body) + packer.flush()
