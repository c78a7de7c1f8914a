"""What is wrong with views, found before anybody opens them."""

from collections.abc import Iterator

from backoffice.admin.description import is_secret, key_of
from backoffice.admin.model_view import ModelView
from backoffice.admin.site import Site
from backoffice.auth.permissions import is_known
from backoffice.checks import CheckMessage, Level
from backoffice.listing.checks import check_list


def check_views(site: Site) -> Iterator[CheckMessage]:
    """Mistakes in the lists that views declare; no database is asked."""
    for view in site.views:
        if isinstance(view, ModelView):
            yield from check_list(view.description.list_spec)
            yield from check_labels(view)
            yield from check_permissions(view)
            yield from check_secrets(view)


def check_labels(view: ModelView) -> Iterator[CheckMessage]:
    """A view whose label columns its model does not have."""
    mapper = view.description.mapper
    for key in view.description.label_keys:
        if key.partition(".")[0] not in mapper.all_orm_descriptors:
            yield CheckMessage(
                Level.ERROR,
                f"{view.identity}: label_columns names {key!r}, which "
                f"{view.model.__name__} does not have.",
                "Name mapped attributes.",
                "views.E002",
            )


def check_permissions(view: ModelView) -> Iterator[CheckMessage]:
    """Actions whose permission no role has: nobody would ever see them."""
    for spec in view.actions.values():
        if spec.permission and not is_known(spec.permission):
            yield CheckMessage(
                Level.ERROR,
                f"{view.identity}: the action {spec.name} needs the permission "
                f"{spec.permission!r}, which nobody has.",
                "Name one of backoffice/auth/permissions.py, such as 'edit', or none.",
                "views.E003",
            )


OPTIONS = (
    "column_list",
    "column_details_list",
    "column_export_list",
    "column_related_list",
    "column_searchable_list",
    "column_sortable_list",
)


def check_secrets(view: ModelView) -> Iterator[CheckMessage]:
    """Secrets that a view names all the same: nobody sees them there."""
    for option in OPTIONS:
        given = getattr(view, option, None) or ()
        keys = () if isinstance(given, str) else map(key_of, given)
        for key in keys:
            if is_secret(view.description.mapper, key):
                yield CheckMessage(
                    Level.WARNING,
                    f"{view.identity}: {option} names {key}, which is secret; it is "
                    "left out.",
                    'info={"secret": False} on its column shows it.',
                    "views.W004",
                )
