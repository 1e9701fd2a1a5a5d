"""What is written for a release: the changelog's fragments, the tag, the workflow, the versions of the hooks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from hatch_build import find_repository, link_readme, list_urls
from tests.support.release import find_faults
from tests.support.site import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KINDS = PROJECT["tool"]["towncrier"]["type"]
HOOKS = ROOT / ".pre-commit-config.yaml"
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())


def call(directory: Path, module: str, *arguments: str) -> str:
    """What a tool prints that succeeds."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parse(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What a release reads and writes, in a directory of its own, with a fragment of each kind."""
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "changelog.d").mkdir()
    for kind in KINDS:
        path = tmp_path / "changelog.d" / f"+something.{kind['directory']}.md"
        path.write_text(f"This is {kind['directory']}.\n", encoding="utf-8")
    return tmp_path


def test_every_fragment_is_of_a_known_kind() -> None:
    kinds = "|".join(kind["directory"] for kind in KINDS)
    for path in (ROOT / "changelog.d").iterdir():
        known = path.name == "README.md" or re.fullmatch(rf"\+[a-z0-9-]+\.({kinds})\.md", path.name)
        assert known, f"{path.name}: the kinds are {kinds}"


def test_a_draft_says_every_fragment_that_is_there() -> None:
    drafted = call(ROOT, "towncrier", "build", "--draft", "--version", "9.9.9")
    assert "## 9.9.9 (" in drafted
    said = "".join(drafted.split())
    for path in (ROOT / "changelog.d").glob("+*"):
        assert "".join(path.read_text(encoding="utf-8").split()) in said, path.name


def test_a_release_keeps_what_the_changelog_held(project: Path) -> None:
    before = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    call(project, "towncrier", "build", "--yes", "--version", "9.9.9", "--date", "2030-01-02")
    after = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    head, _, rest = after.partition("## 9.9.9 (2030-01-02)")
    assert before.startswith(head)
    assert rest.endswith(before.removeprefix(head))
    for kind in KINDS:
        assert f"- This is {kind['directory']}." in rest


def test_a_tag_that_agrees_with_everything(project: Path) -> None:
    version = PROJECT["project"]["version"]
    faults = find_faults("v9.9.9", project)
    assert faults[0] == f"The tag is v9.9.9, the version in pyproject.toml is {version}."
    assert faults[1] == f"CHANGELOG.md has no section of {version} with a date."
    assert len(faults) == 2 + len(KINDS)
    shutil.rmtree(project / "changelog.d")
    text = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    (project / "CHANGELOG.md").write_text(text.replace("(unreleased)", "(2030-01-02)"), encoding="utf-8")
    assert find_faults(f"v{version}", project) == []


def test_only_the_job_that_publishes_may_ask_for_an_identity() -> None:
    workflow = parse(ROOT / ".github" / "workflows" / "release.yml")
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert (workflow["permissions"], build.get("permissions")) == ({"contents": "read"}, None)
    assert (publish["permissions"], publish["needs"]) == ({"id-token": "write"}, "build")
    assert not [step for step in publish["steps"] if "run" in step]
    lines = [step["run"] for step in build["steps"] if "run" in step]
    assert [line.split()[:2] for line in lines] == [
        ["python", "tests/support/release.py"],
        ["make", ".venv/.dev"],
        [".venv/bin/python", "-m"],
        ["python", "-m"],
        ["python", "-m"],
        ["make", "test-wheel"],
    ]


HOME = "https://code.example.com/someone/ferry"


def test_links_of_the_readme_lead_to_this_version_or_nowhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]*)\)", link_readme(text, HOME, "v1.2.3"))
    files = [link.removeprefix(f"{HOME}/blob/v1.2.3/") for link in links]
    assert len(files) > 10
    for link, file in zip(links, files, strict=True):
        assert link == file or (ROOT / file.partition("#")[0]).exists(), link
        assert re.match("https?://", link), link
    assert re.findall(r"\]\((?!https?:)", link_readme(text, "", "v1.2.3")) == []
    assert link_readme("[a](#b) [c](https://x) [d](e.md#f)", "", "v1") == "[a](#b) [c](https://x) d"


def test_where_the_project_lives_is_said_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPOSITORY_URL", raising=False)
    assert list_urls(find_repository(""), "v1") == {}
    assert find_repository(f"{HOME}/") == HOME
    monkeypatch.setenv("REPOSITORY_URL", "https://code.example.com/fork")
    urls = list_urls(find_repository(HOME), "v1")
    assert urls["Source"] == "https://code.example.com/fork"
    for url in urls.values():
        path = url.partition("/blob/v1/")[2]
        assert (ROOT / path).exists(), url
    monkeypatch.setenv("REPOSITORY_URL", "git@code.example.com:someone/ferry")
    with pytest.raises(ValueError, match="REPOSITORY_URL"):
        find_repository("")


def test_a_build_says_where_it_was_told_that_the_project_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (HOME, ""):
        monkeypatch.setenv("REPOSITORY_URL", url)
        call(ROOT, "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / (url and "home")))
        (wheel,) = (tmp_path / (url and "home")).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
            metadata = archive.read(name).decode()
        assert (f"Project-URL: Source, {HOME}\n" in metadata) is bool(url)
        assert (f"]({HOME}/blob/v" in metadata) is bool(url)
        assert "](docs/" not in metadata


def test_the_hooks_have_the_versions_of_the_constraints() -> None:
    call(ROOT, "pre_commit", "validate-config", str(HOOKS))
    published = [repository for repository in parse(HOOKS)["repos"] if repository["repo"] != "local"]
    assert {repository["repo"].rpartition("/")[2]: repository["rev"] for repository in published} == {
        "ruff-pre-commit": f"v{PINNED['ruff']}"
    }


def test_the_hooks_of_this_place_are_lines_of_make_lint() -> None:
    (local,) = [repository for repository in parse(HOOKS)["repos"] if repository["repo"] == "local"]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)", ".venv/bin")
    for hook in local["hooks"]:
        assert f"\t{hook['entry']}" in lint, hook["id"]


def test_the_forms_of_issues_are_forms() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    assert parse(folder / "config.yml") == {"blank_issues_enabled": False}
    for name in ("bug.yml", "feature.yml"):
        form = parse(folder / name)
        assert {"name", "description", "body"} <= form.keys()
        names = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert len(names) == len(set(names)) > 0
    assert "SECURITY.md" in (folder / "bug.yml").read_text(encoding="utf-8")
