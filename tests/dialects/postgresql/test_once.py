"""Parts of a table that several load: each once, and nobody behind the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialects.rooms import ROOMS
from tests.dialects.sharing import check_cut_off, check_end, check_once


def test_a_part_goes_in_once_and_wholly(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_once(room)


def test_the_end_waits_for_who_is_at_work(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_end(room)


@pytest.mark.parametrize("limit", ["PATIENT_S", "MOST_WAITED_S"])
def test_who_is_cut_off_is_not_waited_for_without_end(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_cut_off(room, monkeypatch, limit)


def test_rows_are_brought_whatever_types_their_schema_has(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        former, staging = room.staged("former"), room.staged("new")
        for url in (former, staging):
            room.execute("CREATE TYPE mood AS ENUM ('well', 'so so')", url=url)
            room.execute("CREATE TABLE days (id int GENERATED ALWAYS AS IDENTITY, m mood, all_of_them mood[])", url=url)
        room.execute("INSERT INTO days (m, all_of_them) VALUES ('so so', '{well,NULL}'), (NULL, '{}')", url=former)
        with room.dialect.reader(staging) as reader:
            table = reader.tables()["days"]
        with room.dialect.loading(staging):
            assert room.dialect.bring(former, staging, table) == 2
        assert room.state(staging)["days"] == room.state(former)["days"]


def test_of_a_table_that_others_inherit_from_its_own_rows_are_brought(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        former, staging = room.staged("former"), room.staged("new")
        for url in (former, staging):
            room.execute("CREATE TABLE things (id int); CREATE TABLE books (pages int) INHERITS (things)", url=url)
            room.execute("CREATE TABLE days (id int) PARTITION BY LIST (id)", url=url)
            room.execute("CREATE TABLE first_days PARTITION OF days FOR VALUES IN (1)", url=url)
        room.execute(
            "INSERT INTO things VALUES (1); INSERT INTO books VALUES (2, 9); INSERT INTO days VALUES (1)", url=former
        )
        with room.dialect.reader(staging) as reader:
            tables = reader.tables()
        with room.dialect.loading(staging):
            brought = {name: room.dialect.bring(former, staging, tables[name]) for name in ("things", "books", "days")}
        assert brought == {"things": 1, "books": 1, "days": 1}
