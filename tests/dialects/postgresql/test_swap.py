"""PostgreSQL: cut-overs under writers, blockers, lost links and crashes; verified TLS; servers that go silent."""

from __future__ import annotations

import contextlib
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.base import Dialect
from app.dialects.model import LateWrite
from app.dialects.postgresql import connect
from app.errors import AccessDenied, DatabaseUnreachable, FerryError, LockHeld, Misconfigured
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL
from tests.support.servers.proxy import Proxy
from tests.support.site import ROOT

from .schemas import ask

WRITERS = 6
KILLS = 10


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgreSQL]:
    """A server that is killed."""
    server = PostgreSQL("autovacuum=off")
    server.prepare()
    server.start()
    yield server
    server.stop()


def old(room: Room, number: int = 12) -> URL:
    return room.dialect.generation_url(room.target, f"{number:08x}-old")


# Writers

LEDGER = (
    "CREATE TABLE left_side (k text PRIMARY KEY, world int); CREATE TABLE right_side (k text PRIMARY KEY, world int);"
    "CREATE TABLE worlds (n int); INSERT INTO worlds VALUES (0)"
)


class Writer(threading.Thread):
    """Writes pairs, as applications do: reads first, retries once, remembers what was acknowledged."""

    def __init__(self, room: Room, stop: threading.Event, *, ordered: bool) -> None:
        super().__init__()
        self.room, self.stop_, self.ordered = room, stop, ordered
        self.acknowledged: list[str] = []
        self.retried: list[str] = []
        self.failed: list[str] = []

    def run(self) -> None:
        with self.room.connect() as connection:
            while not self.stop_.is_set():
                key = secrets.token_hex(8)
                try:
                    self._write(connection, key)
                except sa.exc.DBAPIError as error:
                    connection.rollback()
                    self.retried.append(str(error.orig))
                    try:
                        self._write(connection, key)
                    except sa.exc.DBAPIError as again:
                        connection.rollback()
                        self.failed.append(str(again.orig))
                        continue
                self.acknowledged.append(key)

    def _write(self, connection: sa.Connection, key: str) -> None:
        first, second = ("right_side", "left_side") if self.ordered else random.sample(["left_side", "right_side"], 2)
        world = connection.exec_driver_sql("SELECT n FROM worlds").scalar()
        for table in (first, second):
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ('{key}', {world})")
        connection.commit()


