"""Microblogs: reactions become rows.

``data`` held ``{"reactions": {kind: [user ids]}, ...}``. Each well-formed entry moves into
``microblog_reactions``; everything else (counts, empty lists, other keys, no object at all) stays in ``data``.
``former_data`` keeps the text of those whose white space or order would not come back otherwise.

Revision ID: 0004_reactions
Revises: 0003_page_query
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from migrations.tools import on, string, text, walk

revision = "0004_reactions"
down_revision = "0003_page_query"
branch_labels = None
depends_on = None

ferry_moves: dict[str, str | tuple[str, ...]] = {
    "microblogs.data": ("microblogs.data", "microblogs.former_data", "microblog_reactions"),
}

KIND_CHARACTERS = 64
MAX_ID = 2**31 - 1
MICROBLOGS = sa.table("microblogs", sa.column("id"), sa.column("data"), sa.column("former_data"))
REACTIONS = sa.table(
    "microblog_reactions", *map(sa.column, ("id", "microblog_id", "kind", "user_id", "former_user_id"))
)
DATA = sa.cast(MICROBLOGS.c.data, sa.Text)

Entry = tuple[str, int]  # kind, user id


def upgrade() -> None:
    """Move the entries, in their order; an id that no user has is remembered in ``former_user_id``."""
    _create_table()
    op.add_column("microblogs", sa.Column("former_data", text(), nullable=True))
    statement = sa.select(MICROBLOGS.c.id, DATA).where(DATA.like('%"reactions"%'))
    if on("sqlite"):
        statement = statement.where(sa.func.typeof(MICROBLOGS.c.data) == "text")
    for rows in walk(statement, MICROBLOGS.c.id):
        _move(rows)
    users = sa.select(sa.table("users", sa.column("id")).c.id)
    op.execute(
        sa.update(REACTIONS)
        .where(REACTIONS.c.former_user_id.in_(users))
        .ordered_values((REACTIONS.c.user_id, REACTIONS.c.former_user_id), (REACTIONS.c.former_user_id, sa.null()))
    )


def downgrade() -> None:
    """Put every reaction back into ``data``, as the text it was unless it changed since."""
    holders = sa.select(REACTIONS.c.microblog_id)
    statement = sa.select(MICROBLOGS.c.id, DATA, MICROBLOGS.c.former_data)
    for rows in walk(statement.where(MICROBLOGS.c.id.in_(holders)), MICROBLOGS.c.id):
        entries = _entries_between(rows[0][0], rows[-1][0])
        _write([{"key": key, "data": _put_back(key, data, entries[key], was)} for key, data, was in rows])
    op.drop_column("microblogs", "former_data")
    op.drop_table("microblog_reactions")


def _create_table() -> None:
    op.create_table(
        "microblog_reactions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("microblog_id", sa.Integer(), nullable=False),
        sa.Column("kind", string(KIND_CHARACTERS), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("former_user_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_microblog_reactions")),
        sa.ForeignKeyConstraint(
            ["microblog_id"],
            ["microblogs.id"],
            name=op.f("fk_microblog_reactions_microblog_id_microblogs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_microblog_reactions_user_id_users"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "microblog_id", "kind", "user_id", name=op.f("uq_microblog_reactions_microblog_id_kind_user_id")
        ),
        sa.CheckConstraint("(user_id IS NULL) <> (former_user_id IS NULL)", name=op.f("ck_microblog_reactions_user")),
    )


def _move(rows: Any) -> None:
    changes, reactions = [], []
    for key, data in rows:
        rest, entries = split(data)
        if entries:
            kept = None if merge(rest, entries) == data else data
            changes.append({"key": key, "data": rest, "former_data": kept})
            reactions += [{"microblog_id": key, "kind": kind, "former_user_id": user} for kind, user in entries]
    if changes:
        _write(changes)
        op.get_bind().execute(sa.insert(REACTIONS), reactions)


def _write(changes: list[dict[str, Any]]) -> None:
    columns = {name: sa.bindparam(f"new_{name}", type_=sa.Text()) for name in changes[0] if name != "key"}
    values: dict[str, Any] = dict(columns)
    if on("postgresql"):
        values["data"] = sa.cast(columns["data"], sa.JSON)
    statement = sa.update(MICROBLOGS).where(MICROBLOGS.c.id == sa.bindparam("new_key")).values(values)
    op.get_bind().execute(statement, [{f"new_{name}": value for name, value in change.items()} for change in changes])


def _entries_between(first: int, last: int) -> dict[int, list[Entry]]:
    user = sa.func.coalesce(REACTIONS.c.user_id, REACTIONS.c.former_user_id)
    rows = op.get_bind().execute(
        sa.select(REACTIONS.c.microblog_id, REACTIONS.c.kind, user)
        .where(REACTIONS.c.microblog_id.between(first, last))
        .order_by(REACTIONS.c.microblog_id, REACTIONS.c.id)
    )
    return {key: [(kind, user) for _, kind, user in group] for key, group in groupby(rows, lambda row: row[0])}


def _put_back(key: int, data: str | None, entries: list[Entry], was: str | None) -> str:
    try:
        merged = merge(data or "{}", entries)
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(
            f"microblogs.id {key}: its reactions cannot go back into data, which is no object any more."
        ) from error
    return was if was is not None and _same(was, merged) else merged


def split(data: str) -> tuple[str, list[Entry]]:
    """Take the well-formed reactions out of a JSON text.

    :return: the JSON text without them, and (kind, user id) in the order of the text; the text itself and
        nothing when there are none, or when Python would not write one of its values as it was written.
    """
    try:
        value = _exact(data)
    except (ValueError, RecursionError):
        return data, []
    reactions = value.get("reactions") if isinstance(value, dict) else None
    if not isinstance(reactions, dict):
        return data, []
    fitting = {kind: users for kind, users in reactions.items() if _fits(kind, users)}
    if not fitting:
        return data, []
    # The key stays where it is, so that nearly every text can be put together again without a copy of it.
    value["reactions"] = {kind: users for kind, users in reactions.items() if kind not in fitting}
    return json.dumps(value), [(kind, user) for kind, users in fitting.items() for user in users]


def merge(data: str, entries: list[Entry]) -> str:
    """Put reactions back into a JSON object; the reverse of :func:`split` but for order and white space."""
    value = json.loads(data)
    left = value.get("reactions", {})
    reactions: dict[str, list[Any]] = {kind: list(left.get(kind, ())) for kind, _ in entries}
    for kind, user in entries:
        reactions[kind].append(user)
    value["reactions"] = reactions | {kind: users for kind, users in left.items() if kind not in reactions}
    return json.dumps(value)


def _fits(kind: str, users: Any) -> bool:
    return (
        0 < len(kind) <= KIND_CHARACTERS
        and "\0" not in kind
        and not any("\ud800" <= character <= "\udfff" for character in kind)
        and isinstance(users, list)
        and len(users) > 0
        and all(type(user) is int and 0 <= user <= MAX_ID for user in users)
        and len(set(users)) == len(users)
    )


def _exact(data: str) -> Any:
    """Read JSON, refusing with ValueError what Python would write differently: numbers, repeated keys."""
    return json.loads(
        data, object_pairs_hook=_distinct, parse_float=_exact_float, parse_int=_exact_int, parse_constant=_exact_float
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _exact_float(digits: str) -> float:
    if repr(value := float(digits)) != digits:
        raise ValueError(f"{digits} would be written as {value!r}")
    return value


def _exact_int(digits: str) -> int:
    if str(value := int(digits)) != digits:
        raise ValueError(f"{digits} would be written as {value}")
    return value


def _same(one: str, other: str) -> bool:
    def canonical(data: str) -> str:
        return json.dumps(json.loads(data), sort_keys=True)

    return canonical(one) == canonical(other)
