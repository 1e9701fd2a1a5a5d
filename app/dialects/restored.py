"""What was restored, where it cannot stand for a copy."""

from __future__ import annotations

from sqlalchemy import URL


class NeverForCopy:
    """A room that copies a database by other statements than those that its backups have."""

    def take_for_copy(self, source: URL, staging: URL) -> bool:
        del source, staging
        return False
