"""What is not as it should be is named by row and column: the first on the terminal, all of it in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite.dialect import SqliteDialect
from app.transfer.run import evidence
from app.transfer.run.control import Control
from tests.support.local import Local, history_without_the_newest, write
from tests.support.site import Result

HASH = "pbkdf2:sha256:1$salt$0123456789abcdef"


def kept(app: Local, result: Result, count: int | None = None) -> list[dict[str, Any]]:
    """The differences in the file of the last run, which the output and the report name."""
    assert result.status == 23, result.stderr
    report = app.report()
    file = Path(report["differences_file"])
    assert str(file) in result.stdout + result.stderr
    assert file.parent == app.area / "runs" / report["run"]
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text(encoding="utf-8"))
    assert count is None or len(found) == count
    assert report["differences"] == found[:100]
    assert HASH not in file.read_text() + result.stdout + result.stderr + json.dumps(report)
    assert app.staging() == []
    return list(found)


def shown(text: str) -> list[str]:
    """The lines that name a row."""
    return [line for line in text.splitlines() if "]: changed" in line or "]: missing" in line or "]: added" in line]


@pytest.mark.parametrize("against", [False, True])
def test_the_first_ten_are_shown_and_all_are_kept(local: Local, old: Path, against: bool) -> None:
    local.ok("db-migrate-data", str(old), "--yes")
    local.write("UPDATE users SET name = name || '!', password = ?", HASH)
    result = local.run("db-verify", "--verbose", *(["--against", str(old)] if against else []))
    found = kept(local, result, 60)
    assert len(shown(result.stdout)) == 10
    assert {tuple(sorted(item["columns"])) for item in found} == {("name", "password")}
    assert all(item["columns"]["password"] == ["***", "***"] for item in found)
    assert result.last_line.startswith("60 differences between this database and ")


def test_a_file_of_differences_has_an_end(local: Local, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local.ok("db-migrate-data", str(old), "--yes")
    local.write("UPDATE users SET name = name || '!'")
    monkeypatch.setattr(evidence, "KEPT_DIFFERENCES", 20)
    result = local.run("db-verify")
    kept(local, result, 20)
    assert result.last_line.startswith("more than 20 differences between ")
    assert "the first of them: " in result.last_line


def test_json_tells_them_too(seeded: Local) -> None:
    seeded.write("UPDATE users SET password = ?, name = 'N'", HASH)
    result = seeded.run("db-verify", "--json")
    said = json.loads(result.stdout.splitlines()[-1])
    assert (said["event"], said["exit_status"]) == ("result", 23)
    assert said["differences_file"]
    assert HASH not in result.stdout


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Local, str, str], None]:
    """Let somebody write to staging when a step is done."""

    def at(app: Local, step: str, sql: str) -> None:
        inner = Control.end_step

        def ending(self: Control, run_id: str, name: str, detail: Any) -> None:
            if name == step:
                [staging] = app.area.glob(f"staging-{run_id}.db")
                write(staging, sql, HASH)
            inner(self, run_id, name, detail)

        monkeypatch.setattr(Control, "end_step", ending)

    return at


Damage = Callable[[Local, str, str], None]


def test_what_staging_holds_is_not_what_was_loaded(local: Local, old: Path, damage: Damage) -> None:
    damage(local, "load", "UPDATE users SET _password = ?, _name = 'somebody' WHERE id % 2 = 0")
    result = local.run("db-migrate-data", str(old), "--yes")
    found = kept(local, result)
    assert len(found) > 10
    assert {item["table"] for item in found} == {"users"}
    assert len(shown(result.stderr)) == 10
    assert "users: 60 rows loaded, 60 found" in result.stderr
    assert '_name: "' in result.stderr
    assert f"and {len(found) - 10} more; all {len(found)}: " in result.stderr
    assert not local.query("SELECT 1 FROM sqlite_schema")


def test_counts_alone_name_the_rows_as_well(local: Local, old: Path, damage: Damage) -> None:
    damage(local, "load", "DELETE FROM feedbacks WHERE ? <> '' AND id = (SELECT max(id) FROM feedbacks)")
    result = local.run("db-migrate-data", str(old), "--yes", "--verify", "counts")
    [found] = kept(local, result, 1)
    assert (found["table"], found["kind"]) == ("feedbacks", "missing")


def test_the_copy_of_the_live_database_is_another_one(
    changed: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed.migrations = history_without_the_newest(tmp_path / "migrations")
    changed.ok("db-init", "--schema", "migrations", "--yes", "--no-seed")
    changed.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Mine', 'M')")
    changed.migrations = None
    live = changed.content()
    _damage_copies(monkeypatch, "UPDATE sections SET name = 'Other' WHERE id = 77")
    # A backup of the server's own is read back as what is upgraded then; a portable one is not.
    backup = tmp_path / "before.json.zst"
    result = changed.run("db-migrate-data", "self", "--yes", "--backup-to", str(backup))
    [found] = kept(changed, result, 1)
    assert (found["table"], found["key"], found["columns"]) == ("sections", [77], {"name": ["Mine", "Other"]})
    assert 'sections [77]: changed: name: "Mine" -> "Other"' in result.stderr
    assert "not what it is a copy of" in result.stderr
    assert changed.content() == live


def test_the_copy_of_an_old_generation_is_another_one(changed: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    changed.ok("db-init", "--yes")
    live = changed.content()
    _damage_copies(monkeypatch, "DELETE FROM sections WHERE id = 77")
    result = changed.run("db-rollback", "--yes")
    [found] = kept(changed, result, 1)
    assert (found["table"], found["key"], found["kind"]) == ("sections", [77], "missing")
    assert changed.content() == live


def _damage_copies(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Let somebody write to staging as soon as it is copied."""
    inner = SqliteDialect.copy

    def copy(self: Any, source: Any, to: Any, **more: Any) -> None:
        inner(self, source, to, **more)
        if "staging-" in str(to.database):
            write(Path(str(to.database)), sql)

    monkeypatch.setattr(SqliteDialect, "copy", copy)
