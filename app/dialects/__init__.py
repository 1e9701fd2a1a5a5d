"""One room per database server; only here is a server's name known."""

from sqlalchemy import URL

from ..errors import Protected
from .base import Dialect
from .sqlite import SqliteDialect

_ROOMS: dict[str, type[Dialect]] = {"sqlite": SqliteDialect}


def dialect_for(url: URL) -> Dialect:
    """The room of a URL's server.

    :raises Protected: no room for this server.
    """
    backend = url.get_backend_name()
    if backend not in _ROOMS:
        raise Protected(
            f"{backend} databases are not supported; supported: {', '.join(sorted(_ROOMS))}.",
            hint="See docs/guarantees.md.",
        )
    dialect = _ROOMS[backend]()
    dialect.check(url)
    return dialect


__all__ = ["dialect_for"]
