"""What does every request go through before a page is asked?"""

from starlette.middleware import Middleware

from backoffice.observability.recorder import Recorder
from backoffice.settings import Settings
from backoffice.web.middleware.compression import Compression
from backoffice.web.middleware.host_guard import HostGuard
from backoffice.web.middleware.origin_guard import OriginGuard
from backoffice.web.middleware.request_context import RequestContext
from backoffice.web.middleware.request_shape import MEGABYTE, RequestShape
from backoffice.web.middleware.security_headers import SecurityHeaders


def pipeline(settings: Settings, recorder: Recorder | None = None) -> list[Middleware]:
    """The middleware from the outside in; the recorder is told of answered requests.

    The headers come first, so that even a fault has them; the number next, so that
    every refusal has one, and all that is said is compressed; then what is refused,
    the cheapest check first.
    """
    web = settings.web
    return [
        Middleware(SecurityHeaders, https_only=web.https_only),
        Middleware(
            RequestContext,
            finished=recorder.record_request if recorder else None,
            answered=recorder.record_answer if recorder else None,
        ),
        Middleware(Compression),
        Middleware(
            HostGuard,
            allowed_hosts=web.allowed_hosts,
            public_origin=web.public_origin,
        ),
        Middleware(RequestShape, max_bytes=int(web.max_request_megabytes * MEGABYTE)),
        Middleware(OriginGuard, public_origin=web.public_origin),
    ]
