"""What is taken of a source, whatever it is: a snapshot that was read through, and who read it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...dialects.model import Definition, Table, Values
from ...dialects.reader import Reader
from ...errors import SourceIncomplete
from ..rows.encode import TakeLines
from ..rows.header import AppliedProfile, Checked, Footer, Header
from ..run.run import Run
from ..run.workers import Workers

if TYPE_CHECKING:
    # A source that is no deployment needs nothing of HTTP, which takes longer to import than most of the engine.
    from .http import HttpClient

AGAIN = "Run again when the source answers: flask db-migrate-data"


@dataclass(frozen=True)
class SourceOptions:
    """What the command's options say about the source."""

    exclude: tuple[str, ...] = ()
    accept_missing: bool = False
    insecure_http: bool = False
    restart: bool = False
    set_aside: bool | None = False
    """Whether records that cannot be kept as sent are kept mended, to go to a file; None where nobody may keep any."""


@dataclass(frozen=True)
class Destination:
    """Where what a source gives is written.

    :ivar snapshot: the snapshot file.
    :ivar directory: for what is read on the way to it.
    :ivar passing: all of it is removed when the run ends, and nobody is to keep a value of it.
    :ivar also: is given the lines of rows as well, as they are written, where a source has that.
    :ivar workers: who may read rows as well, where a source can lend what it reads.
    :ivar looks_again: whether the source is asked behind it for what was written since.
    """

    snapshot: Path
    directory: Path
    passing: bool = False
    also: TakeLines | None = None
    workers: Workers | None = None
    looks_again: bool = False

    @classmethod
    def of(
        cls, run: Run, also: TakeLines | None = None, workers: Workers | None = None, *, looks_again: bool = False
    ) -> Destination:
        """The configured snapshot, and the run's own directory."""
        return cls(run.settings.snapshot, run.directory, also=also, workers=workers, looks_again=looks_again)


@dataclass
class Taken:
    """A complete snapshot of the source, read through.

    :ivar identity: of the file as it was when it was read through.
    :ivar fallback_of: when it stands in for the source: the time it was taken.
    :ivar former: where the file that had this one's name is kept.
    :ivar extra: tables of the source that its revision does not have, excluded by name: name -> rows; None for a
        virtual table, whose rows nobody can count.
    :ivar can_be_gone_on_with: the file has all that came of the source.
    :ivar is_what_was_given: it has the lines that were given on while it was written, and no others.
    :ivar definitions: what the source's schema holds besides tables, where it shows that; of the room ``server``.
    """

    path: Path
    header: Header
    footer: Footer
    identity: tuple[int, ...]
    sha256: str | None = None
    fallback_of: str | None = None
    former: Path | None = None
    extra: dict[str, int | None] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    definitions: list[Definition] = field(default_factory=list)
    server: str = ""
    can_be_gone_on_with: bool = True
    is_what_was_given: bool = True

    @property
    def snapshot(self) -> Checked:
        """The file, as what reads its rows takes it."""
        return Checked(self.path, self.header, self.footer, self.identity)

    def count_received(self) -> list[dict[str, Any]]:
        """Of records: how many of each type came, and how many of them more than once."""
        return [
            {
                "type": name,
                "received": checksum.rows + self.repeats.get(name, 0),
                "distinct": checksum.rows,
                "identical_repeats": self.repeats.get(name, 0),
            }
            for name, checksum in self.footer.checksums.items()
        ]


class RowChange(Protocol):
    """What is done to a source's rows before anything that stays is written, such as a profile."""

    def header(self, header: Header, identity: str) -> Header:
        """The header of the changed rows' snapshot."""

    def rows(self, table: Table, rows: Iterable[Values]) -> Iterable[Values]:
        """A table's rows, changed."""


@dataclass(frozen=True)
class Ahead:
    """What is known of a source before it is read.

    :ivar revision: which one its rows will be of; None where only reading tells.
    :ivar tables: they themselves, where the source shows them.
    :ivar size: of a database, in bytes.
    """

    revision: str | None = None
    tables: dict[str, Table] | None = None
    size: int = 0


@dataclass(frozen=True)
class Glance:
    """What a source shows of its rows while none of them is kept.

    :ivar counts: rows per table, or records per type; None where only reading all of it tells.
    :ivar file: a snapshot, of either kind.
    :ivar header: of a database: what its snapshot would begin with. :ivar reader: a read of it.
    """

    counts: Mapping[str, int] | None = None
    file: Checked | None = None
    header: Header | None = None
    reader: Reader | None = None


class Source(ABC):
    """A source that answered.

    :ivar describe: what it will give, for people.
    :ivar profile: what its rows were anonymised with already.
    """

    describe: str
    profile: AppliedProfile | None = None
    changes_rows: ClassVar[bool] = False
    """Whether there is :meth:`take_changed`."""
    can_be_gone_on_with: ClassVar[bool] = False
    """Whether it is worth to go on with what another run had read of it; a file is read by that alone."""

    says_tables_ahead: ClassVar[bool] = False
    """:meth:`look_ahead` says at which revision its rows are, so that staging can be built before they are read."""

    def __init__(self, client: HttpClient | None = None) -> None:
        self._client = client

    @abstractmethod
    def take(self, run: Run, to: Destination) -> Taken:
        """Read everything into a snapshot."""

    def take_changed(self, run: Run, to: Destination, change: RowChange) -> Taken:
        """Read everything into a snapshot; rows and header are changed before anything of them is written.

        :raises TypeError: this source cannot; see :attr:`changes_rows`.
        """
        del run, to, change
        raise TypeError(f"{type(self).__name__} cannot change rows on their way")

    def take_up(self, run: Run, snapshot: Taken | None, *, catches_up: bool) -> str:
        """Let what another run read of this source, before it died, be what was taken now.

        :param catches_up: it is read again behind that, for what was written since.
        :return: why it cannot be; an empty text where it is.
        """
        del run, snapshot, catches_up
        return ""

    def look_ahead(self, run: Run) -> Ahead:
        """What is known before reading."""
        del run
        return Ahead()

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        """Look at the rows, and write nothing but to ``directory``, which is private and removed afterwards."""
        del run, directory
        yield Glance()

    def keep_schema(self, run: Run, to: Path) -> bool:
        """Write a backup file of the source, which its schema can be made of on the target's server.

        :return: False where it is no database on that kind of server.
        """
        del run, to
        return False

    def find_changed(self, snapshot: Taken) -> list[str] | None:
        """The tables that are not what was taken any more; None where only reading all of it again can tell.

        :raises SourceIncomplete, Unauthorized: it cannot be read again.
        """
        del snapshot
        return []

    def again(self, run: Run, snapshot: Taken, to: Destination) -> Taken:
        """Read everything once more, into a snapshot in the place of the first; ``snapshot`` where nothing changed."""
        del run, to
        return snapshot

    def close(self) -> None:
        """Let go of connections."""
        if self._client:
            self._client.close()


def accept_missing(missing: dict[str, str], options: SourceOptions, command: str) -> None:
    """:raises SourceIncomplete: tables are missing and that was not accepted."""
    if missing and not options.accept_missing:
        raise SourceIncomplete(
            f"The source gives no rows of {', '.join(missing)}.",
            details=[f"{table}: {reason}" for table, reason in missing.items()],
            hint=f"To let them arrive empty: {command} --accept-missing",
        )