@contextlib.contextmanager
def writing(room: Room, *, ordered: bool) -> Iterator[list[Writer]]:
    """Busy writers; in an order of tables of their own, or in any."""
    stop = threading.Event()
    writers = [Writer(room, stop, ordered=ordered) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        stop.set()
        for writer in writers:
            writer.join(timeout=60)
        assert not any(writer.is_alive() for writer in writers)


def test_no_write_is_lost_or_mixed_while_writers_are_made_to_wait(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(LEDGER)
    # In the second half of the time writers that are in the way are cancelled: no machine is busy for so long.
    swaps = 5
    with writing(room, ordered=True) as writers:
        for number in range(1, swaps + 1):
            time.sleep(0.3)
            staging = room.other(f"s{number}")
            with room.dialect.fence(room.target) as fence, fence.hold(60):
                token = fence.token()
                room.dialect.copy(room.target, staging, timeout_s=60)
                room.execute(f"UPDATE worlds SET n = {number}", url=staging)
                room.dialect.swap(staging, room.target, old(room, number), fence, token, timeout_s=60)
        time.sleep(0.3)
    acknowledged = {key for writer in writers for key in writer.acknowledged}
    assert [writer.failed for writer in writers] == [[]] * WRITERS
    left, right = ask(room, "SELECT k FROM left_side"), ask(room, "SELECT k FROM right_side")
    assert set(left) == set(right) == acknowledged
    assert len(acknowledged) > 100
    assert ask(room, "SELECT n FROM worlds") == [swaps]
    assert ask(room, "SELECT count(*) FROM left_side JOIN right_side r USING (k, world)") == [len(acknowledged)]
    for number in range(1, swaps + 1):
        # What was written in a world lies in the schema that was live then, and in those after it.
        assert ask(room, "SELECT coalesce(max(world), 0) FROM left_side", url=old(room, number)) == [number - 1]


def test_nothing_is_lost_where_writers_do_not_wait(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(LEDGER)
    late = 0
    with writing(room, ordered=False) as writers, room.dialect.fence(room.target) as fence:
        for number in range(3):
            staging = room.other(f"s{number}")
            token = fence.token()
            room.dialect.copy(room.target, staging, timeout_s=20)
            try:
                room.dialect.swap(staging, room.target, old(room, number), fence, token, timeout_s=20)
            except LateWrite:
                late += 1
    acknowledged = {key for writer in writers for key in writer.acknowledged}
    assert late
    assert [writer.failed for writer in writers] == [[]] * WRITERS
    assert set(ask(room, "SELECT k FROM left_side")) == set(ask(room, "SELECT k FROM right_side")) == acknowledged


# Crashes and lost links


def world(dialect: Dialect, url: URL) -> tuple[int, str]:
    """What all tables of a target agree on, and its mark."""
    with dialect.reader(url) as reader:
        found = {row[0] for table in reader.tables().values() for row in reader.rows(table)}
    assert len(found) == 1, f"mixed: {found}"
    return found.pop(), dialect.mark(url)


def staged_world(room: Room, number: int) -> URL:
    staging = room.other(f"w{number}")
    room.dialect.prepare_staging(staging, room.target)
    tables = "".join(f"CREATE TABLE t{n} AS SELECT {number} AS world;" for n in range(12))
    room.execute(tables, url=staging)
    room.dialect.set_mark(staging, f"{number:08x}")
    return staging


def a_room(server: PostgreSQL, directory: Path) -> Room:
    url = server.url(f"k{secrets.token_hex(4)}")
    made = Room(dialect_for(url, directory=directory), url, None, directory, lambda: None, ())
    made.dialect.create(url)
    return made


def test_a_killed_server_leaves_all_old_or_all_new(fragile: PostgreSQL, tmp_path: Path) -> None:
    room = a_room(fragile, tmp_path)
    swap_to(room, staged_world(room, 1), 1)
    now, outcomes = 1, []
    for number in range(2, KILLS + 2):
        staging = staged_world(room, number)
        killer = threading.Timer(random.uniform(0.0, 0.12), fragile.kill)
        killer.start()
        try:
            swap_to(room, staging, number)
            said = "done"
        except DatabaseUnreachable:
            said = "lost"
        killer.join()
        fragile.start()
        room.dialect.recover(staging, room.target, old(room, number))
        content, mark = world(room.dialect, room.target)
        assert mark == f"{content:08x}"
        assert content in (now, number)
        assert said == "lost" or content == number
        assert room.dialect.exists(old(room, number)) is (content == number)
        outcomes.append((said, content == number))
        now = content
    assert now > 1 or ("done", True) not in outcomes


def swap_to(room: Room, staging: URL, number: int, *, url: URL | None = None) -> None:
    target = url or room.target
    with room.dialect.fence(target) as fence:
        room.dialect.swap(staging, target, old(room, number), fence, fence.token(), timeout_s=10)


def test_a_lost_link_in_the_cut_over_is_looked_at_and_not_guessed(fragile: PostgreSQL, tmp_path: Path) -> None:
    room = a_room(fragile, tmp_path)
    swap_to(room, staged_world(room, 1), 1)
    now, outcomes = 1, set()
    with Proxy(fragile.port) as proxy:
        through = room.target.set(port=proxy.port)
        for number in range(2, 10):
            staging = staged_world(room, number)
            cutter = threading.Timer(0.025 * number - 0.045, proxy.cut)
            cutter.start()
            try:
                swap_to(room, staging.set(port=proxy.port), number, url=through)
                said = "done"
            except DatabaseUnreachable:
                said = "lost"
            cutter.join()
            room.dialect.recover(staging, room.target, old(room, number))
            content, mark = world(room.dialect, room.target)
            assert mark == f"{content:08x}"
            assert (said, content) in (("done", number), ("lost", now), ("lost", number))
            outcomes.add(said)
            now = content
    assert "lost" in outcomes


def test_a_link_lost_over_the_commit_itself(room: Room) -> None:
    """The server commits, and nobody hears of it."""
    room.fill()
    staging = room.staged()
    room.dialect.set_mark(staging, "00000abc")
    room.execute(
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
    )
    with room.dialect.fence(room.target) as fence:
        token = fence.token()
        with _deaf_commit():
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
    assert room.dialect.mark(room.target) == "00000abc"
    again = room.staged("two")
    with room.dialect.fence(room.target) as fence:
        token = fence.token()
        with _deaf_commit(before=True), pytest.raises(DatabaseUnreachable, match="did not take effect"):
            room.dialect.swap(again, room.target, old(room, 13), fence, token, timeout_s=5)
    assert room.dialect.mark(room.target) == "00000abc"
    assert not room.dialect.exists(old(room, 13))


@contextlib.contextmanager
def _deaf_commit(*, before: bool = False) -> Iterator[None]:
    """Close the socket of whoever says COMMIT, just before it is sent or just after it was answered."""
    execute = connect.Connection.execute

    def deaf(self: connect.Connection, query: object, *args: object, **options: object) -> object:
        if query != "COMMIT":
            return execute(self, query, *args, **options)  # type: ignore[arg-type]
        connect.Connection.execute = execute  # type: ignore[method-assign]
        if not before:
            execute(self, "COMMIT")
        with socket.socket(fileno=socket.dup(self.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        return execute(self, "COMMIT")

    connect.Connection.execute = deaf  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        connect.Connection.execute = execute  # type: ignore[method-assign]


def test_recover_ends_what_a_stopped_client_holds_and_not_our_own(room: Room) -> None:
    room.fill()
    staging = room.staged()
    program = (
        "import sys; from sqlalchemy import make_url; from app.dialects import dialect_for\n"
        "url = make_url(sys.argv[1]); room = dialect_for(url)\n"
        "with room.fence(url) as fence, fence.hold(5): print('held', flush=True); sys.stdin.read()"
    )
    url = room.target.render_as_string(hide_password=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(LockHeld), room.dialect.fence(room.target) as fence:
            room.dialect.swap(staging, room.target, old(room), fence, fence.token(), timeout_s=0.3)
        room.dialect.recover(staging, room.target, old(room))
        with room.dialect.fence(room.target) as fence, fence.hold(5):
            token = fence.token()
            room.dialect.recover(staging, room.target, old(room))
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    assert len(room.state()["parents"]) == 4


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this host's name, by an authority of its own, and another authority."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("ca", "other"):
        openssl(directory, "req", "-x509", *_new_key(name), "-subj", f"/CN={name}", "-days", "2")
    openssl(directory, "req", *_new_key("server")[:-2], "-out", "server.csr", "-subj", "/CN=server")
    (directory / "san").write_text(f"subjectAltName = DNS:{socket.gethostname()}\n")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-days", "2"]
    openssl(directory, "x509", "-req", "-in", "server.csr", *signed, "-out", "server.crt")
    return directory


def _new_key(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt"]


def openssl(directory: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_off_this_machine_the_servers_certificate_is_verified(
    certificates: Path, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    server = PostgreSQL(certificates=certificates)
    server.prepare()
    server.start()
    try:
        # By its name this host is as far away as any other.
        url = server.url("remote").set(host=socket.gethostname())
        dialect = dialect_for(url, directory=tmp_path, tls_ca=certificates / "ca.crt")
        assert dialect.create(url)
        assert not dialect.identity(url).nearby
        assert dialect.free_bytes(url) is None
        with dialect.engine(url).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x int)")
            query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert connection.exec_driver_sql(query).scalar() is True
        dialect.copy(url, dialect.staging_url(url, "one"), timeout_s=5)
        careless = url.update_query_dict({"sslmode": "disable"})
        with dialect.reader(careless) as reader:
            assert set(reader.tables()) == {"t"}
        wrong = dialect_for(url, directory=tmp_path, tls_ca=certificates / "other.crt")
        for place, room in ((url, wrong), (url, dialect_for(url, directory=tmp_path))):
            with pytest.raises(AccessDenied, match="certificate"):
                room.exists(place)
        missing = dialect_for(url, directory=tmp_path, tls_ca=tmp_path / "nothing.pem")
        with pytest.raises(Misconfigured, match=r"FERRY_TLS_CA: .*nothing\.pem"):
            missing.exists(url)
        near = url.set(host="127.0.0.1")
        assert dialect.exists(near)
    finally:
        server.stop()


def test_programs_read_an_encrypted_key(certificates: Path, tmp_path: Path) -> None:
    server = PostgreSQL(certificates=certificates)
    server.prepare()
    server.start()
    try:
        key = ["-in", "server.key", "-aes256", "-passout", "pass:open # sesame=", "-out", "client.key"]
        openssl(certificates, "rsa", *key)
        (certificates / "client.key").chmod(0o600)
        files = {"sslcert": str(certificates / "server.crt"), "sslkey": str(certificates / "client.key")}
        own = {**files, "sslmode": "require", "sslpassword": "open # sesame="}
        url = server.url("remote").update_query_dict(own)
        dialect = dialect_for(url, directory=tmp_path)
        assert dialect.create(url)
        dialect.copy(url, dialect.staging_url(url, "one"), timeout_s=5)
        for value in ("ends in a space ", "a line\nbreak"):
            with pytest.raises(FerryError):
                dialect.copy(url.update_query_dict({"sslpassword": value}), url, timeout_s=5)
    finally:
        server.stop()


def test_a_certificate_of_another_name_and_none_at_all(certificates: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("server.crt", "server.key"):
        (elsewhere / name).write_bytes((certificates / name.replace("server", "other")).read_bytes())
    server = PostgreSQL(certificates=elsewhere)
    server.prepare()
    server.start()
    try:
        url = server.url("postgres").set(host=socket.gethostname())
        dialect = dialect_for(url, directory=tmp_path, tls_ca=certificates / "other.crt")
        with pytest.raises(AccessDenied, match="does not match host name"):
            dialect.exists(url)
        server.execute("ALTER SYSTEM SET ssl = off")
    finally:
        server.stop()
    plain = PostgreSQL("listen_addresses=*")
    plain.prepare()
    plain.start()
    try:
        url = plain.url("postgres").set(host=socket.gethostname())
        with pytest.raises(AccessDenied, match="SSL"):
            dialect_for(url, directory=tmp_path, tls_ca=certificates / "ca.crt").exists(url)
    finally:
        plain.stop()
