"""Where an order came from."""

import sqlalchemy as sa
from alembic import op

revision = "channel"
down_revision = "orders"
branch_labels = None
depends_on = None


def upgrade():
    channel = sa.Enum("WEB", "PHONE", name="channel")
    channel.create(op.get_bind(), checkfirst=True)
    with op.batch_alter_table("customer_order", schema=None) as batch_op:
        batch_op.add_column(sa.Column("channel", channel, server_default="WEB", nullable=False))
    op.execute("UPDATE customer_order SET channel = 'PHONE' WHERE note LIKE 'called%'")


def downgrade():
    raise NotImplementedError
