"""Carry the forum by Django's ``dumpdata`` and ``loaddata``.

``python -m benchmarks.loaddata FILE TARGET``: from a SQLite file to a path, or to ``postgresql://...``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command


def describe(target: str) -> dict[str, Any]:
    """A database as Django's settings have it."""
    url = urlsplit(target)
    if url.scheme != "postgresql":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": target}
    names = {"NAME": url.path.lstrip("/"), "USER": url.username, "PASSWORD": url.password or ""}
    return {"ENGINE": "django.db.backends.postgresql", "HOST": url.hostname, "PORT": url.port, **names}


def carry(source: str, target: str) -> None:
    """Write a fixture of all rows, make the tables, load it."""
    settings.configure(
        DATABASES={"default": describe(target), "old": describe(source)},
        INSTALLED_APPS=["benchmarks.loaddata"],
        USE_TZ=False,
    )
    django.setup()
    with tempfile.TemporaryDirectory() as directory:
        fixture = Path(directory) / "forum.jsonl"
        call_command("dumpdata", database="old", format="jsonl", output=str(fixture), verbosity=0)
        call_command("migrate", run_syncdb=True, verbosity=0)
        call_command("loaddata", str(fixture), verbosity=0)


if __name__ == "__main__":
    carry(*sys.argv[1:])
