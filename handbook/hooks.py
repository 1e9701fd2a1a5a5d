"""What MkDocs does to the pages beyond rendering them: links into the repository lead to where the project lives."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Called by MkDocs for each page before it is rendered."""
    return link_repository(markdown, page.file.src_uri, config["repo_url"] or "")


def link_repository(markdown: str, page: str, repository: str) -> str:
    """Replace links to files outside of ``docs/``, which the built site does not hold.

    :param page: its path below ``docs/``.
    :param repository: ``https://...``, or nothing: then the link's text is left.
    """

    def replace(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match[2]))
        if path.startswith("docs/"):
            return match[0]
        return f"[{match[1]}]({repository}/blob/HEAD/{path}{match[3] or ''})" if repository else match[1]

    return _LINK.sub(replace, markdown)
