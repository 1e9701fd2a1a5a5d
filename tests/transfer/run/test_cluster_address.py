"""Where a Dask scheduler is."""

from __future__ import annotations

import pytest

from app.errors import Misconfigured
from app.transfer.run.cluster_address import ClusterAddress, find_address, parse_address


@pytest.mark.parametrize(
    ("text", "address", "plain"),
    [
        ("dask://127.0.0.1:8786", ClusterAddress("127.0.0.1", 8786), "tcp://127.0.0.1:8786"),
        ("dask://localhost:1?wait=5", ClusterAddress("localhost", 1, 5.0), "tcp://localhost:1"),
        ("dask://[::1]:8786/", ClusterAddress("::1", 8786), "tcp://[::1]:8786"),
    ],
)
def test_one_on_this_machine(text: str, address: ClusterAddress, plain: str) -> None:
    assert parse_address(text, "environment") == address
    assert address.is_here
    assert address.as_dask(encrypted=False) == plain
    assert parse_address(str(address), "environment").port == address.port


@pytest.mark.parametrize("text", ["dask://scheduler.example.org:8786", "dask://10.0.0.1:8786", "dask://0.0.0.0:8786"])
def test_one_elsewhere(text: str) -> None:
    address = parse_address(text, "environment")
    assert not address.is_here
    assert address.as_dask(encrypted=True) == text.replace("dask", "tls")


@pytest.mark.parametrize(
    "text",
    [
        *("x", "dask://", "dask://host", "dask://:8786", "tcp://127.0.0.1:8786", "dask://host:0", "dask://host:99999"),
        *("dask://host:1/path", "dask://host:1?wait=x", "dask://host:1?wait=0", "dask://host:1?wait=nan"),
        *("dask://host:1?other=1", "dask://host:1?wait", "dask://host:1#x", "dask://[::1:1"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_EXECUTOR \(environment\)"):
        parse_address(text, "environment")


def test_a_password_in_it_is_not_shown() -> None:
    with pytest.raises(Misconfigured) as info:
        parse_address("dask://me:secret@host:1", "environment")
    assert "secret" not in f"{info.value.message} {info.value.hint}"


def test_none_is_named() -> None:
    assert find_address(None, {}) is None
    assert find_address("", {}) is None
