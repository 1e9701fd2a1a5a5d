"""A source that is written while it is read: what changed is carried, and what came too late is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.transfer.jobs import source_job
from app.transfer.staging import catch_up
from tests.support.deployment.runner import Deployment
from tests.support.site import Result, Site
from tests.support.sources.headrows import ROWS, VALUES, answered, assert_same_rows, at_head
from tests.support.sources.sites import Before, Secrets, assert_refused, flask, ledger, report, rows_of

Put = Callable[[Path], Path]
Write = Callable[[], object]


@pytest.fixture
def old(old_file: Put, tmp_path: Path) -> Path:
    return old_file(tmp_path / "old.db")


def execute(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        for sql in statements:
            connection.execute(sql)


def study(number: int) -> str:
    return f"INSERT INTO study VALUES ({number}, (SELECT min(id) FROM users), 'late', 'b', 1, 'once')"


CHANGES = (
    "DELETE FROM posts WHERE id = (SELECT max(id) FROM posts)",
    "UPDATE users SET _name = 'Written Meanwhile' WHERE id = (SELECT max(id) FROM users)",
    study(7001),
    study(7002),
)


@contextmanager
def written(patch: pytest.MonkeyPatch, *, staged: Write | None = None, again: Write | None = None) -> Iterator[None]:
    """Write to the source when it is staged, and each time that a pass has carried what changed."""
    for module, name, write in ((source_job, "fill", staged), (catch_up, "restage", again)):
        if write is not None:
            patch.setattr(module, name, _before(write, getattr(module, name)))
    yield


def _before(write: Write, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        write()
        return function(*arguments, **named)

    return wrapped


def migrate(site: Site, source: Path, *options: str) -> Result:
    return flask(site, "db-migrate-data", str(source), "--yes", *options)


def same(site: Site, old: Path) -> None:
    assert_same_rows(rows_of(site.database), at_head(rows_of(old)), texts=True)


def test_what_is_written_meanwhile_is_carried(site: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, staged=lambda: execute(old, *CHANGES)):
        done = migrate(site, old)
    assert done.status == 0, done.stderr
    same(site, old)
    told = report(site)
    counts = {c["table"]: (c["pass"], c["added"], c["changed"], c["removed"]) for c in told["catch_up"]}
    assert counts == {"posts": (1, 0, 0, 1), "users": (1, 0, 1, 0), "study": (1, 2, 0, 0)}
    assert next(c["keys"] for c in told["catch_up"] if c["table"] == "study") == [[7001], [7002]]
    assert told["not_caught_up"] == []
    assert "study +2 ~0 -0" in done.stderr
    assert {row["table"]: row["loaded"] for row in told["tables"]}["study"] == len(rows_of(old)["study"])
    assert flask(site, "db-verify").status == 0
    assert flask(site, "db-verify", "--against", str(old)).status == 0


def test_a_quiet_source_is_not_read_into_a_file_again(site: Site, old: Path) -> None:
    assert migrate(site, old).status == 0
    assert report(site)["catch_up"] == []
    assert [path.name for path in site.snapshot.parent.glob("data.json.*.bak")] == []


def test_the_passes_end_and_what_came_too_late_is_told(site: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(8000, 9000))

    def write() -> None:
        execute(old, study(next(numbers)))

    with written(monkeypatch, staged=write, again=write):
        done = migrate(site, old, "--catch-up", "2")
    assert done.status == 0, done.stderr
    assert [(c["pass"], c["table"], c["added"]) for c in report(site)["catch_up"]] == [(1, "study", 1), (2, "study", 1)]
    assert report(site)["not_caught_up"] == ["study"]
    assert "not carried: study" in done.stderr
    assert "--rerun" in done.stderr
    # The third write is the one that came behind the second pass.
    assert [row["id"] for row in rows_of(old)["study"] if row["id"] >= 8000] == [8000, 8001, 8002]
    monkeypatch.undo()
    assert flask(site, "db-migrate-data", str(old), "--yes", "--rerun").status == 0
    same(site, old)


def test_a_table_that_is_left_out_may_change(site: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, staged=lambda: execute(old, study(7001))):
        done = migrate(site, old, "--exclude", "study")
    assert done.status == 0, done.stderr
    assert (report(site)["catch_up"], report(site)["not_caught_up"]) == ([], [])
    assert list(site.snapshot.parent.glob("data.json.*.bak")) == []


def test_none_is_none(site: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, staged=lambda: execute(old, study(7001))):
        done = migrate(site, old, "--catch-up", "0")
    assert done.status == 0, done.stderr
    assert report(site)["catch_up"] == []
    assert "what was written there later is not carried" in done.stdout + done.stderr


def test_a_source_that_cannot_be_read_again(filled: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Before.of(filled)
    with written(monkeypatch, staged=old.unlink):
        refused = migrate(filled, old, "--fallback", "never")
        assert_refused(refused, 3, str(old))
        before.assert_live_unchanged()


def test_what_was_taken_stands_in_for_a_source_that_went_away(
    site: Site, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = at_head(rows_of(old))
    with written(monkeypatch, staged=old.unlink):
        done = migrate(site, old)
    assert done.status == 0, done.stderr
    assert "not from the source" in done.last_line
    assert ledger(site)[-1]["from_snapshot_of"]
    assert_same_rows(rows_of(site.database), expected, texts=True)


def test_a_schema_that_changes_meanwhile(filled: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Before.of(filled)
    with written(monkeypatch, staged=lambda: execute(old, "ALTER TABLE users ADD COLUMN nick TEXT")):
        refused = migrate(filled, old, "--fallback", "never")
    assert_refused(refused, 3, "schema", str(old))
    before.assert_live_unchanged()


def test_rows_that_the_schema_refuses_meanwhile(filled: Site, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Before.of(filled)
    bad = "INSERT INTO study VALUES (7003, (SELECT min(id) FROM users), 'x', NULL, 1, NULL)"
    relax = (
        "CREATE TABLE relaxed AS SELECT * FROM study",
        "DROP TABLE study",
        "ALTER TABLE relaxed RENAME TO study",
    )
    execute(old, *relax)
    with written(monkeypatch, staged=lambda: execute(old, bad.replace("7003, (SELECT min(id) FROM users)", "7003, 1"))):
        refused = migrate(filled, old)
    assert_refused(refused, 22, "study", "7003")
    before.assert_live_unchanged()
    monkeypatch.undo()
    execute(old, "DELETE FROM study WHERE id = 7003")
    with written(monkeypatch, staged=lambda: execute(old, bad, study(7004))):
        done = migrate(filled, old, "--set-aside")
    assert done.status == 0, done.stderr
    assert [row["id"] for row in rows_of(filled.database)["studies"] if row["id"] > 7000] == [7004]
    assert report(filled)["set_aside"][0]["table"] == "study"


@pytest.mark.parametrize("options", [("--catch-up", "1")])
def test_a_file_is_not_read_again(site: Site, old: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert migrate(site, old).status == 0
    assert_refused(migrate(site, site.snapshot, *options), 2, "--catch-up")


def test_a_deployment_over_http(site: Site, wrong: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, staged=lambda: execute(wrong.database, *CHANGES)):
        done = flask(site, "db-migrate-data", "--yes", "--catch-up", "2", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert_same_rows(rows_of(site.database), at_head(answered(rows_of(wrong.database), *VALUES, *ROWS)), texts=False)
    assert {c["table"] for c in report(site)["catch_up"]} >= {"posts", "users", "study"}
    waived = [tuple(sorted(item.items(), key=str)) for item in report(site)["waived"]]
    assert len(waived) == len(set(waived))
    assert flask(site, "db-verify", **Secrets.of(wrong).source).status == 0


def test_a_deployment_is_read_once_unless_more_is_asked_for(
    site: Site, wrong: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with written(monkeypatch, staged=lambda: execute(wrong.database, *CHANGES)):
        done = flask(site, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert report(site)["catch_up"] == []
    assert len(rows_of(site.database)["posts"]) == len(rows_of(wrong.database)["posts"]) + 1
