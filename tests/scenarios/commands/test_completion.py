"""What Tab offers: names of this app and its database, or nothing where they cannot be looked up."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from flask.cli import FlaskGroup

from tests.support.local import Local, hold, tree


@pytest.fixture
def app(changed: Local, monkeypatch: pytest.MonkeyPatch) -> Local:
    for name, value in changed.overrides().items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    return changed


def press_tab(app: Local, *words: str, incomplete: str = "") -> list[str]:
    """What is offered; of files the shell is asked."""
    group = FlaskGroup(create_app=app.app, load_dotenv=False)
    complete = ShellComplete(group, {}, "flask", "_FLASK_COMPLETE")
    # Before version 8.2 click leaves the app's context open for what is left of the process, which a shell ends.
    items = copy_context().run(complete.get_completions, list(words), incomplete)
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in items]


def test_names_are_those_of_this_database(app: Local) -> None:
    run = app.report()["run"]
    app.ok("db-backup")
    [backup] = [path.stem for path in app.kept()]
    before = tree(app.directory)
    assert press_tab(app, "db-restore") == [backup, "<file>"]
    assert press_tab(app, "db-backup", "--check") == [backup]
    assert press_tab(app, "db-verify") == [run]
    assert press_tab(app, "db-verify", incomplete="x") == []
    assert press_tab(app, "db-migrate-data", incomplete="se") == ["self", "<file>"]
    assert press_tab(app, "db-migrate-data", "--profile") == press_tab(app, "db-verify", "--profile") == ["anonymous"]
    assert press_tab(app, "db-migrate-data", "-e", incomplete="sect") == ["sections"]
    losses = press_tab(app, "db-migrate-data", "--accept-loss", incomplete="sections")
    assert losses == ["sections", "sections.abbreviation", "sections.id", "sections.name"]
    assert press_tab(app, "db-status", "--bind") == ["default"]
    assert press_tab(app, "db-status", "--unlock") == []
    assert tree(app.directory) == before
    run = hold(app, alive=False)
    assert press_tab(app, "db-status", "--unlock") == [run]


def test_nothing_is_offered_or_said_where_it_cannot_be_looked_up(
    app: Local, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (app.area / "control.db").write_bytes(b"no database" * 100)
    app.config["FERRY_PROFILES"] = "no.such.module"
    assert press_tab(app, "db-verify") == press_tab(app, "db-migrate-data", "--profile") == []
    app.config["SQLALCHEMY_DATABASE_URI"] = "mysql+pymysql://nobody@127.0.0.1:1/nothing"
    assert press_tab(app, "db-restore") == ["<file>"]
    assert "".join(capsys.readouterr()) == ""
