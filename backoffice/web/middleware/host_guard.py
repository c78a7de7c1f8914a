"""Whom do we say that we are? The host of an address is checked, and never believed.

Addresses that the application makes are built from the Host header, which anybody can
send. Where `web.public_origin` is set, the application sees that instead.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.errors import SettingsError
from backoffice.web.middleware.refusal import Refusal

ANY = "*"
# Asked by machines under whatever name they know; their answers repeat no host.
PROBES = frozenset({"/livez", "/readyz", "/healthz"})
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
)

UNKNOWN_HOST = Refusal(
    400,
    "Not under this name",
    "This server does not answer to the host name in the address. "
    "An operator can add it to web.allowed_hosts.",
)


class HostGuard:
    """Refuses a Host that is none or not allowed, and replaces it by the public one."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Iterable[str] = (ANY,),
        public_origin: str = "",
    ) -> None:
        self.app = app
        self.allowed = frozenset(host.lower().rstrip(".") for host in allowed_hosts)
        self.public = split_origin(public_origin) if public_origin else None
        if self.public is not None:
            self.allowed |= {host_name(self.public[1])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not self.is_allowed(hosts[0]):
            await UNKNOWN_HOST.response(scope)(scope, receive, send)
            return
        if self.public is not None:
            scope = with_origin(scope, *self.public)
        await self.app(scope, receive, send)

    def is_allowed(self, host: str) -> bool:
        """Whether the header holds a host name, and one that is answered."""
        name = host_name(host)
        if not name:
            return False
        if ANY in self.allowed or name in self.allowed:
            return True
        # "*.example.org" is every name below it.
        parents = name.split(".")[1:]
        return any(
            "*." + ".".join(parents[i:]) in self.allowed for i in range(len(parents))
        )


def host_name(host: str) -> str:
    """The name in a Host header, in small letters; "" where it is none."""
    found = _HOST.fullmatch(host)
    return found["name"].lower().rstrip(".") if found else ""


def split_origin(origin: str) -> tuple[str, str]:
    """Scheme and host of an origin.

    Raises:
        SettingsError: it is no origin.
    """
    parts = urlsplit(origin.rstrip("/"))
    is_origin = parts.scheme in {"http", "https"} and host_name(parts.netloc)
    if not is_origin or parts.path or parts.query or parts.fragment:
        raise SettingsError(
            f"web.public_origin is {origin!r}; "
            "it is a scheme and a host, as https://office.example.org."
        )
    return parts.scheme, parts.netloc.lower()


def with_origin(scope: Scope, scheme: str, host: str) -> Scope:
    """The request as if it had been sent to this origin."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    headers.insert(0, (b"host", host.encode()))
    return {**scope, "scheme": scheme, "headers": headers}
