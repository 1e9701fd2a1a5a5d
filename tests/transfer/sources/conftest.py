"""An old deployment, as the scenarios have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.transfer.sources.http import HttpClient
from tests.scenarios.sources.conftest import newer, paged_database  # noqa: F401 # fixtures
from tests.support.sources.loopback import Loopback

from .foreign import Said


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


@pytest.fixture(scope="module")
def server(said: Said) -> Iterator[Loopback]:
    with Loopback([], said.script) as found:
        yield found


@pytest.fixture
def client(server: Loopback) -> Iterator[HttpClient]:
    # Pauses between attempts grow with the time-out.
    made = HttpClient(server.url, timeout_s=0.2)
    made._wait = lambda number, error: 0.0  # type: ignore[method-assign] # attempts without pauses
    yield made
    made.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
