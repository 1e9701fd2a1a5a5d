"""PostgreSQL: large objects brought by backups and sources, and those that are there already left as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.dialects.model import Grant, OutsideObject
from app.dialects.postgresql import dump as dumps
from app.dialects.postgresql import large, large_write
from app.dialects.postgresql.connect import connect_to
from app.dialects.postgresql.names import own_place
from app.errors import BackupFailed
from tests.dialects.rooms import Room

from .archives import forge, plain_dump
from .schemas import swap

NOTE = "y" * 200
NUMBER = 4000000001


@pytest.fixture
def site(room: Room) -> Room:
    """Two objects, of which one has a comment that leaves room for other text."""
    room.dialect.create(room.target)
    room.execute(
        f"CREATE TABLE paper (id int PRIMARY KEY, scan oid); SELECT lo_from_bytea({NUMBER}, 'first');"
        f"SELECT lo_from_bytea({NUMBER + 1}, 'second'); INSERT INTO paper VALUES (1, {NUMBER}), (2, {NUMBER + 1});"
        f"COMMENT ON LARGE OBJECT {NUMBER} IS '{NOTE}'; COMMENT ON TABLE paper IS '{NOTE}'"
    )
    return room


def ask(room: Room, query: str) -> list[Any]:
    with room.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def objects(room: Room) -> list[Any]:
    return ask(
        room,
        "SELECT oid, lo_get(oid), lomowner::regrole::text, lomacl::text, obj_description(oid, 'pg_largeobject') "
        "FROM pg_largeobject_metadata ORDER BY 1",
    )


def item(
    number: int, *parts: bytes, comment: str | None = None, grants: frozenset[Grant] | None = None
) -> OutsideObject:
    return OutsideObject(number, "", comment, grants, iter(parts))


FORGED = {
    "delete": f"SELECT pg_catalog.lo_unlink('{NUMBER}');",
    "write": f"SELECT pg_catalog.lo_put({NUMBER}, 0, 'x');",
    "take": f"ALTER LARGE OBJECT {NUMBER + 2} OWNER TO CURRENT_USER;",
    "code": "DO $$BEGIN DROP TABLE public.paper; END$$;",
    "end": "COMMIT; DROP TABLE public.paper;",
}


@pytest.mark.parametrize("statement", FORGED.values(), ids=FORGED)
def test_a_forged_object_is_refused_and_nothing_is_left(site: Room, statement: str) -> None:
    before = objects(site)
    dump = plain_dump(site.target, site.directory / "backup.dump", "-b")
    forge(dump, f"COMMENT ON LARGE OBJECT {NUMBER} IS '{NOTE}';", statement)
    site.execute(f"SELECT lo_put({NUMBER + 1}, 0, 'SECOND')")
    changed = objects(site)
    with pytest.raises(BackupFailed, match="cannot be restored"):
        site.dialect.restore(dump, site.other("back"))
    assert objects(site) == changed != before
    assert ask(site, "SELECT count(*) FROM paper") == [(2,)]


def test_what_was_made_goes_with_a_restore_that_fails_later(site: Room) -> None:
    dump = plain_dump(site.target, site.directory / "backup.dump", "-b")
    forge(dump, f"COMMENT ON TABLE public.paper IS '{NOTE}';", "DROP TABLE public.paper;")
    site.execute(f"SELECT lo_put({NUMBER}, 0, 'FIRST'), lo_unlink({NUMBER + 1})")
    changed = objects(site)
    with pytest.raises(BackupFailed, match="is none that pg_dump writes"):
        site.dialect.restore(dump, site.other("back"))
    assert objects(site) == changed


def test_a_damaged_file_leaves_none(site: Room) -> None:
    site.execute(f"SELECT lo_put({NUMBER + 1}, 0, repeat('z', 300000)::bytea)")
    dump = plain_dump(site.target, site.directory / "backup.dump", "-b")
    content = dump.read_bytes()
    dump.write_bytes(content[: content.index(b"z" * 1000) + 100_000])
    site.execute(f"SELECT lo_unlink({NUMBER}), lo_unlink({NUMBER + 1})")
    with pytest.raises(BackupFailed):
        site.dialect.restore(dump, site.other("back"))
    assert objects(site) == []


def test_a_dropped_staging_takes_what_was_made_for_it(site: Room) -> None:
    before, staging = objects(site), site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    notes = site.dialect.bring_outside(
        staging, [item(NUMBER, b"first", comment=NOTE), item(NUMBER + 1, b"other"), item(NUMBER + 2, b"new")]
    )
    assert len(notes) == 1
    assert f"{NUMBER + 1} is now " in notes[0]
    assert len(objects(site)) == 4
    # No schema was made yet: the killed run is found all the same.
    assert [beside.name for beside in site.dialect.beside(site.target)] == ["20260101T000000-abcdef"]
    site.dialect.drop(staging)
    assert objects(site) == before
    assert site.dialect.beside(site.target) == []


def test_what_is_live_stays_whatever_is_dropped_later(site: Room) -> None:
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    dump = plain_dump(site.target, site.directory / "backup.dump", "-b")
    site.execute(f"SELECT lo_put({NUMBER}, 0, 'FIRST')")
    site.dialect.restore(dump, staging)
    swap(site, staging)
    site.dialect.drop(staging)
    assert ask(site, "SELECT id, lo_get(scan) FROM paper ORDER BY 1") == [(1, b"first"), (2, b"second")]
    assert ask(site, f"SELECT lo_get({NUMBER})") == [(b"FIRST",)]


def test_attributes_count_as_the_content_does(site: Room) -> None:
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    everybody = frozenset({Grant("", "SELECT", grantable=False), Grant("nobody here", "SELECT", grantable=True)})
    notes = site.dialect.bring_outside(
        staging,
        [item(NUMBER, b"fir", b"st", comment="another"), item(NUMBER + 1, b"second", grants=everybody)],
    )
    assert "nobody here" in notes[1]
    new = objects(site)
    assert len(new) == 4
    assert sorted(row[1:] for row in new if row[0] < NUMBER) == sorted(
        [(b"first", new[0][2], None, "another"), (b"second", new[0][2], "{=r/%s}" % new[0][2], None)]  # noqa: UP031
    )


def test_contents_are_compared_and_written_in_parts(site: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (large, large_write):
        monkeypatch.setattr(module, "PART_BYTES", 4)
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    contents = {
        1: b"",
        2: b"abcd",
        3: b"abcdefgh",
        4: b"abcdefgX",
        5: b"abcdefghi",
        6: b"\0" * 12,
        7: b"\0\0\0\0x\0\0\0\0\0",
    }
    for base in range(4):
        # Over nothing, over another content, over a beginning, over one that goes on.
        for number, content in contents.items():
            there = {1: b"\1\2\3", 2: content[:5], 3: content + b"\0"}.get(base)
            if there is not None and there != content:
                with site.connect() as connection:
                    connection.exec_driver_sql("SELECT lo_from_bytea(%s::oid, %s::bytea)", (number + 10 * base, there))
                    connection.commit()
        site.dialect.bring_outside(staging, [item(n + 10 * base, c[:3], c[3:]) for n, c in contents.items()])
    made = ask(site, "SELECT was, lo_get(number) FROM ferry.large_objects ORDER BY 1")
    by_number = dict(made)
    for base in range(4):
        for number, content in contents.items():
            if (number + 10 * base) in by_number:
                assert by_number[number + 10 * base] == content, (base, number)
    assert len(made) >= 7 + 7 + 5 + 7


def test_references_are_read_with_their_contents(site: Room) -> None:
    with site.dialect.reader(site.target) as reader:
        table = reader.tables()["paper"]
        rows = list(reader.rows(table))
    assert [row[1]["$large"].split()[0] for row in rows] == [str(NUMBER), str(NUMBER + 1)]
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    site.dialect.prepare_staging(staging, site.target)
    site.dialect.create_objects(staging, [])
    with site.connect(staging) as connection:
        connection.exec_driver_sql("CREATE TABLE paper (id int PRIMARY KEY, scan oid)")
        connection.commit()
    absent = [3, {"$large": f"5 {'0' * 64}"}]
    result = site.dialect.load(staging, table, [*rows, absent], batch_rows=10)
    assert result.loaded == 2
    assert "the large object 5 is neither in the source nor here" in result.refused[0].message


def test_a_backup_takes_them_only_if_it_can_read_all(site: Room) -> None:
    path = site.directory / "all.dump"
    with site.dialect.image(site.target, site.dialect.generation_url(site.target, "0badcafe-old"), None) as image:
        assert image.reader.unreadable_outside() == []
        image.dump(path)
    before = objects(site)
    site.execute(f"SELECT lo_unlink({NUMBER}), lo_unlink({NUMBER + 1})")
    site.dialect.restore(Path(path), site.other("back"))
    assert objects(site) == before


def test_what_was_brought_for_a_schema_stays_when_its_tables_are_made_of_a_backup(site: Room) -> None:
    """As where an old revision of the source no longer runs: its objects come first, its schema after them."""
    dump = plain_dump(site.target, site.directory / "backup.dump", "-b")
    staging = site.other("staging")
    site.dialect.bring_outside(staging, [item(NUMBER, b"of the source"), item(NUMBER + 9, b"more")])
    brought = set(objects(site))
    site.dialect.restore(dump, staging)
    assert brought <= set(objects(site))
    site.dialect.drop(staging)
    assert {row[0] for row in objects(site)} == {NUMBER, NUMBER + 1}


def test_a_server_sums_up_no_table_whose_values_may_name_objects(site: Room) -> None:
    """A row's text has the number alone: the content may have been written since."""
    site.execute("CREATE TABLE plain (id int PRIMARY KEY, scan int)")
    with site.dialect.reader(site.target) as reader:
        tables = reader.tables()
        assert reader.digest(tables["paper"]) is None
        assert reader.digest(tables["plain"])
    site.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    with site.dialect.reader(site.target) as reader:
        assert reader.digest(tables["paper"])


