"""Where the documentation of this version can be read: a wheel has none of its files."""

from __future__ import annotations

import functools
import re
from importlib.metadata import PackageNotFoundError, metadata

_FILE = re.compile(r"(?<![\w/.-])docs/([a-z-]+\.md)\b")


def link_docs(text: str) -> str:
    """A text in which each file of the documentation is an address, where the package says where it is."""
    if not _FILE.search(text) or not (base := find_docs()):
        return text
    return _FILE.sub(lambda match: f"{base}/{match[1]}", text)


@functools.cache
def find_docs() -> str | None:
    """The address that the package's metadata has for the files of its documentation; it names one of them."""
    try:
        urls = metadata("flask-ferry").get_all("Project-URL") or ()
    except PackageNotFoundError:
        return None
    address = dict(line.split(", ", 1) for line in urls).get("Documentation", "")
    return address.rpartition("/")[0] or None
