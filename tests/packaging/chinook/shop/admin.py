"""Their views: some empty, some in SQLAdmin's words."""

from backoffice.admin.model_view import ModelView
from shop.models import Album, Artist, Employee, Playlist, PlaylistTrack, Track


class ArtistAdmin(ModelView, model=Artist):
    """All defaults."""


class AlbumAdmin(ModelView, model=Album):
    """All defaults."""


class EmployeeAdmin(ModelView, model=Employee):
    """A self-reference, shown and ordered by."""

    column_list = [Employee.LastName, Employee.FirstName, Employee.Manager]
    column_sortable_list = [Employee.LastName, Employee.Manager]
    column_filters = [Employee.Manager, Employee.HireDate]


class PlaylistAdmin(ModelView, model=Playlist):
    """All defaults."""


class TrackAdmin(ModelView, model=Track):
    """Filters and search in SQLAdmin's words."""

    column_list = [
        Track.TrackId,
        Track.Name,
        Track.Album,
        "Album.Artist",
        Track.UnitPrice,
    ]
    column_searchable_list = [Track.Name, "Album.Title"]
    column_filters = [Track.Album, Track.UnitPrice]


class PlaylistTrackAdmin(ModelView, model=PlaylistTrack):
    """A composite key."""

    column_list = [PlaylistTrack.Playlist, PlaylistTrack.Track]
