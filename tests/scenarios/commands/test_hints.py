"""Every hint is a whole command as it was typed, and works when it is pasted."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.commands.hints import Typed, complete
from tests.support.local import PRODUCTION, Local

APP = ("--app", "app:create_app")


def commands(text: str) -> list[list[str]]:
    """The commands that a hint has, each to the end of its line."""
    found = [line[line.index("flask ") :] for line in text.splitlines() if "flask " in line]
    return [shlex.split(command, comments=True)[1:] for command in found]


def elsewhere(app: Local) -> Path:
    """A backup that another database made."""
    other = Local(app.directory / "other")
    other.directory.mkdir()
    other.ok("db-init")
    file = app.directory / "it's a backup 1.sqlite3"
    other.ok("db-backup", "--to", str(file))
    return file


Situation = Callable[[Local], tuple[list[str], dict[str, str]]]
SITUATIONS: dict[str, tuple[Situation, int]] = {
    "nobody to ask": (lambda app: (["db-init", "--schema", "migrations", "-q"], {}), 130),
    "nobody to ask, to go back": (lambda app: (["db-rollback"], {}), 130),
    "production": (lambda app: (["db-init", "--yes", "--no-seed"], PRODUCTION), 20),
    "a file of somebody else": (lambda app: (["db-restore", str(elsewhere(app)), "--yes"], {}), 20),
    "no such backup": (lambda app: (["db-restore", "none-such", "--yes"], {}), 21),
    "no such run": (lambda app: (["db-migrate-data", "--set-aside-from", "none-such.json", "--yes"], {}), 3),
    "writes that cannot be kept": (lambda app: (["db-rollback", "--keep-writes", "--yes"], {}), 22),
}


@pytest.mark.parametrize("program", [(), APP], ids=["flask", "flask --app"])
@pytest.mark.parametrize("name", SITUATIONS)
def test_a_hint_works_when_it_is_pasted(changed: Local, name: str, program: tuple[str, ...]) -> None:
    situation, status = SITUATIONS[name]
    arguments, environ = situation(changed)
    refused = changed.run(*program, *arguments, **environ)
    assert refused.status == status, refused.stderr
    pasted = commands(refused.stderr)
    assert pasted, refused.stderr
    for words in pasted:
        assert tuple(words[: len(program)]) == program
        done = changed.run(*words, **environ)
        assert done.status == 0, f"{shlex.join(words)}: {done.stderr}"


def test_after_a_rollback_the_source_that_was_typed_is_in_the_hint(changed: Local) -> None:
    shutil.copy(changed.database, changed.directory / "old.db")
    changed.ok("db-migrate-data", str(changed.directory / "old.db"), "--rerun", "--yes")
    changed.ok("db-rollback", "--yes")
    changed.ok("db", "downgrade", "0006_links")
    typed = ["db-migrate-data", str(changed.directory / "old.db"), "--yes", "-q"]
    refused = changed.run(*typed)
    assert refused.status == 20, refused.stderr
    by_self, again = commands(refused.stderr)
    assert again == [*typed, "--rerun"]
    assert by_self == ["db-migrate-data", "self", "--yes"]
    assert changed.run(*again).status == 0


@pytest.mark.parametrize(
    ("hint", "typed", "shown"),
    [
        (
            "Make room, then run the command again.",
            "db-init --yes",
            "Make room, then run the command again.\nAgain: T --yes",
        ),
        ("See: flask db-backup --list", "db-init --yes", "See: flask --app a db-backup --list"),
        ("Go back: flask db-rollback", "db-rollback -y --keep-writes", "Go back: flask --app a db-rollback --yes"),
        ("Stamp it: flask db stamp REVISION", "db-init", "Stamp it: flask --app a db stamp REVISION"),
        ("Go back (flask db-rollback), or not", "db-init", "Go back (flask --app a db-rollback), or not"),
        (
            "Leave it out: flask db-migrate-data --exclude memo --exclude 'a b'",
            "db-migrate-data old.db --yes --exclude place",
            "Leave it out: flask --app a db-migrate-data old.db --yes --exclude place --exclude memo --exclude 'a b'",
        ),
        ("flask db-restore x/1  # 3 rows", "db-restore --yes", "flask --app a db-restore x/1 --yes  # 3 rows"),
    ],
)
def test_what_becomes_of_a_hint(hint: str, typed: str, shown: str) -> None:
    name, *arguments = typed.split()
    made = Typed("flask --app a", name, tuple(arguments))
    assert complete(hint, made) == shown.replace("T --yes", str(made))


def test_what_is_typed_is_quoted(changed: Local) -> None:
    refused = changed.run("db-restore", "none such", "--yes")
    assert refused.status == 21
    assert commands(refused.stderr) == [["db-backup", "--list"]]


def test_to_run_it_again_is_to_type_all_of_it_again() -> None:
    typed = Typed("flask", "db-migrate-data", ("old.json", "--accept-missing", "--yes"))
    hint = "Fix the adapters or the source, then run again: flask db-migrate-data"
    assert complete(hint, typed).endswith("run again: flask db-migrate-data old.json --accept-missing --yes")
    assert complete("Or begin: flask db-migrate-data", typed) == "Or begin: flask db-migrate-data --yes"
