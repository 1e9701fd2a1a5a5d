"""The six functions that older deploy scripts import by name."""

from __future__ import annotations

import itertools
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.commands.functions import (
    authenticate,
    backup_database,
    create_database,
    extract_data,
    read_data_from_json,
    write_data_to_json,
)
from app.errors import BackupFailed, FerryError, Misconfigured, SnapshotUnusable, SourceIncomplete, Unauthorized
from tests.support.deployment.runner import Deployment
from tests.support.local import Local
from tests.support.site import content, query

TYPES = {
    "users": 60,
    "sections": 3,
    "topics": 4,
    "microblogs": 12,
    "posts": 60,
    "classrooms": 2,
    "feedback": 4,
    "study": 3,
    "personas": 4,
    "user_personas": None,
}


@pytest.fixture
def context(local: Local, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """Inside the app's context, as the functions need it."""
    with _inside(local, monkeypatch):
        yield local


@pytest.fixture
def at_source(local: Local, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Inside the context of an app whose source is the old deployment."""
    local.environ |= {"FLASK_FERRY_SOURCE": deployment.url}
    with _inside(local, monkeypatch):
        yield deployment


def _inside(local: Local, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in local.overrides().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return local.app().app_context()


def listed(data: Any) -> dict[str, list[Any]]:
    return {name: list(records) for name, records in data.items()}


# backup_database


@pytest.mark.parametrize("source", ["sqlite:///{}", "{}"])
@pytest.mark.parametrize("to", ["{}/kept.sqlite3", "sqlite:///{}/kept.sqlite3", "file://{}/kept.sqlite3"])
def test_backup_database(context: Local, old: Path, tmp_path: Path, source: str, to: str) -> None:
    found = backup_database(source.format(old), to.format(tmp_path))
    assert found == str(tmp_path / "kept.sqlite3")
    assert content(Path(found)) == content(old)
    assert Path(found).stat().st_mode & 0o777 == 0o600
    assert not [path for path in old.with_name("old.db.ferry").glob("*") if path.name.startswith("staging-")]


def test_backup_database_with_its_name_apart(context: Local, old: Path, tmp_path: Path) -> None:
    found = backup_database("sqlite://", str(tmp_path / "kept.sqlite3"), str(old))
    assert content(Path(found)) == content(old)


def test_backup_database_never_writes_over_a_file(context: Local, old: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.sqlite3").write_text("somebody's only copy")
    with pytest.raises(BackupFailed, match="exists"):
        backup_database(str(old), str(tmp_path / "kept.sqlite3"))
    assert (tmp_path / "kept.sqlite3").read_text() == "somebody's only copy"
    assert sorted(path.name for path in tmp_path.glob("*kept*")) == ["kept.sqlite3"]


def test_backup_database_of_nothing(context: Local, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no database"):
        backup_database(str(tmp_path / "absent.db"), str(tmp_path / "kept.sqlite3"))
    assert not list(tmp_path.glob("*absent*"))
    assert not list(tmp_path.glob("*kept*"))


@pytest.mark.parametrize("uri", ["://", "nonsense://x", "http://host/x"])
def test_backup_database_of_what_is_no_uri(context: Local, tmp_path: Path, uri: str) -> None:
    with pytest.raises(FerryError) as raised:
        backup_database(uri, str(tmp_path / "kept.sqlite3"))
    assert raised.value.exit_status in (2, 20)


@pytest.mark.parametrize("uri", ["mysql://me:Mellon@host/db", "s3://bucket/key"])
def test_backup_database_to_what_is_no_file(context: Local, old: Path, uri: str) -> None:
    with pytest.raises(Misconfigured, match="not a file") as raised:
        backup_database(str(old), uri)
    assert "Mellon" not in raised.value.message


def test_backup_database_that_is_damaged(context: Local, old: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.db"
    data = bytearray(old.read_bytes())
    data[8192:16384] = os.urandom(8192)
    bad.write_bytes(data)
    with pytest.raises(FerryError):
        backup_database(str(bad), str(tmp_path / "kept.sqlite3"))
    assert not list(tmp_path.glob("*kept*"))


def test_a_backup_of_backup_database_can_be_restored(changed: Local, tmp_path: Path, monkeypatch: Any) -> None:
    live = changed.content()
    with _inside(changed, monkeypatch):
        found = backup_database(str(changed.database), str(tmp_path / "kept.sqlite3"))
    changed.write("DELETE FROM posts")
    changed.ok("db-restore", "--yes", found)
    assert changed.content() == live


# create_database


def test_create_database(context: Local, tmp_path: Path) -> None:
    engine = sa.create_engine("sqlite://")
    assert create_database(engine, str(tmp_path / "new.db")) is True
    assert (tmp_path / "new.db").exists()
    assert create_database(engine, str(tmp_path / "new.db")) is False
    engine.dispose()


def test_create_database_leaves_an_existing_one_alone(context: Local, old: Path) -> None:
    before = content(old)
    engine = sa.create_engine("sqlite://")
    assert create_database(engine, str(old)) is False
    assert content(old) == before
    engine.dispose()


# authenticate


def test_authenticate(at_source: Deployment) -> None:
    cookies = authenticate(at_source.uid, at_source.password)
    assert list(cookies) == ["jwt_python_flask"]
    assert cookies["jwt_python_flask"].count(".") == 2


@pytest.mark.parametrize(("uid", "password"), [("toby", "wrong-4711"), ("nobody", "wrong-4711"), ("", "")])
def test_authenticate_with_wrong_credentials(at_source: Deployment, uid: str, password: str) -> None:
    with pytest.raises(Unauthorized) as raised:
        authenticate(uid, password)
    assert "wrong-4711" not in f"{raised.value.message} {raised.value.hint}"


def test_authenticate_where_nobody_answers(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    local.environ |= {"FLASK_FERRY_SOURCE": "http://127.0.0.1:9", "FLASK_FERRY_TIMEOUT": "0.2"}
    with _inside(local, monkeypatch), pytest.raises(SourceIncomplete, match=r"127\.0\.0\.1:9"):
        authenticate("toby", "password")


@pytest.mark.parametrize("source", [None, "self"])
def test_authenticate_without_a_deployment(local: Local, monkeypatch: pytest.MonkeyPatch, source: str | None) -> None:
    local.environ |= {"FLASK_FERRY_SOURCE": source} if source else {}
    with _inside(local, monkeypatch), pytest.raises(Misconfigured):
        authenticate("toby", "password")


def test_they_need_an_app_context() -> None:
    with pytest.raises(RuntimeError, match="application context"):
        authenticate("toby", "password")


# extract_data


def test_extract_data(at_source: Deployment) -> None:
    data = listed(extract_data(authenticate(at_source.uid, at_source.password)))
    for name, count in TYPES.items():
        assert len(data[name]) == count or count is None, name
    by_id = {user["id"]: user for user in data["users"]}
    ids = {key for (key,) in query(at_source.database, "SELECT id FROM users")}
    assert set(by_id) == ids
    assert all(user["password"].startswith(("pbkdf2:", "scrypt:")) for user in by_id.values())


def test_extract_data_reads_a_type_when_it_is_asked_for(at_source: Deployment) -> None:
    cookies = authenticate(at_source.uid, at_source.password)
    at_source.forget_requests()
    data = extract_data(cookies)
    probes = len(at_source.requests("/api/export/posts"))
    assert isinstance(data["posts"], Iterator)
    assert len(list(data["topics"])) == 4
    assert len(at_source.requests("/api/export/posts")) == probes
    assert next(data["posts"])["id"]
    assert len(at_source.requests("/api/export/posts")) > probes


@pytest.mark.parametrize("cookies", [{}, {"jwt_python_flask": "not-a-token"}])
def test_extract_data_without_a_login(at_source: Deployment, cookies: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        listed(extract_data(cookies))


def test_extract_data_as_somebody_else(at_source: Deployment) -> None:
    with pytest.raises(Unauthorized):
        listed(extract_data(authenticate(at_source.plain_uid, at_source.plain_password)))


def test_extract_data_that_cannot_be_read_completely(at_source: Deployment) -> None:
    cookies = authenticate(at_source.uid, at_source.password)
    data = extract_data(cookies)
    at_source.misbehave("truncated_json", path="/api/export/posts")
    with pytest.raises(SourceIncomplete, match="posts"):
        list(data["posts"])


def test_extract_data_leaves_no_files(at_source: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    data = extract_data(authenticate(at_source.uid, at_source.password))
    assert len(list(data["posts"])) == 60
    half = data["topics"]
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert list(scratch.iterdir()) == []


def test_the_old_scripts_way(at_source: Deployment, tmp_path: Path) -> None:
    """Log in, extract, write, read: nothing is lost on the way, and a migration takes the file."""
    cookies = authenticate(at_source.uid, at_source.password)
    data = listed(extract_data(cookies))
    file = write_data_to_json(extract_data(cookies), tmp_path / "data.json")
    assert listed(read_data_from_json(file)) == data


# write_data_to_json


@pytest.mark.parametrize(
    "data",
    [
        {"users": [{"id": 1, "name": "Åsa 👩‍🚀"}, {"id": 2, "name": None}], "posts": []},
        {"users": []},
        {},
        [{"id": 1}, {"id": 2}],
        [],
        {"users": [{"id": 2**63, "big": 10**30, "pi": 3.141592653589793, "nested": {"a": [1, None, "\n"]}}]},
        {"_metadata": {"tables": ["users"], "total_records": 1}, "users": [{"id": 1}]},
    ],
)
def test_what_is_written_is_json(tmp_path: Path, data: Any) -> None:
    file = write_data_to_json(data, tmp_path / "data.json")
    assert json.loads(file.read_text(encoding="utf-8")) == data
    assert file.stat().st_mode & 0o777 == 0o600


def test_one_record_a_line(tmp_path: Path) -> None:
    file = write_data_to_json({"users": [{"id": number} for number in range(5)]}, tmp_path / "data.json")
    assert sum(line.startswith(b'{"id":') for line in file.read_bytes().splitlines()) == 5


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    for number in range(3):
        write_data_to_json([number], str(tmp_path / "data.json"))
    assert json.loads((tmp_path / "data.json").read_text()) == [2]
    kept = sorted(tmp_path.glob("data.json.*.bak"))
    assert sorted(json.loads(path.read_text())[0] for path in kept) == [0, 1]


class Opaque:
    pass


@pytest.mark.parametrize(
    "value", [Opaque(), {1, 2}, b"bytes", float("nan"), float("inf")], ids=["object", "set", "bytes", "nan", "inf"]
)
def test_what_json_cannot_say_leaves_the_former_file(tmp_path: Path, value: Any) -> None:
    write_data_to_json([1], tmp_path / "data.json")
    with pytest.raises(TypeError):
        write_data_to_json({"users": [{"id": 1}, {"id": value}]}, tmp_path / "data.json")
    assert json.loads((tmp_path / "data.json").read_text()) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


def test_an_iterator_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Any]:
        yield {"id": 1}
        raise SourceIncomplete("the source is gone")

    write_data_to_json([1], tmp_path / "data.json")
    with pytest.raises(SourceIncomplete):
        write_data_to_json({"users": broken()}, tmp_path / "data.json")
    assert json.loads((tmp_path / "data.json").read_text()) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


def test_writing_takes_bounded_memory(tmp_path: Path) -> None:
    record = {"content": "x" * 2000}
    rows = 10_000
    tracemalloc.start()
    try:
        file = write_data_to_json({"posts": itertools.repeat(record, rows)}, tmp_path / "data.json")
        assert file.stat().st_size > 20_000_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# read_data_from_json


def test_both_classic_shapes(tmp_path: Path) -> None:
    users = [{"id": 1, "uid": "toby"}, {"id": 2, "uid": "mira"}]
    (tmp_path / "list.json").write_text(json.dumps(users))
    (tmp_path / "object.json").write_text(
        json.dumps({"users": users, "posts": [], "_metadata": {"total_records": 2, "tables": ["users", "posts"]}})
    )
    (by_list,) = listed(read_data_from_json(tmp_path / "list.json")).values()
    assert by_list == users
    assert listed(read_data_from_json(str(tmp_path / "object.json"))) == {"users": users, "posts": []}


def test_a_snapshot_of_records(migrated: Local) -> None:
    data = listed(read_data_from_json(migrated.snapshot))
    assert len(data["posts"]) == 60
    assert {"userUid", "studentName"} <= set(data["posts"][0]) | {"userUid"}


@pytest.mark.parametrize("name", ["kept.json", "kept.json.gz", "kept.json.zst"])
def test_a_snapshot_of_rows(changed: Local, tmp_path: Path, name: str) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / name))
    data = listed(read_data_from_json(tmp_path / name))
    assert {(row["id"], row["name"]) for row in data["sections"]} == set(changed.query("SELECT id, name FROM sections"))
    assert data["users"][0]["uid"] == "toby"
    assert data["user_sections_orphans"] == []


@pytest.mark.parametrize("cut", [1, 200, 5000])
def test_a_truncated_snapshot(changed: Local, tmp_path: Path, cut: int) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / "kept.json"))
    whole = (tmp_path / "kept.json").read_bytes()
    (tmp_path / "kept.json").write_bytes(whole[:-cut])
    with pytest.raises(SnapshotUnusable, match="line"):
        listed(read_data_from_json(tmp_path / "kept.json"))


def test_an_edited_snapshot(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / "kept.json"))
    text = (tmp_path / "kept.json").read_text()
    (tmp_path / "kept.json").write_text(text.replace("Theirs", "Forged"))
    with pytest.raises(SnapshotUnusable, match="edited"):
        listed(read_data_from_json(tmp_path / "kept.json"))


@pytest.mark.parametrize("text", ["", "not json", '{"users": [', '{"users": [{"id": 1}]', "42"])
def test_a_file_that_is_none_of_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(FerryError) as raised:
        listed(read_data_from_json(tmp_path / "data.json"))
    assert "data.json" in raised.value.message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnusable, match=r"data\.json"):
        read_data_from_json(tmp_path / "data.json")
