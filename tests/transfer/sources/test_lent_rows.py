"""Rows that others read at the run's own instant; with a cluster: tests/scenarios/runs/test_dask.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.base import Dialect
from app.dialects.model import KeyRange
from app.dialects.reader import Reader
from app.errors import FerryError
from app.transfer.rows.double_encoded import DoubleEncoded
from app.transfer.rows.encode import hash_rows
from app.transfer.run.workers import Workers
from app.transfer.sources import lent_rows
from app.transfer.sources.lent_rows import LentRows, ReadPart, lend_rows, read_part
from tests.support.places import new_name

FILL = """
CREATE TABLE letters (id integer PRIMARY KEY, body text, list json);
INSERT INTO letters SELECT n, 'naÃ¯ve ' || string_agg(md5((n * m)::text), ''), '{"b": 1, "a": [2.50]}'
FROM generate_series(1, 3000) n, generate_series(1, 100) m GROUP BY n;
"""


class Elsewhere(Workers):
    """Processes of this machine, taken for those of others."""

    are_elsewhere = True


@pytest.fixture(scope="module")
def url(postgresql: Any) -> URL:
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    postgresql.execute(FILL, database=name)
    return postgresql.url(name)  # type: ignore[no-any-return]


@pytest.fixture
def workers() -> Iterator[Workers]:
    these = Elsewhere(2)
    yield these
    these.close()


def lent_of(workers: Workers, dialect: Dialect, reader: Reader, url: URL) -> LentRows:
    lent = lend_rows(workers, dialect, reader, url, None)
    assert lent is not None
    return lent


def test_lines_are_those_that_the_run_would_have_read(url: URL, workers: Workers) -> None:
    dialect = dialect_for(url)
    with dialect.reader(url) as reader:
        table, here, there = reader.tables()["letters"], DoubleEncoded(), DoubleEncoded()
        expected = list(hash_rows(table, here.watch(table, reader.rows(table))))
        lent = lent_of(workers, dialect, reader, url)
        ranges = lent.divide(reader, table)
        assert list(lent.read(reader, table, ranges, there)) == expected
    assert len(ranges) > 2
    assert sum(lent.rows_by.values()) == 3000
    assert "" not in lent.rows_by
    assert there.warnings() == here.warnings()
    assert "3000 of 3000" in there.warnings()[0]


def test_workers_that_are_lost_meanwhile(url: URL, workers: Workers) -> None:
    dialect = dialect_for(url)
    with dialect.reader(url) as reader:
        table = reader.tables()["letters"]
        expected = list(hash_rows(table, reader.rows(table)))
        lent = lent_of(workers, dialect, reader, url)
        workers.most = 6
        lines = lent.read(reader, table, lent.divide(reader, table), DoubleEncoded())
        first = next(lines)
        workers.most = 0
        assert [first, *lines] == expected


def test_what_nobody_else_can_read_the_run_reads(url: URL, workers: Workers) -> None:
    dialect = dialect_for(url)
    with dialect.reader(url) as reader:
        table, double = reader.tables()["letters"], DoubleEncoded()
        expected = list(hash_rows(table, reader.rows(table)))
        lent = lent_of(workers, dialect, reader, url)
        instant = replace(lent.place.instant, server="another one")
        lent.place = replace(lent.place, instant=instant)
        assert list(lent.read(reader, table, lent.divide(reader, table), double)) == expected
    assert lent.rows_by == {"": 3000}
    assert "3000 of 3000" in double.warnings()[0]


def test_rows_that_are_too_large_to_be_sent_together_are_read_by_the_run(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = dialect_for(url)
    with dialect.reader(url) as reader:
        table = reader.tables()["letters"]
        lent = lent_of(Elsewhere(1), dialect, reader, url)
        whole = KeyRange("id", None, None)
        assert len(read_part(lent.place, table, whole).hashes) == 3000
        monkeypatch.setattr(lent_rows, "MOST_BYTES", 1 << 20)
        with pytest.raises(FerryError, match="letters has more than 1048576 bytes from None on"):
            read_part(lent.place, table, whole)


def test_a_part_that_is_not_whole_is_none() -> None:
    part = ReadPart(b"[1]\n[2]", [1, 2], DoubleEncoded(), "somebody")
    assert part.hashed_lines() == [(b"[1]", 1), (b"[2]", 2)]
    assert replace(part, lines=b"[1]").hashed_lines() is None
    assert replace(part, lines=b"", hashes=[]).hashed_lines() == []


def test_processes_of_this_machine_are_lent_nothing(url: URL) -> None:
    dialect = dialect_for(url)
    with dialect.reader(url) as reader:
        assert lend_rows(Workers(2), dialect, reader, url, None) is None
        assert lend_rows(None, dialect, reader, url, None) is None
