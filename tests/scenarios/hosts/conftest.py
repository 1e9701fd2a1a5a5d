"""The wheel, built once and installed into a virtual environment of its own; a host app that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.forks import start_flask
from tests.support.site import ENGINE, ROOT, Result, content, query

HERE = Path(__file__).parent
LIMIT_S = 240
MODULES = (
    "flask.cli",
    "flask_migrate",
    "flask_sqlalchemy",
    "logging.config",
    "sqlalchemy.dialects.sqlite",
    "flask_ferry.commands.versions",
    "flask_ferry.export",
    "flask_ferry.dialects.sqlite.dialect",
    *(f"flask_ferry.{name}" for name in ENGINE),
)
"""What the program has imported that a host's commands are forks of: of the host itself nothing."""


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> Result:
    done = subprocess.run(
        [str(item) for item in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def clean_environment(**more: str) -> dict[str, str]:
    """Nothing of the developer's settings, and nothing that makes this checkout importable."""
    dropped = ("FLASK_", "DB_", "DATABASE", "PYTHON", "PYTEST", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"FLASK_SKIP_DOTENV": "1"} | more


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("wheel")
    made = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", to, cwd=ROOT, env=clean_environment()
    )
    assert made.status == 0, made.stdout + made.stderr
    (file,) = to.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The interpreter of an environment that has the wheel; what the wheel needs it finds in this one's."""
    if given := os.environ.get("WHEEL_PYTHON"):  # that of make test-wheel, which finds nothing in this one's
        return Path(given)
    directory = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(directory, symlinks=True)
    found = directory / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(directory), "platbase": str(directory)})
    needed = [path for path in sys.path if path.endswith("site-packages")]
    Path(paths["purelib"], "needed.pth").write_text("\n".join(needed) + "\n")
    options = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--ignore-installed"]
    done = run(found, "-m", "pip", "install", *options, wheel, cwd=directory, env=clean_environment())
    assert done.status == 0, done.stdout + done.stderr
    return found


@dataclass
class HostApp:
    """An app, the library's by default, in a directory of its own."""

    directory: Path
    python: Path
    environ: dict[str, str] = field(default_factory=dict)
    application: str = "library:create_app"

    @property
    def database(self) -> Path:
        return self.directory / "instance" / f"{self.application.partition(':')[0]}.db"

    @property
    def area(self) -> Path:
        return self.database.with_name(self.database.name + ".ferry")

    def flask(self, *arguments: str, cwd: Path | None = None, **environ: str) -> Result:
        env = clean_environment(FLASK_APP=self.application, PYTHONPATH=str(self.directory), **(self.environ | environ))
        # Started from elsewhere, Flask finds the app by PYTHONPATH, as under a deploy hook.
        process = start_flask(arguments, env, cwd or self.directory, python=self.python, modules=MODULES)
        try:
            stdout, stderr = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Result(process.wait(), stdout, stderr)

    def ok(self, *arguments: str, cwd: Path | None = None, **environ: str) -> Result:
        result = self.flask(*arguments, cwd=cwd, **environ)
        assert result.status == 0, result.stderr + result.stdout
        assert "Traceback" not in result.stderr
        return result

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return query(self.database, sql)

    def content(self) -> str:
        return content(self.database)


@pytest.fixture(scope="session")
def _history(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Path:
    """The app with the history that its developer makes: flask db init, migrate."""
    directory = tmp_path_factory.mktemp("history") / "library"
    shutil.copytree(HERE / "library", directory, ignore=shutil.ignore_patterns("__pycache__"))
    app = HostApp(directory, python)
    app.ok("db", "init")
    app.ok("db", "migrate", "-m", "first", "--rev-id", "first")
    shutil.rmtree(directory / "instance")
    return directory


@pytest.fixture(scope="session")
def _second(tmp_path_factory: pytest.TempPathFactory, python: Path, _history: Path) -> Path:
    """The file of the revision that brings the second release."""
    directory = tmp_path_factory.mktemp("second") / "library"
    shutil.copytree(_history, directory)
    app = HostApp(directory, python, {"LIBRARY_RELEASE": "2"})
    app.ok("db", "upgrade")
    app.ok("db", "migrate", "-m", "shelves", "--rev-id", "shelves")
    (file,) = (directory / "migrations" / "versions").glob("shelves_*.py")
    return file


@pytest.fixture
def library(tmp_path: Path, python: Path, _history: Path) -> HostApp:
    """The host app, without a database."""
    directory = tmp_path / "library"
    shutil.copytree(_history, directory)
    return HostApp(directory, python)


@pytest.fixture
def release(library: HostApp, _second: Path) -> Callable[[], None]:
    """Deploys the host's second release: a column more, and the revision that makes it."""

    def deploy() -> None:
        shutil.copy(_second, library.directory / "migrations" / "versions")
        library.environ["LIBRARY_RELEASE"] = "2"

    return deploy
