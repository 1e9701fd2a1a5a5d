"""What MySQL has and no other server: settings of the whole server, and things that hang on its tables.

Each lives through every command that replaces a database, as an ordinary user of a real MySQL has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dialects.mysql.test_connect import certificate
from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.every_command import LATER, Kind, assert_same, fill, live_through, look, migrate_from, must
from tests.scenarios.objects.test_upgrade import sql
from tests.support.servers import of_mysql
from tests.support.servers.mariadb import MariaDB

Start = Callable[..., MariaDB]

pytestmark = [
    of_mysql,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sqlalchemy.exc.SAWarning"),
]

USER, PASSWORD = "app", "quiet"
TOWN = "CREATE TABLE Town (id INT PRIMARY KEY, Name VARCHAR(40))"
PERSON = (
    "CREATE TABLE Person (id INT PRIMARY KEY AUTO_INCREMENT, Name VARCHAR(40), town_id INT,"
    " CONSTRAINT Lives FOREIGN KEY (town_id) REFERENCES Town (id))"
)
LOG = "CREATE TABLE log (n INT, words VARCHAR(40))"
ROWS = ("INSERT INTO Town VALUES (1, 'Ulm'), (2, 'Bonn')", "INSERT INTO Person VALUES (1, 'Ann', 1), (2, 'Bob', 2)")
LOGGED = "INSERT INTO log VALUES (1, 'one'), (1, 'one'), (2, NULL)"
TRIGGER = "CREATE TRIGGER noted AFTER DELETE ON Person FOR EACH ROW UPDATE Town SET Name = old.Name WHERE id = 99"
GTID = (
    *("--log-bin=binlog", "--server-id=1", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"),
    "--log-bin-trust-function-creators=1",
)


def histogram_of(table: str) -> str:
    """What the server keeps of the spread of values, but for when it looked."""
    return (
        "SELECT column_name, JSON_REMOVE(histogram, '$.\"last-updated\"') FROM information_schema.column_statistics"
        f" WHERE schema_name = database() AND table_name = '{table}' ORDER BY 1"
    )


PLAIN = Kind(
    (TOWN, PERSON, TRIGGER, "CREATE VIEW Names AS SELECT Name FROM Person"),
    ROWS,
    ("ALTER TABLE Town ADD COLUMN extra INT",),
    ("DELETE FROM Person",),
    ("SELECT * FROM Person ORDER BY 1", "SELECT id, Name FROM Town ORDER BY 1", "SHOW CREATE TABLE Person"),
)
KINDS = {
    "lower_case_table_names = 1": Kind(
        PLAIN.tables, PLAIN.rows, PLAIN.touch, PLAIN.spoil, PLAIN.shown, ("--lower-case-table-names=1",)
    ),
    "generated invisible primary keys": Kind(
        (LOG,),
        (LOGGED,),
        ("ALTER TABLE log ADD COLUMN extra INT",),
        ("DELETE FROM log WHERE n = 1 LIMIT 1",),
        ("SELECT n, words FROM log ORDER BY 1, 2", "SELECT my_row_id FROM log ORDER BY 1"),
        ("--sql-generate-invisible-primary-key=ON",),
    ),
    "generated invisible primary keys that are not shown": Kind(
        (LOG,),
        (LOGGED,),
        ("ALTER TABLE log ADD COLUMN extra INT",),
        ("DELETE FROM log WHERE n = 1 LIMIT 1",),
        ("SELECT n, words FROM log ORDER BY 1, 2", "SELECT count(my_row_id) FROM log"),
        (
            "--sql-generate-invisible-primary-key=ON",
            "--show-gipk-in-create-table-and-information-schema=OFF",
        ),
    ),
    "primary keys required": Kind(
        PLAIN.tables, PLAIN.rows, PLAIN.touch, PLAIN.spoil, PLAIN.shown, ("--sql-require-primary-key=ON",)
    ),
    "GTID mode": Kind(PLAIN.tables, PLAIN.rows, PLAIN.touch, PLAIN.spoil, PLAIN.shown, GTID),
    "instant DDL": Kind(
        (TOWN, PERSON),
        (
            *ROWS,
            "ALTER TABLE Town ADD COLUMN later VARCHAR(9) DEFAULT 'then' FIRST, ALGORITHM = INSTANT",
            "INSERT INTO Town VALUES ('now', 3, 'Hof')",
            "ALTER TABLE Town DROP COLUMN Name, ALGORITHM = INSTANT",
            "ALTER TABLE Town ADD COLUMN Name VARCHAR(9) NOT NULL DEFAULT 'x', ALGORITHM = INSTANT",
            "INSERT INTO Town VALUES ('last', 4, 'Ulm')",
        ),
        ("ALTER TABLE Person ADD COLUMN extra INT DEFAULT 5 AFTER id, ALGORITHM = INSTANT",),
        ("ALTER TABLE Town DROP COLUMN later, ALGORITHM = INSTANT", "DELETE FROM Person"),
        ("SELECT later, id, Name FROM Town ORDER BY id", "SELECT id, Name FROM Person ORDER BY 1"),
    ),
    "invisible columns": Kind(
        (
            "CREATE TABLE item (id INT PRIMARY KEY, secret VARCHAR(9) INVISIBLE DEFAULT 'none', name VARCHAR(9),"
            " doubled INT AS (id * 2) STORED INVISIBLE, UNIQUE KEY once (secret, id))",
        ),
        (
            "INSERT INTO item (id, secret, name) VALUES (1, 'ä', 'a'), (2, NULL, 'b')",
            "INSERT INTO item VALUES (3, 'c')",
        ),
        ("ALTER TABLE item ADD COLUMN extra INT",),
        ("UPDATE item SET secret = 'gone'",),
        (
            "SELECT id, secret, name, doubled FROM item ORDER BY 1",
            "SELECT column_name, extra FROM information_schema.columns WHERE table_schema = database()"
            " AND table_name = 'item' AND extra LIKE '%INVISIBLE%' ORDER BY 1",
        ),
    ),
    "functional indexes": Kind(
        (
            "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(9), doc JSON,"
            " UNIQUE KEY once ((lower(name))), KEY by_both ((id % 3) DESC, name),"
            " KEY tagged ((CAST(doc->'$.tags' AS UNSIGNED ARRAY))))",
        ),
        ("INSERT INTO item VALUES (1, 'Ab', '{\"tags\": [1, 2]}'), (2, NULL, NULL), (3, 'cd', '{\"tags\": [2]}')",),
        ("ALTER TABLE item ADD COLUMN extra INT",),
        ("ALTER TABLE item DROP INDEX once, DROP INDEX tagged", "DELETE FROM item WHERE id = 3"),
        (
            "SELECT id, name, doc FROM item ORDER BY 1",
            "SELECT index_name, seq_in_index, column_name, expression, collation, non_unique"
            " FROM information_schema.statistics WHERE table_schema = database() AND table_name = 'item' ORDER BY 1, 2",
            "SELECT id FROM item WHERE 2 MEMBER OF (doc->'$.tags') ORDER BY 1",
        ),
    ),
    "histograms": Kind(
        (TOWN, PERSON),
        (
            *ROWS,
            "ANALYZE TABLE Person UPDATE HISTOGRAM ON Name, town_id WITH 7 BUCKETS",
            "ANALYZE TABLE Town UPDATE HISTOGRAM ON Name WITH 9 BUCKETS AUTO UPDATE",
        ),
        ("ALTER TABLE Person ADD COLUMN extra INT",),
        ("ANALYZE TABLE Person DROP HISTOGRAM ON Name", "DELETE FROM Person"),
        (histogram_of("Person"), histogram_of("Town"), "SELECT id, Name FROM Person ORDER BY 1"),
    ),
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a MySQL with an ordinary user, who may do everything with databases called ``shop...``."""
    servers = []

    def make(*options: str, certificates: Path | None = None) -> MariaDB:
        server = MariaDB(tmp_path / f"server{len(servers)}", *options, certificates=certificates)
        servers.append(server)
        server.prepare()
        server.start()
        # The server's own way of passwords, caching_sha2_password.
        server.execute(f"CREATE USER {USER}@'%%' IDENTIFIED BY %s", PASSWORD)
        server.execute(f"GRANT ALL ON `shop%`.* TO {USER}@'%'")
        return server

    yield make
    for server in servers:
        server.stop()


