"""What was taken off a fee."""

import sqlalchemy as sa
from alembic import op
from clinic.base import Money

revision = "discounts"
down_revision = "changes"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("visit", sa.Column("select", Money(), nullable=True))
    op.execute('UPDATE visit SET "select" = fee / 10 WHERE "order" > 1')


def downgrade():
    raise NotImplementedError
