"""Staff, patients and their visits."""

import sqlalchemy as sa
from alembic import op
from clinic.base import Money, Sealed, WardCode

revision = "first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("group", WardCode(), nullable=True),
        sa.Column("supervisor_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["supervisor_id"], ["user.id"], name="fk_user_supervisor"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "Patient File",
        sa.Column("Number", sa.Integer(), nullable=False),
        sa.Column("from", sa.String(length=60), nullable=False),
        sa.Column("case", Sealed(), nullable=True),
        sa.PrimaryKeyConstraint("Number"),
    )
    op.create_table(
        "visit",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("order", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen_by", sa.Integer(), nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("fee", Money(), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["Patient File.Number"]),
        sa.ForeignKeyConstraint(["seen_by"], ["user.id"]),
        sa.PrimaryKeyConstraint("patient_id", "order"),
    )


def downgrade():
    raise NotImplementedError
