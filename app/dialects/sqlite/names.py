"""SQLite: URLs and paths of database files, and where staging and generations lie."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL

from ...errors import Protected
from ..model import Beside


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


_AREA_SUFFIX = ".ferry"
_STAGING_PREFIX = "staging-"
_GENERATIONS = "generations"


def area_of(url: URL) -> Path:
    """The directory of the control area, beside the database itself."""
    path = path_of(url).resolve()
    return path.with_name(path.name + _AREA_SUFFIX)


def is_area(directory: Path) -> bool:
    return directory.suffix == _AREA_SUFFIX


def staging_file(url: URL, name: str) -> Path:
    return area_of(url) / f"{_STAGING_PREFIX}{name}.db"


def generation_file(url: URL, name: str) -> Path:
    return area_of(url) / _GENERATIONS / f"{name}.db"


def list_beside(url: URL) -> list[Beside]:
    """All staging databases and generations of a target."""
    area = area_of(url)
    # Of a killed run the journal may be there without its database.
    staging = sorted({_stem(file).removeprefix(_STAGING_PREFIX) for file in area.glob(f"{_STAGING_PREFIX}*.db*")})
    generations = sorted({_stem(file) for file in (area / _GENERATIONS).glob("*.db*")})
    databases = [Beside(name, url_of(staging_file(url, name)), is_generation=False) for name in staging]
    return databases + [Beside(name, url_of(generation_file(url, name)), is_generation=True) for name in generations]


def _stem(file: Path) -> str:
    return file.name.partition(".db")[0]


def quote(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'
