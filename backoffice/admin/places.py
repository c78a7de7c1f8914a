"""What is the place called that a statement ran for? As in the menu, never by its code.

Most are a page of a view. Others are pages of the site itself, or no page at all.
"""

from typing import TYPE_CHECKING

from backoffice.admin.call import UNKNOWN

if TYPE_CHECKING:
    from backoffice.admin.site import Site

# What belongs to no page and no command: a start, a connection of our own.
NOWHERE = "Outside of pages"
SITE = "site"
OTHERS = {
    "": NOWHERE,
    "command": "Command line",
    "ops": "Metrics",
    "runs": "Runs of actions",
    SITE: "Other pages",
}
# The site's own pages, by their routes.
PAGES = {
    "account": "My account",
    "all_history": "History",
    "close_others": "My account",
    "close_session": "My account",
    "explain": "Explain report",
    "explains": "Explain reports",
    "index": "Start page",
    "login": "Login",
    "logout": "Logout",
    "run": "Run of an action",
    "runs": "Runs",
    "session": "Check of the login",
    "theme": "Light or dark",
    UNKNOWN: "Unknown address",
}


def place(site: "Site", view: str, action: str) -> str:
    """A view and what it did: "Students, list"; empty where there is neither."""
    if view == SITE and action in PAGES:
        return PAGES[action]
    name = view_name(site, view) if view else ""
    did = action.replace("_", " ")
    return ", ".join(filter(None, [name, did if did != name.lower() else ""]))


def view_name(site: "Site", view: str) -> str:
    """What a view is called in the menu, or what has none."""
    known = site.view_called(view)
    if known is not None:
        return known.name_plural
    return OTHERS.get(view) or view[:1].upper() + view[1:]
