"""What may be sent to a deployment."""

from __future__ import annotations

import pytest

from app.transfer.addresses import is_inside, is_sendable


@pytest.mark.parametrize("path", ["/old", "/old/x", "/old/a%20b", "/old/a..b", "/old/%25"])
def test_a_path_behind_the_prefix(path: str) -> None:
    assert is_inside(path, "/old")


@pytest.mark.parametrize(
    "path",
    [
        "/older/x",
        "/x",
        "",
        "/old/../x",
        "/old/%2e%2E/x",
        "/old/.%2e/x",
        "/old/..%2fx",
        "/old/a%5c..%5cx",
        "/old/%252e%252e/x",
    ],
)
def test_a_path_that_leads_out_of_it(path: str) -> None:
    assert not is_inside(path, "/old")


def test_what_a_header_can_hold() -> None:
    assert is_sendable("k-1 x")
    for odd in (" k", "k ", "k\n", "k\tx", "\u20ac", "x" * 20_000):
        assert not is_sendable(odd)
