"""Orders; a customer has a name."""

import sqlalchemy as sa
from alembic import op

revision = "orders"
down_revision = "first"
branch_labels = None
depends_on = None

ferry_moves = {"customer.full_name": "customer.name"}


def upgrade():
    with op.batch_alter_table("customer", schema=None) as batch_op:
        batch_op.alter_column(
            "full_name", new_column_name="name", existing_type=sa.String(length=80), existing_nullable=False
        )
    op.create_table(
        "customer_order",
        sa.Column("placed_at", sa.DateTime(), nullable=False),
        sa.Column("standing", sa.Enum("NEW", "PAID", "SENT", name="standing"), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_order_customer_id_customer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_order")),
    )
    with op.batch_alter_table("customer_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_customer_order_customer_id"), ["customer_id"], unique=False)
    op.create_table(
        "line",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("sku", sa.String(length=20), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_line_some")),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_line_order_id_customer_order")),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name=op.f("fk_line_sku_product")),
        sa.PrimaryKeyConstraint("order_id", "sku", name=op.f("pk_line")),
    )


def downgrade():
    raise NotImplementedError
