"""SQLite: URLs and paths of database files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL

from ...errors import Protected


def path_of(url: URL) -> Path:
    """The file of a SQLite URL.

    :raises Protected: an in-memory database, which has none; a file that only a VFS of its own can read.
    """
    name = url.database or ""
    if is_uri(url):
        name = unquote(name.removeprefix("file:").partition("?")[0])
        # file:///path and file://localhost/path are SQLite's other ways to write an absolute one.
        name = re.sub(r"^//(localhost)?/", "/", name)
        if "vfs" in url.query:
            raise Protected("A SQLite file of a VFS of its own cannot be read.", hint="Leave vfs= out of the URL.")
    if not name or name == ":memory:" or url.query.get("mode") == "memory":
        raise Protected(
            "An in-memory SQLite database is gone with its process: there is nothing to carry over or to keep.",
            hint="Set SQLALCHEMY_DATABASE_URI to a file, e.g. sqlite:///app.db",
        )
    return Path(name)


def is_uri(url: URL) -> bool:
    """Whether the database is written as SQLite's ``file:`` URI; without ``uri=true`` that is a file's plain name."""
    value = str(url.query.get("uri", "")).lower()
    return (url.database or "").startswith("file:") and value in ("true", "yes", "on", "y", "t", "1")


def url_of(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def quote(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'
