"""A deployment's database in which all that the reference app's profile replaces is marked, and finding marks."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import zstandard

from app.profiles import CLASSIC
from app.transfer.profiles import Document, Keep, WithoutQuery
from tests.support.deployment import words

MARK = "personal-"


def mark(database: Path) -> None:
    """Put a mark into every value that the profile replaces, but for what the teacher logs in with."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, columns in CLASSIC.items():
            for column, rule in columns.items():
                if rule == Keep():
                    continue
                value = f"'{MARK}{column}-' || rowid"
                if isinstance(rule, Document):
                    text = json.dumps({"note": f"{MARK}{column}", "by": [f"{MARK}list", {"deep": f"{MARK}deep"}]})
                    value = f"'{text}'"
                elif isinstance(rule, WithoutQuery):
                    value = f"'/blog/' || rowid || '?who={MARK}query'"
                who = f"WHERE _uid <> '{words.TEACHER_UID}'" if table == "users" else ""
                connection.execute(f"UPDATE {table} SET {column} = {value} {who}")
        connection.execute("UPDATE users SET _role = 'Admin' WHERE _uid = ?", (words.TEACHER_UID,))


def marked(directory: Path) -> list[str]:
    """The files below that hold a mark, whatever their compression; those that are not there any more have none."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and MARK.encode() in content(path):
            found.append(str(path.relative_to(directory)))
    return found


def content(path: Path) -> bytes:
    said = path.read_bytes()
    if said[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(said)
    return gzip.decompress(said) if said[:2] == b"\x1f\x8b" else said
