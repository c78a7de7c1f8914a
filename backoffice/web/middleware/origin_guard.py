"""Did this change come from a page of ours? The browser itself says so.

`Sec-Fetch-Site` is sent by every browser of today over HTTPS and to this machine,
`Origin` by all of them, `Referer` by those that are asked not to. A request that says
nothing is refused: a script that means to write says `Origin` itself. The form's token
(`auth.csrf`) is asked for in any case.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.web.middleware.refusal import Refusal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# "none" is the person: an address typed, a page loaded again.
OWN_SITES = frozenset({"same-origin", "none"})

SILENT = Refusal(
    403,
    "From where?",
    "This request does not say which page has sent it. A script sends an Origin header "
    "with the address of this site.",
    kept="Nothing was changed.",
)
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
        refusal = self.refusal(Headers(scope=scope)) if is_unsafe else None
        if refusal is not None:
            await refusal.response(scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def refusal(self, headers: Headers) -> Refusal | None:
        """Why a change with these headers is not ours; None where it is."""
        sites = headers.getlist("sec-fetch-site")
        if sites:
            return None if all(site in OWN_SITES for site in sites) else FOREIGN
        origins = headers.getlist("origin") or headers.getlist("referer")
        if not origins:
            return SILENT
        is_own = all(self.is_own_origin(origin, headers) for origin in origins)
        return None if is_own else FOREIGN

    def is_own_origin(self, origin: str, headers: Headers) -> bool:
        """Whether this origin, or page, is ours; "null" is nobody's."""
        try:
            parts = urlsplit(origin.lower())
        except ValueError:
            return False
        if self.public_origin:
            return f"{parts.scheme}://{parts.netloc}" == self.public_origin
        return bool(parts.netloc) and parts.netloc == headers.get("host", "").lower()