def test_what_has_got_the_number_of_one_that_was_made_stays(site: Room) -> None:
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    site.dialect.bring_outside(staging, [item(NUMBER + 2, b"new"), item(NUMBER + 3, b"newer")])
    site.execute(f"SELECT lo_unlink({NUMBER + 2}), lo_from_bytea({NUMBER + 2}, 'of the app')")
    before = objects(site)
    site.dialect.drop(staging)
    assert objects(site) == before[:-1]
    assert ask(site, "SELECT count(*) FROM ferry.large_objects") == [(0,)]


def test_each_object_is_found_by_a_key_and_not_read_again(site: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = site.dialect.staging_url(site.target, "20260101T000000-abcdef")
    site.dialect.bring_outside(staging, [item(NUMBER, b"other"), item(NUMBER + 2, b"new")])
    keys = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'ferry' AND tablename = 'large_objects'"
    assert {text.rpartition(" ")[2] for (text,) in ask(site, keys)} == {"(was)", "(staging)"}
    made = dict(ask(site, "SELECT was, digest FROM ferry.large_objects"))
    read: list[int] = []
    digests = large.find_digests
    monkeypatch.setattr(large_write, "find_digests", lambda c, numbers: (read.extend(numbers), digests(c, numbers))[1])
    with connect_to(site.target, None) as connection:
        place = own_place(staging)
        assert place is not None
        resolved = large_write.Resolver(connection, place).resolve(list(made.items()))
    assert len(resolved) == 2
    assert read == []


def test_labels_of_security_are_refused_by_name() -> None:
    with pytest.raises(BackupFailed, match="security labels of large objects: SECURITY LABEL - LARGE OBJECT 7 u"):
        dumps._place("5; 0 0 SECURITY LABEL - LARGE OBJECT 7 u", Path("b.dump"))
