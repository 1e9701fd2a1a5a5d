"""PostgreSQL: the server's own client programs, called without a secret in sight, and not waited for for ever."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import secrets
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from psycopg import pq
from psycopg.conninfo import make_conninfo

from ..inherited import inherit
from . import connect
from .patience import SILENCE_S, Patience, is_at_work

PLACES: tuple[str, ...] = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/*/bin",
    "/usr/local/opt/*/bin",
    "/usr/local/pgsql/bin",
)
"""Where programs lie that are not on the path."""

OUTPUT_LIMIT_S = 600.0
"""How long a program that reads a file here may give nothing out."""

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_FILES_NAMED = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR")
"""Variables of libpq's that stand for no option of a connection."""
_UNMARKED_SECRETS = ("scram_client_key", "scram_server_key")
"""Secrets that libpq does not mark as such; the others have a dispchar of ``*`` (PostgreSQL manual, 34.1)."""
_SERVICE = "ferry"
_LONGEST_LINE = 1000
"""Of a service file; libpq reads 1023 bytes."""
_ERROR = re.compile(r"(?:ERROR|FATAL):\s+(?:([0-9A-Z]{5}): )?(.*)")


class ProgramMissing(Exception):  # answered by whoever knows what it was needed for
    """No program of that name, or none that is new enough; the words say which."""


class ProgramFailed(Exception):  # answered by whoever knows what it was needed for
    """A program ended with an error.

    :ivar state: the server's SQLSTATE, or an empty text.
    :ivar lost: the connection was lost.
    """

    def __init__(self, name: str, status: int, errors: str) -> None:
        match = _ERROR.search(errors)
        self.state = (match[1] or "") if match else ""
        self.lost = "server closed the connection" in errors
        words = match[2] if match else " ".join(errors.split())[-500:]
        details = [line.removeprefix("DETAIL:").strip() for line in errors.splitlines() if line.startswith("DETAIL:")]
        super().__init__(f"{name} ended with status {status}: {': '.join([words, *details[:1]])}")


@dataclass(frozen=True)
class Programs:
    """A directory's ``pg_dump`` and ``pg_restore``, of one version."""

    directory: Path
    major: int

    def path(self, name: str) -> str:
        return str(self.directory / name)


def find(server_major: int) -> Programs:
    """The programs of the server's own version, or else of the next newer one there is.

    :raises ProgramMissing: there are none, or all are older than the server.
    """
    by_major = {major: directory for directory in reversed(_directories()) if (major := _version_in(directory))}
    fitting = sorted(major for major in by_major if major >= server_major)
    if fitting:
        return Programs(by_major[fitting[0]], fitting[0])
    if by_major:
        raise ProgramMissing(f"pg_dump is of version {max(by_major)}, older than the server's {server_major}")
    raise ProgramMissing("pg_dump is not installed (with pg_restore)")


def _directories() -> list[Path]:
    on_path = shutil.which("pg_dump")
    # Debian's is a script that chooses among those below by what it finds in other places.
    places = [Path(on_path).parent] if on_path and Path(on_path).resolve().name != "pg_wrapper" else []
    for pattern in PLACES:
        places += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    return [place for place in places if all((place / name).is_file() for name in ("pg_dump", "pg_restore"))]


