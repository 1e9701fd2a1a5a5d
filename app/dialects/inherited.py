"""The environment of the programs that are called: without the application's settings, which hold its secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable

_NAMES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LD_LIBRARY_PATH"})
_FAMILIES = ("LC_", "SSL_CERT_", "KRB5")


def inherit(more: Iterable[str] = ()) -> dict[str, str]:
    """What a program is given of this process's environment: only what is listed.

    :param more: names that this very program knows; no name of a secret.
    """
    names = _NAMES.union(more)
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(_FAMILIES)}
