"""MySQL and MariaDB: backup files, restored by us and by the server's own client, and copies inside the server."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dialects.mysql import dump
from app.dialects.mysql.connect import connect_to, quote
from app.dialects.mysql.objects import tables
from app.dialects.mysql.session import Factory
from app.errors import BackupFailed
from tests.support.pages import take
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import NOT_RUN, MariaDB, numbers

from .tortured import dumped, events, everything

ROOT = Path(__file__).resolve().parents[3]


def client(server: MariaDB, database: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Restore a file as an administrator does."""
    server.execute(f"DROP DATABASE IF EXISTS {quote(database)}")
    server.execute(f"CREATE DATABASE {quote(database)}")
    command = ["mariadb", "--no-defaults", "--comments", f"--socket={server.socket}", "--user=root", database]
    with file.open("rb") as text:
        return subprocess.run(command, stdin=text, capture_output=True, text=True, timeout=120, check=False)


def test_everything_comes_back_by_us(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    assert file.stat().st_mode & 0o777 == 0o600
    dump.restore(torture, file, "torture__stg_back")
    assert everything(mariadb, "torture__stg_back") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_back") == {("tidy", NOT_RUN), ("never", "DISABLED")}
    again = dumped(torture, "torture__stg_back", tmp_path / "again.sql")
    first, second = (path.read_bytes().split(b"\n", 2)[2] for path in (file, again))
    assert first.rsplit(b"--", 1)[0] == second.rsplit(b"--", 1)[0]


@pytest.mark.executes("docs/servers.md", "mariadb shop <")
def test_everything_comes_back_by_the_servers_client(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    # Here the server is another one, and its own client has more to be told.
    assert take("docs/servers.md", "mariadb shop <")[0].startswith("mariadb shop < backups/")
    done = client(mariadb, "torture__stg_own", file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert everything(mariadb, "torture__stg_own") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_own") == {("tidy", "ENABLED"), ("never", "DISABLED")}
    mariadb.execute("DROP DATABASE torture__stg_own")


# A file that is not whole


def cuts(whole: bytes) -> list[int]:
    borders = [match.end() for match in re.finditer(rb";\n", whole)]
    return sorted({len(whole) * part // 20 for part in range(20)} | set(borders[::3]) | {len(whole) - 1})


def test_a_row_that_no_packet_takes_as_literals_comes_back(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    mariadb.execute("CREATE DATABASE parts CHARACTER SET utf8mb4")
    mariadb.execute(
        "CREATE TABLE parts.t (id INT PRIMARY KEY, b LONGBLOB, c LONGTEXT, d TEXT CHARACTER SET latin1,"
        " j JSON, g INT AS (length(b)))"
    )
    mariadb.execute(
        "INSERT INTO parts.t (id, b, c, d, j) VALUES (1, repeat(x'00275c', 30000), repeat(concat('\u00e4', char(39)),"
        " 30000), repeat('\u00e4', 60000), concat('[\"', repeat('x', 90000), '\"]')), (2, '', NULL, '', NULL)"
    )
    [(usual,)] = mariadb.execute("SELECT @@GLOBAL.max_allowed_packet")
    mariadb.execute("SET GLOBAL max_allowed_packet = 131072")
    try:
        file = dumped(torture, "parts", tmp_path / "dump.sql")
        dump.restore(torture, file, "parts__stg_back")
        assert client(mariadb, "parts__stg_own", file).stderr == ""
        [(_, wanted)] = mariadb.execute("CHECKSUM TABLE parts.t")
        for copy in ("parts__stg_back", "parts__stg_own"):
            assert mariadb.execute(f"CHECKSUM TABLE {copy}.t") == [(f"{copy}.t", wanted)]
    finally:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {usual}")
        for name in ("parts", "parts__stg_back", "parts__stg_own"):
            mariadb.execute(f"DROP DATABASE IF EXISTS {name}")


def test_a_file_that_was_cut_anywhere_is_refused_before_anything_is_done(
    mariadb: MariaDB, torture: Factory, tmp_path: Path
) -> None:
    whole = dumped(torture, "torture", tmp_path / "dump.sql").read_bytes()
    mariadb.execute("DROP DATABASE IF EXISTS torture__stg_back")
    mariadb.execute("CREATE DATABASE torture__stg_back")
    mariadb.execute("CREATE TABLE kept (id INT)", database="torture__stg_back")
    broken = tmp_path / "broken.sql"
    for length in cuts(whole):
        broken.write_bytes(whole[:length])
        with pytest.raises(BackupFailed, match=r"broken\.sql"):
            dump.restore(torture, broken, "torture__stg_back")
    last = whole.rindex(b"INSERT")
    for changed in (whole[: last + 9] + b"X" + whole[last + 10 :], whole.replace(b"\n\n", b"\n", 1) + b"\n"):
        broken.write_bytes(changed)
        with pytest.raises(BackupFailed, match=r"broken\.sql"):
            dump.restore(torture, broken, "torture__stg_back")
    with connect_to(mariadb.url("torture__stg_back"), None) as connection:
        assert list(tables(connection, "torture__stg_back")) == ["kept"]


def test_what_the_server_refuses_is_named(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    mariadb.execute("SET GLOBAL max_allowed_packet = 4096")
    try:
        with pytest.raises(BackupFailed, match=r"dump\.sql: statement \d+ has \d+ bytes") as caught:
            dump.restore(torture, file, "torture__stg_back")
    finally:
        mariadb.execute("SET GLOBAL max_allowed_packet = 16777216")
    assert "max_allowed_packet" in str(caught.value.hint)


@contextlib.contextmanager
def little_room(size_bytes: int) -> Iterator[None]:
    """Files of this process may not grow beyond a size."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_be_written(torture: Factory, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="nothing"):
        dumped(torture, "torture", tmp_path / "nothing" / "dump.sql")
    with pytest.raises(BackupFailed, match="File too large"), little_room(8192):
        dumped(torture, "torture", tmp_path / "dump.sql")
    assert list(tmp_path.iterdir()) == []


# A transaction of MySQL sees the schema that there was as well.
@of_mariadb
def test_a_schema_that_changes_meanwhile_is_found_out(
    mariadb: MariaDB, torture: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = dump._write

    def late(*args: Any) -> None:
        write(*args)
        mariadb.execute("CREATE TABLE late (id INT)", database="torture")

    monkeypatch.setattr(dump, "_write", late)
    try:
        with pytest.raises(BackupFailed, match="changed while"):
            dumped(torture, "torture", tmp_path / "dump.sql")
    finally:
        mariadb.execute("DROP TABLE late", database="torture")


# While others write, much of it, and by whom


@pytest.fixture
def bank(mariadb: MariaDB) -> Iterator[Factory]:
    """Accounts that hold 1000 together."""
    mariadb.execute("DROP DATABASE IF EXISTS bank")
    mariadb.execute("CREATE DATABASE bank")
    for sql in (
        "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT)",
        "CREATE TABLE savings (id INT PRIMARY KEY, amount INT)",
        f"INSERT INTO accounts SELECT seq, 10 FROM {numbers(100)}",
        f"INSERT INTO savings SELECT seq, 0 FROM {numbers(100)}",
    ):
        mariadb.execute(sql, database="bank")
    yield functools.partial(connect_to, mariadb.url("bank"), None)
    for name in ("bank", "bank__stg_back"):
        mariadb.execute(f"DROP DATABASE IF EXISTS {name}")


def test_a_backup_is_of_one_instant(mariadb: MariaDB, bank: Factory, tmp_path: Path) -> None:
    ended = threading.Event()

    def transfer() -> None:
        with mariadb.connect("bank") as connection, connection.cursor() as cursor:
            for number in itertools.count():
                if ended.is_set():
                    return
                cursor.execute("BEGIN")
                cursor.execute("UPDATE accounts SET amount = amount - 1 WHERE id = %s", (number % 100 + 1,))
                cursor.execute("UPDATE savings SET amount = amount + 1 WHERE id = %s", (number % 100 + 1,))
                cursor.execute("COMMIT")

    writer = threading.Thread(target=transfer)
    writer.start()
    try:
        files = [dumped(bank, "bank", tmp_path / f"{number}.sql") for number in range(3)]
    finally:
        ended.set()
        writer.join()
    for file in files:
        dump.restore(bank, file, "bank__stg_back")
        sql = "SELECT (SELECT sum(amount) FROM accounts) + (SELECT sum(amount) FROM savings)"
        assert mariadb.execute(sql, database="bank__stg_back") == [(1000,)]
    assert len({file.read_bytes() for file in files}) == 3


MEASURED = """
import functools, sys
from pathlib import Path
from sqlalchemy import make_url
from app.dialects.mysql import dump
from app.dialects.mysql.connect import connect_to
import psutil

url, file = make_url(sys.argv[1]), Path(sys.argv[2])
factory = functools.partial(connect_to, url, None)
with factory(to_database=False) as connection:
    dump.dump(connection, url.database, file)
dump.restore(factory, file, url.database + "__stg_back")
print(psutil.Process().memory_full_info().uss)
"""


def test_memory_does_not_grow_with_the_rows(mariadb: MariaDB, bank: Factory, tmp_path: Path) -> None:
    used = []
    for rows in (5_000, 50_000):
        mariadb.execute("DROP TABLE IF EXISTS much", database="bank")
        mariadb.execute("CREATE TABLE much (id INT PRIMARY KEY, t TEXT)", database="bank")
        mariadb.execute(f"INSERT INTO much SELECT seq, repeat(sha2(seq, 224), 6) FROM {numbers(rows)}", database="bank")
        url = mariadb.url("bank").render_as_string(hide_password=False)
        command = [sys.executable, "-c", MEASURED, url, str(tmp_path / "dump.sql")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT)
        used.append(int(done.stdout))
    assert (tmp_path / "dump.sql").stat().st_size > 16_000_000
    assert used[1] < used[0] + 4_000_000, used
    assert mariadb.execute("SELECT count(*) FROM much", database="bank__stg_back") == [(50_000,)]


@pytest.fixture
def clerk(mariadb: MariaDB) -> Iterator[str]:
    """A user who may do everything with the databases of one application, and nothing else."""
    mariadb.execute("CREATE USER clerk IDENTIFIED BY 'made up'")
    mariadb.execute(r"GRANT ALL ON `torture\_\_%`.* TO clerk")
    yield "clerk"
    mariadb.execute("DROP USER clerk")


def test_an_ordinary_user_restores(mariadb: MariaDB, torture: Factory, tmp_path: Path, clerk: str) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    url = mariadb.url("torture", user=clerk, password="made up")
    dump.restore(functools.partial(connect_to, url, None), file, "torture__stg_back")
    there, here = everything(mariadb, "torture__stg_back"), everything(mariadb, "torture")
    assert there == here


def test_a_server_that_refuses_functions_says_what_to_set(torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    with private(tmp_path, "--log-bin=binlog", "--server-id=1") as server:
        server.execute("CREATE USER clerk IDENTIFIED BY 'made up'")
        server.execute("GRANT ALL ON `torture%`.* TO clerk")
        own = functools.partial(connect_to, server.url(None, user="clerk", password="made up"), None)
        with pytest.raises(BackupFailed, match="SUPER") as caught:
            dump.restore(own, file, "torture__stg_back")
        assert "log_bin_trust_function_creators" in str(caught.value.hint)
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        dump.restore(own, file, "torture__stg_back")


@contextlib.contextmanager
def private(directory: Path, *options: str) -> Iterator[MariaDB]:
    """A server of the test's own."""
    server = MariaDB(directory / "server", *options)
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()
