"""A connection to a Dask scheduler: over TLS, unless it is this machine's own."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

from ...errors import ClusterLost, Misconfigured
from .cluster_address import ClusterAddress

CONNECT_S = 10.0
TLS_KEYS = ("ca-file", "client.cert", "client.key")
"""Below ``distributed.comm.tls``, in Dask's own configuration."""
SET_THEM = (
    "Set distributed.comm.tls in Dask's configuration, or DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"
)


def connect(address: ClusterAddress) -> Any:
    """A ``distributed.Client``, which nothing else takes for its own.

    :raises Misconfigured: the extra is not installed, or certificates are lacking.
    :raises ClusterLost: no scheduler answers.
    """
    distributed = _import_dask()
    # It tells of a lost scheduler by a traceback; the run tells of it in its own words.
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    encrypted = is_encrypted(address, distributed.Security())
    try:
        return distributed.Client(
            address.as_dask(encrypted=encrypted),
            security=distributed.Security(require_encryption=True) if encrypted else None,
            timeout=CONNECT_S,
            set_as_default=False,
            name="flask-ferry",
        )
    except OSError as error:
        over = " over TLS" if encrypted else ""
        raise ClusterLost(
            f"No Dask scheduler answers at {address}{over}.",
            details=[str(error)],
            hint="Start it, or run the command without FERRY_EXECUTOR. The live database is unchanged.",
        ) from error
    except (TypeError, ValueError) as error:
        raise Misconfigured(f"Dask's settings for TLS cannot be used: {error}", hint=f"{SET_THEM}.") from error


def _import_dask() -> Any:
    """:raises Misconfigured: it is not installed."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise Misconfigured(
            "FERRY_EXECUTOR names a Dask scheduler, and Dask is not installed here.",
            hint="pip install 'flask-ferry[dask]'",
        ) from error


def is_encrypted(address: ClusterAddress, security: Any) -> bool:
    """Whether a scheduler is spoken to over TLS, as it always is off this machine.

    :param security: Dask's, as its configuration says.
    :raises Misconfigured: there is no certificate for that.
    """
    values = dict(zip(TLS_KEYS, (security.tls_ca_file, security.tls_client_cert, security.tls_client_key), strict=True))
    lacking = [name for name, value in values.items() if not value or not (_is_pem(value) or Path(value).is_file())]
    if not lacking or (address.is_here and not any(values.values())):
        return not lacking
    raise Misconfigured(
        f"The Dask scheduler at {address} is spoken to over TLS alone: the database's password goes there.",
        details=[f"distributed.comm.tls.{name} names no file" for name in lacking],
        hint=f"{SET_THEM}; one on this machine is dask://127.0.0.1:PORT.",
    )


def _is_pem(value: str) -> bool:
    """Dask takes a certificate itself in the place of a file's name."""
    return "\n" in value
