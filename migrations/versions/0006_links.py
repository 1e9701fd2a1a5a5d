"""Rules for every foreign key, which old SQLite deployments never enforced.

A row whose user, topic or parent is gone keeps the id in a ``former_...`` column and refers to nothing; a pair
of ids of which one is gone moves into a table of its own (``..._orphans``). The downgrade puts all back.

Revision ID: 0006_links
Revises: 0005_replies
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from migrations.tools import UNNAMED, dangles, foreign_key, moment, on, unchecked_foreign_keys

revision = "0006_links"
down_revision = "0005_replies"
branch_labels = None
depends_on = None


class Link(NamedTuple):
    """A foreign key column: what it refers to, what it is called in the classic database's constraint."""

    table: str
    column: str
    parent: str
    constraint: str
    required: bool = False

    @property
    def rule(self) -> str:
        """The constraint's name from this revision on."""
        return f"fk_{self.table}_{self.column}_{self.parent}"

    @property
    def check(self) -> str:
        """The name of the rule that a required reference is there or remembered."""
        return f"ck_{self.table}_{self.column}"

    @property
    def former(self) -> str:
        """The column that remembers an id that no row has any more."""
        return f"former_{self.column}"


class Value(NamedTuple):
    """A column of an association table that refers to nothing."""

    name: str
    type: sa.types.TypeEngine[Any]
    nullable: bool


class Pair(NamedTuple):
    """An association table: its two references, and what else it holds."""

    table: str
    links: tuple[Link, Link]
    values: tuple[Value, ...] = ()

    @property
    def orphans(self) -> str:
        """The table of the pairs of which one end is gone."""
        return f"{self.table}_orphans"

    @property
    def columns(self) -> list[str]:
        """All columns of the table."""
        return [link.column for link in self.links] + [value.name for value in self.values]

    def called(self, name: str) -> sa.TableClause:
        """The table ``name`` with this pair's columns."""
        return sa.table(name, *map(sa.column, self.columns))


LINKS = {
    "microblogs": [
        Link("microblogs", "user_id", "users", "fk_microblogs__user_id_users", required=True),
        Link("microblogs", "topic_id", "topics", "fk_microblogs__topic_id_topics"),
    ],
    "posts": [
        Link("posts", "user_id", "users", "fk_posts__user_id_users", required=True),
        Link("posts", "parent_id", "posts", "fk_posts__parent_id_posts"),
    ],
    "classrooms": [Link("classrooms", "owner_id", "users", "fk_classrooms__owner_teacher_id_users", required=True)],
    "studies": [Link("studies", "user_id", "users", "fk_study_user_id_users")],
    "leaderboard": [Link("leaderboard", "user_id", "users", "fk_leaderboard__user_id_users")],
    "elementary_leaderboard_events": [
        Link(
            "elementary_leaderboard_events",
            "user_id",
            "users",
            "fk_elementary_leaderboard_events__user_id_users",
        )
    ],
    "skill_snapshots": [Link("skill_snapshots", "user_id", "users", "fk_skill_snapshots_user_id_users", required=True)],
}
PAIRS = [
    Pair(
        "user_sections",
        (
            Link("user_sections", "user_id", "users", "fk_user_sections_user_id_users"),
            Link("user_sections", "section_id", "sections", "fk_user_sections_section_id_sections"),
        ),
        (Value("year", sa.Integer(), nullable=True),),
    ),
    Pair(
        "user_personas",
        (
            Link("user_personas", "user_id", "users", "fk_user_personas_user_id_users"),
            Link("user_personas", "persona_id", "personas", "fk_user_personas_persona_id_personas"),
        ),
        (
            Value("weight", sa.Integer(), nullable=False),
            Value("selected_at", moment(), nullable=True),
        ),
    ),
    Pair(
        "classroom_students",
        (
            Link(
                "classroom_students",
                "classroom_id",
                "classrooms",
                "fk_classroom_student_classroom_id_classrooms",
            ),
            Link("classroom_students", "student_id", "users", "fk_classroom_student_student_id_users"),
        ),
    ),
]
INDEXED = (("posts", "user_id"), ("posts", "parent_id"))

ferry_moves: dict[str, str | tuple[str, ...]] = {
    f"{link.table}.{link.column}": (f"{link.table}.{link.column}", f"{link.table}.{link.former}")
    for links in LINKS.values()
    for link in links
}
ferry_moves.update({pair.table: (pair.table, pair.orphans) for pair in PAIRS})


def upgrade() -> None:
    """Remember and unlink what dangles; then the rules."""
    for pair in PAIRS:
        _create_orphans(pair)
        _set_aside(pair)
        with op.batch_alter_table(pair.table, naming_convention=UNNAMED) as batch:
            for link in pair.links:
                batch.drop_constraint(foreign_key(link.table, link.column), type_="foreignkey")
                _add_rule(batch, link, "CASCADE")
    for links in LINKS.values():
        _tighten(links)
    for table, column in INDEXED:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    """Restore the classic database's foreign keys, and the ids that dangled."""
    with unchecked_foreign_keys():
        for links in LINKS.values():
            _loosen(links)
        for pair in PAIRS:
            _put_back(pair)


