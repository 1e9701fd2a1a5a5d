"""The two leaderboards, and how skills developed."""

from __future__ import annotations

from typing import Any

from ..errors import DoesNotFit
from ..transfer.adapters import Find, Record, Row, Rows, adapter
from .values import json_value, nested, same, timestamp

PLAYER_KEYS = {"id", "uid", "name"}

SKILL_KEYS = (
    "user_id",
    "project_name",
    "snapshot_date",
    "coding_ability",
    "collaboration",
    "problem_solving",
    "initiative",
)


@adapter("leaderboard", makes=("leaderboard",))
def leaderboard(record: Record, _find: Find) -> Rows:
    """A score."""
    yield "leaderboard", _score(record)


@adapter("elementary_leaderboard", makes=("elementary_leaderboard_events",))
def elementary_leaderboard(record: Record, _find: Find) -> Rows:
    """A score of the elementary games."""
    yield "elementary_leaderboard_events", _score(record)


@adapter("skill_snapshots", makes=("skill_snapshots",))
def skill_snapshots(record: Record, _find: Find) -> Rows:
    """Somebody's skills at one time."""
    yield "skill_snapshots", _skills(record)


@adapter("skill_passport", makes=("skill_snapshots",), after=("skill_snapshots",))
def skill_passport(record: Record, find: Find) -> Rows:
    """All of one user's skill snapshots, and the newest of them once more."""
    _check_current(record)
    owner = record["user_id"]  # read even where the history is empty
    for entry in nested(record, "history"):
        same(entry, "user_id", owner, "the user of the passport")
        if find.has_type("skill_snapshots"):
            find.expect("skill_snapshots", entry["id"])
            entry.waive(*SKILL_KEYS, reason="repeats the skill_snapshots record")
        else:
            yield "skill_snapshots", _skills(entry)


def _score(record: Record) -> Row:
    record.waive("algoName", "eventName", reason="the same for every row of the table")
    record.waive("user", reason="repeats the row of the user")
    _check_player(record)
    if record["payload"] == {}:
        record.note("the payload is {}, which the API answers in place of some other values too: loaded as {}")
    return {
        "id": record["id"],
        "_user_id": record["userId"],
        "_payload": json_value(record, "payload"),
        "_timestamp": timestamp(record, "timestamp"),
    }


def _check_player(record: Record) -> None:
    """The user inside a score is null or has the known keys: a new key must not go with the waived ones."""
    player = record.get("user")
    if player is None:
        return
    if not isinstance(player, dict):
        raise DoesNotFit(f"{record.name}: 'user' is not an object.")
    unknown = sorted(player.keys() - PLAYER_KEYS)
    if unknown:
        raise DoesNotFit(f"{record.name}: 'user' has keys nobody accounts for: {', '.join(unknown)}.")


def _check_current(record: Record) -> None:
    """``current_skills`` is in the history, so leaving it out loses nothing, whichever entry it repeats."""
    record.waive("current_skills", reason="repeats an entry of the history")
    current, history = record.get("current_skills"), record["history"]
    if current is None or not isinstance(history, list):  # the latter is refused where the history is read
        return
    if not isinstance(current, dict):
        raise DoesNotFit(f"{record.name}: 'current_skills' is not an object.")
    if current and not any(isinstance(entry, dict) and _says(entry, current) for entry in history):
        raise DoesNotFit(f"{record.name}: 'current_skills' is no entry of its history, and would be lost.")


def _says(entry: dict[str, Any], current: dict[str, Any]) -> bool:
    return all(key in entry and entry[key] == value for key, value in current.items())


def _skills(record: Record) -> Row:
    return {
        "id": record["id"],
        "user_id": record["user_id"],
        "project_name": record["project_name"],
        "snapshot_date": timestamp(record, "snapshot_date"),
        "coding_ability": record["coding_ability"],
        "collaboration": record["collaboration"],
        "problem_solving": record["problem_solving"],
        "initiative": record["initiative"],
    }
