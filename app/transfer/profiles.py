"""What an app imports to say which of its values are personal, and what stands in for them in a developer's database.

The module that ``FERRY_PROFILES`` names holds profiles; each is known by the name of its variable::

    anonymous = Profile(
        {
            "0001_classic": {                      # from this revision on, until the next one that is named
                "users": {"_name": name(), "_uid": uid(), "_email": email(), "_password": no_login()},
                "posts": {"_content": text(), "_page_title": keep()},
            },
        }
    )

Every text, binary and JSON column of every table is replaced or kept by name; one that is neither stops the run. A
replacement depends on a secret key, its domain and the value: equal values of one domain become equal values wherever
they stand, and nobody without the key can find the value by trying. NULL stays NULL, and an empty text stays empty
where nothing else is said.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import Misconfigured

Tables = Mapping[str, Mapping[str, "Replacement"]]

TOKEN_CHARACTERS = 13
"""Of base 32: 65 bits, so that among a million values a clash is less likely than one in ten million."""
LEAST_CHARACTERS = 10
RESERVED = "example.org"
"""Mail to it reaches nobody (RFC 2606)."""
LOCKED = "!"
"""No password hashes to this, so nobody can log in."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _words(
    "Alba Anton Berit Bruno Carla Cyril Dana Dirk Edda Emil Fanny Felix Gerda Gustav Hedda Hugo Ida Igor Jana Jasper "
    "Kaja Klaus Lena Linus Mara Milan Nele Nils Olga Oskar Paula Pavel Quinn Ralf Rosa Ruben Selma Simon Tessa Tim "
    "Ulla Urs Vera Viktor Wanda Wim Xenia Yann Yara Zeno Zita Arno Britt Clemens Doris Egon Frieda Gero Helga Ivan "
    "Judith Kurt Lotta Moritz"
)
FAMILY = _words(
    "Acker Ahorn Bach Birke Brand Busch Dorn Eiche Erle Esche Feld Fichte Fink Forst Garten Ginster Graben Hafer "
    "Hagen Halde Hasel Heide Hirse Hof Holz Horn Kamm Kiefer Klee Koppel Korn Kranich Krug Lerche Linde Luchs Mohn "
    "Moor Moos Ried Roggen Rose Sand Schilf See Specht Stein Stern Storch Tal Tanne Teich Ulme Wald Weide Weiher "
    "Weizen Wiese Wolf Zaun Zeder Ziegel Zweig Zwerg"
)
WORDS = _words(
    "and or but with from over under near after before again about some other small large first last green blue warm "
    "cold early late quiet open river table window garden letter number corner basket bridge lantern market pocket "
    "ladder harbour orchard pencil saddle timber valley walnut yellow branch candle dinner engine feather hammer "
    "island jacket kettle meadow needle oyster pebble"
)


@dataclass(frozen=True)
class Keyed:
    """Turns values into digits with the secret key: without it nobody can go back, nor try values out."""

    key: bytes = field(repr=False)

    def digest(self, domain: str, value: str) -> bytes:
        """32 bytes: the same for equal values of one domain."""
        return hmac.digest(self.key, f"{domain}\0{value}".encode("utf-8", "surrogatepass"), "sha256")

    def token(self, domain: str, value: str, characters: int = TOKEN_CHARACTERS) -> str:
        """Small letters and digits; five bits a character."""
        return base64.b32encode(self.digest(domain, value)).decode().lower()[:characters]


@dataclass(frozen=True)
class Replacement:
    """What a column's values become.

    :ivar distinct: unequal values stay unequal.
    :ivar width: the longest result, in characters; None where it is no longer than the value.
    """

    kind: ClassVar[str] = ""

    @property
    def distinct(self) -> bool:
        return False

    @property
    def width(self) -> int | None:
        return None

    def text(self, value: str, keyed: Keyed) -> str:
        """What stands in for a text that is not empty."""
        raise NotImplementedError

    def inside(self, value: Any, keyed: Keyed) -> Any:
        """What stands in for a JSON value: its texts are replaced, its numbers become 0, its keys stay."""
        match value:
            case str():
                return self.text(value, keyed) if value else value
            case dict():
                return {key: self.inside(item, keyed) for key, item in value.items()}
            case list():
                return [self.inside(item, keyed) for item in value]
            case bool() | None:
                return value
        return 0


