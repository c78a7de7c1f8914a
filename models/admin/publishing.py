"""How staff see authors, posts and comments."""

from backoffice.admin.actions import Values, action
from backoffice.admin.model_view import ModelView
from models.publishing import Author, Comment, Post

CATEGORY = "Publishing"


class AuthorAdmin(ModelView, model=Author):
    """Who writes."""

    category = CATEGORY
    column_list = [
        Author.username,
        Author.full_name,
        Author.email,
        Author.is_active,
        Author.created_at,
    ]
    column_searchable_list = [Author.full_name, Author.username, Author.email]
    column_filters = [Author.is_active, Author.created_at]
    column_sortable_list = [Author.username, Author.full_name, Author.created_at]
    label_columns = [Author.full_name, Author.username]

    @action("Deactivate", description="What they wrote stays.")
    def deactivate(self) -> Values:
        """They write no more."""
        return {Author.is_active: False}


class PostAdmin(ModelView, model=Post):
    """What was written."""

    category = CATEGORY
    column_list = [Post.title, Post.author, Post.status, Post.published_at]
    column_searchable_list = [Post.title]
    column_filters = [Post.status, Post.author, Post.published_at]
    column_sortable_list = [Post.title, Post.published_at]
    column_tones = {Post.status: {"draft": "none", "archived": "none"}}


class CommentAdmin(ModelView, model=Comment):
    """What readers said."""

    category = CATEGORY
    column_list = [
        Comment.id,
        Comment.name,
        Comment.body,
        Comment.post,
        Comment.is_approved,
        Comment.created_at,
    ]
    column_searchable_list = [Comment.name, Comment.body]
    column_filters = [Comment.is_approved, Comment.created_at]
    column_sortable_list = [Comment.id]
