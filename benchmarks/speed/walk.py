"""Fetch the forum page by page over HTTP and add each record through its models, as an app's author writes it.

``python -m benchmarks.speed.walk URL TARGET``; the target's tables are made from the models.
"""

from __future__ import annotations

import base64
import datetime as dt
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import requests
from sqlalchemy import DateTime, LargeBinary, Numeric, create_engine, inspect
from sqlalchemy.orm import Session

from benchmarks.host.forum import Base
from benchmarks.host.served import MODELS, NAME, PASSWORD

TIMEOUT_S = 60
_READERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (DateTime, dt.datetime.fromisoformat),
    (Numeric, Decimal),
    (LargeBinary, base64.b64decode),
)


def list_pages(session: requests.Session, url: str) -> Iterator[list[dict[str, Any]]]:
    """The records of each page, to the last one."""
    number, has_next = 1, True
    while has_next:
        answer = session.get(url, params={"page": number}, timeout=TIMEOUT_S)
        answer.raise_for_status()
        page = answer.json()
        yield page["records"]
        number, has_next = number + 1, page["has_next"]


def find_readers(model: Any) -> dict[str, Callable[[Any], Any]]:
    """What makes of JSON a value of a column; of those that need it."""
    kinds = {attribute.key: attribute.columns[0].type for attribute in inspect(model).column_attrs}
    return {
        name: read
        for name, kind in kinds.items()
        for of, read in _READERS
        if isinstance(kind, of) and kind.python_type is not float
    }


def walk(url: str, target: str) -> None:
    """Add every record of every model."""
    to = create_engine(target)
    Base.metadata.create_all(to)
    with Session(to) as new, requests.Session() as http:
        http.auth = NAME, PASSWORD
        for name, model in MODELS.items():
            readers = find_readers(model)
            for records in list_pages(http, f"{url}/records/{name}"):
                new.add_all(model(**{k: _read(readers.get(k), v) for k, v in record.items()}) for record in records)
                new.commit()


def _read(reader: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if reader is None or value is None else reader(value)


if __name__ == "__main__":
    walk(*sys.argv[1:])