@dataclass(frozen=True)
class Keep(Replacement):
    """Values that are not personal; with a pattern only those that match it as a whole, the others as by ``text()``."""

    kind: ClassVar[str] = "keep"
    matching: str | None = None

    @property
    def distinct(self) -> bool:
        return self.matching is None

    def text(self, value: str, keyed: Keyed) -> str:
        if self.matching is None or re.fullmatch(self.matching, value):
            return value
        return Text("text").text(value, keyed)

    def inside(self, value: Any, keyed: Keyed) -> Any:
        # With a pattern it is about texts: a number is what keep() is for.
        is_number = not isinstance(value, str | dict | list)
        return value if self.matching is None or is_number else super().inside(value, keyed)


@dataclass(frozen=True)
class Uid(Replacement):
    kind: ClassVar[str] = "uid"
    domain: str
    characters: int

    @property
    def distinct(self) -> bool:
        return True

    @property
    def width(self) -> int:
        return self.characters

    def text(self, value: str, keyed: Keyed) -> str:
        return keyed.token(self.domain, value, self.characters)


@dataclass(frozen=True)
class Email(Uid):
    kind: ClassVar[str] = "e-mail"

    @property
    def width(self) -> int:
        return self.characters + 1 + len(RESERVED)

    def text(self, value: str, keyed: Keyed) -> str:
        return f"{super().text(value, keyed)}@{RESERVED}"


@dataclass(frozen=True)
class Name(Replacement):
    kind: ClassVar[str] = "name"
    domain: str
    unique: bool

    @property
    def distinct(self) -> bool:
        return self.unique

    @property
    def width(self) -> int:
        return max(map(len, GIVEN)) + 1 + max(map(len, FAMILY)) + (1 + TOKEN_CHARACTERS if self.unique else 0)

    def text(self, value: str, keyed: Keyed) -> str:
        digest = keyed.digest(self.domain, value)
        person = f"{GIVEN[digest[-1] % len(GIVEN)]} {FAMILY[digest[-2] % len(FAMILY)]}"
        return f"{person} {keyed.token(self.domain, value)}" if self.unique else person


