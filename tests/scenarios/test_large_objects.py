"""PostgreSQL: large objects lie in no table; a number without its content is never taken for the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute, new_name

Make = Callable[[str], SmallHost]
SCHEMA = (
    "CREATE DOMAIN handle AS oid",
    "CREATE TABLE paper (id SERIAL PRIMARY KEY, scan OID, more handle)",
    "CREATE TABLE note (id SERIAL PRIMARY KEY)",
)
SAID = ["paper.scan: 5 values name large objects", "paper.more: 1 value names a large object"]
PART = 1 << 20
CONTENTS = {
    1: b"signed",
    2: b"second",
    3: b"",
    4: b"\0" * (3 * PART) + b"end",
    5: bytes(range(256)) * (2 * PART // 256) + b"\0" * PART,
}
"""By paper; one is empty, one a hole that an object has before its end, one of whole parts with zeros at the end."""


@pytest.fixture
def papers(host: Make) -> SmallHost:
    """An app that keeps scans as large objects; one row names none, and one a table of the catalogs."""
    papers = host("postgresql")
    papers.revise(*SCHEMA)
    papers.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    with connected(papers.url) as connection, connection.begin():
        for number in CONTENTS:
            connection.exec_driver_sql(f"INSERT INTO paper (id, scan) VALUES ({number}, lo_create(0))")
        connection.exec_driver_sql(
            "SELECT lo_put(scan, 0, 'signed') FROM paper WHERE id = 1;"
            "SELECT lo_put(scan, 0, 'second') FROM paper WHERE id = 2;"
            f"SELECT lo_put(scan, 3 * {PART}, 'end') FROM paper WHERE id = 4;"
            "UPDATE paper SET more = lo_from_bytea(0, 'twice') WHERE id = 2;"
            "INSERT INTO paper (id, scan, more) VALUES (6, NULL, 'pg_class'::regclass)"
        )
        connection.exec_driver_sql("SELECT lo_put(scan, 0, %s::bytea) FROM paper WHERE id = 5", (CONTENTS[5],))
        connection.exec_driver_sql(
            "DO $$ BEGIN EXECUTE format('COMMENT ON LARGE OBJECT %%s IS %%L', (SELECT scan FROM paper WHERE id = 1),"
            " 'the first; ''signed''');"
            "EXECUTE format('GRANT SELECT ON LARGE OBJECT %%s TO PUBLIC', (SELECT scan FROM paper WHERE id = 1));"
            "EXECUTE format('ALTER LARGE OBJECT %%s OWNER TO pg_monitor', (SELECT scan FROM paper WHERE id = 2));"
            "PERFORM lo_from_bytea(4000000001, 'nobody names me'); END $$"
        )
    return papers


def read(host: SmallHost) -> dict[Any, Any]:
    """What the app sees: the content by paper and column, and what is beside it."""
    with connected(host.url) as connection:
        rows = connection.exec_driver_sql("SELECT id, scan, more FROM paper ORDER BY id").fetchall()
        seen: dict[Any, Any] = {}
        for id_, *numbers in rows:
            for column, number in zip(("scan", "more"), numbers, strict=True):
                seen[id_, column] = _content(connection, number)
        seen["nobody's"] = _content(connection, 4000000001)
    return seen


def _content(connection: Any, number: int | None) -> Any:
    row = connection.exec_driver_sql(
        "SELECT lo_get(oid), lomowner::regrole::text, lomacl::text, obj_description(oid, 'pg_largeobject') "
        "FROM pg_largeobject_metadata WHERE oid = %s",
        (number,),
    ).fetchone()
    if row is None:
        return number
    content = bytes(row[0])
    return (content if len(content) < 100 else hashlib.sha256(content).hexdigest(), *row[1:])


def numbers_of(host: SmallHost) -> list[int]:
    with connected(host.url) as connection:
        return [number for (number,) in connection.exec_driver_sql("SELECT scan FROM paper ORDER BY id")]


def count(host: SmallHost) -> int:
    with connected(host.url) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM pg_largeobject_metadata").scalar() or 0)


def elsewhere(host: SmallHost) -> SmallHost:
    """The same app with another database."""
    return SmallHost(host.directory, host.url.set(database=new_name()))


def take_numbers(host: SmallHost, of: SmallHost) -> None:
    """Let a database have objects of its own under the numbers of another one's."""
    numbers = [number for number in numbers_of(of) if number]
    with connected(host.url) as connection, connection.begin():
        for number in numbers:
            connection.exec_driver_sql(f"SELECT lo_from_bytea({number}, 'of others')")


