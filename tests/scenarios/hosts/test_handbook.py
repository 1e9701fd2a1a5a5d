"""Pages of the handbook that a reader follows from top to bottom: every block of them is executed."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.pages import Block, follow, list_blocks, list_commands, matches
from tests.support.site import ROOT, Site, query

from .conftest import clean_environment

DOCS = ROOT / "docs"


@pytest.fixture
def environ(python: Path, wheel: Path, tmp_path: Path) -> Mapping[str, str]:
    """Where pip takes the wheel and nothing else, and every environment sees what this one has."""
    programs = tmp_path / "programs"
    programs.mkdir()
    # What pip installs beside a library that it has to fetch.
    (programs / "flask").write_text('#!/bin/sh\nexec python -m flask "$@"\n')
    (programs / "flask").chmod(0o755)
    return clean_environment(
        PATH=f"{programs}:{python.parent}:{clean_environment()['PATH']}",
        PYTHONPATH=sysconfig.get_path("purelib"),
        PIP_NO_INDEX="1",
        PIP_NO_DEPS="1",
        PIP_IGNORE_INSTALLED="1",
        PIP_FIND_LINKS=str(wheel.parent),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        FLASK_SKIP_DOTENV="1",
    )


def test_the_tutorial_and_uninstalling_what_it_made(tmp_path: Path, environ: Mapping[str, str]) -> None:
    page = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("tutorial.md", "uninstalling.md"))
    typed = follow(page, tmp_path, environ)
    assert {"pip install flask-ferry", "flask db-verify"} <= {*typed}
    assert len(typed) == len(re.findall(r"^\$ ", page, re.MULTILINE))
    files = {path.name for path in (tmp_path / "garden").iterdir()} | {"__pycache__"}
    assert files == {".venv", "__pycache__", "garden.py", "instance", "migrations", "old.db", "old.py"}
    assert [path.name for path in (tmp_path / "garden" / "instance").iterdir()] == ["garden.db"]


@pytest.fixture
def followed(site: Site) -> Callable[..., list[str]]:
    """Follows a page beside the reference app on SQLite."""

    def follow_page(name: str, **environ: str) -> list[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        page = (DOCS / name).read_text(encoding="utf-8")
        return follow(page, site.directory, site.env(PATH=path, PYTHONPATH=str(ROOT), **environ))

    return follow_page


def test_coming_from_scripts(site: Site, followed: Callable[..., list[str]], tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    with Deployment(tmp_path / "old") as old:
        typed = followed("coming-from-scripts.md", FLASK_FERRY_SOURCE=old.url)
    assert typed[-1] == "flask db-migrate-data local.json.zst --yes --allow-production"
    people = "SELECT id, uid, password FROM users ORDER BY id"
    assert query(site.directory / "production.db", people) == site.query(people) != []


def test_what_a_page_shows_is_compared() -> None:
    assert matches("a ... c\n...\nlast\n", "a b c\nx\ny\nlast\n")
    assert matches("...\nlast\n", "last\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a ... c\n", "a b\nc\n")
    [block] = list_blocks("<!-- write: a.py -->\n```python\nx\n```\n")
    assert block == Block("write", "a.py", "", "python", "x\n")
    assert list(list_commands(Block("", "", "", "console", "$ a\nb\n$ c\n"))) == [("a", "b\n"), ("c", "")]
