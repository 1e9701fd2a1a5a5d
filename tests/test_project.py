"""The project's own promises: the README's commands, the workflow's lines, the demo, what files must not say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.pages import take_lines
from tests.support.site import ROOT, Site

README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


def commands(text: str, language: str) -> list[str]:
    """The lines of all code blocks of a language, without comments."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_the_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "FERRY_DEMO": str(tmp_path / "demo")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in ("serves", "Rows: ", "To go back: flask db-rollback", "Nothing to do: already migrated", "answers"):
        assert said in done.stdout


@pytest.mark.executes("README.md", "flask db-init", "flask db-migrate-data --yes")
@pytest.mark.executes("README.md", "db-status --check", "flask db upgrade")
def test_every_flask_command_of_the_readme(site: Site, deployment: Deployment) -> None:
    lines = [line.partition(" #")[0].strip() for line in take_lines("README.md") if line.startswith("flask ")]
    assert {"flask db-init", "flask db-migrate-data --yes", "flask db-rollback"} <= {*lines}
    for line in lines:
        arguments = shlex.split(line)[1:]
        needs_yes = arguments[0] in ("db-init", "db-rollback", "db-restore") and "--yes" not in arguments
        done = site.flask(*arguments, *(["--yes"] if needs_yes else []), **site.source(deployment))
        assert done.status == 0, f"{line}: {done.stderr}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {line.split()[1] for line in commands(README, "console") if line.startswith("make ")}
    assert {"demo", "test"} <= named <= set(targets)


def test_make_alone_lists_the_targets() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert {"demo", "test", "lint"} <= {line.split()[0] for line in done.stdout.splitlines()}


def test_the_flask_lines_of_the_workflow_on_an_empty_database(site: Site) -> None:
    lines = re.findall(r"- run: (flask .*)", WORKFLOW)
    assert lines == ["flask db upgrade", "flask db check"]
    for line in lines:
        done = site.flask(*shlex.split(line)[1:])
        assert done.status == 0, done.stderr


def test_the_make_lines_of_the_workflow_are_what_ci_runs() -> None:
    of_ci = ["make lint", "make test"]
    assert re.findall(r"- run: (make .*)", WORKFLOW) == [
        *of_ci,
        "make test-all",
        "make chaos fuzz SECONDS=60",
        "make servers SERVERS=${{ matrix.server }} && test -d .servers/${{ matrix.server }}",
        "make test-servers SERVERS=${{ matrix.server }}",
        "make test-lowest",
        "make test-newest",
        "make wheel test-wheel",
        "make docs",
    ]
    assert re.findall(r"^make .*", (ROOT / ".ci" / "run").read_text(), re.MULTILINE) == of_ci


@pytest.mark.executes("README.md", "make demo")
@pytest.mark.executes("docs/speed.md", "make bench")
def test_the_make_lines_of_the_pages_are_targets() -> None:
    for line in [*take_lines("README.md", "make demo"), *take_lines("docs/speed.md", "make bench")]:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "make"
        subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_the_steps_of_the_two_old_scripts_are_all_in_their_page() -> None:
    page = (ROOT / "docs" / "coming-from-scripts.md").read_text(encoding="utf-8")
    for step in ("warn", "back up", "drop", "test data", "authenticate", "extract", "JSON", "load", "fall back"):
        assert step in page, step


def test_no_file_names_a_package_index_or_a_path_of_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    banned = re.compile("index" + r"-url|trusted" + r"-host|/ro" + r"ot/|/ho" + r"me/[a-z]+/|pypi" + r"\.org")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            found = banned.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{name}: {found}"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Deployment(tmp_path_factory.mktemp("old")) as running:
        yield running
