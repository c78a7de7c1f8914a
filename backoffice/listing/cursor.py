"""How a page's link says where it begins, without telling anybody.

A cursor holds the sort values of one row, encrypted and signed: they may be of columns
that the reader does not see. The same row in the same order has the same cursor.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from backoffice.database.values import format_value, parse_value

# An address longer than this is cut off by somebody on its way.
LONGEST = 1500


class CursorCodec:
    """Seals rows' positions with a key made from the project's secret."""

    def __init__(self, secret_key: str) -> None:
        material = b"backoffice list cursor\0" + secret_key.encode()
        self._cipher = AESSIV(hashlib.sha512(material).digest())

    def encode(
        self, order: str, columns: Sequence[Any], values: Sequence[Any]
    ) -> str | None:
        """The cursor of a row; None where the values are too long for an address.

        `order` names the list and its order: the cursor is of no use in another one.
        `columns` have the types of the values.
        """
        parts = [_pack(c, v) for c, v in zip(columns, values, strict=True)]
        data = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
        if len(data) > LONGEST:
            return None
        sealed = self._cipher.encrypt(data, [order.encode()])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def decode(
        self, order: str, columns: Sequence[Any], text: str
    ) -> tuple[Any, ...] | None:
        """The values in a cursor; None where it was not made here for this order."""
        if len(text) > 2 * LONGEST or not text.isascii():
            return None
        try:
            sealed = base64.b64decode(
                text + "=" * (-len(text) % 4), b"-_", validate=True
            )
            data = self._cipher.decrypt(sealed, [order.encode()])
            parts = json.loads(data)
            pairs = zip(columns, parts, strict=True)
            return tuple(_unpack(column, part) for column, part in pairs)
        except (binascii.Error, InvalidTag, ValueError):
            return None


def _pack(column: Any, value: Any) -> Any:
    """The value as JSON has it, or in a list by its name and its text."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return ["float", repr(value)]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    return ["value", format_value(column, value)]


def _unpack(column: Any, part: Any) -> Any:
    if not isinstance(part, list):
        return part
    kind, text = part
    if kind == "float":
        return float(text)
    if kind == "decimal":
        return Decimal(text)
    return parse_value(column, text)
