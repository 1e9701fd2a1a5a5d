"""URLs as people, logs, ledgers and snapshots may see them: without anything that may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

HIDDEN = "***"
STRAY_AT = "there is an @ in its host or its database's name; in a user or password it is written as %40, a / as %2F"
"""Of a URL whose password ends at an @ of its own, or begins behind a slash: a part of it would be shown."""

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

_ENDS_A_PASSWORD = re.compile(r":.*@|@.*/", re.DOTALL)
_URL_TEXT = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>.*)", re.DOTALL)


def secret_keys(url: URL) -> list[str]:
    """The names in a URL's query whose values are not shown."""
    return sorted(name for name in url.query if name.lower() not in _SHOWN)


def redact(url: URL) -> str:
    """A database URL as text, its password and every value of its query that may be one replaced by ``***``."""
    return url.set(query=_redact_parts(url.query)).render_as_string(hide_password=True)


def identify(url: URL) -> str:
    """A database URL as text that names the database, equal whatever its secrets are."""
    query = {name: value for name, value in url.query.items() if name.lower() in _SHOWN}
    return url.set(query=query).render_as_string(hide_password=True)


def _redact_parts(query: Mapping[str, str | Sequence[str]]) -> dict[str, str | tuple[str, ...]]:
    return {
        name: (value if isinstance(value, str) else tuple(value)) if name.lower() in _SHOWN else HIDDEN
        for name, value in query.items()
    }


def redact_argument(text: str) -> str:
    """An argument as it was typed, unless it is a URL with something that may be a secret."""
    if "://" not in text or text.startswith(("http://", "https://")):
        return redact_text(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return redact_text(text)
    # What SQLAlchemy passes over may be anything: a part of the query without a name, all behind a line break.
    is_read = text.isprintable() and all("=" in part for part in text.partition("?")[2].split("&") if part)
    if not is_read or _has_further_at(text, url):
        return redact_text(text)
    return redact(url) if url.password is not None or secret_keys(url) else text


def _has_further_at(text: str, url: URL) -> bool:
    """Whether an @ besides the one that ends the credentials may end a password."""
    before = text.partition("://")[2].rpartition("@")[0]
    return ":" in before and text.count("@") > (url.username is not None)


def has_stray_at(url: URL) -> bool:
    """Whether a URL has an @ in its host, or one in its database's name that ends a password.

    That is ``corp/anna:secret@host``, or ``anna:s@cr/et@host/database``.
    """
    return "@" in (url.host or "") or (url.host is not None and bool(_ENDS_A_PASSWORD.search(url.database or "")))


def redact_text(text: str) -> str:
    """A text that is a URL or quotes one, well formed or not, without its credentials, query and fragment.

    What cannot be told apart is left out: a password may hold spaces and every mark of a URL, and so may a query.
    """
    return _URL_TEXT.sub(lambda match: match["scheme"] + _bare(match["rest"]), text)


def _bare(rest: str) -> str:
    # The last @ of all ends a password, wherever the path seems to begin.
    credentials, at, place = rest.rpartition("@")
    if "?" in credentials or "#" in credentials:
        # A password with a mark in it, or a query with an @: either way it is no place what comes behind.
        return HIDDEN
    for mark in "?#":
        place, sign, _ = place.partition(mark)
        place += f"{mark}{HIDDEN}" if sign else ""
    return (f"{HIDDEN}@" if at else "") + place
