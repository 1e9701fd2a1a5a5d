"""What may be sent to a deployment: paths behind its URL and no others, headers that can be."""

from __future__ import annotations

from urllib.parse import unquote

MOST_HEADER = 16 << 10
"""Characters of a header's value: servers refuse headers of more as well."""


def is_sendable(text: str) -> bool:
    """Whether a text can stand in a header as it is: printable, without blanks around it, and not without end."""
    return len(text) <= MOST_HEADER and text.isascii() and text.isprintable() and text == text.strip()


def is_inside(path: str, prefix: str) -> bool:
    """Whether the path of a URL lies behind a prefix, however a server takes what is written as ``%2e`` or ``%2f``."""
    former, plain = "", path
    while plain != former:
        # What is encoded twice, two servers behind one another may decode twice.
        former, plain = plain, unquote(plain)
    below = path == prefix or path.startswith(f"{prefix}/")
    return below and ".." not in plain.replace("\\", "/").split("/")