@dataclass(frozen=True)
class Text(Replacement):
    kind: ClassVar[str] = "text"
    domain: str

    def text(self, value: str, keyed: Keyed) -> str:
        # Every word is at least one character and a blank long, so these bytes are enough.
        octets = hashlib.shake_256(keyed.digest(self.domain, value)).digest(len(value) // 2 + 1)
        filler = " ".join(WORDS[byte % len(WORDS)] for byte in octets)
        return filler[: len(value)].rstrip().ljust(len(value), ".")


@dataclass(frozen=True)
class Constant(Replacement):
    """One value for all that are not NULL, empty texts as well."""

    kind: ClassVar[str] = "constant"
    value: Any

    def inside(self, value: Any, _keyed: Keyed) -> Any:
        return None if value is None else self.value


@dataclass(frozen=True)
class NoLogin(Constant):
    kind: ClassVar[str] = "no log-in"


@dataclass(frozen=True)
class Emptied(Replacement):
    """NULL where the column may be NULL, else an empty text, no bytes, or the JSON null."""

    kind: ClassVar[str] = "emptied"

    def inside(self, _value: Any, _keyed: Keyed) -> Any:
        return None


@dataclass(frozen=True)
class WithoutQuery(Replacement):
    kind: ClassVar[str] = "without query"

    def text(self, value: str, _keyed: Keyed) -> str:
        return re.split(r"[?#]", value, maxsplit=1)[0]


@dataclass(frozen=True)
class Document(Replacement):
    """A JSON document, member by member."""

    kind: ClassVar[str] = "document"
    paths: tuple[tuple[tuple[str, ...], Replacement], ...]
    rest: Replacement | None

    def inside(self, value: Any, keyed: Keyed) -> Any:
        return self._inside(value, self.paths, keyed)

    def _inside(self, value: Any, open_: tuple[tuple[tuple[str, ...], Replacement], ...], keyed: Keyed) -> Any:
        if here := [rule for path, rule in open_ if not path]:
            return here[0].inside(value, keyed)
        if isinstance(value, list):
            return [self._inside(item, open_, keyed) for item in value]
        if not isinstance(value, dict):
            return None if self.rest is None else self.rest.inside(value, keyed)
        members = {}
        for key, item in value.items():
            # A name goes before the star, whatever their order is.
            below = sorted(
                ((path[0] == "*", path[1:], rule) for path, rule in open_ if path[0] in (key, "*")),
                key=lambda known: known[0],
            )
            if below:
                members[key] = self._inside(item, tuple((path, rule) for _, path, rule in below), keyed)
            elif self.rest is not None:
                members[key] = self.rest.inside(item, keyed)
        return members


def keep(*, matching: str | None = None) -> Replacement:
    """Nothing personal.

    :param matching: a regular expression for the whole value; a text that does not match becomes words.
    """
    if matching is not None:
        re.compile(matching)
    return Keep(matching)


def uid(domain: str = "uid", *, characters: int = TOKEN_CHARACTERS) -> Replacement:
    """Letters and digits, as many for every value; unequal values stay unequal.

    :param domain: equal values of one domain become equal ones, in every column that names it.
    """
    return Uid(domain, _enough(characters))


def email(domain: str = "email", *, characters: int = TOKEN_CHARACTERS) -> Replacement:
    """An address at example.org, where no mail arrives; unequal ones stay unequal."""
    return Email(domain, _enough(characters))


def name(domain: str = "name", *, distinct: bool = False) -> Replacement:
    """A given and a family name out of a short list; ``distinct`` adds letters that keep unequal ones unequal."""
    return Name(domain, distinct)


def text(domain: str = "text") -> Replacement:
    """Common words, as long as the value."""
    return Text(domain)


def no_login() -> Replacement:
    """In place of a password's hash: nobody can log in; an empty one is replaced as well."""
    return NoLogin(LOCKED)


def constant(value: Any) -> Replacement:
    """One value for every row, as Python has it; NULL stays NULL."""
    return Constant(value)


def emptied() -> Replacement:
    """Nothing: NULL, or where the column cannot be NULL an empty text, no bytes, the JSON null."""
    return Emptied()


def without_query() -> Replacement:
    """An address up to its first ``?`` or ``#``."""
    return WithoutQuery()


def document(paths: Mapping[str, Replacement] | None = None, *, rest: Replacement | None = None) -> Replacement:
    """A JSON value, by its members; a column of texts that are JSON may have it as well.

    :param paths: ``"owner.name"`` is a member of a member; ``*`` is any key, and lists are looked through. What is
        found there is replaced with all that is in it, numbers by 0; keys stay.
    :param rest: for what no path names; None leaves it out.
    """
    known = tuple(sorted((tuple(path.split(".")), rule) for path, rule in (paths or {}).items()))
    return Document(known, rest)


def _enough(characters: int) -> int:
    if not LEAST_CHARACTERS <= characters <= 50:
        raise Misconfigured(
            f"A replacement of {characters} characters: between {LEAST_CHARACTERS} and 50 keep values apart."
        )
    return characters


class Profile:
    """Which columns of which revisions hold what.

    :param revisions: an Alembic revision -> its tables -> their columns -> the replacement. It counts for that
        revision and for those after it, up to the next one that is named.
    """

    def __init__(self, revisions: Mapping[str, Tables]) -> None:
        self.revisions = {
            revision: {table: dict(columns) for table, columns in tables.items()}
            for revision, tables in revisions.items()
        }

    def at(self, revision: str, lineage: list[str]) -> Tables | None:
        """The tables as declared for a revision, or None when nothing is.

        :param lineage: all revisions, oldest first.
        """
        until = lineage[: lineage.index(revision) + 1] if revision in lineage else []
        declared = [known for known in until if known in self.revisions]
        return self.revisions[declared[-1]] if declared else None

    def digest(self) -> str:
        """Tells this declaration from any other one, whatever it is called."""
        return hashlib.sha256("\n".join(self._lines()).encode()).hexdigest()[:32]

    def _lines(self) -> Iterator[str]:
        for revision, tables in sorted(self.revisions.items()):
            for table, columns in sorted(tables.items()):
                for column, rule in sorted(columns.items()):
                    yield f"{revision} {table}.{column}: {rule!r}"
