"""What a migration that died had read and loaded, so that the next one can go on with it.

The journal says it: with the step that made a snapshot what the snapshot is of (:data:`RESUME`), and now and then which
rows are in staging (:data:`LOADED`). It is believed as far as it costs nothing: what is gone on with is compared with
the snapshot row by row before anything is cut over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ClusterLost, DatabaseUnreachable, OutOfSpace, Terminated
from ..rows.expect import Unexpected, a_count, a_list, a_text, a_text_or_null, an_instant, an_object, texts
from ..rows.scratch import ScratchError
from .control import Control
from .ledger import CLOSING, JournalEntry

RESUME, LOADED = "resume", "loaded"
RESTART = "restart"
"""The journal's line of a run that was told to go on with nothing: what died before it is nobody's any more."""
DIED = "died"
"""In the journal's line on the end of a run: nothing was wrong with what it was doing."""
MOST_S = 86_400
"""What is older is removed: staging takes as much room as the database."""
UPGRADE = "upgrade"
"""The step that leaves nothing in staging as it was loaded."""


@dataclass(frozen=True)
class Resumable:
    """What a run that died leaves to the next.

    :ivar key: equal where source, options, target and revisions are.
    :ivar snapshot: which file it had read the source into. :ivar sha256: of it, or of the file that was the source.
    :ivar repeats: of an old API's records. :ivar warnings: what there was to say about them.
    :ivar staging: the run whose staging has the rows.
    :ivar rows: how many of each table's first rows are there, and what the server had noted.
    """

    run_id: str
    source: str
    key: str
    snapshot: Path
    sha256: str
    read_from: str
    repeats: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    staging: str = ""
    rows: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def is_old(self) -> bool:
        """Whether its staging is removed."""
        return not 0 <= self.age_s <= MOST_S

    @property
    def age_s(self) -> float:
        return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(self.read_from)).total_seconds()


def has_died(error: BaseException | None) -> bool:
    """Whether a run ended as something else did that it needs: not for what it was told to do.

    A machine that is shut down ends all its processes (SIGTERM); who types Ctrl-C means the run.
    """
    return isinstance(error, DatabaseUnreachable | ClusterLost | OutOfSpace | ScratchError | OSError | Terminated)


def find_resumable(control: Control, run_id: str) -> Resumable | None:
    """What the last migration left that took a snapshot and died, unless something was cut over since.

    :param run_id: of the run that asks.
    """
    by_run: dict[str, list[JournalEntry]] = {}
    for entry in control.journal():
        by_run.setdefault(entry.run_id, []).append(entry)
    by_run.pop(run_id, None)
    for name in reversed(by_run):
        entries = by_run[name]
        if any(entry.step == "cut-over" for entry in entries):
            return None
        details = [entry.detail[RESUME] for entry in entries if RESUME in entry.detail]
        if details:
            return _read(name, details[-1], by_run) if _is_dead(entries) else None
        # It died before it had read anything.
        if any(entry.step == RESTART for entry in entries):
            return None
    return None


def _is_dead(entries: Iterable[JournalEntry]) -> bool:
    """Whether nobody closed a run, or somebody who says that it died."""
    return all(entry.detail.get(DIED) for entry in entries if entry.step == CLOSING)


def _read(run_id: str, value: Any, by_run: Mapping[str, list[JournalEntry]]) -> Resumable | None:
    """What a run noted; None where that is damaged, or of another version."""
    try:
        detail = an_object(value, RESUME)
        former = a_text_or_null(detail.get("from"), "from")
        staging, rows = run_id, _list_loaded(by_run[run_id])
        if not rows and former is not None:
            # It died before it had brought over what it went on with.
            staging, rows = former, _list_loaded(by_run.get(former, ()))
        return Resumable(
            run_id,
            a_text(detail.get("source"), "source"),
            a_text(detail.get("key"), "key"),
            Path(a_text(detail.get("snapshot"), "snapshot")),
            a_text(detail.get("sha256"), "sha256"),
            an_instant(detail.get("read_from"), "read_from"),
            {name: a_count(count, "repeats") for name, count in an_object(detail.get("repeats"), "repeats").items()},
            texts(detail.get("warnings"), "warnings"),
            staging,
            rows,
        )
    except (Unexpected, ValueError):
        return None


def _list_loaded(entries: Iterable[JournalEntry]) -> dict[str, tuple[int, str]]:
    """How many rows of each table are in a run's staging; none any more where revisions were begun to run there."""
    rows: dict[str, tuple[int, str]] = {}
    for entry in entries:
        if entry.step == UPGRADE:
            return {}
        for name, pair in an_object(entry.detail.get(LOADED, {}), LOADED).items():
            count, note = a_list(pair, LOADED)
            rows[name] = a_count(count, LOADED), a_text(note, LOADED)
    return rows
