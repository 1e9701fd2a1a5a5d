"""Texts that look like UTF-8 read as Latin-1 (``Ã©`` for ``é``), as a connection of another charset leaves them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...dialects.model import LogicalType, Table, Values


def is_double_encoded(text: str) -> bool:
    """Whether the bytes of a text are UTF-8 beyond ASCII once they are written as latin1.

    Databases call cp1252 so, with the five bytes that it leaves undefined as the characters of the same number.
    """
    if text.isascii():
        return False
    # Nearly every other text ends here, at the first character that latin1 does not have or the first that is no UTF-8.
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError as error:
        if ord(text[error.start]) not in _OF_CP1252:
            return False
        return _is_utf8_in_cp1252(text)
    return _is_utf8(data)


def _is_utf8_in_cp1252(text: str) -> bool:
    # Any UTF-8 beyond ASCII has such a pair, and few other texts do; it costs less to look for than to translate all.
    if not _PAIR.search(text):
        return False
    try:
        return _is_utf8(text.translate(_OF_CP1252).encode("latin-1"))
    except UnicodeEncodeError:
        return False


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_OF_CP1252 = {ord(char): byte for byte in range(0x80, 0xA0) for char in bytes([byte]).decode("cp1252", "ignore")}
"""What cp1252 has in the place of control characters, with its bytes."""
_PAIR = re.compile(f"[\u00c2-\u00f4][\u0080-\u00bf{''.join(map(chr, _OF_CP1252))}]")
"""How the first two bytes of a character look."""


@dataclass
class _Found:
    texts: int = 0
    double: int = 0
    key: list[Any] = field(default_factory=list)


class DoubleEncoded:
    """Counts such texts of each column while rows pass.

    :param query_for_bytes: what a source's URL would say, if its app decoded them rightly.
    """

    def __init__(self, query_for_bytes: str = "") -> None:
        self._query = query_for_bytes
        self._found: dict[str, _Found] = {}

    def watch(self, table: Table, rows: Iterable[Values]) -> Iterator[Values]:
        texts = [i for i, column in enumerate(table.columns) if column.type is LogicalType.TEXT]
        tallies = [(i, self._found.setdefault(f"{table.name}.{table.columns[i].name}", _Found())) for i in texts]
        for row in rows:
            for place, tally in tallies:
                value = row[place]
                if type(value) is str and not value.isascii():
                    tally.texts += 1
                    if is_double_encoded(value):
                        _count(tally, table, row)
            yield row

    def add(self, other: DoubleEncoded) -> None:
        """Add what was counted of other rows of these columns."""
        for name, more in other._found.items():
            tally = self._found.setdefault(name, _Found())
            tally.texts, tally.double = tally.texts + more.texts, tally.double + more.double
            tally.key = tally.key or more.key

    def warnings(self) -> list[str]:
        """A sentence for each column most of whose texts beyond ASCII are such ones; no value is shown."""
        return [
            f"{name}: {tally.double} of {tally.texts} texts that are not ASCII look like UTF-8 that was read as latin1"
            + (f", such as that of key {', '.join(map(str, tally.key))}" if tally.key else "")
            + "; they are carried as they are."
            + (f" Where the old app showed them right, SOURCE is read so with ?{self._query}" if self._query else "")
            for name, tally in self._found.items()
            if tally.double * 2 > tally.texts
        ]


def _count(tally: _Found, table: Table, row: Values) -> None:
    tally.double += 1
    key = table.key_of(row) if table.primary_key else []
    # A key that is a text may be somebody's address.
    tally.key = tally.key or (key if all(type(part) is int for part in key) else [])
