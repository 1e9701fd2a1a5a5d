"""Two releases of the reference app: the second one adds a column and a table, renames a column, and can go back."""

from __future__ import annotations

from pathlib import Path

from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.site import Site

FIRST = """
op.create_table('visits', sa.Column('who', sa.String(40)), sa.Column('n', sa.Integer))
op.create_table('tallies', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(40)),
                sa.Column('secret_code', sa.String(40)))
"""
SECOND = """
op.add_column('sections', sa.Column('room', sa.String(20)))
op.create_table('rooms', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(40)))
with op.batch_alter_table('tallies') as batch:
    batch.alter_column('name', new_column_name='label', existing_type=sa.String(40))
"""
BACK = """
with op.batch_alter_table('tallies') as batch:
    batch.alter_column('label', new_column_name='name', existing_type=sa.String(40))
op.drop_table('rooms')
with op.batch_alter_table('sections') as batch:
    batch.drop_column('room')
"""
MOVES = "ferry_moves = {'tallies.name': 'tallies.label'}"


def first_release(to: Path) -> Path:
    return history(to, FIRST, revision="0008_first")


def second_release(to: Path, back: str = BACK, upgrade: str = SECOND, declared: str = MOVES) -> Path:
    """The first release's history and one more revision.

    :param back: the lines of its ``downgrade()``.
    """
    first_release(to)
    history(to, upgrade, declared=declared, revision="0009_second", down="0008_first")
    file = to / "versions" / "0009_second.py"
    head, _, _ = file.read_text().rpartition("    pass\n")
    file.write_text(head + "\n".join(f"    {line}" for line in back.strip().splitlines()) + "\n")
    return to


def deploy(site: Site, migrations: Path) -> None:
    site.environ |= {"FLASK_APP": HOST, MIGRATIONS: str(migrations)}