def test_the_contents_are_what_was_written(papers: SmallHost) -> None:
    seen = read(papers)
    assert seen[1, "scan"] == (b"signed", "postgres", "{postgres=rw/postgres,=r/postgres}", "the first; 'signed'")
    assert seen[2, "scan"][1] == "pg_monitor"
    assert seen[3, "scan"][0] == b""
    assert seen[4, "scan"][0] == hashlib.sha256(CONTENTS[4]).hexdigest()
    assert seen[5, "scan"][0] == hashlib.sha256(CONTENTS[5]).hexdigest()
    assert seen[6, "more"] == 1259


def test_a_backup_has_them_and_gives_them_to_another_database(papers: SmallHost, tmp_path: Path) -> None:
    before, numbers, there = read(papers), numbers_of(papers), count(papers)
    papers.done("db-backup", "--to", str(tmp_path / "b.dump"))
    assert count(papers) == there
    other = elsewhere(papers)
    other.done("db-restore", str(tmp_path / "b.dump"), "--trust-file", "--yes")
    assert read(other) == before
    assert numbers_of(other) == numbers
    assert "holds exactly" in other.done("db-verify")


def test_numbers_of_other_objects_are_left_alone(papers: SmallHost, tmp_path: Path) -> None:
    before = read(papers)
    papers.done("db-backup", "--to", str(tmp_path / "b.dump"))
    other = elsewhere(papers)
    other.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    take_numbers(other, papers)
    execute(other.url, "INSERT INTO paper (scan) VALUES (lo_from_bytea(0, 'own'))")
    own = read(other)
    said = other.done("db-restore", str(tmp_path / "b.dump"), "--trust-file", "--yes")
    assert "5 large objects have other numbers here" in said
    assert read(other) == before
    with connected(other.url) as connection:
        for number in filter(None, numbers_of(papers)):
            assert _content(connection, number)[0] == b"of others"
    assert "holds exactly" in other.done("db-verify")
    other.done("db-backup", "--to", str(tmp_path / "again.dump"))
    other.done("db-rollback", "--yes")
    assert {**read(other), "nobody's": None} == {**own, "nobody's": None}


def test_a_restore_brings_back_what_was_changed_or_deleted(papers: SmallHost, tmp_path: Path) -> None:
    before = read(papers)
    papers.done("db-backup", "--to", str(tmp_path / "b.dump"))
    for change in (
        "SELECT lo_put(scan, 0, 'SIGNED') FROM paper WHERE id = 1",
        "SELECT lo_unlink(scan) FROM paper WHERE id = 2",
        "SELECT lo_truncate(lo_open(scan, 131072), 7) FROM paper WHERE id = 4",
        "SELECT lo_put(scan, 0, 'full') FROM paper WHERE id = 3",
    ):
        execute(papers.url, change)
    changed = read(papers)
    papers.done("db-restore", str(tmp_path / "b.dump"), "--yes")
    assert read(papers) == before
    papers.done("db-rollback", "--yes")
    assert {**read(papers), (2, "scan"): None} == {**changed, (2, "scan"): None}


def test_a_source_gives_them_to_the_target(host: Make, papers: SmallHost) -> None:
    before = read(papers)
    new = host("postgresql")
    new.revise(*SCHEMA)
    succeeded(new.migrate_from(papers))
    assert read(new) == before
    assert numbers_of(new) == numbers_of(papers)
    assert "holds exactly" in new.done("db-verify")


def test_a_source_whose_numbers_are_taken(host: Make, papers: SmallHost) -> None:
    before = read(papers)
    new = host("postgresql")
    new.revise(*SCHEMA)
    new.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    take_numbers(new, papers)
    result = new.migrate_from(papers)
    assert "5 large objects have other numbers here" in succeeded(result)
    assert read(new) == before
    assert set(filter(None, numbers_of(new))).isdisjoint(numbers_of(papers))
    assert "holds exactly" in new.done("db-verify")
    shown, password = papers.url._replace(password=None).render_as_string(), str(papers.url.password)
    said = new.done("db-verify", "--against", shown, FLASK_FERRY_SOURCE_PASSWORD=password)
    assert "holds exactly" in said
    assert count(new) == 5 + count(papers)


