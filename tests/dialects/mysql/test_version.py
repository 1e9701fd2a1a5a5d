"""MySQL and MariaDB: what each version calls its settings."""

from __future__ import annotations

import pytest

from app.dialects.mysql.version import Version


@pytest.mark.parametrize(
    ("version", "isolation", "settings"),
    [
        (Version(True, (10, 5, 29)), "tx_isolation", 4),
        (Version(True, (11, 8, 9)), "transaction_isolation", 4),
        (Version(False, (5, 7, 19)), "tx_isolation", 1),
        (Version(False, (5, 7, 44)), "transaction_isolation", 1),
        (Version(False, (9, 7, 0)), "transaction_isolation", 3),
    ],
    ids=str,
)
def test_a_version_is_sent_what_it_knows(version: Version, isolation: str, settings: int) -> None:
    """MySQL manual, 7.1.8; MariaDB's "System Variable Differences"."""
    assert version.isolation == f"{isolation} = 'REPEATABLE-READ'"
    assert len(version.settings) == settings