@lru_cache(maxsize=32)
def _version_in(directory: Path) -> int | None:
    try:
        process = subprocess.run(  # noqa: S603 # a program of this name, where such programs lie
            [str(directory / "pg_dump"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=inherit(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(process.stdout)
    return int(match[1]) if match else None


def escape(password: str) -> str:
    """A password as it stands in a password file (PostgreSQL manual, 34.16)."""
    return password.replace("\\", "\\\\").replace(":", "\\:")


class Client:
    """Calls programs for one database, with its secrets in files that only this user can read."""

    def __init__(self, programs: Programs, arguments: Mapping[str, str], private: Path) -> None:
        self.programs = programs
        self.private = private
        self.application = f"ferry program {secrets.token_hex(6)}"
        known = {**arguments, "application_name": self.application}
        password = known.pop("password", None) or os.environ.get("PGPASSWORD")
        if password and "\n" in password:
            raise ProgramMissing("pg_dump cannot be given a password with a line break in it")
        self._arguments = {**known, **({"password": password} if password else {})}
        self._environment = _environment()
        if password:
            known["passfile"] = _keep(private / "password", f"*:*:*:*:{escape(password)}\n")
        if hidden := {name: known.pop(name) for name in _secret_options() if known.get(name)}:
            if "service" in known or "PGSERVICE" in os.environ:
                raise ProgramMissing(f"pg_dump cannot be given {', '.join(hidden)} beside a service")
            self._environment["PGSERVICEFILE"] = _keep(private / "service", _service(hidden))
            known["service"] = _SERVICE
        self.conninfo = make_conninfo(**known)

    @contextlib.contextmanager
    def running(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
        memory_bytes: int | None = None,
    ) -> Iterator[Running]:
        """A program, which is ended when the block is left before it ended.

        :param memory_bytes: the most that it may use, where the system can be told so (Linux).
        """
        errors = self.private / f"{name}.{secrets.token_hex(4)}.errors"
        with errors.open("wb") as to:
            process = subprocess.Popen(  # noqa: S603 # ours, see find()
                [self.programs.path(name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=to,
                env=self._environment,
                cwd=self.private,
            )
        try:
            if memory_bytes and hasattr(resource, "prlimit"):
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            yield Running(name, process, errors, self)
        finally:
            if process.poll() is None:
                process.kill()
            if process.stdout:
                process.stdout.close()
            process.wait()

    def patience(self) -> Patience:
        """For waiting until a program of ours goes on or ends."""
        arguments = {**self._arguments, "application_name": "ferry"}
        return Patience(lambda: is_at_work(arguments, "application_name = %s", self.application))


@dataclass(frozen=True)
class Running:
    """A program at work."""

    name: str
    process: subprocess.Popen[bytes]
    errors: Path
    client: Client

    def read(self, size_bytes: int) -> bytes:
        """Read from its output; nothing at its end.

        :raises TimeoutError: it is at work on nothing that comes out.
        """
        assert self.process.stdout  # noqa: S101 # it was started with one
        ready, _, _ = select.select([self.process.stdout], [], [], OUTPUT_LIMIT_S)
        if not ready:
            raise TimeoutError(f"{self.name} gave nothing for {OUTPUT_LIMIT_S:.0f} s")
        return os.read(self.process.stdout.fileno(), size_bytes)

    def wait_for_end(self, watched: Path | None = None) -> None:
        """Wait for its end.

        :param watched: a file that it writes: as long as that grows, nobody asks after it.
        :raises ProgramFailed: with the server's words.
        """
        patience = self.client.patience()
        while True:
            before = watched.stat().st_size if watched else None
            try:
                status = self.process.wait(timeout=SILENCE_S)
                break
            except subprocess.TimeoutExpired:
                if watched is None or watched.stat().st_size == before:
                    patience.silence()
                else:
                    patience.heard()
        if status:
            raise self.failure(status)

    def failure(self, status: int) -> ProgramFailed:
        return ProgramFailed(self.name, status, self.errors.read_text(errors="replace"))


def _environment() -> dict[str, str]:
    """Without what only looks like libpq's own: a host's PG_... may be a secret."""
    known = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    return inherit((known | set(_FILES_NAMED)) - {"PGPASSWORD"}) | {"LC_ALL": "C"}


def _secret_options() -> list[str]:
    """Options whose values are no arguments for a program: everybody can read those."""
    options = pq.Conninfo.get_defaults()
    marked = [option.keyword.decode() for option in options if (option.dispchar or b"").startswith(b"*")]
    return [name for name in (*marked, *_UNMARKED_SECRETS) if name != "password"]


def _service(options: Mapping[str, str]) -> str:
    """A service file, the one place besides arguments where libpq finds some options.

    :raises ProgramMissing: a value that its lines cannot hold.
    """
    for name, value in options.items():
        if "\n" in value or value != value.rstrip() or len(value.encode()) > _LONGEST_LINE - len(name):
            raise ProgramMissing(
                f"pg_dump cannot be given this {name}: it ends in a space, has a line break or is long"
            )
    return "\n".join([f"[{_SERVICE}]", *(f"{name}={value}" for name, value in options.items()), ""])


def _keep(file: Path, text: str) -> str:
    with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as to:
        to.write(text)
    return str(file)


@contextlib.contextmanager
def client(connection_arguments: Mapping[str, str], server_version: int, directory: Path | None) -> Iterator[Client]:
    """Programs for a database, with a private directory that is gone afterwards.

    :param directory: where the private one is made; None means where temporary files go.
    :raises ProgramMissing: see :func:`find`.
    """
    programs = find(server_version // 10000)
    with tempfile.TemporaryDirectory(prefix="ferry-", dir=directory) as private:
        yield Client(programs, connection_arguments, Path(private))


def is_lost(error: Exception) -> bool:
    """Whether a program ended, or was given up, because the server went away."""
    return error.lost if isinstance(error, ProgramFailed) else connect.is_lost(error)
