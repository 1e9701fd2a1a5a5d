"""Questions that are asked ahead in few texts: the answers are the same, and nothing that fails is hidden."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from app.dialects.ahead import Answer, Asks, Question, asked_ahead, let_ask_at_once
from tests.dialects.rooms import Room

TABLES = ("children", "parents")
KINDS = ("get_columns", "get_foreign_keys", "get_indexes", "get_pk_constraint", "get_unique_constraints")


def list_asking(connection: sa.Connection) -> Iterator[Callable[[], Any]]:
    """What there is to know of two tables, which must be there."""
    names = sorted(sa.inspect(connection).get_table_names())
    assert names == list(TABLES)
    for name in names:
        for kind in KINDS:
            ask = getattr(sa.inspect(connection), kind)
            yield lambda ask=ask, name=name: ask(name)


def look(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        # Two types that are the same are not equal.
        return [repr(ask()) for ask in list_asking(connection)]


@contextlib.contextmanager
def counted(engine: sa.Engine) -> Iterator[list[str]]:
    """The statements that come to the driver one by one."""
    reached: list[str] = []

    def count(_cursor: Any, statement: str, *_: Any) -> None:
        reached.append(statement)

    sa.event.listen(engine, "do_execute", count)
    yield reached
    sa.event.remove(engine, "do_execute", count)


def test_what_is_asked_ahead_has_the_same_answers(room: Room) -> None:
    room.fill()
    engine = room.dialect.read_only_engine(room.target)
    with counted(engine) as one_by_one:
        plainly = look(engine)
    with asked_ahead(engine, list_asking), counted(engine) as besides:
        assert look(engine) == plainly
    is_file = room.dialect.identity(room.target).is_file
    assert len(one_by_one) > 4
    assert besides == (one_by_one if is_file else [])
    with counted(engine) as afterwards:
        assert look(engine) == plainly
    assert len(afterwards) > 4
    engine.dispose()


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """A database whose tables are gone from one question to the next."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1), (2)")
    yield engine
    engine.dispose()


def send(connection: Any, questions: Sequence[Question]) -> list[Answer] | None:
    answers = list[Answer]()
    for sql, values in questions:
        try:
            cursor = connection.execute(sql, values)
        except connection.Error:
            return None
        answers.append((cursor.description, cursor.fetchall()))
    return answers


def test_a_chain_of_questions_is_asked_link_by_link(engine: sa.Engine) -> None:
    texts: list[int] = []

    def counting(connection: Any, questions: Sequence[Question]) -> list[Answer] | None:
        texts.append(len(questions))
        return send(connection, questions)

    def chain(connection: sa.Connection) -> Iterator[Asks]:
        def ask() -> None:
            most = connection.execute(sa.text("SELECT max(a) FROM t")).scalar_one()
            connection.execute(sa.text("SELECT a FROM t WHERE a = :most"), {"most": most}).all()

        yield ask
        yield lambda: connection.execute(sa.text("SELECT count(*) FROM t")).all()

    let_ask_at_once(engine, counting)
    with asked_ahead(engine, chain), counted(engine) as reached, engine.connect() as connection:
        assert connection.execute(sa.text("SELECT a FROM t WHERE a = :most"), {"most": 2}).all() == [(2,)]
        assert connection.execute(sa.text("SELECT a FROM t WHERE a = :most"), {"most": 1}).all() == [(1,)]
        assert len(reached) == 1
        # It could have been one that changes what the others find.
        assert connection.execute(sa.text("SELECT count(*) FROM t")).all() == [(2,)]
        assert len(reached) == 2
    assert texts == [2, 1]


def test_what_fails_when_it_is_asked_ahead_fails_when_it_is_asked(engine: sa.Engine) -> None:
    def wrong(connection: sa.Connection) -> Iterator[Asks]:
        yield lambda: connection.execute(sa.text("SELECT a FROM t")).all()
        yield lambda: connection.execute(sa.text("SELECT b FROM t")).all()

    let_ask_at_once(engine, send)
    with asked_ahead(engine, wrong), engine.connect() as connection:
        assert connection.execute(sa.text("SELECT a FROM t")).all() == [(1,), (2,)]
        with pytest.raises(SQLAlchemyError, match="no such column: b"):
            connection.execute(sa.text("SELECT b FROM t"))
