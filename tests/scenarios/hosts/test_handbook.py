"""Pages of the handbook that a reader follows from top to bottom: every block of them is executed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

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


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_to_a_server(site: Site, followed: Callable[..., list[str]], request: pytest.FixtureRequest, kind: str) -> None:
    assert site.flask("db-init").status == 0
    server = request.getfixturevalue(kind)
    name = f"handbook_{os.getpid()}"
    server.execute(f"CREATE DATABASE {name}")
    typed = followed("to-a-server.md", SERVER_URL=server.url(name).render_as_string(hide_password=False))
    assert typed[-1] == "flask db-verify"
    for statement in _list_statements(kind):
        server.execute(statement.replace("shop", name), database=name)
    status = site.flask("db-status", DATABASE_URL=server.url(name).render_as_string(hide_password=False))
    assert "Last run:    none" in status.stdout, "the ledger and the mark are gone"


def _list_statements(kind: str) -> list[str]:
    """What the page on uninstalling has for a server; the one that lists is no use here."""
    page = (DOCS / "uninstalling.md").read_text(encoding="utf-8")
    ours = [block.text for block in list_blocks(page) if block.language == "sql"][kind == "postgresql"]
    return [line.rstrip(";") for line in ours.splitlines() if not line.startswith("SHOW")]


def test_the_lines_of_the_guide_and_the_runbook(tmp_path: Path) -> None:
    """The guide's first migration, from top to bottom; then the runbook's line and its way back."""
    with Deployment(tmp_path / "old") as old:
        examples = {"https://old.example.org": old.url, "=admin": f"={old.uid}", "=...": f"={old.password}"}
        page = (DOCS / "guide.md").read_text(encoding="utf-8")
        lines = _list_lines(page[page.index("## The first migration") : page.index("## What SOURCE may be")])
        (tmp_path / "guide").mkdir()
        guide = Site(tmp_path / "guide")
        for line in lines:
            for example, ours in examples.items():
                line = line.replace(example, ours)
            program, *arguments = shlex.split(line)
            if program == "export":
                guide.environ.update([arguments[0].split("=", 1)])
            else:
                # There is no terminal here to answer at.
                asks = arguments == ["db-migrate-data"] or arguments == ["db-rollback"]
                assert guide.flask(*arguments, *(["--yes"] if asks else [])).status == 0, line
        (tmp_path / "hook").mkdir()
        hook = Site(tmp_path / "hook", guide.environ | {"FLASK_FERRY_ENVIRONMENT": "production"})
        for line in _list_lines((DOCS / "deploy-hook.md").read_text(encoding="utf-8")):
            assert hook.flask(*shlex.split(line)[1:]).status == 0, line


def _list_lines(page: str) -> list[str]:
    return [line for block in list_blocks(page) if block.language == "console" for line in block.text.splitlines()]


def test_what_is_shown_of_other_places_is_well_formed_and_has_the_line() -> None:
    line = "flask db-migrate-data --yes"
    blocks = list_blocks((DOCS / "deploy-places.md").read_text(encoding="utf-8"))
    of = {
        language: [block.text for block in blocks if block.language == language] for language in ("yaml", "ini", "bash")
    }
    compose, schema, deploy = map(yaml.safe_load, of["yaml"])
    assert compose["services"]["migrate"]["command"] == line
    assert [step["run"] for step in schema["jobs"]["schema"]["steps"] if "run" in step][1:] == [
        "flask db upgrade",
        "flask db check",
    ]
    assert "shop-migrate.service" in deploy["jobs"]["deploy"]["steps"][0]["run"]
    assert f"/{line}\n" in of["ini"][0]
    [task] = of["bash"]
    assert subprocess.run(["bash", "-n"], input=task, text=True, timeout=10, check=False).returncode == 0
    [overrides] = re.findall(r"--overrides '(.*)'", task)
    assert json.loads(overrides)["containerOverrides"][0]["command"] == line.split()


def test_what_a_page_shows_is_compared() -> None:
    assert matches("a ... c\n...\nlast\n", "a b c\nx\ny\nlast\n")
    assert matches("...\nlast\n", "last\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a ... c\n", "a b\nc\n")
    [block] = list_blocks("<!-- write: a.py -->\n```python\nx\n```\n")
    assert block == Block("write", "a.py", "", "python", "x\n")
    assert list(list_commands(Block("", "", "", "console", "$ a\nb\n$ c\n"))) == [("a", "b\n"), ("c", "")]
