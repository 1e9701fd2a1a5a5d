"""Each key says what it means, in words that a table holds."""

from __future__ import annotations

from app.transfer.run.keys import KEYS


def test_each_key_has_a_meaning() -> None:
    for name, key in KEYS.items():
        assert name.startswith("FERRY_")
        assert key.meaning, name
        assert not key.meaning.endswith("."), name
        assert "\n" not in key.meaning, name
