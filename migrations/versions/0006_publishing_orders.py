"""Authors by name and time of creation, posts by time of publication."""

from alembic import op

revision = "0006_publishing_orders"
down_revision = "0005_given_texts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("authors", schema=None) as batch_op:
        batch_op.create_index(
            "ix_authors_created_at_id", ["created_at", "id"], unique=False
        )
        batch_op.create_index(
            "ix_authors_full_name_id", ["full_name", "id"], unique=False
        )

    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_posts_published_at_id", ["published_at", "id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.drop_index("ix_posts_published_at_id")

    with op.batch_alter_table("authors", schema=None) as batch_op:
        batch_op.drop_index("ix_authors_full_name_id")
        batch_op.drop_index("ix_authors_created_at_id")
