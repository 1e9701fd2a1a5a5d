"""URLs as people, logs, ledgers and snapshots may see them: without anything that may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import URL

HIDDEN = "***"

# Only what is listed is shown: whatever a driver calls its password, it is not among these.
_SHOWN = frozenset(
    {
        "application_name",
        "autocommit",
        "channel_binding",
        "charset",
        "client_encoding",
        "client_flag",
        "collation",
        "connect_timeout",
        "dbname",
        "gssencmode",
        "host",
        "hostaddr",
        "isolation_level",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "local_infile",
        "mode",
        "options",
        "port",
        "read_timeout",
        "sql_mode",
        "sslmode",
        "ssl_ca",
        "ssl_cert",
        "ssl_check_hostname",
        "ssl_verify_cert",
        "ssl_verify_identity",
        "sslcert",
        "sslcrl",
        "sslrootcert",
        "target_session_attrs",
        "timeout",
        "unix_socket",
        "uri",
        "use_unicode",
        "write_timeout",
    }
)

_URL_TEXT = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>\S*)")


def secret_keys(url: URL) -> list[str]:
    """The names in a URL's query whose values are not shown."""
    return sorted(name for name in url.query if name.lower() not in _SHOWN)


def redact(url: URL) -> str:
    """A database URL as text, its password and every value of its query that may be one replaced by ``***``."""
    return url.set(query=_redact_parts(url.query)).render_as_string(hide_password=True)


def identify(url: URL) -> str:
    """A database URL as text that names the database, equal whatever its secrets are."""
    kept = {name: value for name, value in url.query.items() if name.lower() in _SHOWN}
    return url.set(query=kept).render_as_string(hide_password=True)


def _redact_parts(query: Mapping[str, str | Sequence[str]]) -> dict[str, str | tuple[str, ...]]:
    return {
        name: (value if isinstance(value, str) else tuple(value)) if name.lower() in _SHOWN else HIDDEN
        for name, value in query.items()
    }


def redact_text(text: str) -> str:
    """A text in which each URL, well formed or not, has lost its credentials, query and fragment.

    For what could not be parsed, and for the words of libraries, which may quote a URL.
    """
    return _URL_TEXT.sub(lambda match: match["scheme"] + _bare(match["rest"]), text)


def _bare(rest: str) -> str:
    # A password may hold any of these characters: the last @ of all ends it, wherever the path seems to begin.
    credentials, at, place = rest.rpartition("@")
    del credentials
    for mark in "?#":
        place, found, _ = place.partition(mark)
        place += f"{mark}{HIDDEN}" if found else ""
    return (f"{HIDDEN}@" if at else "") + place
