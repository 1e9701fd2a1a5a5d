"""Names of databases beside a target: they fit, they are ours alone, whatever the server folds."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects import dialect_for
from app.errors import FerryError, Protected
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import rows
from tests.support.servers.mariadb import MariaDB


def test_names_of_databases_leave_room_and_are_not_taken_for_ours(mariadb: MariaDB) -> None:
    longest = "x" * 24
    dialect = dialect_for(mariadb.url(longest))
    assert len(str(dialect.staging_url(mariadb.url(longest), "20261123T154658-abc123-scratch").database)) <= 64
    for name, hint in (
        ("x" * 25, "24"),
        ("a__stg_b", "__stg_"),
        ("a__gen_b", ""),
        ("a__ferry", ""),
        ("mysql", None),
        ("", "/shop"),
    ):
        with pytest.raises(Protected) as caught:
            dialect_for(mariadb.url(name))
        assert hint is None or hint in str(caught.value.hint)


def test_nothing_but_staging_and_generations_is_dropped_or_written_over(room: Room) -> None:
    room.fill()
    area = room.dialect.control_area(room.target)
    for url in (room.target, area.url):
        for act in (
            lambda url=url: room.dialect.drop(url),
            lambda url=url: room.dialect.prepare_staging(url, room.target),
            lambda url=url: room.dialect.copy(room.target, url, timeout_s=1),
            lambda url=url: room.dialect.restore(room.directory / "x", url),
        ):
            with pytest.raises(FerryError, match="neither a staging database nor a generation"):
                act()
    assert rows(room, "parents") == PARENTS


def test_databases_of_others_with_like_names_are_not_ours(room: Room, mariadb: MariaDB) -> None:
    name = room.target.database
    for other in (f"{name}__stg_", f"{name}__stg_UPPER", f"{name}__stg_a_", f"{name}__other", f"{name}x__stg_a"):
        mariadb.execute(f"CREATE DATABASE `{other}`")
    room.dialect.create(room.target)
    assert room.dialect.beside(room.target) == []
    room.dialect.prepare_staging(room.other("A-b-C"), room.target)
    assert [item.name for item in room.dialect.beside(room.target)] == ["A-b-C"]


def test_a_server_that_folds_names(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server", "--lower-case-table-names=1")
    server.prepare()
    server.start()
    try:
        url = server.url("Shop")
        dialect = dialect_for(url, directory=tmp_path)
        absent = dialect.identity(url).uid
        assert dialect.create(url)
        assert dialect.exists(url)
        assert dialect.exists(server.url("SHOP"))
        assert dialect.identity(server.url("shop")).uid == dialect.identity(url).uid == absent
        run = "20261123T154658-abc123"
        dialect.prepare_staging(dialect.staging_url(url, run), url)
        [found] = dialect.beside(url)
        assert (found.name, found.url) == (run, dialect.staging_url(url, run))
        server.execute("CREATE TABLE shop.Things (id INT PRIMARY KEY)")
        with dialect.reader(url) as reader:
            assert list(reader.tables()) == ["things"]
        assert dialect.size_bytes(url) > 0
        dialect.preflight(url)
    finally:
        server.stop()
