"""SQLite: the functions and collations of the app, which its schema may need, on connections of our own.

SQLite keeps neither in a file. SQLAlchemy registers some on each of its connections, and apps do by listeners; rules,
indexes and columns that name one are only understood by a connection that has it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, create_engine

from ...errors import Protected

WAY_OUT = "Register it for every connection, by @event.listens_for(db.engine, 'connect'), then run the command again."
_LACKING = re.compile(r"(?:no such|unknown) (function|collation sequence): ([^()\s]+)")


_Call = tuple[str, tuple[Any, ...], dict[str, Any]]


class _Recorder(sqlite3.Connection):
    """A database in memory that remembers what was registered on it."""

    def __init__(self) -> None:
        super().__init__(":memory:", isolation_level=None)
        # A statement that attaches does nothing: no file is opened, and the listener goes on.
        self.set_authorizer(_ignore_attach)
        self.calls: list[_Call] = []


def _recording(name: str) -> Callable[..., Any]:
    def register(self: _Recorder, *arguments: Any, **named: Any) -> Any:
        result = getattr(sqlite3.Connection, name)(self, *arguments, **named)
        self.calls.append((name, arguments, named))
        return result

    return register


for _name in (
    "create_function",
    "create_aggregate",
    "create_window_function",
    "create_collation",
    "enable_load_extension",
    "load_extension",
):
    # Python may have been built without extensions, and before 3.11 it knew no window functions.
    if hasattr(sqlite3.Connection, _name):
        setattr(_Recorder, _name, _recording(_name))


def _ignore_attach(action: int, *_more: object) -> int:
    return sqlite3.SQLITE_IGNORE if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


class Functions:
    """What the app's connections can call and sort by, for ours.

    Its listeners run once, on a database in memory: whatever else they do, to turn a setting on or to attach a file, is
    done to that one and to none of ours.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._calls: list[_Call] | None = None

    def take_from(self, engine: Engine) -> None:
        """From now on those of this engine too, if it is one of SQLite's; else only those that every engine has."""
        self._engine = engine if engine.dialect.name == "sqlite" else None
        self._calls = None

    def has_own(self) -> bool:
        """Whether the app registers any besides those that every engine has."""
        return _list_names(self._recall()) != _list_names(_registered_by(create_engine("sqlite://")))

    def give(self, connection: sqlite3.Connection) -> None:
        """Register all of them on a connection."""
        for name, arguments, named in self._recall():
            getattr(connection, name)(*arguments, **named)

    def _recall(self) -> list[_Call]:
        if self._calls is None:
            self._calls = _registered_by(self._engine or create_engine("sqlite://"))
        return self._calls


def _list_names(calls: list[_Call]) -> list[tuple[Any, ...]]:
    return [(name, *arguments[:1]) for name, arguments, _ in calls]


def _registered_by(engine: Engine) -> list[_Call]:
    with contextlib.closing(_Recorder()) as recorder:
        # Of a pool's entry this is what a listener may look at.
        record: Any = SimpleNamespace(dbapi_connection=recorder, driver_connection=recorder, info={}, record_info={})
        for listener in engine.pool.dispatch.connect:
            # The app's own code, which may ask for what an empty database does not have: what it registered counts.
            with contextlib.suppress(Exception):
                listener(recorder, record)
        return recorder.calls


def name_lacking(error: BaseException) -> str:
    """The function or collation that an error says there is none of, as a noun and its name; or an empty text."""
    match = _LACKING.search(str(error))
    return f"the {match.group(1).partition(' ')[0]} {match.group(2)}" if match else ""


def lacking(where: str, what: str) -> Protected:
    return Protected(f"{where} needs {what}, which the app registers on none of its connections.", hint=WAY_OUT)


def refuse_lacking(error: sqlite3.Error, where: str) -> None:
    """:raises Protected: what the error is about is a function or collation that nobody registers."""
    if what := name_lacking(error):
        raise lacking(where, what) from error


def find_lacking(tables: Iterable[tuple[str, str]], functions: Functions) -> list[str]:
    """What tables need in their rules and generated columns and no connection of ours has.

    :param tables: name and ``CREATE TABLE`` of each.
    """
    lines = []
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        functions.give(connection)
        for name, sql in tables:
            try:
                connection.execute(sql)
            except sqlite3.Error as error:
                if what := name_lacking(error):
                    lines.append(f"table {name} needs {what}")
    return lines
