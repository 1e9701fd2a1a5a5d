"""PostgreSQL: backups, and the secrets that they must not show."""

from __future__ import annotations

import contextlib
import threading

import pytest
import sqlalchemy as sa

from app.errors import BackupFailed
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL

from .archives import plain_dump, script_of
from .schemas import EVERY_OBJECT, OF_SUPERUSERS, ask, swap

# Dumps


def test_cut_and_damaged_dumps_are_refused_and_nothing_is_left(room: Room, postgresql: PostgreSQL) -> None:
    room.fill()
    room.execute("CREATE TABLE more AS SELECT i, md5(i::text) AS t FROM generate_series(1, 3000) i")
    whole = room.dump(room.directory / "whole").read_bytes()
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"
    before = ask(room, schemas)
    broken = bytearray(whole)
    broken[-4000] ^= 0xFF
    pieces = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    # Version 17 and 18 write the contents' table once more behind the rows, where nobody reads it.
    is_read = [whole[:-1], bytes(broken)] if postgresql.execute("SHOW server_version_num") >= [("170000",)] else []
    for content in [*pieces, whole[:-1], bytes(broken), b"PGDMP and no more"]:
        dump = room.directory / "broken"
        dump.write_bytes(content)
        with contextlib.ExitStack() as stack:
            if content not in is_read:
                stack.enter_context(pytest.raises(BackupFailed, match="broken"))
            room.dialect.restore(dump, room.other("back"))
            assert room.state(room.other("back")) == room.state()
            room.dialect.drop(room.other("back"))
        assert ask(room, schemas) == before
    room.dialect.restore(room.directory / "whole", room.other("back"))
    assert room.state(room.other("back")) == room.state()


def test_a_dump_of_another_schema_and_database_is_restored(room: Room, owned: Room) -> None:
    other = room.target.update_query_dict({"options": "-csearch_path=second"})
    room.fill(other)
    dump = room.directory / "dump"
    with room.image(other) as image:
        image.dump(dump)
    owned.execute("CREATE SCHEMA second; CREATE TABLE second.own (x int)")
    for wanted in (owned, owned):
        wanted.dialect.restore(dump, wanted.other("back"))
        assert wanted.state(wanted.other("back")) == room.state(other)
    assert ask(owned, "SELECT count(*) FROM second.own") == [0]
    swap(owned, owned.other("back"))
    assert owned.state() == room.state(other)


@pytest.mark.parametrize("who", ["an owner", "a superuser"])
def test_every_kind_of_object_comes_back_as_it_was(room: Room, owned: Room, who: str) -> None:
    chosen = owned if who == "a superuser" else room
    chosen.dialect.create(chosen.target)
    script = EVERY_OBJECT + (OF_SUPERUSERS if chosen is owned else "")
    chosen.execute(script.replace("%", "%%"))
    dump = chosen.dump(chosen.directory / "dump")
    before = _described(chosen)
    chosen.dialect.restore(dump, chosen.other("back"))
    chosen.dialect.copy(chosen.target, chosen.other("copy"), timeout_s=5)
    assert _described(chosen) == before
    for name in ("back", "copy"):
        assert chosen.everything(chosen.other(name)) == chosen.everything()
    swap(chosen, chosen.other("back"))
    assert _described(chosen) == before


