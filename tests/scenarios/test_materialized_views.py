"""PostgreSQL: materialized views that a revision makes hold what the rows come to, wherever the rows came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute
from tests.support.servers import of_server

Make = Callable[[str], SmallHost]
SCHEMA = (
    "CREATE TABLE item (id INTEGER PRIMARY KEY, weight INTEGER)",
    "CREATE MATERIALIZED VIEW z_counts AS SELECT count(*) AS n, sum(10 / weight) AS m FROM item",
    "CREATE VIEW between AS SELECT n + 1 AS n FROM z_counts",
    "CREATE MATERIALIZED VIEW a_later AS SELECT n FROM between",
    "CREATE MATERIALIZED VIEW hollow AS SELECT id FROM item WITH NO DATA",
)
FILLED = [2, 3, False]
READS_BY_FUNCTION = (
    "CREATE TABLE item (id INTEGER PRIMARY KEY)",
    "CREATE FUNCTION known() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT n FROM z_counts); END'",
    "CREATE MATERIALIZED VIEW z_counts AS SELECT count(*) AS n FROM item",
    "CREATE MATERIALIZED VIEW b_known AS SELECT known() AS n",
    "CREATE VIEW between AS SELECT n FROM b_known",
    "CREATE MATERIALIZED VIEW a_later AS SELECT n FROM between",
)


def look(host: SmallHost) -> list[Any]:
    """What the views hold, and whether the one without data has some."""
    with connected(host.url) as connection:
        return [
            connection.exec_driver_sql("SELECT n FROM z_counts").scalar(),
            connection.exec_driver_sql("SELECT n FROM a_later").scalar(),
            connection.exec_driver_sql("SELECT relispopulated FROM pg_class WHERE oid = 'hollow'::regclass").scalar(),
        ]


@pytest.fixture
def old(host: Make) -> SmallHost:
    """A deployment whose views are not refreshed; how old they are there is nothing to the new one."""
    made = host("postgresql")
    made.revise(*SCHEMA)
    made.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(made.url, "INSERT INTO item VALUES (1, 1), (2, 5)")
    return made


def test_they_are_filled_by_a_migration_and_by_a_portable_backup(host: Make, old: SmallHost, tmp_path: Path) -> None:
    new = host("postgresql")
    new.revise(*SCHEMA)
    said = succeeded(new.migrate_from(old))
    assert "Computed anew over the new rows: z_counts, a_later" in said
    assert look(new) == FILLED
    backup = tmp_path / "kept.json"
    new.done("db-backup", "--portable", "--to", str(backup))
    execute(new.url, "DELETE FROM item")
    new.done("db-restore", str(backup), "--yes", "--trust-file")
    assert look(new) == FILLED


def test_one_that_does_not_fit_the_rows_stops_the_run_with_the_servers_words(host: Make, old: SmallHost) -> None:
    execute(old.url, "INSERT INTO item VALUES (3, 0)")
    new = host("postgresql")
    new.revise(*SCHEMA)
    result = new.migrate_from(old)
    assert result.status == 22
    assert "'z_counts'" in result.stderr
    assert "division by zero" in result.stderr


# Since version 17 a function in one finds nothing by its name alone, whoever fills it.
@of_server("postgresql", until=16)
def test_one_that_reads_others_by_a_function_is_filled_behind_them(host: Make) -> None:
    """Of what a function reads the server keeps no dependency, so nobody can say which comes first."""
    old, new = host("postgresql"), host("postgresql")
    for one in (old, new):
        one.revise(*READS_BY_FUNCTION)
    old.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(old.url, "INSERT INTO item VALUES (1), (2)")
    succeeded(new.migrate_from(old))
    with connected(new.url) as connection:
        assert connection.exec_driver_sql("SELECT n FROM b_known").scalar() == 2
        assert connection.exec_driver_sql("SELECT n FROM a_later").scalar() == 2
