"""The runs that wrote to a control area, as its journal and ledger say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .control import Control
from .ledger import REHEARSED, Entry, JournalEntry


def list_runs(control: Control, version_table: str) -> list[dict[str, Any]]:
    """Each run that journalled a step, oldest first.

    ``outcome`` is ``done``, ``rehearsed``, ``failed``, ``at work``, or ``ended early`` for one that was killed. Of a
    run that cut over ``source``, ``revision`` and ``rows`` say what it made live; of a failed one ``error`` says why.

    :param version_table: Alembic's own, whose row is none of the app's.
    """
    steps: dict[str, list[JournalEntry]] = {}
    for record in control.journal():
        steps.setdefault(record.run_id, []).append(record)
    entries = {entry.run_id: entry for entry in control.ledger()}
    holder = control.holder()
    at_work = holder.run_id if holder and holder.alive else None
    undone = {entry.undoes for entry in entries.values()}
    return [
        {
            **_describe_steps(run_id, records, at_work),
            **_describe_entry(entries.get(run_id), version_table),
            "undone": run_id in undone,
        }
        for run_id, records in steps.items()
    ]


def _describe_steps(run_id: str, records: list[JournalEntry], at_work: str | None) -> dict[str, Any]:
    first, last = records[0], records[-1]
    failure = next((record for record in reversed(records) if record.phase == "failed"), None)
    return {
        "run": run_id,
        "command": next(_commands(records), None),
        "started_at": f"{first.written_at:%Y-%m-%dT%H:%M:%SZ}",
        "finished_at": f"{last.written_at:%Y-%m-%dT%H:%M:%SZ}",
        "duration_s": (last.written_at - first.written_at).total_seconds(),
        "outcome": _find_outcome(records, failed=failure is not None, at_work=run_id == at_work),
        "error": failure.detail.get("message") if failure else None,
    }


def _commands(records: Iterable[JournalEntry]) -> Iterator[Any]:
    return (record.detail["command"] for record in records if "command" in record.detail)


def _find_outcome(records: list[JournalEntry], *, failed: bool, at_work: bool) -> str:
    if failed:
        return "failed"
    if at_work:
        return "at work"
    # Within a step others may end, such as the parts of a source: the last record alone does not tell.
    phases = {record.step: record.phase for record in records}
    if "begun" in phases.values():
        return "ended early"
    return REHEARSED if REHEARSED in phases.values() else "done"


def _describe_entry(entry: Entry | None, version_table: str) -> dict[str, Any]:
    if entry is None:
        return {"cut_over": False, "source": None, "revision": None, "rows": None, "backup": None}
    return {
        "cut_over": True,
        "source": entry.source,
        "revision": entry.revision,
        "rows": entry.count_rows(version_table),
        "backup": entry.backup,
    }
