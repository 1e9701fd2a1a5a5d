"""The export protocol as a client sees it: who may read, and what comes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from flask import Flask, abort
from flask.testing import FlaskClient

from app.errors import Misconfigured, SnapshotUnusable
from app.export import export_blueprint
from app.transfer.rows.header import FORMAT, VERSION
from app.transfer.rows.snapshot import SnapshotReader, check
from tests.support.pages import take

HEAD = "0007_unique_sids"
ADMINS_ONLY = ["/ferry/manifest", "/ferry/export"]


def saved(answer: bytes, to: Path) -> Path:
    to.write_bytes(answer)
    return to


def rows_of(file: Path, wanted: str) -> list[str]:
    with SnapshotReader(file) as reader:
        return [line.decode() for name, lines in reader.sections() if name == wanted for line, _ in lines]


# Who may read


def test_without_an_admin_check_it_refuses_to_register() -> None:
    for arguments in ({}, {"authorize": None}):
        with pytest.raises(Misconfigured, match="admin check") as raised:
            export_blueprint(**arguments)
        assert "authorize" in str(raised.value.hint)


@pytest.mark.executes("docs/export-protocol.md", "authorize=require_admin")
def test_the_lines_of_the_page() -> None:
    host = Flask("host")
    [lines] = take("docs/export-protocol.md", "authorize=require_admin")
    exec(lines.replace("flask_ferry.", "app."), {"app": host, "require_admin": lambda: abort(403)})
    assert host.test_client().get("/ferry/").status_code == 200
    assert host.test_client().get("/ferry/manifest").status_code == 403


def test_anybody_may_ask_what_it_is(client: FlaskClient) -> None:
    answer = client.get("/ferry/")
    assert answer.json == {"format": FORMAT, "version": VERSION}


@pytest.mark.parametrize("path", ADMINS_ONLY)
def test_nobody_else_may_read(client: FlaskClient, logged_in: Callable[[str], FlaskClient], path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert b"scrypt" not in answer.data
    answer = logged_in("niko").get(path)
    assert answer.status_code == 403
    assert b"scrypt" not in answer.data
    client.set_cookie("jwt_python_flask", "forged.token.here")
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", ADMINS_ONLY)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_there_is_nothing_to_write(admin: FlaskClient, path: str, method: str) -> None:
    assert admin.open(path, method=method).status_code == 405


@pytest.mark.parametrize("path", ADMINS_ONLY)
def test_the_host_s_own_check_is_asked_each_time(app: Flask, path: str) -> None:
    asked = []

    def authorize() -> None:
        asked.append(path)
        if len(asked) > 1:
            abort(403)

    app.blueprints.pop("ferry_export")
    host = Flask("host")
    host.extensions["sqlalchemy"] = app.extensions["sqlalchemy"]
    host.register_blueprint(export_blueprint(authorize=authorize))
    with app.app_context():
        url = app.extensions["sqlalchemy"].engine.url
    host.config["SQLALCHEMY_DATABASE_URI"] = url
    host.extensions.pop("sqlalchemy")
    app.extensions["sqlalchemy"].init_app(host)
    client = host.test_client()
    assert client.get(path).status_code == 200
    assert client.get(path).status_code == 403
    assert len(asked) == 2


# The manifest


def test_the_manifest(admin: FlaskClient, tmp_path: Path) -> None:
    said = admin.get("/ferry/manifest").get_json()
    assert (said["format"], said["version"], said["revision"]) == (FORMAT, VERSION, HEAD)
    assert said["tables"]["users"]["rows"] >= 120
    assert len(said["tables"]["users"]["checksum"]) == 32
    assert "alembic_version" not in said["tables"]
    _, footer = check(saved(admin.get("/ferry/export").data, tmp_path / "export.json.zst"))
    assert {name: (table["rows"], table["checksum"]) for name, table in said["tables"].items()} == {
        name: (found.rows, str(found)) for name, found in footer.checksums.items()
    }


def test_the_manifest_holds_no_row(admin: FlaskClient) -> None:
    text = admin.get("/ferry/manifest").text
    assert "scrypt" not in text
    assert "toby" not in text


# The export


def test_the_export_is_a_snapshot(admin: FlaskClient, app: Flask, tmp_path: Path) -> None:
    answer = admin.get("/ferry/export")
    assert answer.mimetype == "application/zstd"
    header, footer = check(saved(answer.data, tmp_path / "export.json.zst"))
    assert (header.kind, header.revision) == ("rows", HEAD)
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        for name, found in footer.checksums.items():
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (found.rows,)
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()[0]
    assert tables == len(footer.checksums) + 1


def test_hashes_leave_the_server_in_the_export_alone(admin: FlaskClient, tmp_path: Path) -> None:
    file = saved(admin.get("/ferry/export").data, tmp_path / "export.json.zst")
    assert any("scrypt:" in line for line in rows_of(file, "users"))


def test_the_end_mark_is_missed(admin: FlaskClient, tmp_path: Path) -> None:
    whole = admin.get("/ferry/export").data
    for cut in (10, 100, len(whole) // 2):
        with pytest.raises(SnapshotUnusable):
            check(saved(whole[:-cut], tmp_path / "export.json.zst"))


def test_the_identity_is_what_the_client_says(admin: FlaskClient, tmp_path: Path) -> None:
    answer = admin.get("/ferry/export", query_string={"identity": "https://old.example/prefix"})
    assert check(saved(answer.data, tmp_path / "a.json.zst"))[0].identity == "https://old.example/prefix"
    answer = admin.get("/ferry/export")
    assert check(saved(answer.data, tmp_path / "b.json.zst"))[0].identity == "http://localhost/"


@pytest.mark.parametrize("identity", ["x" * 100_000, 'quotes " and \\ and \n lines', "Ω≈ç√ 🚢"])
def test_any_identity_gives_a_good_snapshot(admin: FlaskClient, tmp_path: Path, identity: str) -> None:
    answer = admin.get("/ferry/export", query_string={"identity": identity})
    header, _ = check(saved(answer.data, tmp_path / "a.json.zst"))
    assert header.identity == identity[:500]


def test_it_is_streamed(admin: FlaskClient) -> None:
    answer = admin.get("/ferry/export", buffered=False)
    assert "Content-Length" not in answer.headers
    pieces = list(answer.iter_encoded())
    assert len(pieces) > 1
    text = zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(pieces)).decode()
    assert json.loads(text)["footer"]["complete"] is True
    answer.close()


def test_it_is_consistent_while_somebody_writes(admin: FlaskClient, tmp_path: Path) -> None:
    """What is committed after the first byte is not in it, whatever table it is read from last."""
    before = admin.get("/ferry/manifest").get_json()["tables"]
    answer = admin.get("/ferry/export", buffered=False)
    pieces = iter(answer.iter_encoded())
    got = [next(pieces)]
    with (
        closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None, timeout=0.1)) as writer,
        # In rollback mode the reader makes the writer wait; in WAL mode (below) both go on.
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        writer.execute("UPDATE sections SET name = 'Written meanwhile'")
    got += pieces
    answer.close()
    _, footer = check(saved(b"".join(got), tmp_path / "export.json.zst"))
    assert {name: str(found) for name, found in footer.checksums.items()} == {
        name: table["checksum"] for name, table in before.items()
    }


def test_it_is_consistent_while_somebody_writes_in_wal_mode(admin: FlaskClient, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as writer:
        assert writer.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        before = admin.get("/ferry/manifest").get_json()["tables"]
        answer = admin.get("/ferry/export", buffered=False)
        pieces = iter(answer.iter_encoded())
        got = [next(pieces)]
        assert writer.execute("UPDATE sections SET name = 'Written meanwhile'").rowcount > 0
        assert writer.execute("DELETE FROM users WHERE uid = 'niko'").rowcount == 1
        got += pieces
        answer.close()
        after = admin.get("/ferry/manifest").get_json()["tables"]
    _, footer = check(saved(b"".join(got), tmp_path / "export.json.zst"))
    for name, found in footer.checksums.items():
        assert str(found) == before[name]["checksum"], name
    assert after["sections"]["checksum"] != before["sections"]["checksum"]


def test_a_client_that_goes_away_leaves_no_reader_behind(admin: FlaskClient, tmp_path: Path) -> None:
    answer = admin.get("/ferry/export", buffered=False)
    next(iter(answer.iter_encoded()))
    answer.close()
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None, timeout=1)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("ROLLBACK")


@pytest.mark.parametrize("path", ADMINS_ONLY)
def test_a_database_at_no_revision_is_an_error_and_not_a_half(app: Flask, admin: FlaskClient, path: str) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
    answer = admin.get(path)
    assert answer.status_code >= 500
    with closing(sqlite3.connect(engine.url.database, isolation_level=None, timeout=1)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("ROLLBACK")
