"""PostgreSQL: how much a server has to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ...errors import NotGranted
from .server import connect_anyhow

_BUSY = """
SELECT count(*) FILTER (WHERE state = 'active' AND application_name !~ '^ferry( |$)'),
    pg_has_role('pg_read_all_stats', 'USAGE'), session_user::text
FROM pg_stat_activity WHERE backend_type = 'client backend'
"""


class Busy:
    """A room whose server says how many sessions are at work."""

    _tls_ca: Path | None

    def count_busy(self, url: URL) -> int | None:
        with connect_anyhow(url, self._tls_ca, any_path=True) as (connection, _):
            row: Any = connection.execute(_BUSY.encode()).fetchone()
        busy, may_see, user = row
        if not may_see:
            raise NotGranted(
                f"{user} does not see what others are at in PostgreSQL, so a load cannot be heeded.",
                hint=f'GRANT pg_read_all_stats TO "{user}", or give rows a second alone: --throttle 5000',
            )
        return int(busy)
