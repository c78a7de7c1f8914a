"""Publishing: who writes, what they wrote, and what readers said to it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from backoffice.database.base import Base, Timestamps
from backoffice.database.choices import choice_column, one_of


class PostStatus(StrEnum):
    """Who may read a post."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class Author(Timestamps, Base):
    """Somebody who writes; cannot go while there are posts of theirs."""

    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(50), info={"label": "User name"})
    full_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254), info={"label": "E-mail"})
    bio: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(
        default=True, server_default=true(), info={"label": "Active"}
    )

    # An author may have a million: asked with a query, never loaded.
    posts: WriteOnlyMapped["Post"] = relationship(
        back_populates="author", passive_deletes="all"
    )

    __table_args__ = (
        # One author by user name, with what a page shows of an author: the index
        # answers alone.
        UniqueConstraint(
            "username",
            postgresql_include=["id", "full_name"],
            info={"fields": ["username"], "message": "Another author has this name."},
        ),
        CheckConstraint(
            "username <> ''",
            name="username_given",
            info={"fields": ["username"], "message": "Give the author a user name."},
        ),
        CheckConstraint(
            "full_name <> ''",
            name="full_name_given",
            info={"fields": ["full_name"], "message": "Give the author a name."},
        ),
        CheckConstraint(
            "email LIKE '%_@_%'",
            name="email_has_at",
            info={
                "fields": ["email"],
                "message": "An e-mail address looks like name@example.org.",
            },
        ),
        # One author by e-mail, whatever its case.
        Index(
            "uq_authors_lower_email",
            func.lower(email),
            unique=True,
            info={"fields": ["email"], "message": "Another author has this e-mail."},
        ),
        # The active authors by name: who can be chosen for a new post.
        Index(
            "ix_authors_active",
            "full_name",
            "id",
            postgresql_where=text("is_active"),
            sqlite_where=text("is_active"),
        ),
        # The list by name, and its pages by key; the active alone have their own.
        Index("ix_authors_full_name_id", "full_name", "id"),
        # The list by time of creation, and its pages by key.
        Index("ix_authors_created_at_id", "created_at", "id"),
        # The active or the others, newest first.
        Index("ix_authors_is_active_created_at", "is_active", "created_at"),
    )

    def __str__(self) -> str:
        return self.full_name


class Post(Timestamps, Base):
    """One text of one author."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(
        ForeignKey("authors.id", ondelete="RESTRICT")
    )
    title: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = choice_column(PostStatus, default=PostStatus.DRAFT)
    published_at: Mapped[datetime | None] = mapped_column(info={"label": "Published"})

    author: Mapped[Author] = relationship(back_populates="posts")
    comments: Mapped[list["Comment"]] = relationship(
        back_populates="post", passive_deletes="all", order_by="Comment.id"
    )

    __table_args__ = (
        CheckConstraint(
            "title <> ''",
            name="title_given",
            info={"fields": ["title"], "message": "Give the post a title."},
        ),
        CheckConstraint(
            "status <> 'published' OR published_at IS NOT NULL",
            name="published_has_time",
            info={
                "fields": ["published_at"],
                "message": "A published post says when it was published.",
            },
        ),
        one_of("status", PostStatus),
        # One author's posts, newest first, and whether the author may go.
        Index("ix_posts_author_id_id", "author_id", "id"),
        # What readers see: the published, newest first.
        Index(
            "ix_posts_published",
            "published_at",
            "id",
            postgresql_where=text("status = 'published'"),
            sqlite_where=text("status = 'published'"),
        ),
        # The list by time of publication, drafts among it, and its pages by key.
        Index("ix_posts_published_at_id", "published_at", "id"),
        # The list by title, and its pages by key.
        Index("ix_posts_title_id", "title", "id"),
    )

    def __str__(self) -> str:
        return self.title


class Comment(Timestamps, Base):
    """What one reader said to one post; it goes with the post."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    is_approved: Mapped[bool] = mapped_column(
        default=False, server_default=false(), info={"label": "Approved"}
    )

    post: Mapped[Post] = relationship(back_populates="comments")

    __table_args__ = (
        CheckConstraint(
            "name <> ''",
            name="name_given",
            info={"fields": ["name"], "message": "Say who wrote the comment."},
        ),
        CheckConstraint(
            "body <> ''",
            name="body_given",
            info={"fields": ["body"], "message": "A comment says something."},
        ),
        # The comments of one post, in their order.
        Index("ix_comments_post_id_id", "post_id", "id"),
        # What waits for approval, oldest first.
        Index(
            "ix_comments_waiting",
            "id",
            postgresql_where=text("NOT is_approved"),
            sqlite_where=text("NOT is_approved"),
        ),
    )

    def __str__(self) -> str:
        return f"Comment of {self.name}"
