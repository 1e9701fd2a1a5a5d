"""Secrets that are unmistakable wherever they turn up, and where a command could have left one."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from tests.support.servers.postgresql import program

WORDS = [
    "account",
    "passwd",
    "sslpassword",
    "source_account",
    "wrong_password",
    "refused_userinfo",
    "refused_query",
    "token",
    "driver",
    "backup_key",
    "profile_key",
    "secret_key",
    "ratelimit",
    "pgpassword",
    "mysql_pwd",
    "elsewhere",
    "old_admin",
    "half",
]
"""One for each place that a secret stands in."""
OF_DEPLOYMENTS = ("eyJfdWlkIjoi", "jwt_python_flask=", "Open:sesame")
"""What old deployments give out and are given: the token's claims, its cookie, the password of HTTP Basic."""
RECORDED = ("pg_dump", "pg_restore", "psql", "mariadb-dump", "mysqldump", "mariadb", "mysql")

RECORDER = """#!/bin/sh
into={records}/{name}.$$
cat /proc/$$/cmdline >$into.argv
cat /proc/$$/environ >$into.environ
for file in "$PGSERVICEFILE" "$PWD/password" "$PWD/service"; do
    [ -f "$file" ] && stat -c '%a %n' "$file" >>$into.modes
done
exec {real} "$@"
"""


def needle(word: str) -> str:
    """What is searched for: no encoding of a URL or of JSON changes a character of it."""
    return f"canary.{word}.4711"


def canary(word: str) -> str:
    """A secret with characters around its needle that a URL has to write in another way."""
    return f"@:/%2f?# {needle(word)}'\\ &"


def encoded(word: str) -> str:
    """The secret as it stands in a URL."""
    return quote(canary(word), safe="")


def _base64_of(text: str) -> Iterator[bytes]:
    """The characters that are the same whatever stands before and behind the text."""
    for before in range(3):
        found = base64.b64encode(b"\0" * before + text.encode())
        yield found[(0, 2, 3)[before] : -4]


def _pattern() -> re.Pattern[bytes]:
    plain = [*map(needle, WORDS), *OF_DEPLOYMENTS]
    parts = [text.encode() for text in plain] + [part for text in plain[:-3] for part in _base64_of(text)]
    return re.compile(b"|".join(re.escape(part) for part in parts))


SECRET = _pattern()


@dataclass
class Search:
    """What was found where; each place once."""

    found: list[str]
    looked_into: int = 0

    def text(self, place: str, text: str | bytes) -> None:
        data = text.encode(errors="replace") if isinstance(text, str) else text
        self.looked_into += 1
        self.found += sorted({f"{hit.decode()} in {place}" for hit in SECRET.findall(data)})

    def files(self, directory: Path) -> None:
        """Every file below and its name, also inside what is compressed."""
        for path in sorted(directory.rglob("*")):
            self.text(f"the name {path}", path.name)
            if path.is_file():
                data = path.read_bytes()
                self.text(str(path), gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)

    def rows(self, url: URL) -> None:
        """All rows of all databases or schemas of a server, control areas and generations among them."""
        engine = sa.create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            for schema in inspector.get_schema_names():
                if schema.startswith(("information_schema", "mysql", "performance_schema", "sys", "pg_")):
                    continue
                for table in inspector.get_table_names(schema):
                    self.text(f"{schema}.{table}", _rows(connection, schema, table))


def _rows(connection: sa.Connection, schema: str, table: str) -> str:
    quoted = ".".join(map(connection.dialect.identifier_preparer.quote, (schema, table)))
    return repr(connection.exec_driver_sql(f"SELECT * FROM {quoted}").fetchall())


class Recorder:
    """Programs first on the path that write down what they are given, then are the real ones."""

    def __init__(self, directory: Path) -> None:
        self.programs, self.records = directory / "programs", directory / "records"
        self.programs.mkdir(parents=True)
        self.records.mkdir()
        for name in RECORDED:
            real = program(name) if name.startswith("p") else shutil.which(name)
            if real and Path(real).exists():
                file = self.programs / name
                file.write_text(RECORDER.format(records=self.records, name=name, real=real))
                file.chmod(0o755)

    def path(self, environ: Mapping[str, str]) -> str:
        return f"{self.programs}:{environ['PATH']}"

    def called(self) -> set[str]:
        """The names of the programs that were called."""
        return {file.name.partition(".")[0] for file in self.records.glob("*.argv")}

    def modes(self) -> set[str]:
        """The modes of the files of secrets that programs were given."""
        lines = [line for file in self.records.glob("*.modes") for line in file.read_text().splitlines()]
        return {line.partition(" ")[0] for line in lines}

    def environment_names(self) -> set[str]:
        """The names of all variables that programs were given."""
        found: set[str] = set()
        for file in self.records.glob("*.environ"):
            found |= {entry.partition(b"=")[0].decode() for entry in file.read_bytes().split(b"\0") if entry}
        return found
