"""Tables of a test's own on a server, and rows for them."""

from __future__ import annotations

from sqlalchemy import URL

from app.dialects.model import Table, Values

from .rooms import Room


def table(room: Room, definition: str, name: str = "things", url: URL | None = None) -> Table:
    """Make a table and reflect it."""
    room.dialect.create(url or room.target)
    room.execute(f"CREATE TABLE {name} ({definition})".replace("%", "%%"), url=url)
    with room.dialect.reader(url or room.target) as reader:
        return reader.tables()[name]


def load(room: Room, to: Table, rows: list[Values], *, batch_rows: int = 100) -> list[tuple[int, str]]:
    """Load rows; those that are refused, by number, with the words."""
    result = room.dialect.load(room.target, to, rows, batch_rows=batch_rows)
    assert result.loaded + len(result.refused) == len(rows)
    return [(refusal.number, refusal.message) for refusal in result.refused]


def rows(room: Room, name: str = "things") -> list[Values]:
    return room.state()[name]
