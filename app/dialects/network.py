"""Hosts and ports: whether a host is this machine."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host name or an address is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def normalise_host(host: str) -> str:
    """One spelling for all names of a host: this machine is ``localhost``, an empty name too."""
    name = host.strip("[]").rstrip(".").lower()
    return "localhost" if not name or is_loopback(name) else name
