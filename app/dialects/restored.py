"""What was restored, where it may stand for a copy."""

from __future__ import annotations

from sqlalchemy import URL


class ForCopyOfSchema:
    """A room that copies a database by other statements than those that its backups have."""

    def schema_fingerprint(self, url: URL) -> str:
        raise NotImplementedError

    def take_for_copy(self, source: URL, staging: URL) -> bool:
        """Rows were compared; of all else the server says whether it is the same."""
        return self.schema_fingerprint(source) == self.schema_fingerprint(staging)
