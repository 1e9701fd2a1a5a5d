"""Database servers off this machine that answer with another certificate than theirs, or with none: nothing is sent.

By its name this host is as far away as any other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.dialects import dialect_for
from app.errors import AccessDenied
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.sources.tls import Authority

HERE = f"DNS:{socket.gethostname()}"
PASSWORD = "s3cret-word"
REASONS = {
    "its own": "certificate verify failed|CERTIFICATE_VERIFY_FAILED",
    "of another authority": "certificate verify failed|CERTIFICATE_VERIFY_FAILED",
    "expired": "certificate verify failed|CERTIFICATE_VERIFY_FAILED",
    "of another name": "does not match|CERTIFICATE_VERIFY_FAILED",
}


def certify(directory: Path, kind: str) -> tuple[Path, Path]:
    """A directory with a server's key and certificate of a kind, and what the client trusts."""
    authority = Authority.make(directory / "ca")
    address = "DNS:db.example.com" if kind == "of another name" else HERE
    pair = authority.sign(address, days=-1 if kind == "expired" else 2)
    files = {"server.key": pair.with_suffix(".key"), "server.crt": pair.with_suffix(".crt")}
    if kind == "its own":
        files = {"server.key": authority.directory / "ca.key", "server.crt": authority.file}
    for name, file in files.items():
        (directory / name).write_bytes(file.read_bytes())
        (directory / name).chmod(0o600)
    other = kind in ("its own", "of another authority")
    return directory, (Authority.make(directory / "other") if other else authority).file


SERVERS: dict[str, Callable[[Path, Path], Any]] = {
    "mariadb": lambda directory, certificates: MariaDB(directory / "server", certificates=certificates),
    "postgresql": lambda _, certificates: PostgreSQL(certificates=certificates),
}


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("name", SERVERS, ids=["MariaDB", "PostgreSQL"])
def test_a_certificate_that_proves_nothing(tmp_path: Path, name: str, kind: str) -> None:
    directory, trusted = certify(tmp_path, kind)
    server = SERVERS[name](tmp_path, directory)
    server.prepare()
    server.start()
    try:
        url = server.url("shop", user="app", password=PASSWORD).set(host=socket.gethostname())
        dialect = dialect_for(url, directory=tmp_path, tls_ca=trusted)
        for look in (dialect.exists, lambda url: dialect.engine(url).connect()):
            with pytest.raises(AccessDenied) as caught:
                look(url)
            assert any(part in caught.value.message for part in REASONS[kind].split("|")), caught.value.message
            assert PASSWORD not in caught.value.message + str(caught.value.hint)
            assert caught.value.exit_status == 2
            assert "FERRY_TLS_CA" in str(caught.value.hint)
        # Of a user that there is not it would have been told, had it been asked for one.
        assert "'app'" not in caught.value.message.replace("user 'app'", "")
        assert "Access denied" not in caught.value.message
        assert "authentication failed" not in caught.value.message
    finally:
        server.stop()


def test_a_server_of_postgresql_without_tls(tmp_path: Path) -> None:
    server = PostgreSQL("listen_addresses=*")
    server.prepare()
    with (server.data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all trust\n")
    server.start()
    try:
        url = server.url("postgres").set(host=socket.gethostname())
        dialect = dialect_for(url, directory=tmp_path)
        with pytest.raises(AccessDenied, match="SSL") as caught:
            dialect.exists(url)
        assert caught.value.exit_status == 2
        assert dialect.exists(url.set(host="127.0.0.1"))
    finally:
        server.stop()
