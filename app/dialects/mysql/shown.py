"""MySQL and MariaDB: texts as an app's connections show them, where the URL makes that differ from what is stored.

The server sends texts in the character set of the session's results; the driver decodes the bytes by its own setting.
Where the two agree an app sees what is stored, but ``?`` (or an error) for what the character set lacks. Where they do
not, or where the driver hands out bytes, UTF-8 in a latin1 column is read as UTF-8 (PyMySQL 1.2, seen).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pymysql.charset import charset_by_name
from sqlalchemy import URL

from ...errors import DoesNotFit, Misconfigured
from .connect import quote
from .types import Stored

BINARY = "binary"
_UTF8 = ("utf8", "utf8mb3", "utf8mb4")
_SET_NAMES = re.compile(
    r"(?:\bSET\s+NAMES\s+|\bSET\s+(?:CHARACTER\s+SET|CHARSET)\s+|\bcharacter_set_results\s*:?=\s*)['\"]?(\w+)",
    re.IGNORECASE,
)
_TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_KEEP_INIT_COMMAND = ("mysqlconnector", "mariadbconnector")
_WIDE = ("ucs2", "utf16", "utf16le", "utf32")
_FALSE = ("0", "false", "f", "no", "n", "off")


@dataclass(frozen=True)
class View:
    """How the connections of a URL show texts.

    :ivar results: the character set that the server sends them in; ``binary``: each as it is stored.
    :ivar encoding: Python's name of what the driver decodes them as, or None where it hands out bytes.
    """

    results: str
    encoding: str | None

    def __str__(self) -> str:
        decoded = f"decodes as {self.encoding}" if self.encoding else "hands out as bytes"
        return f"the server sends texts in {self.results}, which the driver {decoded}"

    @property
    def is_odd(self) -> bool:
        """Whether an app sees other characters than are stored: not only fewer."""
        if self.results in _UTF8:
            return self.encoding is not None and codecs.lookup(self.encoding).name != "utf-8"
        return self.encoding is None or self.encoding != _encoding_of(self.results)

    def is_of(self, stored: Stored) -> bool:
        """Whether a column's texts may be shown otherwise than they are stored."""
        return stored.type in _TEXT_TYPES

    def ask_for(self, stored: Stored) -> str | None:
        """The expression that gives a column's bytes as they are sent; None where its stored text tells them."""
        name = quote(stored.name)
        if self.results in _UTF8:
            return None
        return f"CAST({name if self.results == BINARY else f'CONVERT({name} USING {self.results})'} AS BINARY)"


def find_view(url: URL) -> View | None:
    """How the connections of a URL show texts, or None where they show what is stored.

    :raises Misconfigured: its character set is none that a connection can be made with.
    """
    results = _option(url, "charset").lower() or "utf8mb4"
    _refuse_unknown(f"charset={results}", results)
    encoding = _encoding_of(results, url.get_driver_name())
    # SQLAlchemy sends SET NAMES with the charset of the URL after init_command, by the drivers that know it.
    command = _option(url, "init_command") if url.get_driver_name() in _KEEP_INIT_COMMAND else ""
    for name in _SET_NAMES.findall(command):
        results = BINARY if name.lower() == "null" else name.lower()
        # Of a result that is said to be binary the driver decodes nothing.
        encoding = None if name.lower() == BINARY else encoding
    _refuse_unknown(f"init_command=SET NAMES {results}", results)
    if _option(url, "use_unicode").lower() in _FALSE:
        encoding = None
    view = View(results, encoding)
    return None if results == "utf8mb4" and not view.is_odd else view


def _refuse_unknown(what: str, charset: str) -> None:
    """:raises Misconfigured: no connection is made with this character set, or none that shows texts."""
    try:
        known = charset_by_name(charset) is not None and charset not in _WIDE
        codecs.lookup(_encoding_of(charset) or "utf-8")
    except LookupError:
        known = False
    if not known:
        raise Misconfigured(
            f"The database's URL says {what}, and no app can read texts so: the server or its driver knows no such "
            "character set for connections.",
            hint="Write the one that the app connects with: utf8mb4, or latin1 (which is cp1252 on these servers).",
        )


def _option(url: URL, name: str) -> str:
    value = url.query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _encoding_of(charset: str, driver: str = "pymysql") -> str | None:
    """What a driver decodes a character set with, in Python's words."""
    if charset == BINARY:
        return None
    if driver == "mysqlconnector" and charset == "latin1":
        return "latin1"
    entry = charset_by_name(charset)
    return str(entry.encoding) if entry is not None else None


@dataclass
class _Count:
    texts: int = 0
    otherwise: int = 0
    lacking: int = 0
    unreadable: int = 0
    keys: dict[str, list[str]] = field(default_factory=dict)


class ShownTexts:
    """Texts of rows as an app sees them, and what there is to say of those that differ."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._counts: dict[str, _Count] = {}

    def show(self, column: str, stored: str, data: bytes | None, key: list[str]) -> str:
        """The text that the app sees; the stored one where it sees question marks, an error, or bytes that are no text.

        :param data: what the server sends, where the view asked for it.
        :param key: the row's primary key where it consists of numbers; a text may be somebody's address.
        :raises DoesNotFit: the server does not tell what it sends.
        """
        count = self._counts.setdefault(column, _Count())
        count.texts += 1
        if self.view.results in _UTF8:
            data = _ASTRAL.sub("?", stored).encode() if self.view.results != "utf8mb4" else stored.encode()
        # Beyond max_allowed_packet the server has no answer.
        if data is None:
            raise DoesNotFit(
                f"{column}: a text is too long to be read as connections of SOURCE show it"
                f"{_such(key)}: beyond max_allowed_packet the server converts none.",
                hint="Raise max_allowed_packet on the source's server, or leave charset out of SOURCE.",
            )
        if self.view.results != BINARY and data.count(b"?") != stored.count("?"):
            count.lacking += 1
            count.keys.setdefault("lacking", key)
            return stored
        try:
            text = data.decode(self.view.encoding or "utf-8")
        except UnicodeError:
            count.unreadable += 1
            count.keys.setdefault("unreadable", key)
            return stored
        count.otherwise += text != stored
        return text

    def warnings(self) -> list[str]:
        """A sentence for each column and kind of difference; no value is shown."""
        return [sentence for name, count in self._counts.items() for sentence in self._describe(name, count)]

    def _describe(self, name: str, count: _Count) -> Iterator[str]:
        of = f"of {count.texts} texts that are not ASCII"
        stay = "; they are carried as they are stored."
        if count.otherwise:
            yield (
                f"{name}: {count.otherwise} {of} are carried as the connections of SOURCE show them, not as the "
                f"server keeps them ({self.view})."
            )
        if count.lacking:
            yield (
                f"{name}: {count.lacking} {of} have characters that {self.view.results} lacks, so that connections "
                f"of SOURCE show ? in their place{_such(count.keys['lacking'])}{stay}"
            )
        if count.unreadable:
            encoding = self.view.encoding or "utf-8"
            yield (
                f"{name}: {count.unreadable} {of} cannot be read by connections of SOURCE, as they are no "
                f"{encoding}{_such(count.keys['unreadable'])}{stay}"
            )


def _such(key: list[str]) -> str:
    return f", such as that of key {', '.join(key)}" if key else ""
