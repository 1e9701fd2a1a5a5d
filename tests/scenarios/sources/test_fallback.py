"""The last good snapshot in place of a source that fails: when it may, and that everybody is told."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.transfer.rows.encode import encode
from app.transfer.rows.files import write
from app.transfer.rows.snapshot import SnapshotReader
from tests.support.deployment import misbehaviour as does
from tests.support.deployment.export import KINDS
from tests.support.deployment.runner import Deployment
from tests.support.site import Result, Site
from tests.support.sources.sites import Before, Secrets, assert_refused, flask, ledger, report

FAILURES = {
    "no answer": (does.CONNECTION_RESET, {"path": "/*"}),
    "wrong password": (does.LOGIN_REFUSED, {}),
    "not admin any more": (does.FORBIDDEN, {}),
    "everything 404": (does.MISSING_ENDPOINT, {"path": "/api/*"}),
    "fails half-way": (does.BAD_GATEWAY, {"path": "/api/export/posts", "page": 2}),
    "says nonsense": (does.WRONG_TOTAL, {"path": "/api/export/posts"}),
}


def migrate(site: Site, deployment: Deployment, *options: str, **environ: str) -> Result:
    return flask(site, "db-migrate-data", "--yes", *options, **{**Secrets.of(deployment).source, **environ})


def taken_at(path: Path) -> str:
    with SnapshotReader(path) as reader:
        return reader.header.read_from


def retaken(path: Path, **changes: Any) -> None:
    """Write a snapshot once more, whole, with another header."""
    kept = path.with_suffix(".kept")
    path.rename(kept)
    with SnapshotReader(kept) as reader:
        write(path, encode(dataclasses.replace(reader.header, **changes), reader.sections()), keep_former=False)
    kept.unlink()


def ago(days: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assert_stood_in(site: Site, done: Result, time: str) -> None:
    """The last line of output, the report and the ledger say so."""
    assert done.status == 0, done.stderr
    assert f"from the snapshot of {time}, not from the source" in done.last_line
    assert report(site)["source"]["fallback_of"] == time
    assert "not from the source" in report(site)["summary"]
    assert ledger(site)[-1]["from_snapshot_of"] == time
    assert site.query("SELECT count(*) FROM posts") == [(430,)]


@pytest.mark.parametrize("failure", FAILURES)
def test_the_snapshot_stands_in(with_snapshot: Site, wrong: Deployment, failure: str) -> None:
    kind, parameters = FAILURES[failure]
    wrong.misbehave(kind, **parameters)
    snapshot = with_snapshot.snapshot.read_bytes()
    done = migrate(with_snapshot, wrong)
    assert_stood_in(with_snapshot, done, taken_at(with_snapshot.snapshot))
    assert with_snapshot.snapshot.read_bytes() == snapshot
    [warning] = report(with_snapshot)["warnings"]
    assert wrong.url in warning or "posts" in warning
    assert f"Warning: {warning}" in done.stderr
    Secrets.of(wrong).assert_kept(with_snapshot, done)


def test_a_second_run_says_so_too(with_snapshot: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    migrate(with_snapshot, wrong)
    again = migrate(with_snapshot, wrong)
    assert again.status == 0
    assert again.stdout.count("\n") == 1
    assert "not from the source" in again.last_line


def test_a_source_that_answers_is_what_counts(with_snapshot: Site, wrong: Deployment) -> None:
    former = with_snapshot.snapshot.read_bytes()
    wrong.execute("UPDATE posts SET _content = 'written since'")
    done = migrate(with_snapshot, wrong)
    assert done.status == 0, done.stderr
    assert "not from the source" not in done.stdout
    assert report(with_snapshot)["source"]["fallback_of"] is None
    assert ledger(with_snapshot)[-1]["from_snapshot_of"] is None
    assert with_snapshot.query("SELECT DISTINCT content FROM posts") == [("written since",)]
    [kept] = with_snapshot.directory.glob("data.json.*.bak")
    assert kept.read_bytes() == former
    assert with_snapshot.snapshot.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "environ"), [(["--fallback", "never"], {}), ([], {"FLASK_FERRY_FALLBACK": "never"})]
)
def test_never(with_snapshot: Site, wrong: Deployment, options: list[str], environ: dict[str, str]) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    before = Before.of(with_snapshot)
    ended = migrate(with_snapshot, wrong, *options, **environ)
    assert_refused(ended, 12, "--fallback never")
    before.assert_unchanged()


@pytest.mark.parametrize(
    ("days", "options", "status"),
    [(6.9, [], 0), (7.1, [], 12), (7.1, ["--fallback", "2w"], 0), (0.1, ["--fallback", "2h"], 12)],
)
def test_too_old(with_snapshot: Site, wrong: Deployment, days: float, options: list[str], status: int) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    retaken(with_snapshot.snapshot, read_from=ago(days))
    before = Before.of(with_snapshot)
    ended = migrate(with_snapshot, wrong, *options)
    assert ended.status == status, ended.stderr
    if status:
        assert_refused(ended, status, "older than", taken_at(with_snapshot.snapshot))
        before.assert_unchanged()


def test_age_that_is_none(filled: Site, wrong: Deployment) -> None:
    ended = migrate(filled, wrong, "--fallback", "soon")
    assert ended.status == 2
    assert "'soon'" in ended.stderr
    assert wrong.requests() == []


def test_only_contacts_nobody(with_snapshot: Site, wrong: Deployment) -> None:
    done = migrate(with_snapshot, wrong, "--fallback", "only")
    assert_stood_in(with_snapshot, done, taken_at(with_snapshot.snapshot))
    assert wrong.requests() == []


def test_only_needs_no_credentials_and_no_age(with_snapshot: Site, wrong: Deployment) -> None:
    retaken(with_snapshot.snapshot, read_from=ago(400))
    done = flask(with_snapshot, "db-migrate-data", wrong.url, "--yes", "--fallback", "only")
    assert_stood_in(with_snapshot, done, taken_at(with_snapshot.snapshot))
    assert wrong.requests() == []


def test_only_without_a_snapshot(filled: Site, wrong: Deployment) -> None:
    before = Before.of(filled)
    ended = migrate(filled, wrong, "--fallback", "only")
    assert ended.status == 3
    assert str(filled.snapshot) in ended.stderr
    assert wrong.requests() == []
    before.assert_unchanged()


def test_only_contacts_no_database_either(with_snapshot: Site, old_file: Any, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    retaken(with_snapshot.snapshot, identity=f"sqlite:{source}")
    done = flask(with_snapshot, "db-migrate-data", str(source), "--yes", "--fallback", "only")
    assert_stood_in(with_snapshot, done, taken_at(with_snapshot.snapshot))


def test_a_database_that_is_gone(with_snapshot: Site, tmp_path: Path) -> None:
    source = tmp_path / "gone.db"
    retaken(with_snapshot.snapshot, identity=f"sqlite:{source}")
    done = flask(with_snapshot, "db-migrate-data", f"sqlite:///{source}", "--yes")
    assert_stood_in(with_snapshot, done, taken_at(with_snapshot.snapshot))


def test_a_snapshot_of_another_source(with_snapshot: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    retaken(with_snapshot.snapshot, identity="https://other.example", source="https://other.example")
    before = Before.of(with_snapshot)
    ended = migrate(with_snapshot, wrong)
    assert_refused(ended, 12, "https://other.example", "not from")
    before.assert_unchanged()


@pytest.mark.parametrize("damage", ["cut", "edit", "empty", "foreign"])
def test_a_damaged_snapshot(with_snapshot: Site, wrong: Deployment, damage: str) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    whole = with_snapshot.snapshot.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "edit": whole.replace(b'"mira"', b'"Mira"'),
        "empty": b"",
        "foreign": b"\x89PNG\r\n\x1a\n",
    }
    with_snapshot.snapshot.write_bytes(damaged[damage])
    before = Before.of(with_snapshot)
    ended = migrate(with_snapshot, wrong)
    assert_refused(ended, 12, "no usable snapshot", str(with_snapshot.snapshot))
    before.assert_unchanged()


@pytest.fixture(scope="module")
def classic_file(shared_wrong: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``data.json`` as the program of old wrote it."""
    shared_wrong.behave()
    everything = shared_wrong.get("/api/export/all").json()
    assert set(everything) == {*KINDS, "_metadata"}
    path = tmp_path_factory.mktemp("classic") / "data.json"
    path.write_text(json.dumps(everything), encoding="utf-8")
    return path


