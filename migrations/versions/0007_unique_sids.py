"""Student ids are unique; unique constraints get the plain columns' names.

Of several users with one student id the one with the smallest id keeps it; the others' go to ``former_sid``.

Revision ID: 0007_unique_sids
Revises: 0006_links
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.tools import UNNAMED, string, unique

revision = "0007_unique_sids"
down_revision = "0006_links"
branch_labels = None
depends_on = None

ferry_moves: dict[str, str | tuple[str, ...]] = {"users.sid": ("users.sid", "users.former_sid")}

UNIQUE = {"sections": "abbreviation", "users": "uid", "personas": "alias", "topics": "page_key"}
USERS = sa.table("users", *map(sa.column, ("id", "sid", "former_sid")))


def upgrade() -> None:
    """Set repeated student ids aside and add the constraint."""
    op.add_column("users", sa.Column("former_sid", string(255), nullable=True))
    _set_repeated_aside()
    for table, column in UNIQUE.items():
        with op.batch_alter_table(table, naming_convention=UNNAMED) as batch:
            batch.drop_constraint(unique(table, column), type_="unique")
            batch.create_unique_constraint(op.f(f"uq_{table}_{column}"), [column])
            if table == "users":
                batch.create_unique_constraint(op.f("uq_users_sid"), ["sid"])


def downgrade() -> None:
    """Drop the constraint and put the student ids back."""
    for table, column in UNIQUE.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"uq_{table}_{column}", type_="unique")
            batch.create_unique_constraint(op.f(f"uq_{table}__{column}"), [column])
            if table == "users":
                batch.drop_constraint("uq_users_sid", type_="unique")
    former = USERS.c.former_sid
    op.execute(sa.update(USERS).where(USERS.c.sid.is_(None), former.is_not(None)).values(sid=former))
    op.drop_column("users", "former_sid")


def _set_repeated_aside() -> None:
    nth = sa.func.row_number().over(partition_by=USERS.c.sid, order_by=USERS.c.id).label("nth")
    numbered = sa.select(USERS.c.id, nth).where(USERS.c.sid.is_not(None)).subquery("numbered")
    op.execute(
        # In this order: MySQL reads a column that it has just set as what it was set to.
        sa.update(USERS)
        .where(USERS.c.id.in_(sa.select(numbered.c.id).where(numbered.c.nth > 1)))
        .ordered_values((USERS.c.former_sid, USERS.c.sid), (USERS.c.sid, sa.null()))
    )
