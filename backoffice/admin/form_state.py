"""What had a form shown? It carries that along, signed, so that a save can compare."""

from collections.abc import Mapping

from itsdangerous import BadData, URLSafeSerializer

from backoffice.admin.call import Call
from backoffice.admin.own_names import STATE


def sign_state(call: Call, shown: Mapping[str, str], key: str | None = None) -> str:
    """What the form shows, signed for this record, so that a save can compare.

    `key` is that of another record than the address's; "" of one that is to come.
    """
    return str(_serializer(call, key).dumps(dict(shown)))


def read_state(call: Call) -> dict[str, str] | None:
    """What the form had shown; None where that was not signed here."""
    try:
        found = _serializer(call).loads(call.posted(STATE) or "")
    except BadData:
        return None
    return found if isinstance(found, dict) else None


def _serializer(call: Call, key: str | None = None) -> URLSafeSerializer:
    """Signs for one record of one view: another's state does not pass."""
    if key is None:
        key = call.request.path_params.get("pk", "")
    place = f"{call.model_view.identity}/{key}"
    return URLSafeSerializer(
        call.site.backoffice.secret_key, salt=f"backoffice.form.{place}"
    )
