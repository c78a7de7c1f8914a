"""Light, dark or automatic: a choice that a cookie keeps."""

from urllib.parse import urlsplit

from backoffice.admin.call import Call, Redirect, Reply
from backoffice.admin.cookies import THEME_COOKIE


def choose(call: Call) -> Reply:
    """Keep the choice and go back to where it was made."""
    theme = call.posted("theme") or ""
    call.cookies[THEME_COOKIE] = theme if theme in {"light", "dark"} else ""
    return Redirect(local_path(call.posted("next"), call.site.base_url + "/"))


def local_path(given: str | None, default: str) -> str:
    """A path on this site, or the default: nobody is sent elsewhere."""
    parts = urlsplit(given or "")
    is_local = (
        parts.path.startswith("/")
        and not parts.path.startswith("//")
        and not parts.scheme
        and not parts.netloc
        and "\\" not in (given or "")
    )
    if not is_local or any(ord(character) < 32 for character in given or ""):  # noqa: PLR2004
        return default
    return given or default
