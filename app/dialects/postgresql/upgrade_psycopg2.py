"""PostgreSQL: connections of psycopg2 for the app's own code on a staging schema, see :mod:`.upgrade`.

Imported only where the app's own driver is psycopg2: its revisions may take cursors of it, and depend on what it does
otherwise than psycopg: values are put into the text here, so that they need no type, and a text with values may be
several statements.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
import psycopg2
from psycopg2 import extensions

from ..ahead import Answer, Question, Send
from ..base import OutsideStaging
from .connect import Connection, session_settings
from .guard import Executes
from .patience import SILENCE_S, Patience, is_at_work
from .texts import divide
from .upgrade import Behind, Upgrade


class Psycopg2Cursor(extensions.cursor):  # type: ignore[misc] # psycopg2 has no types
    """Keeps each statement behind the renames, whatever further class of cursor it is."""

    connection: Psycopg2Connection
    _rows_of_all: int | None = None

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 # as the driver has it
        connection, self._rows_of_all = self.connection, None
        if self.name is not None:  # a named cursor, which lives as long as its transaction
            with connection.waiting():
                super().execute(_encode(connection.prepare(self._text_of(query, vars))))
            return

        def send(text: str) -> None:
            with connection.waiting():
                super(Psycopg2Cursor, self).execute(_encode(text))

        connection.run(self._text_of(query, vars), send)

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        rows = 0
        for values in vars_list:
            self.execute(query, values)
            rows += max(0, self.rowcount)
        self._rows_of_all = rows

    @property
    def rowcount(self) -> int:
        """Of ``executemany()`` all of its rows: SQLAlchemy compares that with what it sent."""
        if self._rows_of_all is not None:
            return self._rows_of_all
        return int(extensions.cursor.rowcount.__get__(self))

    def callproc(self, procname: str, parameters: Any = None) -> Any:
        callproc = super().callproc
        # The driver puts the name into the text as it is.
        text = f"SELECT * FROM {procname}()"
        if divide(text) != [text]:
            raise OutsideStaging(f"it calls by a name that is none: {procname[:100]}")
        return self.connection.run_whole(text, lambda _: callproc(procname, parameters))

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        self.connection.run_whole(
            self._text_of(sql, None), lambda text: super(Psycopg2Cursor, self).copy_expert(text, file, size)
        )

    def copy_from(self, *arguments: Any, **options: Any) -> None:
        copy = super().copy_from
        self.connection.run_whole("COPY", lambda _: copy(*arguments, **options))

    def copy_to(self, *arguments: Any, **options: Any) -> None:
        copy = super().copy_to
        self.connection.run_whole("COPY", lambda _: copy(*arguments, **options))

    def _text_of(self, query: Any, values: Any) -> str:
        text: bytes = self.mogrify(query, values)
        return text.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _Plain:
    """A cursor for statements of our own, with psycopg's way to execute."""

    def __init__(self, connection: Psycopg2Connection) -> None:
        self._connection = connection
        self._cursor = extensions.connection.cursor(connection, cursor_factory=extensions.cursor)

    def execute(self, query: Any, params: Any = None, /) -> Any:
        with self._connection.waiting():
            self._cursor.execute(query, params)
        return self._cursor


