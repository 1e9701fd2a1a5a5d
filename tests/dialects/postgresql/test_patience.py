"""How long a server that says nothing is waited for."""

from __future__ import annotations

import contextlib
import threading

import pytest

from app.dialects import dialect_for
from app.dialects.postgresql import client, connect, driver
from app.errors import DatabaseUnreachable, FerryError
from tests.dialects.rooms import Room
from tests.support.limits import no_endless_wait
from tests.support.servers.postgresql import PostgreSQL
from tests.support.servers.proxy import Proxy


@pytest.fixture
def soon_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed within a second or two instead of a minute."""
    monkeypatch.setattr(driver, "SILENCE_S", 0.5)
    monkeypatch.setattr(client, "SILENCE_S", 0.5)
    monkeypatch.setitem(connect._LIVELINESS, "connect_timeout", "2")


@pytest.mark.usefixtures("soon_asked")
def test_a_link_that_goes_silent_is_not_waited_for_for_ever(postgresql: PostgreSQL, room: Room) -> None:
    room.fill()
    room.execute("CREATE TABLE more AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 20000) i")
    with Proxy(postgresql.port) as proxy:
        through = room.target.set(port=proxy.port)
        dialect = dialect_for(through, directory=room.directory)

        def read() -> None:
            with dialect.reader(through) as reader:
                for number, _ in enumerate(reader.rows(reader.tables()["more"])):
                    if number == 1:
                        proxy.stalled.set()

        with no_endless_wait(), pytest.raises(DatabaseUnreachable):
            read()
        with no_endless_wait(), pytest.raises(DatabaseUnreachable):
            dialect.mark(through)
        proxy.stalled.clear()
        with dialect.image(through, room.dialect.generation_url(room.target, "0000000c-old"), None) as image:
            stalling = threading.Timer(0.05, proxy.stalled.set)
            stalling.start()
            with no_endless_wait(), contextlib.suppress(FerryError):
                image.dump(room.directory / "dump")
            stalling.join()


@pytest.mark.usefixtures("soon_asked")
def test_a_server_at_work_is_waited_for(room: Room) -> None:
    room.dialect.create(room.target)
    with room.dialect._connect(room.target) as connection:  # type: ignore[attr-defined]
        assert connection.execute("SELECT 1 FROM pg_sleep(2.5)").fetchall() == [(1,)]
