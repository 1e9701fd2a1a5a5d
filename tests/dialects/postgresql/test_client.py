"""The server's own programs: found, given no secret that anybody sees, not waited for for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import psycopg.sql
import pytest

from app.dialects import dialect_for
from app.dialects.postgresql import client
from app.errors import AccessDenied, BackupFailed, DatabaseUnreachable, FerryError
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PASSWORD, PostgreSQL


def test_without_pg_dump_its_name_and_another_way_are_said(
    room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room.fill()
    monkeypatch.setattr(client, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with room.image() as image:
        with pytest.raises(BackupFailed, match="pg_dump is not installed") as caught:
            image.dump(tmp_path / "dump")
        assert "--backup-to FILE.json.zst" in str(caught.value.hint)
    assert not (tmp_path / "dump").exists()
    old_program = tmp_path / "pg_dump"
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 11.4'\n")
        (tmp_path / name).chmod(0o755)
    with room.image() as image, pytest.raises(BackupFailed, match="version 11, older than the server's"):
        image.dump(tmp_path / "dump")
    assert old_program.exists()


def test_no_process_shows_a_password(
    postgresql: PostgreSQL, room: Room, owned: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", owned.target.render_as_string(hide_password=False))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    owned.execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1); CREATE SCHEMA aside; CREATE TABLE aside.elder ()")
    # The server waits for the elder one when pg_restore still has more to say than a pipe holds.
    owned.execute("CREATE TABLE u () INHERITS (aside.elder); CREATE TABLE v AS SELECT repeat('x', 300000) AS w")
    dump = owned.dump(owned.directory / "dump")
    seen: list[tuple[str, bool]] = []

    def shown(blocking: str, act: Callable[[], None]) -> None:
        """Let programs wait for a lock, and look at them meanwhile."""
        with postgresql.connect(str(owned.target.database)) as connection, connection.transaction(force_rollback=True):
            connection.execute(blocking.encode())
            thread = threading.Thread(target=act)
            thread.start()
            deadline = time.monotonic() + 20
            children: list[psutil.Process] = []
            while not children and time.monotonic() < deadline:
                seen_once = set(psutil.Process().children())
                time.sleep(0.5)
                # Those that are still there wait.
                children = [one for one in psutil.Process().children() if one in seen_once]
                children = [one for one in children if one.name() in ("pg_dump", "pg_restore")]
            for child in children:
                environment = Path(f"/proc/{child.pid}/environ").read_bytes().decode()
                text = " ".join(child.cmdline()) + environment
                seen.append((child.name(), PASSWORD in text or "secret" in text))
                private = Path(environment.partition("PGPASSFILE=")[2].partition("\0")[0] or child.cwd())
                assert (private if private.is_dir() else private.parent).stat().st_mode & 0o77 == 0
                for file in Path(child.cwd()).iterdir():
                    assert file.stat().st_mode & 0o77 == 0 or b"secret" not in file.read_bytes()
        thread.join(timeout=30)

    def make() -> None:
        owned.dump(owned.directory / "second")

    shown("LOCK TABLE t IN ACCESS EXCLUSIVE MODE", make)
    shown("LOCK TABLE aside.elder IN ACCESS EXCLUSIVE MODE", lambda: owned.dialect.restore(dump, owned.other("back")))
    assert [name for name, _ in seen] == ["pg_dump", "pg_restore"]
    assert not any(found for _, found in seen)
    assert owned.state(owned.other("back")) == {"t": [[1]], "u": [], "v": [["x" * 300000]]}


@pytest.mark.parametrize("password", ["a b", "p:w\\d'\"%40@/?#&=", "ü😀", "x" * 400, "{}$`!*~"])
def test_passwords_of_any_characters_are_taken_by_driver_and_programs(
    postgresql: PostgreSQL, owned: Room, password: str
) -> None:
    with postgresql.connect() as connection:
        connection.execute(psycopg.sql.SQL("ALTER ROLE owner LOGIN PASSWORD {}").format(psycopg.sql.Literal(password)))
    owned.execute("CREATE TABLE t (x int); ALTER TABLE t OWNER TO owner; ALTER SCHEMA public OWNER TO owner")
    owned.execute(f'GRANT CREATE ON DATABASE "{owned.target.database}" TO owner')
    url = owned.target.set(username="owner", password=password)
    dialect = dialect_for(url, directory=owned.directory)
    dialect.copy(url, dialect.staging_url(url, "one"), timeout_s=5)
    wrong = url.set(password=f"{password}.")
    for act in (lambda: dialect.exists(wrong), lambda: dialect.copy(wrong, url, timeout_s=1)):
        with pytest.raises(AccessDenied) as caught:
            act()
        assert password not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"
        assert "owner" in caught.value.message


def test_who_is_refused_and_who_does_not_answer(postgresql: PostgreSQL, tmp_path: Path) -> None:
    good = postgresql.url("postgres")
    dialect = dialect_for(good, directory=tmp_path)
    for url in (good.set(username="nobody_here"), postgresql.url("postgres", password=None)):
        with pytest.raises(AccessDenied):
            dialect.exists(url)
    for url in (good.set(port=1), good.set(host="no-such-host.invalid")):
        with pytest.raises(DatabaseUnreachable):
            dialect.exists(url)
    absent = good.set(database="never_made")
    assert not dialect.exists(absent)
    assert dialect.mark(absent) == dialect.schema_fingerprint(absent) == ""
    assert dialect.beside(absent) == []
    with pytest.raises(FerryError, match="never_made"), dialect.reader(absent):
        pytest.fail("read")
