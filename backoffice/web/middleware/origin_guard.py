"""Did this change come from a page of ours? The browser itself says so.

`Sec-Fetch-Site` is sent by every browser of today over HTTPS and to this machine,
`Origin` by all of them. Where neither is sent there is no browser, and no cookie that
it adds by itself; the form's token (`auth.csrf`) is asked for in any case.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.web.middleware.refusal import Refusal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# "none" is the person: an address typed, a page loaded again.
OWN_SITES = frozenset({"same-origin", "none"})

FOREIGN = Refusal(
    403,
    "Not from this site",
    "This request was sent by a page of another site. "
    "Open the page here and do it again.",
    kept="Nothing was changed.",
)


class OriginGuard:
    """Refuses every unsafe method that another site's page has sent.

    With `public_origin` only that is the own origin; else it is what Host names,
    whatever the scheme: a proxy may have taken HTTPS off.
    """

    def __init__(self, app: ASGIApp, *, public_origin: str = "") -> None:
        self.app = app
        self.public_origin = public_origin.rstrip("/").lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_unsafe = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if is_unsafe and not self.is_own(Headers(scope=scope)):
            await FOREIGN.response(scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def is_own(self, headers: Headers) -> bool:
        """Whether nothing in these headers speaks of another site."""
        sites = headers.getlist("sec-fetch-site")
        if sites:
            return all(site in OWN_SITES for site in sites)
        origins = headers.getlist("origin")
        return all(self.is_own_origin(origin, headers) for origin in origins)

    def is_own_origin(self, origin: str, headers: Headers) -> bool:
        """Whether this origin is ours; "null" is nobody's."""
        if self.public_origin:
            return origin.lower() == self.public_origin
        try:
            named = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(named) and named == headers.get("host", "").lower()