def _put_back(pair: Pair) -> None:
    """Put the pairs back and the classic rules on: PostgreSQL takes no new row that breaks one, however lax it is."""
    if on("postgresql"):
        with op.batch_alter_table(pair.table) as batch:
            for link in pair.links:
                batch.drop_constraint(link.rule, type_="foreignkey")
        _copy(pair, sa.select(*pair.called(pair.orphans).c), pair.table)
        with op.batch_alter_table(pair.table) as batch:
            for link in pair.links:
                _add_classic(batch, link)
    else:
        with op.batch_alter_table(pair.table) as batch:
            for link in pair.links:
                batch.drop_constraint(link.rule, type_="foreignkey")
                _add_classic(batch, link)
        _copy(pair, sa.select(*pair.called(pair.orphans).c), pair.table)
    op.drop_table(pair.orphans)


def _add_classic(batch: BatchOperations, link: Link) -> None:
    """The classic database's rule; where an id dangles PostgreSQL keeps it only if it need not look at old rows."""
    lax: dict[str, Any] = {"postgresql_not_valid": True} if on("postgresql") and _has_dangling(link) else {}
    batch.create_foreign_key(op.f(link.constraint), link.parent, [link.column], ["id"], **lax)


def _has_dangling(link: Link) -> bool:
    table = sa.table(link.table, sa.column(link.column))
    found = sa.select(sa.literal(1)).select_from(table).where(dangles(table, link.column, link.parent)).limit(1)
    return op.get_bind().execute(found).first() is not None


def _create_orphans(pair: Pair) -> None:
    keys = [link.column for link in pair.links]
    op.create_table(
        pair.orphans,
        *[sa.Column(key, sa.Integer(), nullable=False) for key in keys],
        *[sa.Column(value.name, value.type, nullable=value.nullable) for value in pair.values],
        sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{pair.orphans}")),
    )


def _set_aside(pair: Pair) -> None:
    table = pair.called(pair.table)
    gone = sa.or_(*[dangles(table, link.column, link.parent) for link in pair.links])
    _copy(pair, sa.select(*table.c).where(gone), pair.orphans)
    op.execute(sa.delete(table).where(gone))


def _copy(pair: Pair, rows: sa.Select[Any], target: str) -> None:
    op.execute(sa.insert(pair.called(target)).from_select(pair.columns, rows))


def _tighten(links: list[Link]) -> None:
    """Let the columns be NULL, unlink what dangles, add the rules.

    SQLite re-creates a table for each of these changes and looks at no foreign key meanwhile: there the rules
    come at once and are true once the rows are unlinked. Other servers refuse a rule that is broken.
    """
    table = links[0].table
    with op.batch_alter_table(table, naming_convention=UNNAMED) as batch:
        for link in links:
            batch.add_column(sa.Column(link.former, sa.Integer(), nullable=True))
            batch.drop_constraint(foreign_key(table, link.column), type_="foreignkey")
            if link.required:
                batch.alter_column(link.column, existing_type=sa.Integer(), nullable=True)
        if on("sqlite"):
            _add_rules(batch, links)
    for link in links:
        _unlink(link)
    if not on("sqlite"):
        with op.batch_alter_table(table) as batch:
            _add_rules(batch, links)


def _loosen(links: list[Link]) -> None:
    """Take the rules away and put the ids back: in this order, but for SQLite, where once is cheaper."""
    table = links[0].table
    if not on("sqlite"):
        with op.batch_alter_table(table) as batch:
            _drop_rules(batch, links)
    for link in links:
        if (table, link.column) in INDEXED:  # not earlier: on MySQL the foreign key needs it
            op.drop_index(f"ix_{table}_{link.column}", table_name=table)
        _relink(link)
    with op.batch_alter_table(table) as batch:
        if on("sqlite"):
            _drop_rules(batch, links)
        for link in links:
            batch.drop_column(link.former)
            batch.alter_column(link.column, existing_type=sa.Integer(), nullable=not link.required)
            _add_classic(batch, link)


def _drop_rules(batch: BatchOperations, links: list[Link]) -> None:
    for link in links:
        batch.drop_constraint(link.rule, type_="foreignkey")
        if link.required:
            batch.drop_constraint(op.f(link.check), type_="check")


def _add_rules(batch: BatchOperations, links: list[Link]) -> None:
    for link in links:
        _add_rule(batch, link, None if link.required else "SET NULL")
        if link.required:
            condition = f"({link.column} IS NULL) <> ({link.former} IS NULL)"
            batch.create_check_constraint(op.f(link.check), condition)


def _add_rule(batch: BatchOperations, link: Link, ondelete: str | None) -> None:
    batch.create_foreign_key(op.f(link.rule), link.parent, [link.column], ["id"], ondelete=ondelete)


def _unlink(link: Link) -> None:
    table = sa.table(link.table, sa.column(link.column), sa.column(link.former))
    column, former = table.c[link.column], table.c[link.former]
    op.execute(
        # In this order: MySQL reads a column that it has just set as what it was set to.
        sa.update(table)
        .where(dangles(table, link.column, link.parent))
        .ordered_values((former, column), (column, sa.null()))
    )


def _relink(link: Link) -> None:
    table = sa.table(link.table, sa.column(link.column), sa.column(link.former))
    column, former = table.c[link.column], table.c[link.former]
    op.execute(
        sa.update(table)
        .where(column.is_(None), former.is_not(None))
        .ordered_values((column, former), (former, sa.null()))
    )
