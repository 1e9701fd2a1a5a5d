"""What the wheel ships, and that a strictly typed host can use it."""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support.site import ROOT

from .conftest import HERE, clean_environment, run

PARTS = {"classic", "commands", "transfer", "dialects", "export"}


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_it_ships_the_parts_and_nothing_else(names: list[str]) -> None:
    shipped = {name for name in names if ".dist-info/" not in name}
    expected = {
        f"flask_ferry/{path.relative_to(ROOT / 'app')}"
        for part in PARTS
        for path in (ROOT / "app" / part).rglob("*")
        if path.suffix in (".py", ".html", ".css")
    }
    assert shipped == expected | {"flask_ferry/errors.py", "flask_ferry/py.typed"}


def test_its_metadata(wheel: Path, names: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
    assert said["Name"] == "flask-ferry"
    assert said["Version"] == project["version"]
    assert said["Requires-Python"] == project["requires-python"]
    required = {text.split(";")[0].strip() for text in said.get_all("Requires-Dist") if "extra ==" not in text}
    assert len(required) == len(project["dependencies"])
    assert not [text for text in required if text.lower().startswith(("flask-limiter", "pyjwt", "pytest"))]
    assert any(name.endswith("/LICENSE") for name in names)


def test_its_page_has_no_link_that_leads_nowhere(wheel: Path, names: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        page = Parser().parsestr(archive.read(name).decode()).get_payload()
    assert "# Flask-Ferry" in page
    assert "decisions" in page, "the text of a link is kept"
    links = re.findall(r"\]\(([^)]*)\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=[\"']([^\"']*)", page, re.MULTILINE)
    assert [link for link in map("".join, links) if not link.startswith("https://")] == []


def test_it_imports_without_the_app_of_this_repository(python: Path, tmp_path: Path) -> None:
    code = (
        "import sys, flask_ferry.classic, flask_ferry.commands, flask_ferry.export, flask_ferry.commands.functions\n"
        "from flask_ferry.commands import bp\n"
        "assert sorted(bp.cli.commands)[:2] == ['db-adopt', 'db-backup'], bp.cli.commands\n"
        "assert not [name for name in sys.modules if name == 'app' or name.startswith('app.')]\n"
        "print(flask_ferry.commands.__file__)\n"
    )
    done = run(python, "-c", code, cwd=tmp_path, env=clean_environment())
    assert done.status == 0, done.stderr
    assert str(python.parent.parent) in done.stdout


def test_it_needs_only_what_it_says(python: Path, tmp_path: Path) -> None:
    """Every distribution that is imported is a dependency, or one of theirs."""
    code = (
        "import importlib.metadata as m, re, sys\n"
        "import flask_ferry.commands, flask_ferry.export\n"
        "seen, left = set(), ['flask-ferry']\n"
        "while left:\n"
        "    name = re.sub(r'[-_.]+', '-', left.pop()).lower()\n"
        "    if name in seen: continue\n"
        "    seen.add(name)\n"
        "    try: needs = m.requires(name) or []\n"
        "    except m.PackageNotFoundError: continue\n"
        "    left += [re.match(r'[\\w.-]+', text)[0] for text in needs if 'extra ==' not in text]\n"
        "of = m.packages_distributions()\n"
        "tops = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "used = {d.lower().replace('_', '-') for top in tops for d in of.get(top, [])}\n"
        "print(sorted(used - seen))\n"
    )
    done = run(python, "-c", code, cwd=tmp_path, env=clean_environment())
    assert done.status == 0, done.stderr
    unasked = set(eval(done.stdout)) - {"setuptools", "pip", "typing-extensions"}
    assert unasked == set()


def test_a_host_with_strict_types(python: Path, tmp_path: Path) -> None:
    right = (HERE / "typed_host.py").read_text()
    (tmp_path / "typed.py").write_text(right)
    (tmp_path / "wrong.py").write_text(right.replace("where: str = backup", "where: int = backup"))
    options = ["--strict", "--python-executable", str(python), "--cache-dir", str(tmp_path / "cache")]
    done = run(sys.executable, "-m", "mypy", *options, "typed.py", "wrong.py", cwd=tmp_path, env=clean_environment())
    assert done.status == 1, "py.typed is not seen, so that nothing was checked"
    [error, last] = done.stdout.splitlines()
    assert error.startswith("wrong.py:"), done.stdout
    assert last.startswith("Found 1 error in 1 file (checked 2 "), done.stdout
