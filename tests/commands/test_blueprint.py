"""The Blueprint costs a host next to nothing until one of its commands is used."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from flask import Flask

from app.commands import bp
from app.commands.blueprint import LazyCommand
from tests.support.site import ROOT

PROGRAM = """
import importlib.util, json, sys, types
for name in ("host", "host.commands"):  # as in the wheel: the reference app is not there
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = ["app" if name == "host" else "app/commands"]
import click, flask.cli
before = set(sys.modules)
import host.commands.blueprint
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_it_imports_nothing_but_its_errors() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["host.commands.blueprint", "host.errors"]


@pytest.mark.parametrize("module", ["backup", "migrate", "status"])
def test_a_command_imports_http_only_for_a_deployment(module: str) -> None:
    program = PROGRAM.replace("host.commands.blueprint", f"host.commands.{module}, host.dialects.sqlite.dialect")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout))
    assert f"host.commands.{module}" in imported
    assert imported & {"requests", "urllib3", "ijson", "host.transfer.sources.http"} == set()


@pytest.mark.parametrize("name", sorted(bp.cli.commands))
def test_a_command_is_the_one_of_its_name(name: str) -> None:
    lazy = bp.cli.commands[name]
    assert isinstance(lazy, LazyCommand)
    assert lazy.load().name == name
    assert lazy.get_params(click.Context(lazy)) == lazy.load().get_params(click.Context(lazy))
    # Beside the longest name it fits on a screen of 80 columns.
    assert 2 + len("db-migrate-data") + 2 + len(lazy.get_short_help_str()) <= 80


def test_the_command_object_itself_runs_the_command() -> None:
    """As a host's own command, or a script of deploys, may use it."""
    app = Flask("host")
    app.register_blueprint(bp)
    command = app.cli.commands["db-status"]
    assert command.callback is not None
    assert "check" in [parameter.name for parameter in command.params]
    done = app.test_cli_runner().invoke(command, [])
    assert done.exit_code == 2
    assert "it lacks" in done.stderr


def test_old_libraries_are_named_and_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a process in which no command was looked at before.
    monkeypatch.setattr(LazyCommand, "_versions_accepted", False)
    monkeypatch.setattr("app.commands.versions.LOWEST", {"Flask": "99"})
    app = Flask("host")
    app.register_blueprint(bp)
    done = app.test_cli_runner().invoke(args=["db-status"])
    assert done.exit_code == 2
    assert "newer libraries than Flask" in done.stderr
    assert "Traceback" not in done.output


def test_help_of_the_app_lists_them() -> None:
    app = Flask("host")
    app.register_blueprint(bp)
    context = click.Context(app.cli)
    assert {name: app.cli.get_command(context, name) for name in bp.cli.commands} == dict(bp.cli.commands)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["db_init"], "flask db-init"),
        (["db-int", "--yes"], "flask db-init"),
        (["db-migrate", "-m", "x"], "flask db-migrate-data"),
        (["db_migrate_data", "self"], "flask db-migrate-data"),
        (["db_status", "--help"], "flask db-status"),
        (["db-migrate-dat"], "flask db-migrate-data"),
        (["db-stauts"], "flask db-status"),
        (["dbrestore", "x"], "flask db-restore"),
        (["db-upgrade"], "flask db upgrade"),
        (["db_stamp", "head"], "flask db stamp"),
    ],
)
def test_a_name_that_is_nearly_ours_names_ours_and_does_nothing(typed: list[str], meant: str) -> None:
    app = Flask("host")
    app.register_blueprint(bp)
    done = app.test_cli_runner().invoke(args=typed)
    assert done.exit_code == 2
    assert f"Did you mean: {meant} ?" in done.stderr
    assert f"  {typed[0]} " not in app.test_cli_runner().invoke(args=["--help"]).output


def test_another_name_is_nobodys() -> None:
    app = Flask("host")
    app.register_blueprint(bp)
    for name in ("frobnicate", "db-frobnicate", "db", "database-init"):
        done = app.test_cli_runner().invoke(args=[name])
        assert done.exit_code == 2
        assert "Did you mean: flask" not in done.stderr


def test_a_command_of_the_host_keeps_its_name() -> None:
    app = Flask("host")
    app.cli.command("db_init")(lambda: click.echo("the host's own"))
    app.register_blueprint(bp)
    app.cli.command("db_migrate")(lambda: click.echo("the host's later one"))
    assert app.test_cli_runner().invoke(args=["db_init"]).output == "the host's own\n"
    assert app.test_cli_runner().invoke(args=["db_migrate"]).output == "the host's later one\n"
