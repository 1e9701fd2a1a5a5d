"""MySQL and MariaDB: what a server says of its databases: names as it spells them, sizes, room."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from ..model import Capabilities
from .catalogue import SIZE
from .read import FOLDS, Asks

CAPABILITIES = Capabilities(
    enforces_foreign_keys=False,
    swap_moves_old=True,
    query_for_bytes="charset=latin1&use_unicode=0",
    query_for_text="SELECT _utf8mb4 x'C383C2A9'",
)


def read_current(ask: Asks) -> str:
    """The name of the database that is connected to, as the server spells it."""
    [(name,)] = ask("SELECT DATABASE()")
    return str(name)


def folds_names(ask: Asks) -> bool:
    """Whether names are compared without regard to case (MySQL manual, 11.2.3)."""
    [(value,)] = ask(FOLDS)
    return int(value) != 0


def list_databases(ask: Asks) -> list[str]:
    """All that the user may see."""
    return [str(name) for (name,) in ask("SELECT schema_name FROM information_schema.schemata")]


def spell(names: Iterable[str], database: str, *, folds: bool) -> str | None:
    """A database's name as the server spells it, or None where there is none among these.

    :param folds: names are compared without regard to case.
    """
    same = (name for name in names if name == database or (folds and name.lower() == database.lower()))
    return next(same, None)


def read_charset(ask: Asks, database: str) -> str:
    """What a database gives to its tables, as SQL; an empty text where it is not there."""
    defaults = ask(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata "
        "WHERE schema_name = %s",
        database,
    )
    return f"CHARACTER SET {defaults[0][0]} COLLATE {defaults[0][1]}" if defaults else ""


def size_bytes(ask: Asks, database: str) -> int:
    """The size of a database's tables and their indexes; 0 where it is not there."""
    [(size,)] = ask(SIZE.replace("DATABASE()", "%s"), database)
    return int(size)


def free_bytes(ask: Asks) -> int | None:
    """Free space in the server's data directory, where this process can see it on this machine."""
    [(directory,)] = ask("SELECT @@datadir")
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None
