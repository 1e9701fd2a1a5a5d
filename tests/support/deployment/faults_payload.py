"""Misbehaviours that change the JSON of a good answer: its records, its totals, its spelling."""

from __future__ import annotations

from typing import Any

from flask import request

from .export import Paging, page_of, served_kinds
from .kinds import Stage, misbehaviour

DUPLICATE_MARK = "__written twice__"
Payload = Any


def records_in(payload: Payload) -> list[dict[str, Any]]:
    """Return the records of a list, of an envelope, or of the first type of ``/all``; one list, to be changed."""
    if isinstance(payload, list):
        return payload
    lists = [value for value in payload.values() if isinstance(value, list)]
    return lists[0] if lists else []


def _previous_last() -> dict[str, Any] | None:
    """Return the last record of the page before the one that is asked for."""
    name, paging = request.path.rpartition("/")[2], Paging.asked()
    kind = served_kinds().get(name)
    if kind is None or not kind.paged or paging.served_page < 2:
        return None
    before: list[dict[str, Any]] = page_of(name, Paging(paging.served_page - 1, paging.per_page))[name]
    return before[-1] if before else None


def _repeat(payload: Payload, change: str | None, *, replace: bool) -> None:
    record, records = _previous_last(), records_in(payload)
    if record is None or not records:
        return
    if change is not None:
        record = record | {change: f"{record.get(change)} (changed)"}
    records[:1] = [record] if replace else [record, records[0]]
    payload["count"] = len(records)


@misbehaviour(Stage.PAYLOAD)
def duplicate_rows(payload: Payload, *, replace: bool = False) -> None:
    """Begin each page after the first with the last record of the page before, or replace the first by it."""
    _repeat(payload, None, replace=replace)


@misbehaviour(Stage.PAYLOAD)
def differing_rows(payload: Payload, *, key: str = "content", replace: bool = False) -> None:
    """As ``duplicate_rows``, but the repeated record has another value under ``key``."""
    _repeat(payload, key, replace=replace)


@misbehaviour(Stage.PAYLOAD)
def wrong_total(payload: Payload, *, by: int = 3) -> None:
    """Give totals that are too large, or with a negative ``by`` too small."""
    if not isinstance(payload, dict):
        return
    for holder, key in _totals(payload):
        holder[key] += by


def _totals(payload: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return where the totals of an answer stand: in ``/counts`` everywhere, without a total in the count."""
    if request.path.endswith("/counts"):
        return [(payload, key) for key in payload]
    inner = [payload.get("pagination"), payload.get("_metadata")]
    holders = [holder for holder in (payload, *inner) if isinstance(holder, dict)]
    for key in ("total", "total_records", "count"):
        if found := [(holder, key) for holder in holders if key in holder]:
            return found
    return []


@misbehaviour(Stage.PAYLOAD)
def wrong_count(payload: Payload, *, by: int = 1) -> None:
    """Give a ``count`` that is not the number of records in the answer."""
    if isinstance(payload, dict) and "count" in payload:
        payload["count"] += by


@misbehaviour(Stage.PAYLOAD)
def wrong_has_next(payload: Payload, *, value: bool = False) -> None:
    """Say that there are no more pages, or with ``value`` that there always are."""
    if isinstance(payload, dict):
        (payload.get("pagination") or payload)["has_next"] = value


@misbehaviour(Stage.PAYLOAD)
def short_page(payload: Payload, *, rows: int = 1) -> None:
    """Leave the last records of the answer out; totals stay."""
    del records_in(payload)[-rows:]


def _spoil_first(payload: Payload, key: str | None, value: Any) -> None:
    records = records_in(payload)
    if records:
        records[0][key or list(records[0])[-1]] = value


@misbehaviour(Stage.PAYLOAD)
def nan(payload: Payload, *, key: str | None = None, value: str = "NaN") -> None:
    """Put NaN (or ``Infinity``, ``-Infinity``) into the first record."""
    _spoil_first(payload, key, float(value))


@misbehaviour(Stage.PAYLOAD)
def duplicate_key(payload: Payload, *, key: str = "id", value: Any = 0) -> None:
    """Write ``key`` twice in the first record: first with ``value``, then as it is."""
    records = records_in(payload)
    if records:
        records[0] = {f"{DUPLICATE_MARK}{key}": value, **records[0]}


@misbehaviour(Stage.PAYLOAD)
def unknown_key(payload: Payload, *, key: str = "surprise", value: Any = "a new release") -> None:
    """Add a key that no version has to the first record."""
    _spoil_first(payload, key, value)


@misbehaviour(Stage.PAYLOAD)
def missing_key(payload: Payload, *, key: str = "id") -> None:
    """Leave a key out of the first record."""
    for record in records_in(payload)[:1]:
        record.pop(key, None)


@misbehaviour(Stage.PAYLOAD)
def wrong_shape(payload: Payload, *, key: str = "records") -> None:
    """Give the records under another key of the envelope."""
    if isinstance(payload, dict):
        for name in [name for name, value in payload.items() if isinstance(value, list)][:1]:
            payload[key] = payload.pop(name)
