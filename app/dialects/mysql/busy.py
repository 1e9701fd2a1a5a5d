"""MySQL and MariaDB: how much a server has to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from .connect import connect_to
from .driver import list_own
from .session import execute

_OWN = "SELECT COUNT(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND id IN ({})"


class Busy:
    """A room whose server says how many statements are at work."""

    _tls_ca: Path | None

    def count_busy(self, url: URL) -> int | None:
        """``Threads_running``, which everybody may read, without those of this process."""
        with connect_to(url, self._tls_ca, to_database=False) as connection:
            [(_, running)] = execute(connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")
            [(ours,)] = execute(connection, _OWN.format(", ".join(map(str, sorted(list_own())))))
        return max(0, int(running) - int(ours))
