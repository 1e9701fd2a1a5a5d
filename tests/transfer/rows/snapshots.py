"""Snapshots to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.dialects.model import Column, ForeignKey, LogicalType, Table
from app.transfer.rows.encode import encode, hash_records, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header

USERS = Table(
    "users",
    (Column("id", LogicalType.INT, nullable=False), Column("name", LogicalType.TEXT, length=20)),
    ("id",),
    (("name",),),
    (ForeignKey(("id",), "users", ("id",)),),
)


SUFFIXES = [".json", ".json.gz", ".json.zst"]


def header(*tables: Table, **more: Any) -> Header:
    return Header("rows", "the source", "identity", "2024-01-01T00:00:00Z", "0001", tables, **more)


def store(path: Path, head: Header, *sections: list[Any]) -> Path:
    """Write rows or records to a file."""
    if head.kind == "rows":
        lines = [hash_rows(table, rows) for table, rows in zip(head.tables, sections, strict=True)]
    else:
        lines = [hash_records(texts) for texts in sections]
    write(path, encode(head, zip(head.sections, lines, strict=True)))
    return path
