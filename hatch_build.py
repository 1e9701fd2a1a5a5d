"""What the package's metadata says of where the project lives: its addresses, and the README's links.

The address stands in one place: ``REPOSITORY_URL`` in the environment of a build, else ``repository`` in
``pyproject.toml`` under ``[tool.hatch.metadata.hooks.custom]``. Without one, nothing is said, and a link into this
repository is its text alone, as it would lead nowhere on an index's page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_INTO_REPOSITORY = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)]*)\)")


class Addresses(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``, which ``pyproject.toml`` declares dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository = find_repository(self.config.get("repository", ""))
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        readme = link_readme(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
        metadata["urls"] = list_urls(repository, f"v{metadata['version']}")


def find_repository(configured: str) -> str:
    """:raises ValueError: the address is none of a web page."""
    url = (os.environ.get("REPOSITORY_URL") or configured).rstrip("/")
    if url and not re.fullmatch(r"https://[^\s?#]+", url):
        raise ValueError(f"REPOSITORY_URL is no https:// address: {url}")
    return url


def link_readme(text: str, repository: str, tag: str) -> str:
    """The README with links to the files of this version, or, without an address, with none into the repository."""
    if not repository:
        return _INTO_REPOSITORY.sub(r"\1", text)
    return _INTO_REPOSITORY.sub(rf"[\1]({repository}/blob/{tag}/\2)", text)


def list_urls(repository: str, tag: str) -> dict[str, str]:
    """What an index shows beside the README."""
    if not repository:
        return {}
    return {
        "Source": repository,
        "Documentation": f"{repository}/blob/{tag}/docs/README.md",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
