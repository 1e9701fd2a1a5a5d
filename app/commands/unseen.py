"""Characters that nobody sees, and that a terminal obeys or a browser drops: shown by their number."""

from __future__ import annotations

import re

# Texts of a database may hold them, those that turn the order of the characters around them about among them.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def show_unseen(text: str) -> str:
    """A text to be shown, what nobody would see in it by its number; tabs and ends of lines stay."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def indent_further_lines(text: str) -> str:
    """A line to be shown: a line break in it may be a name's, and what stands behind that shall look like none of ours.

    What the servers say has line breaks too, and stays readable.
    """
    return text.replace("\n", "\n    ")
