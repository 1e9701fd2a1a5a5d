"""Servers that are one of several are refused by name; what they say of themselves is made up."""

from __future__ import annotations

import pytest

from app.dialects.postgresql.cluster import find_distributed, refuse_extensions
from app.errors import Protected


@pytest.mark.parametrize(
    ("version", "crdb", "word"),
    [
        ("13.0.0", "CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", "CockroachDB"),
        ("15.2-YB-2025.1.0.0-b168", "", "YugabyteDB"),
        ("11.2-YB-2.20.1.0-b0", "", "YugabyteDB"),
    ],
)
def test_distributed_databases_are_told_by_what_they_say(version: str, crdb: str, word: str) -> None:
    assert find_distributed(version, crdb).startswith(word)


@pytest.mark.parametrize("version", ["15.14 (Debian 15.14-0+deb12u1)", "18.1", "16.4 - Percona Distribution"])
def test_single_servers_pass(version: str) -> None:
    assert find_distributed(version) == ""


@pytest.mark.parametrize("name", ["citus", "bdr", "pgactive", "spock"])
def test_an_extension_that_lets_others_write_is_refused(name: str) -> None:
    refuse_extensions([])
    with pytest.raises(Protected, match=f"extension {name}"):
        refuse_extensions([name])
