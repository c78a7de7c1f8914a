"""From where do browsers get stylesheets, scripts and icons, and how often?

All files stand in memory, compressed once at start-up. An address bears the digest of
its file, so a browser asks once and never again; a changed file has a new address.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

FOLDER = "assets"
TABLER = "tabler.min.css"
FOREVER = "public, max-age=31536000, immutable"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    name: str
    media_type: str
    digest: str
    body: bytes
    gzipped: bytes


class Assets:
    """The files of the pages, as an ASGI application.

    A request with an old digest gets today's file, but may not keep it.
    """

    def __init__(self) -> None:
        self.files = {asset.name: asset for asset in read_assets()}

    def text(self, name: str) -> str:
        """The content of a file."""
        return self.files[name].body.decode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = self.respond(scope["method"], scope["path"], Headers(scope=scope))
        await response(scope, receive, send)

    def respond(self, method: str, path: str, headers: Headers) -> Response:
        """The answer to a request for `…/<digest>/<name>`."""
        digest, _, name = path.rpartition("/")
        asset = self.files.get(name)
        if asset is None:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        if method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        is_current = digest.rpartition("/")[2] == asset.digest
        sent = {
            "ETag": f'"{asset.digest}"',
            "Cache-Control": FOREVER if is_current else "no-cache",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if sent["ETag"] in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        body = asset.body
        if "gzip" in headers.get("accept-encoding", ""):
            sent["Content-Encoding"] = "gzip"
            body = asset.gzipped
        sent["Content-Length"] = str(len(body))
        sent["Content-Type"] = asset.media_type
        return Response(b"" if method == "HEAD" else body, headers=sent)


@cache
def all_assets() -> Assets:
    """The files of this process, read and compressed at the first call."""
    return Assets()


def assets_route() -> Mount:
    """The route of all files, to stand in the admin's own router."""
    return Mount(f"/{FOLDER}", app=all_assets(), name=FOLDER)


def asset_url(name: str, prefix: str) -> str:
    """The address of a file, with its digest; LookupError if there is no such file."""
    asset = all_assets().files.get(name)
    if asset is None:
        raise LookupError(f"There is no asset called {name!r}.")
    return f"{prefix}/{asset.digest}/{name}"


def read_assets() -> Iterator[Asset]:
    """Tabler's stylesheet, as SQLAdmin ships it, and all files of our own."""
    yield read_asset(resources.files("sqladmin") / "statics" / "css" / TABLER)
    ours = resources.files("backoffice.admin") / "statics"
    for file in sorted(ours.iterdir(), key=lambda file: file.name):
        if suffix(file) in MEDIA_TYPES:
            yield read_asset(file)


def read_asset(file: Traversable) -> Asset:
    """One file with its digest, compressed."""
    body = file.read_bytes()
    return Asset(
        name=file.name,
        media_type=MEDIA_TYPES[suffix(file)],
        digest=hashlib.sha256(body).hexdigest()[:12],
        body=body,
        gzipped=gzip.compress(body, 9, mtime=0),
    )


def suffix(file: Traversable) -> str:
    """The end of a file's name, from its last dot."""
    return "." + file.name.rpartition(".")[2]
