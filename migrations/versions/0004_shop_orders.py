"""The shop's lists by price, stock, total and time of creation."""

from alembic import op

revision = "0004_shop_orders"
down_revision = "0003_honest_counts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            "ix_orders_created_at_id", ["created_at", "id"], unique=False
        )
        batch_op.create_index("ix_orders_total_id", ["total", "id"], unique=False)

    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.create_index("ix_products_price_id", ["price", "id"], unique=False)
        batch_op.create_index("ix_products_stock_id", ["stock", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.drop_index("ix_products_stock_id")
        batch_op.drop_index("ix_products_price_id")

    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index("ix_orders_total_id")
        batch_op.drop_index("ix_orders_created_at_id")
