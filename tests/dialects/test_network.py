"""Whether a host is this machine: what is not known to be counts as another one."""

from __future__ import annotations

import pytest

from app.dialects.network import is_loopback


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.255.0.9", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "10.0.0.1", "::", "127.0.0.1.example.com", "localhost.example.com", "notlocalhost", "127.1", "::2"],
)
def test_another_one(host: str) -> None:
    assert not is_loopback(host)
