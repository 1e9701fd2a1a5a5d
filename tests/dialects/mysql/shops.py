"""A live database with a staged one beside, as a cut-over finds them."""

from __future__ import annotations

from typing import Any

from app.dialects.mysql import copy, swap, swap_barrier, swap_plan
from app.dialects.mysql import mark as mark_of
from app.dialects.mysql.fence import content
from tests.dialects.mysql.chaos import LIVE, Shop


def state(shop: Shop, database: str = LIVE) -> Any:
    """All that a database has: rows, objects, mark, and which of its events run."""
    events = "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s ORDER BY 1"
    with shop.factory(to_database=False) as connection:
        rows = content(connection, database, LIVE)
        objects = copy.objects(connection, database)
        mark = mark_of.mark(connection, database)
        return rows, objects, mark, shop.server.execute(events, database)


def staged(shop: Shop, generation: int = 1) -> tuple[str, str]:
    staging, old = shop.names()
    shop.stage(staging, generation)
    return staging, old


def is_there(shop: Shop, database: str) -> bool:
    return bool(shop.server.execute("SHOW DATABASES LIKE %s", database))


STEPS = (
    (swap, "prepare_old"),
    (swap, "drop_triggers"),
    (swap, "Barrier"),
    (swap_barrier.Barrier, "drain"),
    (swap_barrier.Barrier, "through"),
    (swap_barrier.Barrier, "rename"),
    (swap_barrier.Barrier, "_let_start"),
    (swap, "find_late_writes"),
    (swap, "bring_routines"),
    (swap, "finish"),
    (swap_plan, "install"),
    (swap_plan, "delete_plan"),
)