@pytest.mark.parametrize(("days", "status"), [(6.9, 0), (7.1, 12)])
def test_a_classic_file_counts_by_its_modification_time(
    filled: Site, wrong: Deployment, classic_file: Path, days: float, status: int
) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    shutil.copyfile(classic_file, filled.snapshot)
    modified = ago(days)
    os.utime(filled.snapshot, (dt.datetime.fromisoformat(modified).timestamp(),) * 2)
    before = Before.of(filled)
    ended = migrate(filled, wrong, "--accept-missing")
    if status:
        assert_refused(ended, status, "older than 7d")
        before.assert_unchanged()
    else:
        assert_stood_in(filled, ended, modified)


def test_a_classic_file_without_all_tables_must_be_accepted(
    filled: Site, wrong: Deployment, classic_file: Path
) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    shutil.copyfile(classic_file, filled.snapshot)
    before = Before.of(filled)
    assert_refused(migrate(filled, wrong), 12, "leaderboard", "no usable snapshot")
    before.assert_unchanged()


def test_an_incomplete_classic_file_never_stands_in(filled: Site, wrong: Deployment, classic_file: Path) -> None:
    wrong.misbehave(does.LOGIN_REFUSED)
    data = json.loads(classic_file.read_text(encoding="utf-8"))
    data["_metadata"]["failed_endpoints"] = [["posts", "504"]]
    filled.snapshot.write_text(json.dumps(data), encoding="utf-8")
    before = Before.of(filled)
    assert_refused(migrate(filled, wrong, "--accept-missing"), 12, "incomplete", "posts")
    before.assert_unchanged()


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_dry_run_ends_as_the_run_would(filled: Site, good_snapshot: Path, wrong: Deployment, snapshot: bool) -> None:
    if snapshot:
        shutil.copy2(good_snapshot, filled.snapshot)
    wrong.misbehave(does.LOGIN_REFUSED)
    before = Before.of(filled)
    ended = migrate(filled, wrong, "--dry-run")
    assert ended.status == (0 if snapshot else 12), ended.stderr
    assert ("the snapshot" in ended.last_line) is snapshot
    before.assert_unchanged()
    assert not filled.area.exists()


def test_a_compressed_snapshot_stands_in(filled: Site, good_snapshot: Path, wrong: Deployment) -> None:
    filled.environ["FLASK_FERRY_SNAPSHOT"] = str(filled.directory / "data.json.zst")
    packed = filled.directory / "data.json.zst"
    with SnapshotReader(good_snapshot) as reader:
        write(packed, encode(reader.header, reader.sections()))
    wrong.misbehave(does.LOGIN_REFUSED)
    assert_stood_in(filled, migrate(filled, wrong), taken_at(packed))
