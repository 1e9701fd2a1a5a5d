"""What must never be shown: values of columns, and of keys in JSON documents, whose names say that they are secrets."""

from __future__ import annotations

import json
from typing import Any

from ...dialects.model import Column, LogicalType, Table, Values
from .canonical import encode_row

SECRET_PARTS = (
    *("password", "passwd", "passphrase", "pwd", "hash", "salt", "token", "secret", "credential"),
    *("api_key", "apikey", "private_key", "cookie", "jwt"),
)
MASK = "***"
SHORTENED = 64
"""Servers cut a value in their words; PostgreSQL and MySQL behind so many characters."""


def is_secret(column: str) -> bool:
    """Whether a column's name says that its values must not be shown."""
    return any(part in column.lower() for part in SECRET_PARTS)


def mask(column: Column, value: Any) -> Any:
    """A canonical value as it may be shown: secrets masked, inside a JSON document those under a key of such a name."""
    if is_secret(column.name):
        return MASK
    return _mask_json(value) if column.type is LogicalType.JSON and value is not None else value


def _mask_json(value: Any) -> Any:
    text = value if isinstance(value, str) else encode_row([value]).decode()
    if not is_secret(text):
        return value
    if not isinstance(value, str):
        return MASK
    try:
        return json.dumps(_without_secrets(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        # No JSON, or nested too deeply to look into: a word in it says that there may be a secret.
        return MASK


def _without_secrets(value: Any) -> Any:
    match value:
        case dict():
            return {key: MASK if is_secret(key) else _without_secrets(item) for key, item in value.items()}
        case list():
            return [_without_secrets(item) for item in value]
        case str() if value[:1] in ("{", "["):
            return _mask_json(value)
    return value


def words_without_secrets(words: str, table: Table, row: Values) -> str:
    """A server's words about a row, which may quote its values."""
    for column, value in zip(table.columns, row, strict=True):
        if is_secret(column.name) and isinstance(value, str) and value:
            words = words.replace(value, MASK).replace(value[:SHORTENED], MASK)
    return words
