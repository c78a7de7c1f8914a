"""The Chinook schema as its owners mapped it: their base and their names."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Integer, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Not Backoffice's."""


def key(name: str) -> Mapped[int]:
    """A key that the application gives: the tables have no sequences."""
    return mapped_column(name, Integer, primary_key=True, autoincrement=False)


class Artist(Base):
    """Who made the music."""

    __tablename__ = "artist"

    ArtistId: Mapped[int] = key("artist_id")
    Name: Mapped[str | None] = mapped_column("name", String(120))
    Albums: Mapped[list["Album"]] = relationship(back_populates="Artist")


class Album(Base):
    """A record."""

    __tablename__ = "album"

    AlbumId: Mapped[int] = key("album_id")
    Title: Mapped[str] = mapped_column("title", String(160))
    ArtistId: Mapped[int] = mapped_column("artist_id", ForeignKey("artist.artist_id"))
    Artist: Mapped["Artist"] = relationship(back_populates="Albums")


class Employee(Base):
    """Who works there, and for whom."""

    __tablename__ = "employee"

    EmployeeId: Mapped[int] = key("employee_id")
    LastName: Mapped[str] = mapped_column("last_name", String(20))
    FirstName: Mapped[str] = mapped_column("first_name", String(20))
    Title: Mapped[str | None] = mapped_column("title", String(30))
    ReportsTo: Mapped[int | None] = mapped_column(
        "reports_to", ForeignKey("employee.employee_id")
    )
    HireDate: Mapped[datetime | None] = mapped_column("hire_date")
    Manager: Mapped["Employee | None"] = relationship(
        back_populates="Reports", remote_side="Employee.EmployeeId"
    )
    Reports: Mapped[list["Employee"]] = relationship(back_populates="Manager")


class Playlist(Base):
    """Tracks in a row."""

    __tablename__ = "playlist"

    PlaylistId: Mapped[int] = key("playlist_id")
    Name: Mapped[str | None] = mapped_column("name", String(120))


class Track(Base):
    """One piece of music."""

    __tablename__ = "track"

    TrackId: Mapped[int] = key("track_id")
    Name: Mapped[str] = mapped_column("name", String(200))
    AlbumId: Mapped[int | None] = mapped_column(
        "album_id", ForeignKey("album.album_id")
    )
    MediaTypeId: Mapped[int] = mapped_column("media_type_id")
    Milliseconds: Mapped[int] = mapped_column("milliseconds")
    UnitPrice: Mapped[Decimal] = mapped_column("unit_price", Numeric(10, 2))
    Album: Mapped["Album | None"] = relationship()


class PlaylistTrack(Base):
    """Which track is in which playlist: a key of two columns."""

    __tablename__ = "playlist_track"

    PlaylistId: Mapped[int] = mapped_column(
        "playlist_id", ForeignKey("playlist.playlist_id"), primary_key=True
    )
    TrackId: Mapped[int] = mapped_column(
        "track_id", ForeignKey("track.track_id"), primary_key=True
    )
    Playlist: Mapped["Playlist"] = relationship()
    Track: Mapped["Track"] = relationship()
