"""Where a Dask scheduler is, and whether a database's password may go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ...dialects.network import is_loopback
from ...errors import Misconfigured

SCHEME = "dask"
WAIT_S, LONGEST_WAIT_S = 300.0, 86_400.0
EXAMPLE = "dask://scheduler.example.org:8786"


@dataclass(frozen=True)
class ClusterAddress:
    """A scheduler, as ``FERRY_EXECUTOR`` names it.

    :ivar wait_s: how long the run waits for the next part to be done, or for a worker.
    """

    host: str
    port: int
    wait_s: float = WAIT_S

    @property
    def is_here(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{SCHEME}://{_write_host(self.host)}:{self.port}"

    def as_dask(self, *, encrypted: bool) -> str:
        """As Dask writes it."""
        return f"{'tls' if encrypted else 'tcp'}://{_write_host(self.host)}:{self.port}"


def find_address(text: str | None, origins: Mapping[str, str]) -> ClusterAddress | None:
    """The scheduler that ``FERRY_EXECUTOR`` names, if it names one.

    :raises Misconfigured: see :func:`parse_address`.
    """
    return parse_address(text, origins["FERRY_EXECUTOR"]) if text else None


def parse_address(text: str, origin: str) -> ClusterAddress:
    """``dask://host:port``, with ``?wait=SECONDS`` behind it where the run is to wait otherwise.

    :param origin: where the text came from.
    :raises Misconfigured: anything else.
    """
    try:
        url = urlsplit(text)
        host, port, wait_s = url.hostname, url.port, _wait_of(url)
    except ValueError:
        host, port, wait_s = None, None, None
    plain = url.username is None and url.password is None if host else False
    if not plain or not host or not port or wait_s is None or url.scheme != SCHEME or url.path.strip("/"):
        # With a user it may hold a password, too.
        problem = "has a user, which a scheduler does not ask for" if "@" in text else f"is {text[:60]!r}"
        raise Misconfigured(
            f"FERRY_EXECUTOR ({origin}) {problem}.",
            hint=f"Write host and port of a Dask scheduler: {EXAMPLE}; for no cluster leave it out.",
        )
    return ClusterAddress(host, port, wait_s)


def _wait_of(url: SplitResult) -> float | None:
    """:raises ValueError: it is no number."""
    query = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    wait_s = float(query.pop("wait", WAIT_S))
    return wait_s if not query and 1 <= wait_s <= LONGEST_WAIT_S and not url.fragment else None


def _write_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
