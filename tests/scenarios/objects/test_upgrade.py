"""What is not a row and an upgrade: gone by name, with its column, as declared; never as a side effect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.objects.conftest import HostApp
from tests.support.servers.mariadb import ON_MYSQL

Make = Callable[..., HostApp]

# Of what it leaves out SQLAlchemy warns, in a log that nobody reads; here a warning would be an error.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sqlalchemy.exc.SAWarning")

BATCH = "with op.batch_alter_table('person') as batch: batch.add_column(sa.Column('extra', sa.Integer))"
RECREATED = (
    "with op.batch_alter_table('person', recreate='always') as batch: batch.add_column(sa.Column('extra', sa.Integer))"
)
PERSON = "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), n INTEGER)"
SIDE_EFFECTS = {
    "trigger": (
        PERSON,
        "CREATE TABLE log (n INTEGER)",
        "CREATE TRIGGER noted AFTER INSERT ON person BEGIN INSERT INTO log VALUES (new.n); END",
    ),
    "check": ("CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), n INTEGER CHECK (n > 0))",),
    "unique": ("CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40) UNIQUE, n INTEGER)",),
    "collation": ("CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40) COLLATE NOCASE, n INTEGER)",),
    "autoincrement": ("CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40), n INTEGER)",),
    "foreign key": (
        "CREATE TABLE log (n INTEGER PRIMARY KEY)",
        "INSERT INTO log VALUES (1)",
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), n INTEGER CONSTRAINT late REFERENCES log (n)"
        " DEFERRABLE INITIALLY DEFERRED)",
    ),
    "conflict clause": (
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL ON CONFLICT IGNORE, n INTEGER)",
    ),
    "index": (PERSON, "CREATE INDEX by_lower ON person (lower(name))"),
}


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


@pytest.mark.parametrize("kind", SIDE_EFFECTS)
def test_what_batch_mode_drops_beside_the_way_stops_the_run(make_host: Make, kind: str) -> None:
    host = make_host()
    host.release(sql(*SIDE_EFFECTS[kind]))
    host.upgrade()
    host.execute("INSERT INTO person VALUES (1, 'Ann', 1)")
    host.release(RECREATED)
    before = host.query("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 23, ended.stderr + ended.stdout
    assert f"{kind} " in ended.stderr
    assert "r2" in ended.stderr
    assert "ferry_losses" in ended.stderr
    assert host.query("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2") == before


@pytest.mark.parametrize("kind", SIDE_EFFECTS)
def test_declared_as_the_hint_says_it_may_go(make_host: Make, kind: str) -> None:
    host = make_host()
    host.release(sql(*SIDE_EFFECTS[kind]))
    host.upgrade()
    host.execute("INSERT INTO person VALUES (1, 'Ann', 1)")
    host.release(RECREATED)
    refused = host.run("db-migrate-data", "self", "--yes").stderr
    hint = next(line for line in refused.splitlines() if "ferry_losses" in line)
    host.revisions.pop()
    host.release(RECREATED, declared=hint[hint.index("ferry_losses") :])
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "why" in ended.stdout


def test_what_is_made_again_in_the_revision_is_there(make_host: Make) -> None:
    host = make_host()
    host.release(sql(*SIDE_EFFECTS["trigger"]))
    host.upgrade()
    host.release(f"{RECREATED}\n{sql(SIDE_EFFECTS['trigger'][2])}")
    assert host.run("db-migrate-data", "self", "--yes").status == 0
    assert host.query("SELECT name FROM sqlite_master WHERE type = 'trigger'") == [("noted",)]


RESTATED = (
    "CREATE TABLE person (id INTEGER PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL DEFAULT 'x' COMMENT 'c',"
    " at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hidden INT INVISIBLE DEFAULT 4,"
    f" packed TEXT {'COMPRESSED' * (not ON_MYSQL)}, kind VARCHAR(9) COLLATE utf8mb4_bin DEFAULT 'a',"
    " free INT NOT NULL DEFAULT 1)"
)


@pytest.mark.parametrize("batch", [False, True])
def test_what_a_restated_column_leaves_out_stops_the_run(make_host: Make, *, batch: bool) -> None:
    host = make_host("mariadb")
    host.release(sql(RESTATED))
    host.upgrade()
    host.execute("INSERT INTO person (name) VALUES ('Ann')")
    # MySQL lets no column of a key be NULL.
    types = {
        "id": "BigInteger(), existing_nullable=False",
        "name": "String(50)",
        "at": "DateTime()",
        "hidden": "BigInteger()",
    }
    types |= {"packed": "Text(70000)", "kind": "String(10)"}
    alter, first = ("batch.alter_column(", "") if batch else ("op.alter_column(", "'person', ")
    lines = [f"{alter}{first}{name!r}, type_=sa.{type_})" for name, type_ in types.items()]
    lines.append(f"{alter}{first}'free', nullable=True, server_default=None, existing_type=sa.Integer())")
    host.release(
        "with op.batch_alter_table('person') as batch:\n    " + "\n    ".join(lines) if batch else "\n".join(lines)
    )
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 23, ended.stderr + ended.stdout
    gone = [line.strip() for line in ended.stderr.splitlines() if " is gone (revision r2)" in line]
    assert sorted(line.partition(" is gone")[0] for line in gone) == sorted(
        f"{kind} on person"
        for kind in (
            *("autoincrement id", "comment name", "default name", "not null name", "default at", "not null at"),
            *("on update at", "column option hidden", "default hidden", "collation kind", "default kind"),
            *(() if ON_MYSQL else ("column option packed",)),
        )
    )
    assert "existing_server_default" in ended.stderr


@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_what_a_revision_says_of_a_column_is_in_the_receipt(make_host: Make, server: str) -> None:
    host = make_host(server)
    host.release(
        "op.create_table('person', sa.Column('id', sa.Integer, primary_key=True),"
        " sa.Column('name', sa.String(9), nullable=False, server_default='x', comment='c'))"
    )
    host.upgrade()
    host.execute("INSERT INTO person (id) VALUES (1)")
    host.release(
        "op.alter_column('person', 'name', server_default=None, nullable=True, comment=None,"
        " existing_type=sa.String(9))"
    )
    ended = host.run("db-migrate-data", "self", "--yes", "--verbose")
    assert ended.status == 0, ended.stderr
    for kind in ("default", "not null", "comment"):
        assert f"{kind} name on person: dropped by name (revision r2)" in ended.stdout


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_what_a_revision_drops_by_name_is_in_the_receipt(make_host: Make, server: str) -> None:
    host = make_host(server)
    view = "CREATE VIEW grown AS SELECT id FROM person WHERE n > 17"
    host.release(sql(PERSON, "CREATE INDEX by_n ON person (n)", view))
    host.upgrade()
    host.execute("INSERT INTO person VALUES (1, 'Ann', 1)")
    host.release("op.execute('DROP VIEW grown')\nop.drop_index('by_n', 'person')")
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "view grown: dropped by name (revision r2)" in ended.stdout
    assert "index by_n on person: dropped by name (revision r2)" in ended.stdout


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_an_index_goes_with_its_column(make_host: Make, server: str) -> None:
    host = make_host(server)
    host.release(sql(PERSON, "CREATE INDEX by_n ON person (n)"))
    host.upgrade()
    host.execute("INSERT INTO person VALUES (1, 'Ann', 1)")
    host.release(
        "with op.batch_alter_table('person') as batch:\n    batch.drop_column('n')"
        if server != "sqlite"
        else "op.drop_index('by_n', 'person')\nop.drop_column('person', 'n')",
        declared="ferry_losses = {'person.n': 'nobody asks'}",
    )
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "index by_n on person: " in ended.stdout


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_renamed_tables_and_columns_keep_what_they_have(make_host: Make, server: str) -> None:
    host = make_host(server)
    # MySQL renames no column that a check uses (error 3959).
    checked = "id" if ON_MYSQL and server == "mariadb" else "n"
    host.release(
        sql(
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(40), n INTEGER, UNIQUE (name),"
            f" CHECK ({checked} > 0))",
            "CREATE INDEX by_n ON person (n)",
        )
    )
    host.upgrade()
    host.execute("INSERT INTO person VALUES (1, 'Ann', 1)")
    host.release(
        "op.alter_column('person', 'n', new_column_name='age', existing_type=sa.Integer())\n"
        "op.rename_table('person', 'people')",
        declared="ferry_moves = {'person': 'people', 'person.n': 'people.age'}",
    )
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "dropped" not in ended.stdout


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_values_that_an_upgrade_changes_are_counted_with_keys(make_host: Make, server: str) -> None:
    host = make_host(server)
    host.release(sql("CREATE TABLE item (id INTEGER PRIMARY KEY, code VARCHAR(10), note VARCHAR(10))"))
    host.upgrade()
    rows = [*(f"({n}, '00{n}', 'x')" for n in range(1, 7)), "(7, '7', 'x')"]
    host.execute(f"INSERT INTO item VALUES {', '.join(rows)}")
    trimmed = "ltrim(code, '0')" if server == "sqlite" else "trim(leading '0' from code)"
    host.release(sql(f"UPDATE item SET code = {trimmed}"))
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "item.code: 6 of 7 values changed (key 1, 2, 3, ...)" in ended.stdout
    assert "item.note" not in ended.stdout


def test_values_of_a_column_of_another_type_and_of_a_table_without_a_key(make_host: Make) -> None:
    host = make_host()
    host.release(sql("CREATE TABLE item (born DATETIME, n VARCHAR(5))"))
    host.upgrade()
    host.execute("INSERT INTO item VALUES ('1994-05-06 07:08:09', '0012'), ('1994-05-07 07:08:09', '12')")
    host.release(
        "op.execute('CREATE TABLE other (born INTEGER, n INTEGER)')\n"
        "op.execute('INSERT INTO other SELECT CAST(born AS INTEGER), CAST(n AS INTEGER) FROM item')\n"
        "op.execute('DROP TABLE item')\nop.execute('ALTER TABLE other RENAME TO item')"
    )
    ended = host.run("db-migrate-data", "self", "--yes")
    assert ended.status == 0, ended.stderr
    assert "item.born: 2 of 2 values changed" in ended.stdout
    assert "item.n: 1 of 2 values changed" in ended.stdout
