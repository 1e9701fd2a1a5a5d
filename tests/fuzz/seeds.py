"""The first bytes of each target's corpus: what our own writers write, and texts of theirs that were kept."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

import orjson
import zstandard

from app.dialects.model import Column, Counter, ForeignKey, LogicalType, Table
from app.transfer.backup.manifest import Backup
from app.transfer.rows.encode import encode, hash_records, hash_rows
from app.transfer.rows.files import to_plain_json
from app.transfer.rows.header import AppliedProfile, Header
from app.transfer.run.keys import KEYS
from app.transfer.run.ledger import Entry
from app.transfer.set_aside.file import FORMAT, VERSION

from .readers.rows import USERS as EVERY_TYPE
from .readers.sources import NEXT, PAGINGS
from .target import scratch

ROW: Mapping[str, Any] = {
    "bool": True, "int": 1, "decimal": "1.50", "float": 0.5, "text": "it's", "bytes": "AP8=", "date": "2026-01-31",
    "time": "10:00:00.000000", "timestamp": "2026-01-31 10:00:00.000000",
    "timestamptz": "2026-01-31 10:00:00.000000+00:00", "json": '{"a": [1.0, "b"]}',
    "uuid": "00000000-0000-4000-8000-000000000001", "interval": None, "any": None,
}  # fmt: skip
USERS = Table(
    "users",
    (Column("id", LogicalType.INT, nullable=False), Column("name", LogicalType.TEXT, length=20)),
    ("id",),
    (("name",),),
    (ForeignKey(("id",), "users", ("id",)),),
)
WHEN = "2026-01-31T10:00:00Z"


def _header(*tables: Table, **more: Any) -> Header:
    return Header("rows", "the source", "identity", WHEN, "0001", tables, **more)


def snapshots() -> dict[str, bytes]:
    tagged = {"$int": "123456789012345678901234567890"}
    every = [ROW[name] for name in EVERY_TYPE.column_names]
    rich = _header(
        *(replace(EVERY_TYPE, name="every"), USERS),
        counters=(Counter("s", 7, "users", "id"),),
        profile=AppliedProfile("share", "0" * 64),
        numbers={"application_id": 1},
        time_zone="UTC",
        notes=("a note",),
        missing={"posts": "no endpoint"},
    )
    records = Header("records", "http://old", "http://old", WHEN, "0001", types=("users", "posts"))
    rows: Sequence[tuple[Header, Sequence[Any]]] = (
        (_header(USERS), [hash_rows(USERS, [[1, "a"], [2, None], [tagged, "\u2028"]])]),
        (rich, [hash_rows(EVERY_TYPE, [every, [None] * len(every)]), hash_rows(USERS, [])]),
        (_header(), []),
        (records, [hash_records(['{"id":1,"name":"a"}', '{"id":2}']), hash_records([])]),
        (_header(USERS), [hash_rows(USERS, [[number, "x" * (number % 7)] for number in range(210)])]),
    )
    names = ("rows", "every-type", "empty", "records", "blocks")
    return {
        name: b"".join(encode(header, zip(header.sections, sections, strict=True)))
        for name, (header, sections) in zip(names, rows, strict=True)
    }


def packed() -> dict[str, bytes]:
    plain = snapshots()
    return plain | {"gzip": gzip.compress(plain["rows"], mtime=0), "zstd": zstandard.compress(plain["rows"])}


JSON = {
    "object": b'{"a": {"b": [1, 2.50, -0, 1E+2, "x\\u00e9\\ud83d\\ude00"]}, "c": null, "d": [], "e": true}',
    "list": b'[{"id": 1, "name": "a"}, {"id": 2, "name": null, "more": [[], {}]}]',
    "numbers": b"[0, -0.0, 1e5, 123456789012345678901234567890, 1e999999999, 1.7976931348623157e308]",
    "spoiled": b'[{"id": 1, "n": NaN}, {"id": 2, "a": 1, "a": 2}, {"id": 3, "s": "\\ud800"}]',
}
CLASSIC = {
    "users": b'[{"id": 1, "name": "a", "uid": "a"}, {"id": 2, "name": null}]',
    "types": b'{"users": [{"id": 1}], "posts": [], "_metadata": {"failed_endpoints": []}}',
    "incomplete": b'{"users": [{"id": 1}], "_metadata": {"failed_endpoints": [["posts", 500]]}}',
    "spoiled": JSON["spoiled"],
}


def set_aside() -> dict[str, bytes]:
    head = dict.fromkeys(("run", "revision", "source", "identity", "snapshot", "sha256"), "x")
    rows = [{"table": "users", "number": 1, "reason": "too long", "row": ROW}]
    return {"rows": to_plain_json({"format": FORMAT, "version": VERSION, **head, "rows": rows})}


def answer(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def records() -> dict[str, bytes]:
    page = b'{"users": [{"id": %d}], "total": 2, "page": %d, "has_next": %s, "next": %s}'
    link = 'Link: </users?page=2>; rel="next"'
    inputs = {
        f"paging-{number}": bytes([number])
        + NEXT.join(
            [
                answer(page % (1, 1, b"true", b'"/users?page=2"' if number == 4 else b'"x"'), link),
                answer(page % (2, 2, b"false", b"null")),
                answer(page % (1, 1, b"true", b"null")),
            ]
        )
        for number in range(len(PAGINGS))
    }
    whole = b'[{"id": 1, "n": 1.50}, {"id": 2, "s": "\\u00e9"}]'
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    packed_whole = gzip.compress(whole, mtime=0)
    return inputs | {
        "gzip": b"\x0e" + answer(packed_whole, "Content-Encoding: gzip"),
        "chunked": b"\x0e" + chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(whole), whole),
        "header-total": b"\x06" + answer(whole, "X-Total: 2"),
        "redirect": b"\x06" + answer(b"", "Location: /users/", status="302 Found") + NEXT + answer(whole),
        "busy": b"\x06" + answer(b"", "Retry-After: 1", status="429 No") + NEXT + answer(whole),
    }


def log_ins() -> dict[str, bytes]:
    cookie = "Set-Cookie: token=abc; HttpOnly; Path=/"
    return {
        "cookie": b"\0" + answer(b'{"token": "abc"}', cookie),
        "form": b"\1" + answer(b"", cookie, "Location: /", status="302 Found") + NEXT + answer(b"[]"),
        "bearer": b"\2" + answer(b'{"data": {"token": "abc"}}', status="201 Created"),
        "refused": b"\0" + answer(b"{}", status="401 Unauthorized"),
        "page": b"\0" + answer(b"<html>", kind="text/html"),
    }


def manifests_over_http() -> dict[str, bytes]:
    probe = answer(b'{"format": "ferry-snapshot", "version": 1}')
    tables = {"users": {"rows": 2, "checksum": "0" * 32}}
    manifest = {"format": "ferry-snapshot", "version": 1, "database": "d", "revision": "0001", "tables": tables}
    token = answer(b'{"token": "abc"}', "Set-Cookie: token=abc")
    return {"manifest": NEXT.join([probe, token, answer(orjson.dumps(manifest))]), "none": probe}


def exports() -> dict[str, bytes]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/zstd\r\nConnection: close\r\n\r\n"
    return {name: head + zstandard.compress(data, 1) for name, data in snapshots().items()}


def databases() -> dict[str, bytes]:
    """Small SQLite files: rows of every kind, a view, a trigger, a table without row ids, one of FTS."""
    path = scratch() / "seed.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA page_size = 512; VACUUM;"
            "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, j JSON, d DATE, b BLOB);"
            "CREATE TABLE pairs (a INT, b INT REFERENCES users (id), PRIMARY KEY (a, b)) WITHOUT ROWID;"
            "INSERT INTO users (name, j, d, b) VALUES ('it''s', '[1]', '2026-01-31', x'00ff'), ('', NULL, 7, 1.5);"
            "INSERT INTO pairs VALUES (1, 1), (2, 2);"
            "CREATE VIEW v AS SELECT name FROM users;"
            "CREATE TRIGGER t AFTER INSERT ON pairs BEGIN DELETE FROM users; END;"
            "CREATE INDEX i ON users (name COLLATE NOCASE) WHERE name <> '';"
        )
    return {"tables": path.read_bytes()}


def backups() -> dict[str, bytes]:
    tables = {"users": [2, "0" * 32]}
    backup = Backup("b1", "/x/b.db", "db-backup", "r1", "d", WHEN, 10, "0" * 64, "0001", tables, seal="ab" * 32)
    known = replace(backup, whole="0" * 32, tables={name: [rows, None] for name, (rows, _) in backup.tables.items()})
    return {
        "sealed": to_plain_json(backup.to_manifest()),
        "portable": orjson.dumps(backup.to_manifest() | {"portable": True}),
        "known as it lies": to_plain_json(known.to_manifest()),
    }


def _entry(**more: Any) -> dict[str, Any]:
    plain = Entry("r1", "db-migrate-data", "i", "http://old", "0001", "00000001", "", WHEN)
    return {**asdict(plain), "checksums": {"users": [2, "0" * 32]}, **more}


def entries() -> dict[str, bytes]:
    options = {"profile": {"name": "share", "digest": "0" * 64}, "bond": {"run": "r1", "binds": ["default", "stats"]}}
    return {"plain": orjson.dumps(_entry()), "options": orjson.dumps(_entry(options=options, drift=["a table"]))}


def control_areas() -> dict[str, bytes]:
    entry = orjson.dumps(_entry()).decode()
    lines = [
        f"ledger.entry={entry}",
        f"journal.detail={json.dumps({'entry': _entry()})}",
        "journal.written_at=2026-01-31 10:00:00.000000",
        "lease.started_at=2026-01-31 10:00:00.000000",
        "lease.heartbeat_at=2026-01-31 10:00:00.000000",
        'identity.value="production"',
    ]
    return {"filled": "\n".join(lines).encode(), "none": b"lease.pid=x"}


def settings() -> dict[str, bytes]:
    defaults = "\n".join(f"FLASK_{name}={key.default}" for name, key in KEYS.items() if key.default is not None)
    sources = (
        "https://u:p@old.example/x?q#f",
        "mysql://u:p@h:3306/x?a=b",
        "postgresql+psycopg://[::1]/x",
        "sqlite:///x",
        "self",
    )
    text = "FLASK_FERRY_SOURCE={0}\nFLASK_FERRY_BIND=stats\nFLASK_FERRY_SOURCE_STATS={0}"
    named = {f"source-{number}": text.format(source).encode() for number, source in enumerate(sources)}
    return {"defaults": defaults.encode()} | named


URLS = {
    "mysql": b"mysql|anna||host:3306|/shop?charset=utf8mb4|token",
    "mark": b"postgresql|an@na|/?#|host|/shop|sslpassword",
    "http": b"https|u|%40|[::1]:80|/x?y=z#f|q",
}
DECLARED = {
    "moves": b'["4f2e1a"]\nferry_moves = { "users.name" = ["users.first", "users.last"], a = "b" }\n'
    b'ferry_losses = { "posts.legacy" = "not shown", sessions = "gone" }\n["5"]\n',
}


def seeds() -> dict[str, dict[str, bytes]]:
    """The corpus of each target, by the names of its files; dumps of servers are kept, as they need one."""
    return {
        "snapshot": packed(),
        "sealed_snapshot": snapshots(),
        "strict_json": JSON,
        "mended_json": JSON,
        "normal_json": JSON,
        "classic_file": CLASSIC,
        "rows_set_aside": set_aside(),
        "records": records(),
        "log_in": log_ins(),
        "manifest_answer": manifests_over_http(),
        "export_answer": exports(),
        "packed_export": snapshots(),
        "sqlite_file": databases(),
        "manifest": backups(),
        "ledger_entry": entries(),
        "control_area": control_areas(),
        "settings": settings(),
        "redacted_url": URLS,
        "declarations": DECLARED,
    }


def write_seeds() -> None:
    """Write the corpora anew; what was found otherwise stays."""
    from .targets import BY_NAME

    for name, files in seeds().items():
        directory = BY_NAME[name].corpus
        directory.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (directory / f"seed-{file}").write_bytes(data)
