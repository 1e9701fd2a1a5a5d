"""Personas, and which users have them."""

from __future__ import annotations

from ..transfer.adapters import Find, Record, Rows, adapter
from .values import json_value, same, timestamp

NESTED_PERSONA = ("user_id", "uid", "persona_id", "persona_alias", "weight", "selected_at")


@adapter("personas", makes=("personas",))
def personas(record: Record, _find: Find) -> Rows:
    """A kind of learner."""
    row = {
        "id": record["id"],
        "_category": record["category"],
        "_alias": record["alias"],
        "_bio_map": json_value(record, "bio_map"),
        "_empathy_map": record["empathy_map"],
    }
    yield "personas", row


@adapter("user_personas", makes=("user_personas",), after=("users", "user", "personas"))
def user_personas(record: Record, find: Find) -> Rows:
    """A user's persona, both named by natural keys."""
    if record.get("userUid") is None or record.get("personaAlias") is None:
        # Rows were left behind by a deleted user; without a natural key there is nothing to load them by.
        reason = "its user or persona is gone, and the API does not say which one that was"
        record.waive("userUid", "personaAlias", "weight", "selectedAt", reason=reason)
        record.note("not carried: " + reason)
        return
    row = {
        "user_id": find.id("users", record["userUid"]),
        "persona_id": find.id("personas", record["personaAlias"]),
        "weight": record["weight"],
        "selected_at": timestamp(record, "selectedAt"),
    }
    yield "user_personas", row


def read_personas(record: Record, find: Find) -> Rows:
    """Yield the personas inside a user as rows, where nothing else makes them."""
    reason = _makes_no_rows(find)
    if "personas" not in record and not find.has_type("user_personas"):
        record.note("the API does not say the personas of the user: no rows of user_personas")
    for persona in record.each("personas"):
        if reason is not None:
            persona.waive(*NESTED_PERSONA, reason=reason)
            continue
        same(persona, "user_id", record["id"], "the id of the user")
        persona.waive("uid", "persona_alias", reason="repeats the row of the user or the persona")
        row = {
            "user_id": record["id"],
            "persona_id": persona["persona_id"],
            "weight": persona["weight"],
            "selected_at": timestamp(persona, "selected_at"),
        }
        yield "user_personas", row


def _makes_no_rows(find: Find) -> str | None:
    if find.has_type("user_personas"):
        return "repeats the user_personas record"
    if not find.has_type("personas"):
        return "the source gives no personas that a row could refer to"
    return None
