"""Files that records name and no record holds, such as pictures: named in the receipt, or fetched into a directory."""

from __future__ import annotations

import errno
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...errors import SourceIncomplete
from ..endpoints import Files
from ..rows.files import write
from ..rows.strictjson import loads
from ..run.run import Run
from .http import HttpClient, Refused, TooLarge
from .rest_api import RestSource
from .snapshot_writing import writable

MOST_BYTES = 16 << 20
"""Of one file; several are held at once."""
NOT_FETCHED = "not fetched, as FERRY_FILES names no directory"
FETCHED = "fetched"
ABSENT = "not there (404)"
UNREADABLE = "could not be read"
UNTRIED = "not asked for, as others could not be read"
TOO_LARGE = f"larger than {MOST_BYTES >> 20} MiB"
NO_NAME = "named so that no file can have the name"
TAKEN = "named as a directory that another file lies in, or the other way round"
PAGE = "answered with a page of HTML in its place"
ENDLESS = "sent without its length: it may have broken off"

MOST_FAILURES = 3

Place = tuple[str, ...]
"""The names of the directories that a file lies in, and its own."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_LONGEST_NAME = 255
"""Bytes, on the file systems that there are."""
_CLASHES = {
    errno.ENAMETOOLONG: NO_NAME,
    errno.EILSEQ: NO_NAME,
    errno.ENOTDIR: TAKEN,
    errno.EISDIR: TAKEN,
    errno.EEXIST: TAKEN,
    errno.ENOTEMPTY: TAKEN,
}
"""Why one file cannot be written where others can."""


Records = Callable[[str], Iterable[bytes] | None]
"""Gives the records of a type, each as a line of JSON; None where the type was not read."""


def carry_files(run: Run, source: RestSource, declared: tuple[Files, ...], records: Records) -> None:
    """Fetch what the records name into the configured directory; the report says of each file what became of it.

    A file that cannot be read is named, and no reason to load older rows from a snapshot instead.

    :raises FerryError: the directory cannot be written.
    """
    directory = run.settings.files
    outcomes: dict[str, list[str]] = {}
    places = [place for files in declared for place in _find_places(files, records)]
    unusable = [place for place in places if not all(map(_is_name, place))]
    usable = [place for place in dict.fromkeys(places) if all(map(_is_name, place))]
    if directory is None:
        outcomes[NOT_FETCHED] = ["/".join(place) for place in usable]
    else:
        for place, outcome in _fetch_all(source, directory, usable):
            outcomes.setdefault(outcome, []).append("/".join(place))
    if unusable:
        outcomes.setdefault(NO_NAME, []).extend("/".join(quote(name, safe="") for name in place) for place in unusable)
    run.report.files = {outcome: names for outcome, names in outcomes.items() if names}


def _fetch_all(source: RestSource, directory: Path, places: list[Place]) -> Iterator[tuple[Place, str]]:
    """Fetch files, until so many could not be read that the source seems to be gone; each with what became of it."""
    waiting, failures = deque(places), 0
    while waiting and failures < MOST_FAILURES:
        try:
            for outcome in source.ask_all(partial(_fetch, source, directory, place) for place in tuple(waiting)):
                yield waiting.popleft(), outcome
        except SourceIncomplete:
            failures += 1
            yield waiting.popleft(), UNREADABLE
    yield from ((place, UNTRIED) for place in waiting)


def _find_places(files: Files, records: Records) -> Iterator[Place]:
    """Where the files lie that the records of the first parent name."""
    fields = _FIELD.findall(files.path)
    for line in next((lines for name in files.parents if (lines := records(name)) is not None), ()):
        record = loads(line.decode())
        if all(type(record.get(name)) in (int, str) and record[name] != "" for name in fields):
            yield tuple(_fill(segment, record) for segment in files.path.split("/")[1:])


def _fill(segment: str, record: Mapping[str, Any]) -> str:
    return _FIELD.sub(lambda match: str(record[match[1]]), segment)


def _is_name(name: str) -> bool:
    """Whether a file or directory can be called so, without leading anywhere else."""
    if name in ("", ".", "..") or not name.isprintable() or {"/", "\\"} & {*name}:
        return False
    return len(name.encode()) <= _LONGEST_NAME


def _fetch(source: RestSource, directory: Path, place: Place, client: HttpClient) -> str:
    """Fetch one file; returns what became of it."""
    address = "".join(f"/{quote(name, safe='')}" for name in place)
    try:
        answer = source.fetch(address, MOST_BYTES, client)
    except TooLarge:
        return TOO_LARGE
    except Refused as error:
        return ABSENT if error.status == 404 else f"refused (status {error.status})"
    if not answer.ended:
        return ENDLESS
    # A log-in, as a rule, to which whoever is not logged in is led.
    if answer.content_type.startswith("text/html") and not place[-1].lower().endswith((".html", ".htm")):
        return PAGE
    path = directory.joinpath(*place)
    with writable(path):
        try:
            _write(path, answer.body)
        except OSError as error:
            if error.errno not in _CLASHES:
                raise
            return _CLASHES[error.errno]
    return FETCHED


def _write(path: Path, body: bytes) -> None:
    # Whatever its name ends with, it is written as it came; the name is taken when it is whole.
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    write(beside, [body], keep_former=False)
    try:
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
