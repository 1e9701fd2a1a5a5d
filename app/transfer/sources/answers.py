"""What the classic API answers: pages of records, what their envelopes count, what tells records apart, a token."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import SourceIncomplete
from ..rows.canonical import hash_line
from ..rows.expect import Unexpected, a_count
from ..rows.mended_json import mend
from ..rows.scratch import Keys
from ..rows.strictjson import (
    SPOILED,
    StrictJSONError,
    check_amount,
    envelope,
    loads,
    opens_list,
    read_one,
    sort_text,
    whole_list,
)
from .http import FIX, Answer
from .parts import PartWriter

MOST_TOKEN = 16 << 10
"""Characters of a token: headers of more are refused by servers as well."""
NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "user_personas": ("userUid", "personaAlias"),
    "skill_passport": ("user_id",),
}

Found = tuple[str, Any]
"""A record as it was spelled, on one line, and its value."""


@dataclass(frozen=True)
class Page:
    """One answer: its records and what its envelope says.

    :ivar bare: it is a list without an envelope.
    """

    records: list[Found]
    says: Mapping[str, Any]
    bare: bool = False


class Changed(Exception):
    """The source changed, or contradicted itself, while a type was read: another pass may succeed."""


def record_key(record_type: str, value: Any) -> list[Any] | None:
    """What tells one record of a type from another; None where the row it referred to is gone, and its name with it.

    :raises Changed: the record has no such key.
    """
    names = _names_of(record_type)
    if record_type == "user_personas" and isinstance(value, dict) and any(value.get(name) is None for name in names):
        return None
    if not isinstance(value, dict) or any(name not in value for name in names):
        raise Changed(f"a record without {' and '.join(names)}: {reprlib.repr(value)}")
    key = [value[name] for name in names]
    # 1e999999999 is a number as well, but none that tells records apart.
    if any(type(part) not in (int, str) for part in key):
        raise Changed(f"a record whose {' and '.join(names)} is no whole number or text: {reprlib.repr(key)}")
    return key


def refuse_spoiled(record_type: str, records: Iterable[Found], base: str, *, set_aside: bool | None) -> None:
    """Name the records that cannot be kept as they are.

    :param base: the deployment, for people.
    :param set_aside: such records are kept mended, and go to a file later; only one without a key is named then.
        None where nothing can be.
    :raises SourceIncomplete: there are some.
    """
    spoiled = [value for _, value in records if isinstance(value, dict) and SPOILED in value]
    nameless = [value for value in spoiled if not _is_named(record_type, value)]
    if not (nameless if set_aside else spoiled):
        return
    several = "A record" if len(spoiled) == 1 else f"{len(spoiled)} records"
    raise SourceIncomplete(
        f"{several} of {record_type} at {base} cannot be kept as sent.",
        details=[f"{record_type}, {_describe_key(record_type, value)}: {value[SPOILED]}" for value in spoiled[:20]],
        hint=FIX
        if nameless or set_aside is None
        else f"{FIX}\nOr let it go to a file, to be repaired there: flask db-migrate-data --set-aside",
    )


def _names_of(record_type: str) -> tuple[str, ...]:
    return NATURAL_KEYS.get(record_type, ("id",))


def _is_named(record_type: str, value: dict[str, Any]) -> bool:
    return all(type(value.get(name)) in (int, str) for name in _names_of(record_type))


def _describe_key(record_type: str, value: dict[str, Any]) -> str:
    return ", ".join(f"{name} {reprlib.repr(value.get(name))}" for name in _names_of(record_type))


def keep(record: Found, part: PartWriter, keys: Keys) -> bool:
    text, value = record
    line = text.encode()
    key = record_key(part.name, value)
    if key is None:
        # Two such records may be alike and still be two: only the total tells whether one came twice.
        part.add(line)
        return True
    # Equal by what it says: a server may write the keys of a record in another order each time.
    match keys.add(part.name, key, hash_line(sort_text(value).encode())):
        case "new":
            part.add(line)
            return True
        case "repeat":
            part.repeats += 1
            return False
    raise Changed(f"two different records with the key {key}")


def read_page(answer: Answer, key: str | None) -> Page:
    """The records of an answer, which is a list or an envelope with a list under ``key``."""
    text = answer.json_text()
    check_amount(text)
    if opens_list(text):
        return Page(list(whole_list(text, mend)), {}, bare=True)
    records, says = envelope(text, key, mend)
    if records is None:
        raise StrictJSONError(f"the answer has no list {key!r}")
    pagination = says.pop("pagination", None)
    says.update(pagination if isinstance(pagination, dict) else {})
    says = {**says, **_read_counts(says)}
    if says.get("count", len(records)) != len(records):
        raise StrictJSONError(f"the answer says {says['count']} records and has {len(records)}")
    return Page(records, says)


def _read_counts(says: Mapping[str, Any]) -> dict[str, int]:
    """What an envelope counts; a number that is not said may be left out or null.

    :raises StrictJSONError: one of them is no count.
    """
    try:
        numbers = {name: says.get(name) for name in ("total", "count", "page")}
        return {name: a_count(value, f"{name!r} of the answer") for name, value in numbers.items() if value is not None}
    except Unexpected as error:
        raise StrictJSONError(str(error)) from error


def read_record(answer: Answer) -> Found:
    """The one record that an answer is."""
    return read_one(answer.json_text(), mend)


def find_token(answer: Answer) -> str | None:
    try:
        body = loads(answer.text())
    except StrictJSONError:
        # Older servers answer the log-in with text.
        return None
    token = body.get("token") if isinstance(body, dict) else None
    return token if isinstance(token, str) and is_sendable(token) else None


def is_sendable(text: str) -> bool:
    """Whether a text can stand in a header: printable, and not without end."""
    return len(text) <= MOST_TOKEN and text.isascii() and text.isprintable()
