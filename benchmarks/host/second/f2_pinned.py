"""When a post was pinned: a column that is empty at first, and an index on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "f2"
down_revision = "f1"


def upgrade() -> None:
    op.add_column("posts", sa.Column("pinned", sa.Integer()))
    op.create_index("ix_posts_pinned", "posts", ["pinned"])


def downgrade() -> None:
    op.drop_index("ix_posts_pinned", "posts")
    op.drop_column("posts", "pinned")
