"""Posts: say of every post whether it is a reply, so that it stays one when its parent goes.

Revision ID: 0005_replies
Revises: 0004_reactions
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_replies"
down_revision = "0004_reactions"
branch_labels = None
depends_on = None

POSTS = sa.table("posts", sa.column("parent_id"), sa.column("is_reply", sa.Boolean))


def upgrade() -> None:
    """A post that names a parent is a reply, whether or not that parent exists."""
    op.add_column("posts", sa.Column("is_reply", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(sa.update(POSTS).where(POSTS.c.parent_id.is_not(None)).values(is_reply=True))


def downgrade() -> None:
    """Forget it: the parents say the same."""
    op.drop_column("posts", "is_reply")
