"""Numbers that a database gave out are not given out again by the one that takes its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute
from tests.transfer.hosts import history, revision

Make = Callable[[str], SmallHost]
BILLS = (
    "op.create_table('bill', sa.Column('id', sa.Integer, primary_key=True), sa.Column('label', sa.String(20)),"
    " sqlite_autoincrement=True)"
)
NUMBERED = (
    "CREATE SEQUENCE bill_no START 1000",
    "CREATE SEQUENCE down INCREMENT -5 MINVALUE -100 MAXVALUE 50 START 50",
    "CREATE TABLE bill (id SERIAL PRIMARY KEY, label VARCHAR(20) DEFAULT 'B' || nextval('bill_no') UNIQUE)",
    "CREATE TABLE line (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
)


def initialised(host: SmallHost) -> SmallHost:
    host.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    return host


def with_bills(host: SmallHost) -> SmallHost:
    """The host with a table whose keys are given out by whatever its server does that with."""
    revision(history(host.directory / "migrations"), "r1", None, BILLS)
    return host


def write_bill(host: SmallHost) -> int:
    """A new row's key."""
    with connected(host.url) as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO bill (label) VALUES ('new')")
        return int(connection.exec_driver_sql("SELECT max(id) FROM bill").scalar())


def write_and_delete(host: SmallHost) -> None:
    """Three keys are given out, and the rows of the last two are gone."""
    for _ in range(3):
        write_bill(host)
    execute(host.url, "DELETE FROM bill WHERE id > 1")


PAIRS = [
    ("sqlite", "sqlite"),
    ("mariadb", "mariadb"),
    ("postgresql", "postgresql"),
    ("postgresql", "mariadb"),
    ("mariadb", "sqlite"),
    ("sqlite", "postgresql"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_keys_of_deleted_rows_are_not_given_out_again(host: Make, source: str, target: str) -> None:
    old, new = initialised(with_bills(host(source))), with_bills(host(target))
    write_and_delete(old)
    said = succeeded(new.migrate_from(old))
    assert "counter" not in said
    assert write_bill(new) == 4


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_they_are_not_by_a_restored_backup_a_rollback_or_a_run_on_itself(
    host: Make, server: str, tmp_path: Path
) -> None:
    made = initialised(with_bills(host(server)))
    write_bill(made)
    for name in ("kept.json", "kept.own"):
        made.done("db-backup", "--to", str(tmp_path / name), *(["--portable"] if name.endswith("json") else []))
    execute(made.url, "DELETE FROM bill")
    write_and_delete(made)
    made.done("db-restore", str(tmp_path / "kept.json"), "--yes", "--trust-file")
    assert write_bill(made) == 5
    made.done("db-restore", str(tmp_path / "kept.own"), "--yes", "--trust-file")
    assert write_bill(made) == 6
    made.done("db-rollback", "--yes")
    assert write_bill(made) == 7
    execute(made.url, "DELETE FROM bill")
    added = (
        "with op.batch_alter_table('bill', table_kwargs={'sqlite_autoincrement': True}) as batch:\n"
        "    batch.alter_column('label', type_=sa.String(30), existing_type=sa.String(20))"
    )
    revision(made.directory / "migrations", "r2", "r1", added)
    made.done("db-migrate-data", "self", "--rerun", "--yes")
    assert write_bill(made) == 8


def test_a_table_that_a_revision_makes_anew_without_its_counter_is_named(host: Make) -> None:
    made = initialised(with_bills(host("sqlite")))
    write_and_delete(made)
    anew = (
        "with op.batch_alter_table('bill', recreate='always') as batch:\n"
        "    batch.add_column(sa.Column('more', sa.Text()))"
    )
    declared = "ferry_losses = {'autoincrement bill.id': 'the key may be given out again'}"
    revision(made.directory / "migrations", "r2", "r1", anew, declared)
    said = made.done("db-migrate-data", "self", "--yes", "--verbose")
    assert "counter bill.id: it would have given out 4 next" in said


def test_sequences_go_on_whoever_owns_them(host: Make) -> None:
    old, new = host("postgresql"), host("postgresql")
    old.revise(*NUMBERED)
    new.revise(*NUMBERED)
    initialised(old)
    execute(old.url, "INSERT INTO bill DEFAULT VALUES")
    execute(old.url, "INSERT INTO line DEFAULT VALUES")
    execute(old.url, "DELETE FROM line")
    execute(old.url, "SELECT nextval('down'), nextval('down')")
    succeeded(new.migrate_from(old))
    header = json.loads((new.directory / "data.json").read_text())["header"]
    assert {one["name"]: one["next"] for one in header["counters"]} == {
        "bill_id_seq": "2",
        "bill_no": "1001",
        "down": "40",
        "line_id_seq": "2",
    }
    with connected(new.url) as connection, connection.begin():
        assert connection.exec_driver_sql("INSERT INTO bill DEFAULT VALUES RETURNING id, label").one() == (2, "B1001")
        assert connection.exec_driver_sql("INSERT INTO line DEFAULT VALUES RETURNING id").scalar() == 2
        assert connection.exec_driver_sql("SELECT nextval('down')").scalar() == 40


def test_one_that_the_new_server_does_not_have_is_named(host: Make) -> None:
    old, new = with_bills(host("postgresql")), with_bills(host("sqlite"))
    initialised(old)
    write_bill(old)
    execute(old.url, "CREATE SEQUENCE stray START 7")
    said = succeeded(new.migrate_from(old, "--verbose"))
    assert "counter stray: it would have given out 7 next" in said
