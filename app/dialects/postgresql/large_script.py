"""PostgreSQL: the large objects of a dump, read from what ``pg_restore`` writes of them; none of it is run.

For each object ``pg_dump`` writes, and nothing else is taken for one::

    SELECT pg_catalog.lo_create('16390');
    ALTER LARGE OBJECT 16390 OWNER TO shop;
    COMMENT ON LARGE OBJECT 16390 IS '...';
    GRANT SELECT ON LARGE OBJECT 16390 TO reader;

and then, in a transaction for each or for many of them, any number of parts::

    SELECT pg_catalog.lo_open('16390', 131072);
    SELECT pg_catalog.lowrite(0, '\\x7369676e6564');
    SELECT pg_catalog.lo_close(0);

Source: versions 15 to 18 of ``src/bin/pg_dump/{pg_dump,pg_backup_archiver,pg_backup_db,dumputils}.c``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..model import Grant, OutsideObject
from .filter import Act, Filter, Forbidden, shorten
from .script import Script, Statement, Unreadable

MOST_NUMBER = 2**32 - 1

_I = r"(?:QUOTED|[a-z_][a-z0-9_$]*)"
_CREATE = re.compile(r"select pg_catalog \. lo_create \( TEXT \)")
_OPEN = re.compile(r"select pg_catalog \. lo_open \( TEXT , NUMBER \)")
_WRITE = re.compile(r"select pg_catalog \. lowrite \( NUMBER , TEXT \)")
_CLOSE = re.compile(r"select pg_catalog \. lo_close \( NUMBER \)")
_OWNER = re.compile(rf"alter large object NUMBER owner to {_I}")
_COMMENT = re.compile(r"comment on large object NUMBER is TEXT")
_PRIVILEGE = r"(?:select|update|all)"
_GRANT = re.compile(
    rf"(grant|revoke|revoke grant option for) ({_PRIVILEGE}(?: , {_PRIVILEGE})*) on large object NUMBER"
    rf" (?:to|from) (group )?{_I}( with grant option)?"
)
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


@dataclass
class _Attributes:
    owner: str = ""
    comment: str | None = None
    grants: dict[tuple[str, str], bool] | None = None


@dataclass
class LargeObjects:
    """What a dump says of its large objects, all of it read before anything is made of it.

    :ivar numbers: of those it has.
    """

    numbers: set[int] = field(default_factory=set)
    _special: dict[int, _Attributes] = field(default_factory=dict)
    _owners: dict[int, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _codec: str = "utf-8"

    def read(self, script: Script) -> None:
        """Read the script of all but the contents.

        :raises Forbidden, Unreadable: it is none that ``pg_dump`` writes.
        """
        plain = Filter("")
        for statement in script.statements():
            line = _line(statement)
            if _CREATE.fullmatch(line):
                self._create(statement)
            elif _OWNER.fullmatch(line):
                owner = self._text(statement, statement.words[6].name)
                self._owners[self._number(statement, 3)] = self._names.setdefault(owner, owner)
            elif _COMMENT.fullmatch(line):
                comment = self._text(statement, statement.words[6].content)
                self._attributes(self._number(statement, 4)).comment = comment
            elif grant := _GRANT.fullmatch(line):
                self._grant(statement, grant)
            elif plain.decide(statement) is Act.RUN and statement.words[1].name == b"client_encoding":
                self._codec = "utf-8" if statement.words[3].content.upper() == b"UTF8" else "ascii"

    def _text(self, statement: Statement, text: bytes) -> str:
        try:
            return text.decode(self._codec)
        except UnicodeDecodeError as error:
            raise Forbidden(statement, f"has a name or comment that cannot be read as {self._codec}") from error

    def _create(self, statement: Statement) -> None:
        number = _number_in(statement, self._text(statement, statement.words[5].content))
        if number in self.numbers:
            raise Forbidden(statement, "makes a large object a second time")
        self.numbers.add(number)

    def _number(self, statement: Statement, index: int) -> int:
        """The number of an object that was made before."""
        number = _number_in(statement, self._text(statement, statement.words[index].raw))
        if number not in self.numbers:
            raise Forbidden(statement, "is about a large object that the dump does not have")
        return number

    def _attributes(self, number: int) -> _Attributes:
        return self._special.setdefault(number, _Attributes())

    def _grant(self, statement: Statement, match: re.Match[str]) -> None:
        words = statement.words
        place = next(index for index, word in enumerate(words) if word.name == b"object")
        number = self._number(statement, place + 1)
        attributes, owner = self._attributes(number), self._owners.get(number, "")
        if attributes.grants is None:
            attributes.grants = dict.fromkeys(((owner, "SELECT"), (owner, "UPDATE")), False)
        word = words[place + 3 + bool(match[3])]
        # A group of that name, quoted, is a role like any other.
        role = "" if word.kind == "word" and word.name == b"public" else self._text(statement, word.name)
        for privilege in _privileges(match[2]):
            match match[1]:
                case "grant":
                    attributes.grants[role, privilege] = bool(match[4])
                case "revoke":
                    attributes.grants.pop((role, privilege), None)
                case _:
                    attributes.grants[role, privilege] = False

    def objects(self, script: Script) -> Iterator[OutsideObject]:
        """All objects, with the contents that the script of them has; each is read before the next.

        :raises Forbidden, Unreadable: the script is none that ``pg_dump`` writes.
        """
        missing, plain = set(self.numbers), Filter("")
        statements = script.statements()
        for statement in statements:
            line = _line(statement)
            if line in ("begin", "commit"):
                continue
            if not _OPEN.fullmatch(line):
                plain.decide(statement)  # it raises, but for settings
                continue
            number = _number_in(statement, self._text(statement, statement.words[5].content))
            if number not in missing:
                raise Forbidden(statement, "writes to a large object that the dump does not have, or has written")
            missing.remove(number)
            yield self._object(number, _parts(statements))
        for number in sorted(missing):
            yield self._object(number, iter(()))

    def _object(self, number: int, parts: Iterator[bytes]) -> OutsideObject:
        special = self._special.get(number, _Attributes())
        grants = special.grants and frozenset(Grant(*key, grantable) for key, grantable in special.grants.items())
        rights = None if special.grants is None else frozenset(grants or ())
        return OutsideObject(number, self._owners.get(number, ""), special.comment, rights, parts)


def _parts(statements: Iterator[Statement]) -> Iterator[bytes]:
    for statement in statements:
        line = _line(statement)
        if _CLOSE.fullmatch(line):
            return
        text = statement.words[7].content if _WRITE.fullmatch(line) else b""
        if not text.startswith(b"\\x"):
            raise Forbidden(statement)
        try:
            yield binascii.unhexlify(text[2:])
        except binascii.Error as error:
            raise Forbidden(statement, "holds bytes in another form than pg_dump's") from error
    raise Unreadable("it ends within a large object")


def renumber_rows(pieces: Iterable[bytes], places: Collection[int], numbers: Mapping[int, int]) -> Iterator[bytes]:
    """Rows in the text form of COPY, with other numbers in some columns."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield b"".join(_renumber(line, places, numbers) + b"\n" for line in lines)
    if rest:
        yield _renumber(rest, places, numbers)


def _renumber(line: bytes, places: Collection[int], numbers: Mapping[int, int]) -> bytes:
    values = line.split(b"\t")
    for place in places:
        # NULL is no number, and what is no row is the server's to refuse.
        if place < len(values) and values[place].isdigit():
            number = int(values[place])
            values[place] = b"%d" % numbers.get(number, number)
    return b"\t".join(values)


def _line(statement: Statement) -> str:
    return " ".join(map(shorten, statement.words)) if len(statement.words) <= 20 else ""


def _number_in(statement: Statement, text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MOST_NUMBER:
        raise Forbidden(statement, "has a number that no large object has")
    return int(text)


def _privileges(words: str) -> list[str]:
    names = words.split(" , ")
    return ["SELECT", "UPDATE"] if "all" in names else [name.upper() for name in names]
