"""Prescriptions; a trigger that writes down each new visit, and a view of what was earned."""

import sqlalchemy as sa
from alembic import op

revision = "changes"
down_revision = "first"
branch_labels = None
depends_on = None

INSERT = "INSERT INTO change (what) VALUES ('visit ' || NEW.patient_id || '/' || NEW.\"order\")"
TRIGGER = {
    "sqlite": (f"CREATE TRIGGER visit_noted AFTER INSERT ON visit BEGIN {INSERT}; END",),
    "postgresql": (
        f"CREATE FUNCTION note_visit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {INSERT}; RETURN NEW; END$$",
        "CREATE TRIGGER visit_noted AFTER INSERT ON visit FOR EACH ROW EXECUTE FUNCTION note_visit()",
    ),
}


def upgrade():
    op.create_table(
        "prescription",
        sa.Column("patient_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("visit", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("table", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["patient_id", "visit"], ["visit.patient_id", "visit.order"]),
        sa.PrimaryKeyConstraint("patient_id", "visit", "table"),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for statement in TRIGGER[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute('CREATE VIEW "Earned" AS SELECT patient_id, sum(fee) AS "all" FROM visit GROUP BY patient_id')


def downgrade():
    raise NotImplementedError
