"""The file of rows set aside: it says what its rows are of, so that it can be loaded when somebody has fixed them.

JSON, made to be edited by hand: one value a line. Its rows are those of the run's snapshot, at the snapshot's revision
and in canonical form, each with its number in the table; the number says in whose place the fixed row comes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...dialects.model import Table
from ...dialects.wording import count_rows
from ...errors import DoesNotFit, SnapshotUnusable
from ..rows.canonical import MODULUS, hash_line
from ..rows.expect import LARGEST
from ..rows.files import encode_rows, read_text, write
from ..rows.handwritten import canonical_row
from ..rows.header import now
from ..rows.scratch import Item, RowStore
from ..rows.strictjson import StrictJSONError, elements, members, value_at

FORMAT = "ferry-set-aside"
VERSION = 1
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Origin:
    """What rows set aside are rows of.

    :ivar run: the migration that set them aside.
    :ivar revision: the Alembic revision that they are at.
    :ivar source, identity: its source for people, and for comparison.
    :ivar snapshot, sha256: the file that it loaded, and that file's digest.
    """

    run: str
    revision: str
    source: str
    identity: str
    snapshot: str
    sha256: str


def loading_command(file: Path) -> str:
    """What loads a file of rows set aside."""
    return f"flask db-migrate-data --set-aside-from {shlex.quote(str(file))}"


def encode(origin: Origin, rows: Iterable[Item]) -> Iterator[bytes]:
    """The file in pieces of one row each."""
    head = {"format": FORMAT, "version": VERSION, **asdict(origin), "written_at": now()}
    return encode_rows(head, rows)


def write_aside(path: Path, origin: Origin, rows: Iterable[Item]) -> None:
    """Write the file, for its owner alone."""
    write(path, encode(origin, rows), keep_former=False)


class AsideFile:
    """A file of rows set aside, as it was found; its text is held, its rows are read one at a time.

    :raises SnapshotUnusable: it cannot be read, or is no such file, with the line.
    :raises DoesNotFit: something in it is not what it has to be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = _text_of(path)
        try:
            self._places = members(self._text)
            head = {name: value_at(self._text, at) for name, at in self._places.items() if name != "rows"}
        except StrictJSONError as error:
            raise self._explain_damage(error) from error
        self.origin = self._origin(head)

    def _explain_damage(self, error: StrictJSONError) -> SnapshotUnusable:
        return SnapshotUnusable(f"{self.path}: {error}.", hint=f"Fix the file, then: {loading_command(self.path)}")

    def _origin(self, head: Mapping[str, Any]) -> Origin:
        if head.get("format") != FORMAT:
            raise SnapshotUnusable(
                f"{self.path} is not a file of rows set aside (format {FORMAT}).",
                hint="Give the set-aside.json that a run with --set-aside has named: flask db-status",
            )
        if head.get("version") != VERSION:
            raise SnapshotUnusable(f"{self.path}: format version {head.get('version')}; this program reads {VERSION}.")
        fields = {name: head.get(name) for name in Origin.__dataclass_fields__}
        if lacking := [name for name, value in fields.items() if not isinstance(value, str)]:
            raise DoesNotFit(
                f"{self.path} does not say {', '.join(lacking)}.", hint="Leave its first lines as written."
            )
        return Origin(**{name: str(value) for name, value in fields.items()})

    def rows(self) -> Iterator[tuple[str, str, int, str, dict[str, Any]]]:
        """Each row: where it is (for people), table, number, reason, values as they are spelled."""
        at = self._places.get("rows")
        if at is None:
            raise DoesNotFit(f"{self.path} has no rows.", hint="Rows are a list under the key rows.")
        line, last = 1, 0
        try:
            for index, (raw, value, end) in enumerate(elements(self._text, at), 1):
                line, last = line + self._text.count("\n", last, end - len(raw)), end - len(raw)
                yield _item(f"{self.path}, row {index} (line {line})", value)
        except StrictJSONError as error:
            raise self._explain_damage(error) from error


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise SnapshotUnusable(
            f"There is no file {path}.", hint="Give the one that a run with --set-aside has named: flask db-status"
        )
    return read_text(path)


def _item(where: str, value: Any) -> tuple[str, str, int, str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise DoesNotFit(f"{where} is not an object.")
    table, number, row = value.get("table"), value.get("number"), value.get("row")
    if not isinstance(table, str) or type(number) is not int or not 1 <= number <= LARGEST or not isinstance(row, dict):
        raise DoesNotFit(f"{where} needs table (a text), number (from 1) and row (an object).")
    return where, table, number, str(value.get("reason", "")), row


def read_rows(file: AsideFile, tables: Mapping[str, Table], into: RowStore) -> None:
    """Read a file's rows, each in canonical form.

    :param tables: those of the rows' revision.
    :raises DoesNotFit: unknown tables or columns, values that no column of their type has, a number twice; the first
        twenty of them.
    """
    problems: list[str] = []
    for where, name, number, reason, row in file.rows():
        wrong = [f"there is no table {name} at revision {file.origin.revision}"]
        if table := tables.get(name):
            values, wrong = canonical_row(table, row)
            if not wrong and not into.add(name, number, reason, values):
                wrong = [f"row {number} of {name} is there twice"]
        if wrong:
            problems.append(f"{where}: {'; '.join(wrong)}")
        if len(problems) == MOST_PROBLEMS:
            break
    if problems:
        more = ", then stopped counting" if len(problems) == MOST_PROBLEMS else ""
        raise DoesNotFit(
            f"{count_rows(len(problems))} of {file.path} {'fits' if len(problems) == 1 else 'fit'} no table of "
            f"revision {file.origin.revision}{more}.",
            details=problems,
            hint=f"Fix them, then: {loading_command(file.path)}",
        )


def digest_of(items: Iterable[tuple[str, int, str, list[Any]]]) -> str:
    """A digest of which rows were set aside: of their tables, numbers and values, free of order and of the reasons."""
    total = 0
    for table, number, _, row in items:
        total += hash_line(json.dumps([table, number, row]).encode())
    return f"{total % MODULUS:032x}"
