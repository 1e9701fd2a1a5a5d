"""An application that draws from a sequence all the time while whole commands replace the database under it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.scenarios.small_host import SmallHost
from tests.support.drawing import Drawing
from tests.support.places import connected, execute
from tests.support.runs.commands import until
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import MariaDB

pytestmark = of_mariadb

NUMBERED = (
    "CREATE SEQUENCE numbers CACHE 10",
    "CREATE TABLE numbered (id BIGINT PRIMARY KEY DEFAULT NEXTVAL(numbers), how VARCHAR(9))",
    "INSERT INTO numbered (how) VALUES ('first'), ('second')",
)


@pytest.fixture
def numbered(host: Callable[[str], SmallHost]) -> SmallHost:
    made = host("mariadb")
    made.revise(*NUMBERED)
    made.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    return made


def draw(host: SmallHost, name: str = "numbers") -> int:
    with connected(host.url) as connection:
        return int(connection.exec_driver_sql(f"SELECT NEXTVAL({name})").scalar())


def test_self_and_a_rollback_end_well_and_nobody_gets_a_number_twice(mariadb: MariaDB, numbered: SmallHost) -> None:
    numbered.revise("ALTER TABLE numbered ADD COLUMN more INT DEFAULT 3", name="r2", down="r1")
    with Drawing(mariadb, str(numbered.url.database), "numbers") as drawing:
        until(lambda: len(drawing.numbers) > 50)
        numbered.done("db-migrate-data", "self", "--yes")
        drawn = len(drawing.numbers)
        until(lambda: len(drawing.numbers) > drawn + 50)
    drawing.check()
    rows = drawing.rows
    # A rollback keeps no writer waiting, so rows that are written all the time are another matter.
    with Drawing(mariadb, str(numbered.url.database), "numbers", rows=False) as again:
        until(lambda: len(again.numbers) > 50)
        numbered.done("db-rollback", "--yes")
        drawn = len(again.numbers)
        until(lambda: len(again.numbers) > drawn + 50)
    again.check()
    assert not {*drawing.numbers} & {*again.numbers}
    assert not rows & {draw(numbered) for _ in range(20)}
    execute(numbered.url, "INSERT INTO numbered (how) VALUES ('last')")


DRAWS = ("INSERT INTO numbered (id, how) SELECT NEXTVAL(numbers), 'revision' FROM numbered LIMIT 1",)
RENAMES = (
    "ALTER TABLE numbered ALTER COLUMN id DROP DEFAULT",
    "RENAME TABLE numbers TO figures",
    "ALTER TABLE numbered ALTER COLUMN id SET DEFAULT (NEXTVAL(figures))",
)


@pytest.mark.parametrize(("changes", "name"), [(DRAWS, "numbers"), (RENAMES, "figures")], ids=["draws", "renames"])
def test_a_revision_that_draws_itself_or_renames_waits_for_rest(
    mariadb: MariaDB, numbered: SmallHost, changes: tuple[str, ...], name: str
) -> None:
    numbered.revise(*changes, name="r2", down="r1")
    with Drawing(mariadb, str(numbered.url.database), "numbers", rows=False) as drawing:
        until(lambda: len(drawing.numbers) > 50)
        result = numbered.flask("db-migrate-data", "self", "--yes")
        assert result.status == 23, result.stderr
        assert "did not catch up" in result.stderr
        drawn = len(drawing.numbers)
        until(lambda: len(drawing.numbers) > drawn + 50)
    drawing.check()
    numbered.done("db-migrate-data", "self", "--yes")
    with connected(numbered.url) as connection:
        rows = {int(key) for (key,) in connection.exec_driver_sql("SELECT id FROM numbered WHERE how = 'revision'")}
    numbers = [*drawing.numbers, *rows, *(draw(numbered, name) for _ in range(20))]
    assert len(numbers) == len(set(numbers))


GONE = (
    "ALTER TABLE numbered ALTER COLUMN id DROP DEFAULT",
    "DROP SEQUENCE numbers",
    "CREATE TABLE numbers (id INT PRIMARY KEY)",
)


@pytest.mark.parametrize("changes", [GONE[:2], RENAMES, GONE], ids=["dropped", "renamed", "a table now"])
def test_a_rollback_brings_a_sequence_back_that_a_default_names(
    mariadb: MariaDB, numbered: SmallHost, changes: tuple[str, ...]
) -> None:
    numbered.revise(*changes, name="r2", down="r1")
    numbered.done("db-migrate-data", "self", "--yes")
    numbered.done("db-rollback", "--yes")
    database = str(numbered.url.database)
    [(_, sql)] = mariadb.execute("SHOW CREATE TABLE numbered", database=database)
    assert f"nextval(`{database}`.`numbers`)" in sql
    execute(numbered.url, "INSERT INTO numbered (how) VALUES ('third')")
    numbered.done("db-migrate-data", "self", "--yes")


# PostgreSQL, where a draw is no write either


@pytest.fixture
def counting(host: Callable[[str], SmallHost]) -> SmallHost:
    made = host("postgresql")
    made.revise(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE numbered (id BIGINT PRIMARY KEY, how VARCHAR(9))",
        "INSERT INTO numbered SELECT nextval('numbers'), 'first'",
    )
    made.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    return made


@pytest.mark.parametrize("as_default", [False, True])
def test_a_revision_that_draws_on_postgresql_waits_for_rest_too(counting: SmallHost, as_default: bool) -> None:
    if as_default:
        execute(counting.url, "ALTER TABLE numbered ALTER id SET DEFAULT nextval('numbers')")
    counting.revise(
        "INSERT INTO numbered SELECT nextval('numbers'), 'revision' FROM generate_series(1, 20)", name="r2", down="r1"
    )
    numbers, stop = list[int](), threading.Event()

    def go_on() -> None:
        with connected(counting.url) as connection:
            while not stop.wait(0.02):
                numbers.append(int(connection.exec_driver_sql("SELECT nextval('numbers')").scalar()))
                connection.commit()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        until(lambda: len(numbers) > 5)
        result = counting.flask("db-migrate-data", "self", "--yes")
    finally:
        stop.set()
        thread.join(60)
    with connected(counting.url) as connection:
        rows = [int(key) for (key,) in connection.exec_driver_sql("SELECT id FROM numbered WHERE how = 'revision'")]
    assert not {*rows} & {*numbers}
    assert result.status == 23, result.stderr
    assert "did not catch up" in result.stderr
    counting.done("db-migrate-data", "self", "--yes")
    with connected(counting.url) as connection:
        rows = [int(key) for (key,) in connection.exec_driver_sql("SELECT id FROM numbered")]
        drawn = [*numbers, int(connection.exec_driver_sql("SELECT nextval('numbers')").scalar())]
    assert len(rows) == 21
    assert len({*rows, *drawn}) == len(rows) + len(drawn)