def make_host(server: MariaDB, directory: Path, name: str) -> HostApp:
    """A host app of that user's on a database of its own."""
    server.execute(f"CREATE DATABASE {name}")
    (directory / name).mkdir()
    return HostApp(directory / name, server.url(name, USER, PASSWORD).render_as_string(hide_password=False))


@pytest.mark.parametrize("name", KINDS)
def test_it_lives_through_every_command(start: Start, tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    server = start(*kind.options)
    host = make_host(server, tmp_path, "shop")
    fill(kind, host)
    wanted = live_through(host, kind)
    server.kill()
    server.start()
    assert look(host, kind) == wanted, "a killed server"


def on_sqlite(tmp_path: Path, name: str = "file") -> HostApp:
    (tmp_path / name).mkdir()
    return HostApp(tmp_path / name, f"sqlite:///{tmp_path / name / 'live.db'}")


@pytest.mark.parametrize("name", [name for name in KINDS if "shown" not in name])
def test_it_comes_from_the_same_kind_of_server(start: Start, tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    server = start(*kind.options)
    host, other = make_host(server, tmp_path, "shop"), make_host(server, tmp_path, "shop2")
    fill(kind, host, other)
    if name == "instant DDL":
        # Columns that no revision made stop a run.
        other.release(sql("ALTER TABLE Town ADD COLUMN later VARCHAR(9) DEFAULT 'then'"))
        host.execute("UPDATE alembic_version SET version_num = 'r2'")
    output = migrate_from(other, host)
    assert_same(
        host,
        other,
        [query for query in kind.shown if " FROM information_schema." not in query and "my_row_id" not in query],
    )
    assert ("histogram Name on Person" in output.partition("Not migrated")[2]) == (name == "histograms")
    # Those of defaults that an instant ALTER gave.
    assert ("Not migrated" in output) == (name in ("histograms", "instant DDL"))


@pytest.mark.parametrize("shown", ["ON", "OFF"])
def test_a_generated_invisible_key_is_nobodys_column(start: Start, tmp_path: Path, shown: str) -> None:
    """To a server that has none, and back from there."""
    server = start(
        "--sql-generate-invisible-primary-key=ON", f"--show-gipk-in-create-table-and-information-schema={shown}"
    )
    file, host, back = on_sqlite(tmp_path), make_host(server, tmp_path, "shop"), on_sqlite(tmp_path, "back")
    for app in (file, host, back):
        app.release(sql(LOG))
    file.upgrade()
    file.execute(LOGGED)
    rows = "SELECT n, words FROM log ORDER BY 1, 2"
    wanted = file.query(rows)
    migrate_from(host, file)
    assert host.query(rows) == wanted
    assert host.query("SELECT my_row_id FROM log ORDER BY 1") == [(1,), (2,), (3,)]
    must(host, "db-verify")
    output = migrate_from(back, host)
    assert back.query(rows) == wanted
    assert "my_row_id" not in output


def test_a_generated_invisible_key_stays_where_none_is_made_any_more(start: Start, tmp_path: Path) -> None:
    server = start("--sql-generate-invisible-primary-key=ON")
    host = make_host(server, tmp_path, "shop")
    host.release(sql(LOG))
    host.upgrade()
    host.execute(LOGGED, "DELETE FROM log WHERE n = 1 LIMIT 1")
    server.execute("SET GLOBAL sql_generate_invisible_primary_key = OFF")
    server.execute("SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF")
    numbers = host.query("SELECT my_row_id, n FROM log ORDER BY 1")
    host.release(LATER)
    must(host, "db-migrate-data", "self", "--yes")
    assert host.query("SELECT my_row_id, n FROM log ORDER BY 1") == numbers
    must(host, "db-backup")
    host.execute("DELETE FROM log")
    must(host, "db-restore", "--yes")
    assert host.query("SELECT my_row_id, n FROM log ORDER BY 1") == numbers


def test_a_table_without_a_key_is_refused_where_one_is_required(start: Start, tmp_path: Path) -> None:
    server = start("--sql-require-primary-key=ON")
    file, host = on_sqlite(tmp_path), make_host(server, tmp_path, "shop")
    for app in (file, host):
        app.release(sql(LOG))
    file.upgrade()
    file.execute(LOGGED)
    host.config["FERRY_SOURCE"] = file.url
    refused = host.run("db-migrate-data", "--yes")
    assert refused.status == 22, refused.stderr
    for words in ("revision r1", "CREATE TABLE log", "primary key", "sql_require_primary_key"):
        assert words.lower() in refused.stderr.lower()
    assert host.query("SHOW TABLES") == []


def test_a_table_that_is_older_than_the_rule_is_refused_by_name(start: Start, tmp_path: Path) -> None:
    server = start()
    host = make_host(server, tmp_path, "shop")
    host.release(sql(LOG, TOWN))
    host.upgrade()
    host.execute(LOGGED)
    server.execute("SET GLOBAL sql_require_primary_key = ON")
    host.release(LATER)
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 22, refused.stderr
    assert "log" in refused.stderr
    assert "sql_require_primary_key" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(host.query("SELECT n FROM log")) == 3
    host.execute("ALTER TABLE log ADD COLUMN id INT AUTO_INCREMENT PRIMARY KEY INVISIBLE")
    must(host, "db-migrate-data", "self", "--yes")
    assert len(host.query("SELECT n FROM log")) == 3


def test_what_gtid_mode_forbids_is_refused_with_the_revision(start: Start, tmp_path: Path) -> None:
    """Rows of a table without transactions and of one with them, in one transaction (error 1785)."""
    server = start(*GTID)
    host = make_host(server, tmp_path, "shop")
    host.release(sql(*PLAIN.tables))
    host.upgrade()
    host.execute(*ROWS)
    [(before,)] = server.execute("SELECT @@global.gtid_executed")
    assert re.search(r":\d+-\d+", before)
    # A table of a query is one transaction since 8.0.21, and is taken.
    host.release(sql("CREATE TABLE copied (id INT PRIMARY KEY) SELECT id, Name FROM Town"))
    must(host, "db-migrate-data", "self", "--yes")
    assert host.query("SELECT count(*) FROM copied") == [(2,)]
    host.release(
        sql("CREATE TABLE old (id INT PRIMARY KEY) ENGINE = MyISAM", "START TRANSACTION")
        + "\n"
        + sql("INSERT INTO Town VALUES (7, 'x')", "INSERT INTO old VALUES (1)")
    )
    wanted = look(host, PLAIN)
    refused = host.run("db-migrate-data", "self", "--yes")
    assert refused.status == 22, refused.stderr
    for words in ("Revision r3", "GTID consistency"):
        assert words in refused.stderr
    assert look(host, PLAIN) == wanted


@pytest.mark.parametrize("encrypted", [True, False])
def test_passwords_of_caching_sha2(start: Start, tmp_path: Path, *, encrypted: bool) -> None:
    """The server asks for the whole password at first: over TLS as it is, else by the server's public key."""
    certificates = certificate(tmp_path / "certificates", "localhost")
    server = start(*(() if encrypted else ("--tls-version=",)), certificates=certificates if encrypted else None)
    [(plugin,)] = server.execute("SELECT plugin FROM mysql.user WHERE user = %s", USER)
    assert plugin == "caching_sha2_password"
    host = make_host(server, tmp_path, "shop")
    host.release(sql(*PLAIN.tables))
    server.execute("FLUSH PRIVILEGES")
    host.upgrade()
    host.execute(*ROWS)
    wanted = look(host, PLAIN)
    for command in (("db-backup",), ("db-migrate-data", "self", "--yes"), ("db-restore", "--yes"), ("db-verify",)):
        # It forgets who has shown the password already.
        server.execute("FLUSH PRIVILEGES")
        assert PASSWORD not in must(host, *command)
    assert look(host, PLAIN) == wanted


def test_names_that_a_server_folds_are_refused_from_one_that_does_not(start: Start, tmp_path: Path) -> None:
    server = start("--lower-case-table-names=1")
    file, host = on_sqlite(tmp_path), make_host(server, tmp_path, "shop")
    for app in (file, host):
        app.release(sql(TOWN))
    file.upgrade()
    file.execute(ROWS[0])
    host.config["FERRY_SOURCE"] = file.url
    refused = host.run("db-migrate-data", "--yes")
    assert refused.status == 22, refused.stderr
    assert "table Town: here it is called town, as this server folds the names of tables" in refused.stderr
    assert host.query("SHOW TABLES") == []
