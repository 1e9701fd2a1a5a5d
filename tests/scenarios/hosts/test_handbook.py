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

from app.transfer.run.settings import DEFAULTS
from tests.support.deployment.runner import Deployment
from tests.support.pages import Block, find_blocks, follow, list_blocks, list_commands, matches, take, take_lines
from tests.support.site import ROOT, Site, query

from .conftest import clean_environment

DOCS = ROOT / "docs"
FIRST_MIGRATION = ("export FLASK_FERRY_SOURCE=", "--dry-run", "flask db-verify", "flask db-rollback")
INSTRUCTIONS = {"CMD", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


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


@pytest.mark.executes("docs/tutorial.md")
@pytest.mark.executes(
    "docs/uninstalling.md", "db-status -v", "app.register_blueprint", "pip uninstall", "rm -r", "db check"
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


@pytest.mark.executes("docs/coming-from-scripts.md")
def test_coming_from_scripts(site: Site, followed: Callable[..., list[str]], tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    with Deployment(tmp_path / "old") as old:
        typed = followed("coming-from-scripts.md", FLASK_FERRY_SOURCE=old.url)
    assert typed[-1] == "flask db-migrate-data local.json.zst --yes --allow-production"
    people = "SELECT id, uid, password FROM users ORDER BY id"
    assert query(site.directory / "production.db", people) == site.query(people) != []


@pytest.mark.executes("docs/to-a-server.md")
@pytest.mark.executes("docs/uninstalling.md", "SHOW DATABASES", "SELECT nspname")
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
    ours = take("docs/uninstalling.md", "SHOW DATABASES", "SELECT nspname")[kind == "postgresql"]
    return [line.rstrip(";") for line in ours.splitlines() if not line.startswith("SHOW")]


@pytest.mark.executes(
    "docs/guide.md", "export FLASK_FERRY_SOURCE=", "--dry-run", "flask db-verify", "flask db-rollback"
)
@pytest.mark.executes("docs/deploy-hook.md")
def test_the_lines_of_the_guide_and_the_runbook(tmp_path: Path) -> None:
    """The guide's first migration, from top to bottom; then the runbook's line and its way back."""
    with Deployment(tmp_path / "old") as old:
        examples = {"https://old.example.org": old.url, "=admin": f"={old.uid}", "=...": f"={old.password}"}
        lines = take_lines("docs/guide.md", *FIRST_MIGRATION)
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
        for line in take_lines("docs/deploy-hook.md"):
            assert hook.flask(*shlex.split(line)[1:]).status == 0, line


@pytest.mark.executes("docs/deploy-places.md")
def test_what_is_shown_of_other_places_is_well_formed_and_has_the_line() -> None:
    line = "flask db-migrate-data --yes"
    take("docs/deploy-places.md")
    of: dict[str, list[str]] = {}
    for block in find_blocks("docs/deploy-places.md"):
        of.setdefault(block.language, []).append(block.text)
    # Whoever adds a block in another language adds what reads it.
    assert set(of) == {"yaml", "ini", "bash", "console", "dockerfile"}
    compose, schema, deploy = map(yaml.safe_load, of["yaml"])
    assert compose["services"]["migrate"]["command"] == line
    assert [step["run"] for step in schema["jobs"]["schema"]["steps"] if "run" in step][1:] == [
        "flask db upgrade",
        "flask db check",
    ]
    assert "shop-migrate.service" in deploy["jobs"]["deploy"]["steps"][0]["run"]
    assert f"/{line}\n" in of["ini"][0]
    [task] = of["bash"]
    assert of["console"] == [f"{line}\n"]
    [image] = of["dockerfile"]
    assert {one.split()[0] for one in image.splitlines() if not one.startswith("#")} <= INSTRUCTIONS
    [program] = re.findall(r"^CMD (.*)$", image, re.MULTILINE)
    assert json.loads(program)[0] == "gunicorn"
    [setting] = re.findall(r"^ENV (.*)$", image, re.MULTILINE)
    keys = [word.partition("=")[0] for word in setting.split()]
    assert {key.removeprefix("FLASK_") for key in keys if key.startswith("FLASK_FERRY_")} <= set(DEFAULTS)
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


@pytest.mark.executes("docs/guide.md", "_FLASK_COMPLETE")
def test_the_line_of_the_guide_that_completes(site: Site) -> None:
    [line] = take("docs/guide.md", "_FLASK_COMPLETE")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = ["bash", "--norc", "-c", f"{line}\ncomplete -p flask"]
    done = subprocess.run(
        shell, env=site.env(PATH=path, PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.endswith(" flask\n"), done.stderr


@pytest.mark.executes("docs/servers.md", "export DATABASE_URL")
def test_the_urls_of_the_page_on_servers(site: Site) -> None:
    for line in take_lines("docs/servers.md", "export DATABASE_URL"):
        [(name, value)] = [word.split("=", 1) for word in shlex.split(line)[1:]]
        status = site.flask("db-status", "-v", **{name: value})
        assert "db.example.org" in status.stdout + status.stderr
        assert "secret" not in status.stdout + status.stderr
