"""MySQL and MariaDB: the server's own programs, for who asks for a dump of theirs.

They round FLOAT columns to six digits (MySQL manual, 13.1.4; seen), so such a dump is a backup only where it reads back
as what was dumped. The password goes to them through a pipe, neither as an argument nor in the environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from ...errors import BackupFailed
from ..inherited import inherit
from .connect import connection_arguments, is_nearby
from .names import database_of

_DUMP = (
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--no-tablespaces",
    "--hex-blob",
    "--skip-lock-tables",
    "--default-character-set=utf8mb4",
)
_WHERE_KNOWN = ("--set-gtid-purged=OFF", "--column-statistics=0")
"""Of one server's program and unknown to the other's."""
_OWN = ("MYSQL_HOME", "MARIADB_HOME", "MYSQL_GROUP_SUFFIX", "LIBMYSQL_PLUGIN_DIR", "LIBMYSQL_PLUGINS")
"""Variables of these programs; not MYSQL_PWD, as the password comes through the pipe."""
_BEGINS = (b"-- MariaDB dump", b"-- MySQL dump", b"/*M!999999")
_ENDS = b"-- Dump completed"
_SANDBOX = b"/*M!999999\\- enable the sandbox mode"
_DEFINER = re.compile(rb"(/\*!\d{5,6}\s+)?DEFINER\s*=\s*`(?:[^`]|``)*`@`(?:[^`]|``)*`\s?(SQL SECURITY DEFINER\s?)?")


def is_client_dump(file: Path) -> bool:
    """Whether a file begins as a dump of the server's own program does."""
    try:
        with file.open("rb") as stream:
            return stream.read(64).startswith(_BEGINS)
    except OSError:
        return False


def dump(url: URL, tls_ca: Path | None, to: Path) -> None:
    """Write a dump of the server's own program, flushed to disk, mode 0600.

    :raises BackupFailed: there is no such program, or it failed; its last words.
    """
    program = _program("mariadb-dump", "mysqldump")
    known = subprocess.run(  # noqa: S603 # a program of the system, no shell
        [program, "--help"], capture_output=True, text=True, timeout=60, check=False, env=inherit(_OWN)
    ).stdout
    flags = [*_DUMP, *(flag for flag in _WHERE_KNOWN if flag.partition("=")[0] in known)]
    try:
        with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _run(program, url, tls_ca, [*flags, "--", database_of(url)], stdout=file)
            os.fsync(file.fileno())
    except OSError as error:
        raise BackupFailed(f"The backup to {to} failed: {error.strerror}.") from error
    if not _last_line(to).startswith(_ENDS):
        raise BackupFailed(f"{program} ended without saying that its dump is complete.")


def restore(url: URL, tls_ca: Path | None, file: Path) -> None:
    """Run a dump of the server's own program in a database that is there and empty.

    The objects' owner becomes the user, who else would have to be an administrator.

    :raises BackupFailed: it is cut off, or refused; the program's last words.
    """
    if not _last_line(file).startswith(_ENDS):
        raise BackupFailed(f"{file} is cut off: its last line does not say that the dump is complete.")
    with tempfile.TemporaryFile() as statements:
        with file.open("rb") as lines:
            for line in lines:
                if not line.startswith(_SANDBOX):
                    statements.write(_without_owner(line))
        statements.seek(0)
        flags = ["--default-character-set=utf8mb4", "--binary-mode", "--", database_of(url)]
        _run(_program("mariadb", "mysql"), url, tls_ca, flags, stdin=statements)


def _without_owner(line: bytes) -> bytes:
    """Only where a statement begins: a body may hold the same words as a text."""
    if not line.startswith((b"/*!", b"CREATE ")):
        return line
    return _DEFINER.sub(lambda match: match[1] or b"", line, count=1)


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise BackupFailed(
        f"There is no program {' or '.join(names)} here.",
        hint="Install it, or leave --client out: Flask-Ferry's own backup needs no program.",
    )


def _run(
    program: str,
    url: URL,
    tls_ca: Path | None,
    flags: list[str],
    *,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> None:
    with _options(url, tls_ca) as descriptor:
        process = subprocess.run(  # noqa: S603 # a program of the system, no shell; names are no options
            [program, f"--defaults-extra-file=/dev/fd/{descriptor}", *flags],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[descriptor],
            env=inherit(_OWN),
            check=False,
        )
    if process.returncode:
        words = process.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise BackupFailed(f"{Path(program).name} ended with status {process.returncode}.", details=words)


@contextlib.contextmanager
def _options(url: URL, tls_ca: Path | None) -> Iterator[int]:
    """A descriptor that the program reads its options from: where the server is, and as whom."""
    arguments = connection_arguments(url, tls_ca)
    options = {
        "user": arguments.get("user"),
        "password": arguments.get("password"),
        "host": arguments.get("host"),
        "port": arguments.get("port"),
        "socket": arguments.get("unix_socket"),
        "protocol": "socket" if arguments.get("unix_socket") else "tcp",
    }
    if not is_nearby(url):
        options |= {"ssl-verify-server-cert": "1", "ssl-ca": str(tls_ca) if tls_ca else None}
    lines = [f"{name}={_quote_option(str(value))}" for name, value in options.items() if value not in (None, "")]
    reading, writing = os.pipe()
    try:
        # A pipe holds more than this (64 KiB), so nobody has to read it yet.
        os.write(writing, ("[client]\n" + "\n".join(lines) + "\n").encode())
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _quote_option(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _last_line(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 200))
        return stream.read().rstrip().rpartition(b"\n")[2]
