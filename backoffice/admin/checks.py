"""What is wrong with views, found before anybody opens them."""

from collections.abc import Iterator

from backoffice.admin.model_view import ModelView
from backoffice.admin.site import Site
from backoffice.checks import CheckMessage, Level
from backoffice.listing.checks import check_list


def check_views(site: Site) -> Iterator[CheckMessage]:
    """Mistakes in the lists that views declare; no database is asked."""
    for view in site.views:
        if isinstance(view, ModelView):
            yield from check_list(view.description.list_spec)
            yield from check_labels(view)


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
