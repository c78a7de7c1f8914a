"""Which request is this? Its number, for pages, headers, entries and every log line."""

import logging
import secrets

from backoffice.observability.request_log import current_request


def new_request_id() -> str:
    """A number that nobody can guess and anybody can read out over the telephone."""
    return secrets.token_hex(8)


def current_request_id() -> str:
    """The number of the request that is being answered here; "" outside of one."""
    log = current_request.get()
    return log.request_id if log is not None else ""


class RequestIdFilter(logging.Filter):
    """Gives every record `request_id`, for a formatter: "-" outside of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, numbered."""
        record.request_id = current_request_id() or "-"
        return True
