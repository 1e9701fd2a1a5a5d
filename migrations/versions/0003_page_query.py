"""Posts: the page's address in two columns, path and query.

Posts of one page were scattered over its addresses (``/a?tab=1``, ``/a?tab=2``).

Revision ID: 0003_page_query
Revises: 0002_plain_names
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.tools import on, rename_columns, string

revision = "0003_page_query"
down_revision = "0002_plain_names"
branch_labels = None
depends_on = None

ferry_moves: dict[str, str | tuple[str, ...]] = {
    "posts.page_url": ("posts.page_path", "posts.page_query"),
}

POSTS = sa.table("posts", sa.column("page_path", sa.String), sa.column("page_query", sa.String))


def upgrade() -> None:
    """Split at the first ``?``; the query is NULL where there is none.

    An address that the server would not put together again byte for byte (SQLite ends a text at an embedded
    NUL here, and a BLOB is no text) stays whole.
    """
    rename_columns("posts", {"page_url": "page_path"})
    op.add_column("posts", sa.Column("page_query", string(500), nullable=True))
    address = POSTS.c.page_path
    mark = (sa.func.strpos if on("postgresql") else sa.func.instr)(address, "?")
    path, query = sa.func.substr(address, 1, mark - 1), sa.func.substr(address, mark + 1)
    op.execute(
        sa.update(POSTS)
        .where(mark > 0, sa.type_coerce(path, sa.String) + "?" + query == address)
        # In this order: MySQL reads a column that it has just set as what it was set to.
        .ordered_values((POSTS.c.page_query, query), (address, path))
    )


def downgrade() -> None:
    """Put path and query together."""
    whole = sa.func.coalesce(POSTS.c.page_path, "") + "?" + POSTS.c.page_query
    op.execute(sa.update(POSTS).where(POSTS.c.page_query.is_not(None)).values(page_path=whole))
    op.drop_column("posts", "page_query")
    rename_columns("posts", {"page_path": "page_url"})
