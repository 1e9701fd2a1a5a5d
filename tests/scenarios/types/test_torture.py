"""Names, keys, references and sizes that nobody expects, from every server to every other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
import sqlalchemy as sa

from tests.support.types.carry import Place, load_snapshot, sections, snapshot
from tests.support.types.torture import BEYOND_BMP, CASES, NAMES, Made, named, portable

S, M, P = "sqlite", "mariadb", "postgresql"
ALL_ROUTES = (S, S, M, M, P, P, S, P, M, S)
"""Each server follows each, itself included."""


def walk(places: Mapping[str, Place], route: Sequence[str], make: Callable[[str], Iterable[Made]]) -> None:
    """Fill a database on the first server in plain SQL, carry it along, and compare the rows at each."""
    path = None
    for step, server in enumerate(route):
        at, where = places[server], " > ".join(route[: step + 1])
        made = list(make(server))
        staging = at.other(f"torture-{step}")
        at.dialect.prepare_staging(staging, at.target)
        engine = at.dialect.engine(staging)
        with engine.begin() as connection:
            made[0].table.metadata.create_all(connection, checkfirst=False)
        engine.dispose()
        if path is None:
            path = _written(at, staging, made)
        else:
            assert load_snapshot(at, staging, path).refused == {}, where
            path = snapshot(at, staging, at.directory / f"torture-{step}.json")
        found = sections(path)
        for item in made:
            assert sorted(found[item.table.name]) == sorted(item.lines), (where, item.table.name)
        assert at.dialect.problems(staging) == [], where
        at.dialect.settle(staging)
        _read_by_column(at, staging, made)
        at.dialect.drop(staging)


def _written(at: Place, url: sa.URL, made: Iterable[Made]) -> object:
    tables = at.tables(url)
    with at.dialect.loading(url):
        for item in made:
            result = at.dialect.load(url, tables[item.table.name], item.rows, batch_rows=3)
            assert result.refused == [], item.table.name
    return snapshot(at, url, at.directory / "torture-0.json")


def _read_by_column(at: Place, url: sa.URL, made: Iterable[Made]) -> None:
    with at.dialect.reader(url) as reader:
        tables = reader.tables()
        for item in made:
            table = tables[item.table.name]
            assert reader.count(table.name) == len(item.rows)
            for place, column in enumerate(table.columns[:5]):
                expected = [row[place] for row in item.rows if row[place] is not None]
                assert sorted(reader.values(table, column.name)) == sorted(expected)


def test_names_of_every_kind(places: dict[str, Place]) -> None:
    walk(places, (S, M, P, S), lambda _server: named(NAMES))


def test_names_beyond_the_basic_plane(places: dict[str, Place]) -> None:
    walk(places, (S, S, P, P, S), lambda _server: named(BEYOND_BMP))


def test_names_that_differ_in_case(places: dict[str, Place]) -> None:
    walk(places, (P, P), lambda _server: named(CASES))


def test_keys_references_and_sizes(places: dict[str, Place]) -> None:
    walk(places, ALL_ROUTES, portable)


@pytest.mark.parametrize("server", [S, M, P])
def test_a_null_in_a_key_is_refused_where_keys_have_none(places: dict[str, Place], server: str) -> None:
    begin, end = places[S], places[server]
    source, target = begin.other("null-keys"), end.other("null-keys-there")
    for at, url in ((begin, source), (end, target)):
        at.dialect.prepare_staging(url, at.target)
        engine = at.dialect.engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, v INTEGER)")
        engine.dispose()
    engine = begin.dialect.engine(source)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES ('a', 1), (NULL, 2), (NULL, 3), ('', 4)")
    engine.dispose()
    path = snapshot(begin, source, begin.directory / "null-keys.json")
    refused = load_snapshot(end, target, path).refused
    found = sections(snapshot(end, target, end.directory / "null-keys-there.json"))["t"]
    everything = sections(path)["t"]
    assert sorted(found) == sorted(line for line in everything if server == S or b"null" not in line)
    # A snapshot has them in the order of the key, NULL first.
    assert sorted(refused.get("t", {})) == ([] if server == S else [1, 2])
    begin.dialect.drop(source)
    end.dialect.drop(target)