class Psycopg2Connection(Behind, extensions.connection):  # type: ignore[misc] # psycopg2 has no types
    """Of psycopg2. Its own autocommit mode is never on."""

    arguments: Mapping[str, str]
    _factories: dict[type, type]

    def begin(self, upgrade: Upgrade) -> None:
        extensions.connection.autocommit.__set__(self, False)
        self._factories = {}
        self.upgrade = upgrade

    def look(self, schema: str) -> None:
        self._factories = {}
        self.reads = schema

    def cursor(self, name: str | None = None, cursor_factory: Any = None, **options: Any) -> Any:
        factory = cursor_factory or self.cursor_factory or extensions.cursor
        # Such as functools.partial(): what it makes is known by its function alone.
        factory = factory if isinstance(factory, type) else getattr(factory, "func", extensions.cursor)
        if (self.upgrade or self.reads) is not None and not issubclass(factory, Psycopg2Cursor):
            factory = self._factories.setdefault(factory, type(factory.__name__, (Psycopg2Cursor, factory), {}))
        return super().cursor(name, cursor_factory=factory, **options)

    @property
    def autocommit(self) -> bool:
        return self._each if self.upgrade else bool(extensions.connection.autocommit.__get__(self))

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if self.upgrade is None:
            extensions.connection.autocommit.__set__(self, value)
        else:
            self.let_each_end(value)

    def set_isolation_level(self, level: int | None) -> None:
        """The driver rolls back first what was begun."""
        self.rollback_within()
        self.autocommit = level == extensions.ISOLATION_LEVEL_AUTOCOMMIT
        if level != extensions.ISOLATION_LEVEL_AUTOCOMMIT:
            super().set_isolation_level(level)

    def set_session(
        self, isolation_level: Any = None, readonly: Any = None, deferrable: Any = None, autocommit: Any = None
    ) -> None:
        super().set_session(isolation_level, readonly, deferrable)
        if autocommit is not None:
            self.autocommit = bool(autocommit)

    def commit(self) -> None:
        self.commit_within()

    def rollback(self) -> None:
        self.rollback_within()

    def reset(self) -> None:
        """As ``rollback()``: settings of the session are what keeps it in its place."""
        self.rollback_within()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Let the driver wait as ours does: signals are heard, and a server that went silent is not waited for."""
        former = extensions.get_wait_callback()
        extensions.set_wait_callback(_wait)
        try:
            yield
        finally:
            extensions.set_wait_callback(former)

    def _commit(self) -> None:
        with self.waiting():
            super().commit()

    def _rollback(self) -> None:
        with self.waiting():
            super().rollback()

    def _plain(self) -> Executes:
        return _Plain(self)

    def _status(self) -> int:
        return int(self.get_transaction_status())

    def _parameter(self, name: str) -> str | None:
        value = None if self.closed else self.get_parameter_status(name)
        return None if value is None else str(value)

    def tpc_begin(self, xid: Any) -> None:
        if self.upgrade is not None:
            raise OutsideStaging("it begins a transaction of two phases")
        super().tpc_begin(xid)


def _wait(connection: Any) -> None:
    """:raises psycopg2.OperationalError: no answer came, and the server is not at work on one."""
    patience = Patience(lambda: is_at_work(connection.arguments, "pid = %s", connection.get_backend_pid()))
    poll = select.poll()
    wanted = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}
    try:
        while (state := connection.poll()) != extensions.POLL_OK:
            poll.register(connection.fileno(), wanted[state])
            if poll.poll(SILENCE_S * 1000):
                patience.heard()
            else:
                patience.silence()
    except psycopg.OperationalError as error:
        raise psycopg2.OperationalError(str(error)) from error
    except psycopg2.Error:
        raise
    except BaseException:
        with contextlib.suppress(psycopg2.Error):
            connection.cancel()
        raise


def asking_beside(open_session: Callable[[], Connection]) -> Send:
    """What asks in one text over a session of ours, as this driver has only the last answer of a text; for
    :mod:`..ahead`. Rows are what the driver itself makes of what the server sends.

    :param open_session: opens one that is set as the app's are.
    """

    def ask(connection: Psycopg2Connection, questions: Sequence[Question]) -> Sequence[Answer] | None:
        with extensions.connection.cursor(connection, cursor_factory=extensions.cursor) as cursor:
            text = b"; ".join(cursor.mogrify(sql, values or None) for sql, values in questions)
            try:
                with contextlib.closing(open_session()) as session:
                    [(_, [(path,)]), *answers] = _ask(session, _PATH.encode() + b"; " + text, cursor)
                    return answers if path == _path_of(connection) else None
            except (psycopg.Error, psycopg2.Error):
                pass  # whoever asks again is told
        return None

    return ask


_PATH = "SELECT pg_catalog.current_setting('search_path')"


def _path_of(connection: Psycopg2Connection) -> Any:
    """Where a session looks, which a listener of the app may have set."""
    former, connection.autocommit = connection.autocommit, True
    try:
        return _Plain(connection).execute(_PATH).fetchone()[0]
    finally:
        connection.autocommit = former


def _ask(session: Connection, text: bytes, caster: Any) -> list[Answer]:
    """The answers to all questions of a text, with the values that the driver makes of them."""
    cursor, answers = psycopg.Cursor(session), list[Answer]()
    cursor.execute(text)
    while not answers or cursor.nextset():
        result = cursor.pgresult
        assert result is not None  # noqa: S101 # each question has one
        columns = [(result.fname(i) or b"", result.ftype(i)) for i in range(result.nfields)]
        rows = [
            tuple(_cast(caster, oid, result.get_value(row, i)) for i, (_, oid) in enumerate(columns))
            for row in range(result.ntuples)
        ]
        answers.append(([(name.decode(), oid, None, None, None, None, None) for name, oid in columns], rows))
    return answers


def _cast(caster: Any, oid: int, value: bytes | None) -> Any:
    return None if value is None else caster.cast(oid, value.decode())


def open_connection(
    arguments: Mapping[str, str], settings: Mapping[str, str], search_path: Sequence[str]
) -> Psycopg2Connection:
    """An ordinary connection until ``begin()`` is called; the caller has the driver's own errors."""
    connection: Psycopg2Connection = psycopg2.connect(**arguments, connection_factory=Psycopg2Connection)
    try:
        connection.arguments = arguments
        connection.autocommit = True
        statement, values = session_settings(settings, search_path, connection.server_version)
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection
