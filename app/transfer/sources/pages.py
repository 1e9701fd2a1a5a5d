"""What an API answers: pages of records, what their envelopes count, what tells records apart."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...dialects.wording import count_of
from ...errors import SourceIncomplete
from ..endpoints import WHOLE, Endpoint, PageNumberPaginator, Selector, places_of
from ..rows.canonical import hash_line
from ..rows.expect import Unexpected, a_count
from ..rows.mended_json import mend
from ..rows.scratch import Keys
from ..rows.strictjson import (
    SPOILED,
    StrictJSONError,
    check_amount,
    envelope,
    opens_list,
    read_one,
    sort_text,
    whole_list,
)
from .answer import Answer
from .http import FIX
from .parts import PartWriter

Found = tuple[str, Any]
"""A record as it was spelled, on one line, and its value."""


@dataclass(frozen=True)
class Page:
    """One answer: its records and what its envelope says.

    :ivar says: the members of the envelope without the records.
    :ivar headers: of the answer.
    :ivar total: how many records there are in all; None where it does not say.
    :ivar number: which page it is; None where it does not say.
    :ivar bare: it is a list where an envelope is usual, and says nothing of pages.
    :ivar single: it is one record, and no list.
    """

    records: list[Found]
    says: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    number: int | None = None
    bare: bool = False
    single: bool = False


class Changed(Exception):
    """The source changed, or contradicted itself, while a type was read: another pass may succeed."""


def find(says: Mapping[str, Any], selector: Selector) -> Any:
    """The value at the first of the selector's places that is there; None where none is."""
    for place in places_of(selector):
        value: Any = says
        for name in place.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def record_key(endpoint: Endpoint, value: Any) -> list[Any] | None:
    """What tells one record of a type from another; None where nothing does.

    :raises Changed: the record has no such key.
    """
    names = endpoint.keys
    if not names:
        return None
    if endpoint.key_may_be_null and isinstance(value, dict) and any(value.get(name) is None for name in names):
        return None
    if not isinstance(value, dict) or any(name not in value for name in names):
        raise Changed(f"a record without {' and '.join(names)}: {reprlib.repr(value)}")
    key = [value[name] for name in names]
    # 1e999999999 is a number as well, but none that tells records apart.
    if any(type(part) not in (int, str) for part in key):
        raise Changed(f"a record whose {' and '.join(names)} is no whole number or text: {reprlib.repr(key)}")
    return key


def refuse_spoiled(endpoint: Endpoint, records: Iterable[Found], base: str, *, set_aside: bool | None) -> None:
    """Name the records that cannot be kept as they are.

    :param base: the deployment, for people.
    :param set_aside: such records are kept mended, and go to a file later; only one without a key is named then.
        None where nothing can be.
    :raises SourceIncomplete: there are some.
    """
    spoiled = [value for _, value in records if isinstance(value, dict) and SPOILED in value]
    nameless = [value for value in spoiled if not _is_named(endpoint, value)]
    if not (nameless if set_aside else spoiled):
        return
    several = "A record" if len(spoiled) == 1 else count_of(len(spoiled), "record")
    raise SourceIncomplete(
        f"{several} of {endpoint.name} at {base} cannot be kept as sent.",
        details=[f"{endpoint.name}, {_describe_key(endpoint, value)}: {value[SPOILED]}" for value in spoiled[:20]],
        hint=FIX
        if nameless or set_aside is None
        else f"{FIX}\nOr let it go to a file, to be repaired there: flask db-migrate-data --set-aside",
    )


def _is_named(endpoint: Endpoint, value: dict[str, Any]) -> bool:
    return all(type(value.get(name)) in (int, str) for name in endpoint.keys)


def _describe_key(endpoint: Endpoint, value: dict[str, Any]) -> str:
    return ", ".join(f"{name} {reprlib.repr(value.get(name))}" for name in endpoint.keys) or "one without a key"


def keep(record: Found, endpoint: Endpoint, part: PartWriter, keys: Keys) -> bool:
    """Write a record unless it is there already; returns whether it was not.

    :raises Changed: another record has its key.
    """
    text, value = record
    line = text.encode()
    key = record_key(endpoint, value)
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


def read_page(answer: Answer, endpoint: Endpoint) -> Page:
    """The records of an answer, at one of the places that the endpoint declares.

    :raises StrictJSONError: they are at none of them, or the answer contradicts itself.
    """
    text = answer.json_text()
    check_amount(text)
    places = endpoint.data_places
    if opens_list(text) and WHOLE in places:
        records = list(whole_list(text, mend))
        return Page(records, {}, answer.headers, _header_total(answer, endpoint), bare=places[0] != WHOLE)
    if endpoint.parents and places == (WHOLE,):
        return Page([read_one(text, mend)], headers=answer.headers, single=True)
    wanted = [tuple(place.split(".")) for place in places if place != WHOLE]
    lists, says = envelope(text, wanted, mend)
    records = next((lists[place] for place in wanted if place in lists), None)  # type: ignore[arg-type] # a list or None
    if records is None:
        raise StrictJSONError(f"the answer has no list {places[0]!r}" if wanted else "the answer is not a list")
    total = _read_count(says, endpoint.total_selector, "total")
    if total is None:
        total = _header_total(answer, endpoint)
    count = _read_count(says, endpoint.count_selector, "count")
    if count is not None and count != len(records):
        raise StrictJSONError(f"the answer says that it has {count_of(count, 'record')}, and has {len(records)}")
    # What an answer counts that comes whole are all there are.
    total = count if total is None and endpoint.comes_whole else total
    numbered = isinstance(endpoint.paginator, PageNumberPaginator)
    number = _read_count(says, endpoint.paginator.page_selector, "page") if numbered else None  # type: ignore[union-attr] # it is one
    return Page(records, says, answer.headers, total, number)


def _read_count(says: Mapping[str, Any], selector: Selector, what: str) -> int | None:
    """What an envelope counts; a number that is not said may be left out or null.

    :raises StrictJSONError: it is no count.
    """
    value = find(says, selector)
    try:
        return None if value is None else a_count(value, f"{what!r} of the answer")
    except Unexpected as error:
        raise StrictJSONError(str(error)) from error


def _header_total(answer: Answer, endpoint: Endpoint) -> int | None:
    """:raises StrictJSONError: the header is no count."""
    text = answer.headers.get(endpoint.total_header) if endpoint.total_header else None
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise StrictJSONError(f"the header {endpoint.total_header} of the answer is not a count")
    return int(text)
