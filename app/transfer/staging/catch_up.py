"""A source that is written while it is read: it is read again, and what changed is carried into staging.

Staging is at the source's own revision then; after the upgrade nothing can be applied any more, only told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...errors import FerryError
from ..proof.compare import SHOWN, differences
from ..run.run import Run
from ..sources.base import Destination, Source, Taken
from ..sources.fallback import can_fall_back
from .options import MigrateOptions
from .stage import Staged, restage

DATABASE_PASSES = 3
"""How often a database is read again at most when ``--catch-up`` does not say; a deployment over HTTP is not."""


class CatchUp:
    """The further passes of one run over its source.

    :param passes: at most so many.
    """

    def __init__(self, run: Run, source: Source, options: MigrateOptions, passes: int) -> None:
        self._run, self._source, self._options = run, source, options
        self._left = passes
        self._asked = passes > 0

    def carry_out(self, snapshot: Taken, staged: Staged) -> tuple[Taken, Staged]:
        """Read again until nothing has changed or the passes are used up.

        :raises DoesNotFit: the schema refuses rows that were written meanwhile.
        :raises SourceIncomplete, Unauthorized: it cannot be read again, and no snapshot may stand in.
        """
        number = 0
        while self._left:
            self._left -= 1
            number += 1
            later = self._again(snapshot)
            if later is snapshot:
                break
            staged = self._carry(number, snapshot, later, staged)
            snapshot = later
        return snapshot, staged

    def _again(self, snapshot: Taken) -> Taken:
        """What the source holds now; the very same where nothing changed, or where it cannot be read any more."""
        try:
            return (
                snapshot
                if self._find_changed(snapshot) == []
                else self._source.again(self._run, snapshot, Destination.of(self._run, looks_again=True))
            )
        except FerryError as error:
            self._tolerate(error, snapshot)
            return snapshot

    def _find_changed(self, snapshot: Taken) -> list[str] | None:
        """As the source says, without the tables that are left out anyway."""
        tables = self._source.find_changed(snapshot)
        return tables and [name for name in tables if name not in self._options.source.exclude]

    def _tolerate(self, error: FerryError, snapshot: Taken) -> None:
        """What was taken is whole: it stands in as any good snapshot may, if snapshots may at all."""
        if not can_fall_back(error) or not self._run.settings.fallback.allowed:
            raise error
        self._asked = False
        self._left = 0
        snapshot.fallback_of = snapshot.header.read_from
        self._run.warn(f"{error.message} What was written there after {snapshot.footer.read_until} is not carried.")

    def _carry(self, number: int, snapshot: Taken, later: Taken, staged: Staged) -> Staged:
        run = self._run
        if snapshot.header.kind == "rows" and later.former:
            staged.rows.move_to(later.former)
        next_staged = restage(run, staged, later.snapshot, number, self._options)
        changes = list(self._changes(staged, next_staged))
        run.report.catch_up += [{"pass": number, **change} for change in changes]
        counts = "; ".join(f"{c['table']} +{c['added']} ~{c['changed']} -{c['removed']}" for c in changes)
        run.note(
            f"The source was written while it was read; pass {number} carried: {counts or 'nothing that is loaded'}."
        )
        return next_staged

    def _changes(self, before: Staged, after: Staged) -> Iterator[dict[str, Any]]:
        """Per table that changed: rows added, changed and removed, with some keys."""
        for name, table in after.rows.tables.items():
            former = before.accounts.get(name)
            if former is not None and former.loaded == after.accounts[name].loaded:
                continue
            counts: Counter[str] = Counter()
            keys: list[Any] = []
            for difference in differences(table, before.rows.rows(name), after.rows.rows(name), self._run.directory):
                counts[difference.kind] += 1
                if len(keys) < SHOWN:
                    keys.append(difference.key)
            yield {
                "table": name,
                "added": counts["added"],
                "changed": counts["changed"],
                "removed": counts["missing"],
                "keys": keys,
            }

    def last_look(self, snapshot: Taken) -> None:
        """After the upgrade, say which tables the source has changed by now; that is not carried."""
        if not self._asked:
            return
        try:
            changed = self._find_changed(snapshot)
        except FerryError as error:
            self._tolerate(error, snapshot)
            return
        if changed:
            self._run.report.not_caught_up = changed
            self._run.warn(
                f"The source was written after {snapshot.footer.read_until}, which is not carried: "
                f"{', '.join(changed)}. Stop its writers, then run again: flask {self._run.command} --rerun"
            )