OF_LISTS = """
CREATE TABLE word (
    code varchar(9) CONSTRAINT listed CHECK (code IN ('a', 'it''s', ']')), plain text CHECK (plain IN ('x', 'y')));
CREATE INDEX partial ON word (code) WHERE code IN ('a', 'b');
CREATE VIEW chosen AS SELECT code FROM word WHERE code IN ('a', 'b');
INSERT INTO word VALUES ('a', 'x'), (']', 'y')
"""
_SPELLED = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'listed' AND conrelid = '{}.word'::regclass
"""


def test_a_list_of_texts_is_spelled_otherwise_once(owned: Room) -> None:
    """The server's own doing: each text that it shows of a definition means the same, and is read as another tree."""
    owned.execute(OF_LISTS)
    first, second = owned.other("first"), owned.other("second")
    owned.dialect.copy(owned.target, first, timeout_s=5)
    owned.dialect.copy(first, second, timeout_s=5)
    texts, definitions = [], []
    for url in (owned.target, first, second):
        with owned.dialect.reader(url) as reader:
            # The other places are further schemas of the same database to each of them.
            definitions.append([item for item in reader.definitions() if item.kind != "schema"])
        [schema] = ask(owned, "SELECT current_schema()", url=url)
        texts += ask(owned, _SPELLED.format(schema), url=url)
    assert texts[0] != texts[1] == texts[2]
    assert definitions[0] == definitions[1] == definitions[2]
    owned.execute(
        "ALTER TABLE word DROP CONSTRAINT listed, ADD CONSTRAINT listed CHECK (code IN ('a', 'b', ']'))", url=second
    )
    with owned.dialect.reader(second) as reader:
        assert [item for item in reader.definitions() if item.kind != "schema"] != definitions[0]
    owned.execute("INSERT INTO word VALUES ('it''s')", url=first)
    with pytest.raises(sa.exc.IntegrityError, match="listed"):
        owned.execute("INSERT INTO word VALUES ('b')", url=first)


GRANTOR = ("SET SESSION AUTHORIZATION", "RESET SESSION AUTHORIZATION")


def _described(room: Room) -> list[str]:
    """All of a live schema as ``pg_dump`` writes it, in an order of its own; who granted what is the owner's now."""
    lines = script_of(plain_dump(room.target, room.directory / "described", "--no-owner")).splitlines()
    return sorted(line for line in lines if not line.startswith(("--", "\\restrict", "\\unrestrict", *GRANTOR)))


def test_a_restore_is_not_seen_by_those_who_read_and_write(room: Room) -> None:
    room.fill()
    room.execute("CREATE TABLE more AS SELECT i, repeat('x', 300) AS t FROM generate_series(1, 60000) i")
    dump = room.dump(room.directory / "dump")
    done = threading.Event()
    errors: list[str] = []
    counts = {"read": 0, "write": 0}

    def work(kind: str, sql: str) -> None:
        try:
            with room.connect() as connection:
                while not done.is_set():
                    found = connection.exec_driver_sql(sql).scalar()
                    connection.commit()
                    counts[kind] += 1
                    if kind == "read" and found != 3:
                        errors.append(f"{found}")
        except sa.exc.DBAPIError as error:
            errors.append(str(error))

    seen = "SELECT count(*) FROM parents WHERE id < 10 AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname ~ 'hold')"
    write = "INSERT INTO parents SELECT greatest(max(id), 99) + 1, gen_random_uuid()::text FROM parents RETURNING 1"
    threads = [threading.Thread(target=work, args=("read", seen)), threading.Thread(target=work, args=("write", write))]
    for thread in threads:
        thread.start()
    began = dict(counts)
    room.dialect.restore(dump, room.other("back"))
    during = {kind: counts[kind] - began[kind] for kind in counts}
    done.set()
    for thread in threads:
        thread.join(timeout=30)
    assert errors == []
    assert min(during.values()) > 10, during
    assert room.state(room.other("back"))["parents"] == [[1, "one"], [2, "two"], [3, "drei 😀"]]
    assert len(room.state()["parents"]) == 3 + counts["write"]


def test_a_dump_of_what_an_extension_keeps_in_place_says_why(room: Room) -> None:
    room.fill()
    room.execute("CREATE EXTENSION citext")
    dump = room.dump(room.directory / "dump")
    with pytest.raises(BackupFailed, match="must be owner of") as caught:
        room.dialect.restore(dump, room.other("back"))
    assert "ALTER EXTENSION" in str(caught.value.hint)
    assert not room.dialect.exists(room.other("back"))
