"""What SQLAlchemy asks first is asked once for a command."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from app.dialects.first_look import ask_once
from app.dialects.sessions import hold_sessions


def make_engine(asked: list[str], name: str) -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    dialect: Any = engine.dialect
    ask = dialect.get_default_isolation_level

    def get_default_isolation_level(connection: Any) -> Any:
        asked.append(name)
        return ask(connection)

    dialect.get_default_isolation_level = get_default_isolation_level
    ask_once(dialect, name, "get_default_isolation_level", "a_method_of_another_version")
    return engine


def connect(engine: sa.Engine) -> str:
    with engine.connect():
        return str(engine.dialect.default_isolation_level)


def test_a_second_engine_of_a_command_has_what_the_first_was_told() -> None:
    asked: list[str] = []
    with hold_sessions():
        first, second = (connect(make_engine(asked, "one")) for _ in range(2))
    assert (first, second, asked) == ("SERIALIZABLE", "SERIALIZABLE", ["one"])


def test_another_server_is_asked_itself_and_so_is_each_outside_of_a_command() -> None:
    asked: list[str] = []
    with hold_sessions():
        connect(make_engine(asked, "one"))
        connect(make_engine(asked, "other"))
    connect(make_engine(asked, "one"))
    connect(make_engine(asked, "one"))
    assert asked == ["one", "other", "one", "one"]