def test_a_run_that_fails_leaves_none_behind(host: Make, papers: SmallHost) -> None:
    new = host("postgresql")
    new.revise(*SCHEMA, "ALTER TABLE paper ADD CHECK (id < 3)")
    new.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    take_numbers(new, papers)
    there = count(new)
    assert new.migrate_from(papers).status == 22
    assert count(new) == there


def test_what_only_a_table_left_out_names_is_left_out(host: Make, papers: SmallHost) -> None:
    new = host("postgresql")
    new.revise(*SCHEMA)
    succeeded(new.migrate_from(papers, "--exclude", "paper"))
    assert count(new) == 1


def test_other_servers_and_portable_snapshots_are_refused(host: Make, papers: SmallHost, tmp_path: Path) -> None:
    place = tmp_path / "b.json"
    result = papers.flask("db-backup", "--to", str(place), "--portable")
    assert result.status == 21
    assert all(line in result.stderr for line in SAID)
    assert not place.exists()
    new = host("sqlite")
    new.revise("CREATE TABLE paper (id INTEGER PRIMARY KEY, scan BIGINT, more BIGINT)", *SCHEMA[2:])
    result = new.migrate_from(papers)
    assert result.status == 22
    assert all(line in result.stderr for line in SAID)


def test_what_may_not_be_read_is_refused_by_name(papers: SmallHost, tmp_path: Path) -> None:
    name = new_name()
    execute(papers.url, f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'x'")
    user = SmallHost(papers.directory, papers.url.set(username=name, password="x"))
    user.done("db-backup", "--to", str(tmp_path / "a.dump"))
    with connected(papers.url) as connection, connection.begin():
        connection.exec_driver_sql(
            f"ALTER ROLE {name} NOSUPERUSER; GRANT CREATE ON DATABASE {papers.url.database} TO {name};"
            f"ALTER SCHEMA public OWNER TO {name}; ALTER SCHEMA ferry OWNER TO {name};"
            "DO $$ DECLARE t text; BEGIN FOR t IN SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables "
            f"WHERE schemaname IN ('public', 'ferry') LOOP EXECUTE 'ALTER TABLE ' || t || ' OWNER TO {name}'; "
            "END LOOP; END $$"
        )
    result = user.flask("db-backup", "--to", str(tmp_path / "b.dump"))
    assert result.status == 21, result.stderr
    assert "this user may not read it" in result.stderr
    assert SAID[0] in result.stderr


def test_a_column_of_the_extension_whose_trigger_deletes(host: Make, tmp_path: Path) -> None:
    """The trigger of ``lo`` deletes what a row named that is changed or deleted: never what a restore writes over."""
    app = host("postgresql")
    app.revise(
        "CREATE EXTENSION lo",
        "CREATE TABLE file (number lo PRIMARY KEY, name text)",
        "CREATE TABLE paper (id SERIAL PRIMARY KEY, scan lo REFERENCES file)",
        "CREATE TRIGGER clean BEFORE UPDATE OR DELETE ON file FOR EACH ROW EXECUTE FUNCTION lo_manage(number)",
        "CREATE MATERIALIZED VIEW sizes AS SELECT number, length(name) AS size FROM file",
    )
    app.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(app.url, "INSERT INTO file SELECT lo_from_bytea(0, repeat('x', n)::bytea), n FROM generate_series(1, 3) n")
    execute(app.url, "INSERT INTO paper (scan) SELECT number FROM file")
    execute(app.url, "REFRESH MATERIALIZED VIEW sizes")
    app.done("db-backup", "--to", str(tmp_path / "b.dump"))
    execute(app.url, "SELECT lo_put(number, 0, 'changed') FROM file")
    app.done("db-restore", str(tmp_path / "b.dump"), "--yes")
    with connected(app.url) as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, lo_get(number), size FROM paper JOIN file ON scan = number "
            "JOIN sizes USING (number) ORDER BY 1"
        ).fetchall()
    assert [tuple(row) for row in rows] == [("1", b"x", 1), ("2", b"xx", 1), ("3", b"xxx", 1)]
    app.done("db-rollback", "--yes")
    with connected(app.url) as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT lo_get(number) FROM file").scalar() == b"changed"


def test_a_run_on_itself_keeps_them(papers: SmallHost) -> None:
    before = read(papers)
    papers.revise("ALTER TABLE note ADD COLUMN words TEXT", name="r2", down="r1")
    papers.done("db-migrate-data", "self", "--yes")
    assert read(papers) == before
    papers.done("db-rollback", "--yes")
    assert read(papers) == before
