"""What the tables of publishing promise."""

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.publishing import Author, Comment, Post
from tests.factories import make_author, make_comment, make_post


def test_posts_are_asked_not_loaded(demo_session: Session) -> None:
    """An author's posts are a query, however many there are."""
    author = make_author(demo_session)
    post = make_post(demo_session, author=author)
    make_post(demo_session)

    assert demo_session.scalars(author.posts.select()).all() == [post]


def test_author_with_posts_stays(demo_session: Session) -> None:
    """An author with posts refuses to go, and SQLAlchemy leaves the posts alone."""
    post = make_post(demo_session)
    demo_session.commit()

    demo_session.delete(post.author)
    with pytest.raises(IntegrityError, match="fk_posts_author_id_authors"):
        demo_session.flush()


def test_deleted_post_takes_its_comments(demo_session: Session) -> None:
    """The comments go with their post."""
    comment = make_comment(demo_session)

    demo_session.execute(delete(Post).where(Post.id == comment.post_id))

    assert demo_session.scalar(select(func.count(Comment.id))) == 0


def test_unused_author_goes(demo_session: Session) -> None:
    """Nobody is kept who wrote nothing."""
    author = make_author(demo_session)

    demo_session.delete(author)
    demo_session.flush()

    assert demo_session.scalar(select(func.count(Author.id))) == 0
