"""Snapshots of which any part was changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import xxhash
from hypothesis import strategies as st

from app.errors import FerryError
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.header import Header

from .snapshots import USERS

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2**63, 2**64, -(2**63), 1.5, 1e300]),
    st.sampled_from(["", "x", "zz" * 16, "0" * 32, "\0", "é", "9" * 5000, "2026-01-31", "2026-01-31T00:00:00", "rows"]),
)

JUNK = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def parts(header: Header | None = None, rows: Any = ([1, "a"], [2, None])) -> tuple[Any, list[bytes], Any]:
    """A good snapshot in its parts: the header as JSON, the lines of data, the footer as JSON."""
    header = header or Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", (USERS,))
    whole = b"".join(encode(header, [("users", hash_rows(USERS, rows))]))
    first, *data, last = whole.splitlines(keepends=True)
    footer = re.sub(rb',"seal":"[0-9a-f]+"\}\}\n$', b"}", last).removeprefix(b'"footer": ')
    return orjson.loads(first.removeprefix(b'{"header": ').removesuffix(b",\n")), data, orjson.loads(footer)


def put(path: Path, header: Any, data: list[bytes], footer: Any, *, keep_digest: bool = False) -> Path:
    """Write a snapshot of any parts, sealed as a good one is."""
    before = b'{"header": ' + json.dumps(header, separators=(",", ":")).encode() + b",\n" + b"".join(data)
    if not keep_digest and isinstance(footer, dict):
        footer = {**footer, "sha256": hashlib.sha256(before).hexdigest()}
    body = json.dumps(footer).encode().removesuffix(b"}")
    path.write_bytes(before + b'"footer": ' + body + b',"seal":"' + xxhash.xxh3_64_hexdigest(body).encode() + b'"}}\n')
    return path


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none; any other error is a failure of the test."""
    try:
        read()
    except FerryError as error:
        return error.message
    return None


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a JSON value has values."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


def changed(value: Any, at: tuple[Any, ...], to: Any) -> Any:
    """The value with another one at a place."""
    if not at:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = changed(value[at[0]] if at[1:] else None, at[1:], to)
    return copy


HEADER, _, FOOTER = parts()
