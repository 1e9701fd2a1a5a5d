"""The promises of ``app/dialects/base.py``, kept by every room."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from app.dialects.model import ForeignKey, LateWrite, LogicalType, SchemaObject, Values
from app.dialects.samples import ProblemKind
from app.errors import BackupFailed, DoesNotFit, LoadError, LockHeld
from app.transfer.rows.header import sort_columns
from tests.support.limits import no_endless_wait
from tests.support.site import ROOT

from .rooms import CHILDREN, PARENTS, Room

ONE_ROW = "INSERT INTO parents VALUES (50, 'late')"


# Databases come and go


def test_a_database_is_created_once(room: Room) -> None:
    assert not room.dialect.exists(room.target)
    assert room.dialect.create(room.target) is True
    assert room.dialect.create(room.target) is False
    room.fill()
    assert room.dialect.create(room.target) is False
    assert room.dialect.exists(room.target)
    assert room.state()["parents"] == PARENTS


def test_a_database_without_tables_exists(room: Room) -> None:
    room.dialect.prepare_staging(room.other("empty"), room.target)
    assert room.dialect.exists(room.other("empty"))
    assert room.state(room.other("empty")) == {}


def test_drop_removes_and_is_content_when_there_is_nothing(room: Room) -> None:
    staging = room.staged()
    room.dialect.drop(staging)
    assert not room.dialect.exists(staging)
    room.dialect.drop(staging)


def test_drop_leaves_its_neighbours(room: Room) -> None:
    room.fill()
    first, second = room.staged("first"), room.staged("second")
    room.dialect.drop(first)
    assert room.dialect.exists(second)
    assert room.state()["parents"] == PARENTS


def test_prepared_staging_is_empty_whatever_was_there(room: Room) -> None:
    staging = room.staged()
    room.dialect.prepare_staging(staging, room.target)
    assert room.state(staging) == {}


def test_a_database_has_one_identity_by_whatever_url(room: Room) -> None:
    room.fill()
    identity = room.dialect.identity(room.target)
    assert room.dialect.identity(room.target) == identity
    assert identity.server
    assert identity.host
    assert identity.database
    if room.alias is not None:
        assert room.dialect.identity(room.alias).uid == identity.uid
    assert room.dialect.identity(room.staged()).uid != identity.uid


def test_places_are_apart_and_nothing_is_made_by_asking(room: Room) -> None:
    places = [
        room.target,
        room.dialect.staging_url(room.target, "a"),
        room.dialect.staging_url(room.target, "b"),
        room.dialect.generation_url(room.target, "a"),
        room.dialect.generation_url(room.target, "b"),
        room.dialect.control_area(room.target).url,
    ]
    assert len(set(places)) == len(places)
    assert not any(room.dialect.exists(place) for place in places[:5])
    assert room.dialect.control_area(room.target) == room.dialect.control_area(room.target)


def test_the_control_area_opens_again_and_is_its_owners_alone(room: Room) -> None:
    area = room.dialect.control_area(room.target)
    room.dialect.open_control(area)
    room.dialect.open_control(area)
    assert area.directory.stat().st_mode & 0o77 == 0


def test_the_control_engine_keeps_what_it_commits_and_counts_time_in_utc(room: Room) -> None:
    area = room.dialect.control_area(room.target)
    room.dialect.open_control(area)
    engine = room.dialect.control_engine(area)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (n INTEGER PRIMARY KEY, words VARCHAR(20))")
        connection.exec_driver_sql("INSERT INTO notes VALUES (1, 'kept')")
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO notes VALUES (2, 'not')")
    with room.dialect.control_engine(area).connect() as connection:
        assert connection.exec_driver_sql("SELECT n, words FROM notes").fetchall() == [(1, "kept")]
        now = connection.scalar(sa.select(sa.type_coerce(sa.func.current_timestamp(), sa.DateTime)))
    assert now is not None
    assert abs(dt.datetime.now(dt.UTC).replace(tzinfo=None) - now.replace(tzinfo=None)) < dt.timedelta(minutes=5)


def test_what_lies_beside_is_listed_by_the_names_it_was_given(room: Room) -> None:
    room.dialect.create(room.target)
    assert room.dialect.beside(room.target) == []
    run = "20261123T154658-abc123"
    for name in (run, f"{run}-scratch"):
        room.dialect.prepare_staging(room.other(name), room.target)
    kept = room.staged("kept")
    generation = room.dialect.generation_url(room.target, "0badcafe-new")
    room.dialect.keep(kept, generation)
    room.dialect.drop(kept)
    found = room.dialect.beside(room.target)
    assert {(item.name, item.url, item.is_generation) for item in found} == {
        (run, room.other(run), False),
        (f"{run}-scratch", room.other(f"{run}-scratch"), False),
        ("0badcafe-new", generation, True),
    }
    for item in found:
        room.dialect.drop(item.url)
    assert room.dialect.beside(room.target) == []


def test_preflight_passes_and_leaves_nothing(room: Room) -> None:
    room.dialect.preflight(room.target)
    assert not room.dialect.exists(room.target)
    room.fill()
    before = room.everything()
    room.dialect.preflight(room.target)
    assert room.everything() == before
    assert room.dialect.beside(room.target) == []


def test_sizes(room: Room) -> None:
    room.fill()
    assert room.dialect.size_bytes(room.target) > 0
    free = room.dialect.free_bytes(room.target)
    assert free is None or free > 0


# Reading


def test_tables_are_described_in_logical_types(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        tables = reader.tables()
    assert set(tables) == {"parents", "children"}
    child = tables["children"]
    assert {column.name: column.type for column in child.columns} == {
        "a": LogicalType.INT,
        "b": LogicalType.TEXT,
        "parent_id": LogicalType.INT,
        "yes": LogicalType.BOOL,
        "big": LogicalType.INT,
        "price": LogicalType.DECIMAL,
        "ratio": LogicalType.FLOAT,
        "long": LogicalType.TEXT,
        "raw": LogicalType.BYTES,
        "day": LogicalType.DATE,
        "at": LogicalType.TIMESTAMP,
        "doc": LogicalType.JSON,
    }
    assert child.primary_key == ("a", "b")
    assert child.foreign_keys == (ForeignKey(("parent_id",), "parents", ("id",)),)
    by_name = {column.name: column for column in child.columns}
    assert (by_name["b"].length, by_name["price"].scale) == (20, 2)
    assert not by_name["a"].nullable
    assert by_name["doc"].nullable
    assert ("name",) in tables["parents"].unique


def test_rows_come_as_they_were_loaded_in_the_order_of_the_key(room: Room) -> None:
    room.fill()
    assert room.state() == {"parents": PARENTS, "children": CHILDREN}


def test_rows_of_some_columns_come_in_the_order_asked_for(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["parents"]
        turned = type(table)(table.name, table.columns[::-1], table.primary_key)
        assert list(reader.rows(turned)) == [row[::-1] for row in PARENTS]


def test_count_and_values(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["children"]
        assert reader.count("children") == len(CHILDREN)
        assert sorted(reader.values(table, "price")) == ["-0.01", "12.50", "1234567890.00"]
        assert sorted(reader.values(table, "parent_id")) == [1, 3, 3]


def test_objects_come_in_an_order_that_creates_them(room: Room) -> None:
    room.fill()
    room.execute("CREATE VIEW long_names AS SELECT name FROM names WHERE length(name) > 3")
    with room.dialect.reader(room.target) as reader:
        objects = reader.objects()
    assert [item.name for item in objects if item.kind == "view"] == ["names", "long_names"]
    indexes = [(item.name, item.table) for item in objects if item.kind == "index"]
    assert indexes == ([("by_day", "children")] if room.indexes_are_objects else [])


def test_a_read_is_of_one_instant(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["parents"]
        try:
            with room.connect(**room.impatient) as connection, connection.begin():
                connection.exec_driver_sql(ONE_ROW)
        except sa.exc.OperationalError:
            pass  # a server that lets the writer wait instead
        assert list(reader.rows(table)) == PARENTS
        assert reader.count("parents") == len(PARENTS)


def test_several_reads_at_once_do_not_get_into_each_others_way(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        tables = reader.tables()
        given_up, first, second = (reader.rows(tables["parents"]) for _ in range(3))
        names = reader.values(tables["parents"], "name")
        found = [next(given_up), next(first), next(second), next(names)]
        assert found[:3] == [PARENTS[0]] * 3
        assert reader.count("children") == len(CHILDREN)
        assert reader.tables() == tables
        del given_up
        assert [found[1], *first] == PARENTS
        assert [found[2], *second] == PARENTS
        assert sorted([found[3], *names]) == sorted(row[1] for row in PARENTS)
        left = reader.rows(tables["children"])
        assert next(left) == CHILDREN[0]


def test_reading_writes_nothing(room: Room) -> None:
    room.fill()
    before = room.traces()
    with room.dialect.reader(room.target) as reader:
        for table in reader.tables().values():
            list(reader.rows(table))
    room.dialect.mark(room.target)
    room.dialect.problems(room.target)
    room.dialect.schema_fingerprint(room.target)
    assert room.traces() == before
    room.execute(ONE_ROW)
    assert room.traces() != before


# The mark


def test_the_mark(room: Room) -> None:
    assert room.dialect.mark(room.target) == ""
    staging = room.staged()
    assert room.dialect.mark(staging) == ""
    for mark in ("00000001", "7fffffff", "0badcafe"):
        room.dialect.set_mark(staging, mark)
        assert room.dialect.mark(staging) == mark
    room.dialect.copy(staging, room.other("copy"), timeout_s=1)
    assert room.dialect.mark(room.other("copy")) == "0badcafe"


# Loading


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 500])
def test_refused_rows_are_named_by_number_and_the_others_go_in(room: Room, batch_rows: int) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["parents"]
    rows: list[Values] = [[10, "ten"], [1, "taken"], [11, "eleven"], [12, "one"], [13, None], [14, "fourteen"]]
    result = room.dialect.load(room.target, table, iter(rows), batch_rows=batch_rows)
    assert result.loaded == 3
    assert [(refusal.number, refusal.row) for refusal in result.refused] == [(n, rows[n - 1]) for n in (2, 4, 5)]
    assert all(refusal.message for refusal in result.refused)
    assert room.state()["parents"] == [*PARENTS, [10, "ten"], [11, "eleven"], [14, "fourteen"]]


def test_what_breaks_off_loads_nothing(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["parents"]

    def rows() -> Iterator[Values]:
        for number in range(20, 40):
            yield [number, str(number)]
        raise LookupError("the source went away")

    with pytest.raises(LookupError):
        room.dialect.load(room.target, table, rows(), batch_rows=3)
    assert room.state()["parents"] == PARENTS


def test_triggers_do_not_fire_while_rows_are_loaded_and_are_there_again(room: Room) -> None:
    staging = room.staged()
    for statement in room.trigger:
        room.execute(statement, url=staging)
    before = room.dialect.schema_fingerprint(staging)
    with room.dialect.reader(staging) as reader:
        table = reader.tables()["parents"]
    with room.dialect.loading(staging):
        assert room.dialect.load(staging, table, [[500, "as it was"]], batch_rows=10).loaded == 1
    assert [500, "as it was"] in room.state(staging)["parents"]
    assert room.dialect.schema_fingerprint(staging) == before
    room.execute("INSERT INTO parents (name) VALUES ('new')", url=staging)
    assert room.state(staging)["parents"][-1] == [501, "fired"]


def test_tables_of_staging_are_cleared_whatever_refers_to_them(room: Room) -> None:
    staging = room.staged()
    with room.dialect.loading(staging):
        room.dialect.clear(staging, ["parents"])
    with room.dialect.reader(staging) as reader:
        assert (reader.count("parents"), reader.count("children") > 0) == (0, True)
    assert any(item.table == "children" for item in room.dialect.problems(staging))


def test_no_rows_at_all(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        table = reader.tables()["parents"]
    assert room.dialect.load(room.target, table, [], batch_rows=10).loaded == 0


def test_children_may_be_loaded_before_their_parents(room: Room) -> None:
    staging = room.staged()
    with room.dialect.reader(staging) as reader:
        table = reader.tables()["children"]
    row: Values = [9, "z", 4711, *[None] * 9]
    with room.dialect.loading(staging):
        assert room.dialect.load(staging, table, [row], batch_rows=10).loaded == 1
    assert any(item.table == "children" for item in room.dialect.problems(staging))


def test_the_engine_enforces_foreign_keys_only_where_it_says_so(room: Room) -> None:
    staging = room.staged()
    engine = room.dialect.engine(staging)
    enforced = pytest.raises(sa.exc.IntegrityError, match="children")
    with (
        enforced if room.dialect.capabilities.enforces_foreign_keys else contextlib.nullcontext(),
        engine.begin() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM parents")
    engine.dispose()
    assert room.state(staging)["children"] == CHILDREN


def test_all_revisions_have_one_session(room: Room) -> None:
    """As in a plain upgrade: else each of a hundred costs a log-in, and loses what one before it set."""
    engine = room.dialect.engine(room.staged(), {})
    if room.dialect.name == "SQLite":
        assert isinstance(engine.pool, sa.NullPool)  # who has the file open is in the way of its rename
        return
    which = "SELECT connection_id()" if engine.name == "mysql" else "SELECT pg_backend_pid()"

    def ask() -> object:
        with engine.connect() as connection:
            return connection.exec_driver_sql(which).scalar()

    assert ask() == (first := ask())
    engine.dispose()
    assert ask() != first
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE parents SET name = 'x'",
        "INSERT INTO parents (id, name) VALUES (9, 'nine')",
        "DELETE FROM children",
        "CREATE TABLE more (id INTEGER)",
        "DROP TABLE children",
        "ALTER TABLE parents ADD COLUMN more INTEGER",
    ],
)
def test_a_read_only_engine_changes_nothing(room: Room, change: str) -> None:
    room.fill()
    before = room.everything()
    engine = room.dialect.read_only_engine(room.target)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM parents").scalar() == len(PARENTS)
        with pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.?only"):
            connection.exec_driver_sql(change)
    engine.dispose()
    assert room.everything() == before


# Copies


def test_a_copy_is_exact_and_takes_the_place_of_what_was_there(room: Room) -> None:
    room.fill()
    room.dialect.set_mark(room.target, "00000abc")
    to = room.staged("copy", more=5)
    room.dialect.copy(room.target, to, timeout_s=5)
    assert room.everything(to) == room.everything()


def test_rows_of_another_staging_are_brought_as_they_are(room: Room) -> None:
    room.fill()
    former, staging = room.staged("former", more=5), room.staged("new")
    with room.dialect.loading(staging):
        room.dialect.clear(staging, ["children", "parents"])
        with room.dialect.reader(staging) as reader:
            tables = reader.tables()
        # Who refers to others may come before them.
        assert room.dialect.bring(former, staging, tables["children"]) == len(CHILDREN)
        assert room.dialect.bring(former, staging, tables["parents"]) == len(PARENTS) + 5
    assert room.state(staging) == room.state(former)
    with room.dialect.loading(staging), pytest.raises(LoadError):
        room.dialect.bring(former, staging, tables["parents"])
    assert room.state(staging) == room.state(former)


def test_keep_makes_a_generation_of_staging(room: Room) -> None:
    staging = room.staged()
    expected = room.state(staging)
    generation = room.dialect.generation_url(room.target, "00000001-new")
    room.dialect.keep(staging, generation)
    assert room.state(generation) == expected
    assert room.dialect.exists(staging) is room.dialect.capabilities.swap_moves_old


def test_an_image_is_of_the_instant_that_its_token_is_of(room: Room) -> None:
    room.fill()
    old = room.dialect.generation_url(room.target, "0000000b-old")
    with room.dialect.fence(room.target) as fence:
        with room.dialect.image(room.target, old, fence) as image:
            assert image.token == fence.token()
            room.execute(ONE_ROW)
            assert image.token != fence.token()
            tables = image.reader.tables()
            assert list(image.reader.rows(tables["parents"])) == PARENTS
            dump = room.directory / "dump"
            image.dump(dump)
            assert list(image.reader.rows(tables["children"])) == CHILDREN
        assert room.dialect.exists(old) is not room.dialect.capabilities.swap_moves_old
    room.dialect.restore(dump, room.other("back"))
    assert room.state(room.other("back")) == {"parents": PARENTS, "children": CHILDREN}


def test_dump_and_restore(room: Room) -> None:
    room.fill()
    room.dialect.set_mark(room.target, "00000abc")
    before = room.state()
    assert (before["parents"], before["children"]) == (PARENTS, CHILDREN)
    dump = room.dump(room.directory / f"dump{room.dialect.backup_suffix}")
    assert dump.stat().st_mode & 0o77 == 0
    room.execute("DELETE FROM children")
    back = room.other("back")
    room.dialect.restore(dump, back)
    assert room.state(back) == before
    assert room.dialect.problems(back) == []


def test_a_dump_that_cannot_be_written(room: Room) -> None:
    room.fill()
    (room.directory / "file").touch()
    with room.image() as image, pytest.raises(BackupFailed):
        image.dump(room.directory / "file" / "dump")


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_a_file_that_is_no_backup(room: Room, damage: str) -> None:
    room.fill()
    dump = room.dump(room.directory / "dump")
    whole = dump.read_bytes()
    dump.write_bytes({"empty": b"", "text": b"-- nothing of ours", "cut": whole[: len(whole) // 2 + 100]}[damage])
    with pytest.raises(BackupFailed, match="dump"):
        room.dialect.restore(dump, room.other("back"))


def test_a_backup_that_is_not_there(room: Room) -> None:
    with pytest.raises(BackupFailed):
        room.dialect.restore(room.directory / "nothing", room.other("back"))


# Objects


def test_tables_of_another_database_are_carried(room: Room) -> None:
    room.fill()
    room.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, words VARCHAR(20))")
    room.execute("CREATE INDEX by_words ON notes (words)")
    room.execute("INSERT INTO notes VALUES (1, 'a'), (2, NULL)")
    staging = room.staged()
    for _ in range(2):
        room.dialect.carry(room.target, staging, ["notes"])
        assert room.state(staging)["notes"] == [[1, "a"], [2, None]]
        assert "by_words" in room.index_names("notes", staging)
    assert room.state()["notes"] == [[1, "a"], [2, None]]


def test_objects_are_created_again(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        views = [item for item in reader.objects() if item.kind == "view"]
    room.execute("DROP VIEW names")
    room.dialect.create_objects(room.target, views)
    with room.connect() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM names")]
    assert sorted(names) == sorted(row[1] for row in PARENTS)


def test_an_object_that_does_not_fit_is_refused_by_name(room: Room) -> None:
    room.fill()
    view = SchemaObject("view", "broken", "broken", "CREATE VIEW broken AS SELECT gone FROM parents")
    with pytest.raises(DoesNotFit, match="broken") as caught:
        room.dialect.create_objects(room.target, [view])
    assert "gone" in caught.value.message


def test_problems_names_rows_that_refer_to_nothing(room: Room) -> None:
    staging = room.staged()
    assert room.dialect.problems(staging) == []
    engine = room.dialect.engine(staging)
    with room.dialect.loading(staging), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM parents WHERE id = 3")
    engine.dispose()
    [problem] = room.dialect.problems(staging)
    assert problem.kind is ProblemKind.DANGLING
    assert problem.table == "children"
    assert "2 rows refer to rows of parents" in problem.text
    with room.dialect.reader(staging) as reader:
        table = reader.tables()["children"]
        assert [row[:2] for row in reader.rows(table, dangling=table.foreign_keys[0])] == [[2, ""], [2, "a"]]


def test_rows_of_a_table_that_refers_to_itself_lead_somewhere_whatever_it_is_called(room: Room) -> None:
    """Its name may be that by which a query calls the table that is referred to."""
    staging = room.staged()
    engine = room.dialect.engine(staging)
    with engine.begin() as connection:
        for name in ("p", "own"):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, up INTEGER, FOREIGN KEY (up) REFERENCES {name} (id))"
            )
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES (1, NULL), (2, 1)")
    engine.dispose()
    with room.dialect.reader(staging) as reader:
        for table in (reader.tables()["p"], reader.tables()["own"]):
            assert list(reader.rows(table, dangling=table.foreign_keys[0])) == []
            assert list(reader.rows(table)) == [[1, None], [2, 1]]


def test_the_fingerprint_is_of_the_schema_alone(room: Room) -> None:
    assert room.dialect.schema_fingerprint(room.target) == ""
    room.fill()
    first = room.dialect.schema_fingerprint(room.target)
    room.execute(ONE_ROW)
    assert room.dialect.schema_fingerprint(room.target) == first
    room.execute("CREATE INDEX another ON children (big)")
    second = room.dialect.schema_fingerprint(room.target)
    assert second != first
    room.execute("ALTER TABLE parents ADD COLUMN more INTEGER")
    assert room.dialect.schema_fingerprint(room.target) not in (first, second)


# The fence


def test_the_fence_sees_every_commit_and_nothing_else(room: Room) -> None:
    room.fill()
    with room.dialect.fence(room.target) as fence:
        first = fence.token()
        assert fence.token() == first
        room.state()
        with room.connect() as connection:
            connection.exec_driver_sql(ONE_ROW)
            connection.rollback()
        assert fence.token() == first
        room.execute(ONE_ROW)
        second = fence.token()
        assert second != first
        room.execute("CREATE TABLE more (x INTEGER)")
        assert fence.token() not in (first, second)


def test_the_fence_sees_other_processes(room: Room) -> None:
    room.fill()
    program = "import sys, sqlalchemy as sa; c = sa.create_engine(sys.argv[1]).connect(); "
    program += "c.exec_driver_sql(sys.argv[2]); c.commit(); c.close()"
    with room.dialect.fence(room.target) as fence:
        first = fence.token()
        url = room.target.render_as_string(hide_password=False)
        subprocess.run([sys.executable, "-c", program, url, ONE_ROW], cwd=ROOT, check=True, timeout=60)
        assert fence.token() != first


def digests(room: Room, url: URL) -> dict[str, str]:
    with room.dialect.reader(url) as reader:
        sums = {name: reader.digest(sort_columns(table)) for name, table in reader.tables().items()}
    assert None not in sums.values()
    return sums  # type: ignore[return-value]


def test_a_copy_is_summed_up_to_the_same(room: Room) -> None:
    room.fill()
    staging = room.other("copy")
    room.dialect.copy(room.target, staging, timeout_s=10)
    room.dialect.fit_staging(staging, room.target)
    assert digests(room, staging) == digests(room, room.target)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE children SET big = big + 1 WHERE a = 2 AND b = 'a'",
        "UPDATE children SET price = 12.51 WHERE a = 1 AND b = 'a'",
        "UPDATE children SET ratio = 0.10000000000000002 WHERE a = 1 AND b = 'a'",
        "UPDATE children SET long = 'x\ny ' WHERE a = 1 AND b = 'a'",
        "UPDATE children SET long = '' WHERE a = 1 AND b = 'b'",
        "UPDATE children SET long = NULL WHERE a = 2 AND b = ''",
        "UPDATE children SET long = '-' WHERE a = 1 AND b = 'b'",
        "UPDATE children SET parent_id = NULL WHERE a = 2 AND b = ''",
        "UPDATE children SET doc = '{}' WHERE a = 2 AND b = ''",
        "UPDATE children SET b = 'B' WHERE a = 1 AND b = 'b'",
        "DELETE FROM children WHERE a = 2 AND b = 'a'",
    ],
)
def test_any_other_value_is_summed_up_to_another(room: Room, change: str) -> None:
    room.fill()
    before = digests(room, room.target)
    room.execute(change.replace("long", "`long`") if room.dialect.name.startswith("MySQL") else change)
    after = digests(room, room.target)
    assert after["children"] != before["children"]
    assert after["parents"] == before["parents"]


def test_columns_that_swap_their_names_are_summed_up_to_another(room: Room) -> None:
    room.fill()
    room.execute("CREATE TABLE pairs (a VARCHAR(10), b VARCHAR(10), c VARCHAR(10))")
    room.execute("INSERT INTO pairs VALUES ('1', '2', '3')")
    before = digests(room, room.target)
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        room.execute(f"ALTER TABLE pairs RENAME COLUMN {old} TO {new}")
    assert digests(room, room.target) != before


def test_rows_that_swap_a_value_are_summed_up_to_another(room: Room) -> None:
    room.fill()
    before = digests(room, room.target)
    for name, number in (("swap", 1), ("one", 2), ("two", 1)):
        room.execute(f"UPDATE parents SET name = '{name}' WHERE id = {number}")
    assert digests(room, room.target)["parents"] != before["parents"]


def test_a_watch_sees_every_commit_since_a_read(room: Room) -> None:
    room.fill()
    with room.dialect.watch(room.target) as watch:
        with watch.read() as (reader, token):
            rows = reader.count("parents")
        assert token is not None
        assert watch.token() == token
        room.execute(ONE_ROW)
        assert watch.token() != token
        with watch.read() as (reader, later):
            assert reader.count("parents") == rows + 1
        assert later == watch.token()


def test_a_watch_sees_what_was_committed_while_it_read(room: Room) -> None:
    room.fill()
    with room.dialect.watch(room.target) as watch:
        with watch.read() as (reader, token):
            # Without a WAL, of which tests/dialects/sqlite/test_watch.py is, a reader of SQLite makes writers wait.
            if room.dialect.name != "SQLite":
                room.execute(ONE_ROW)
            assert reader.count("parents") == len(PARENTS)
        if room.dialect.name == "SQLite":
            room.execute(ONE_ROW)
        assert watch.token() != token


def test_writers_wait_while_it_is_held_and_readers_go_on(room: Room) -> None:
    room.fill()
    done = threading.Event()

    def write() -> None:
        room.execute(ONE_ROW)
        done.set()

    with room.dialect.fence(room.target) as fence:
        token = fence.token()
        with fence.hold(1):
            writer = threading.Thread(target=write)
            writer.start()
            assert not done.wait(0.3)
            assert room.state()["parents"] == PARENTS
            assert fence.token() == token
        assert done.wait(10)
        writer.join()
        assert fence.token() != token


def test_hold_gives_up_on_a_writer_that_does_not_end(room: Room) -> None:
    room.fill()
    with room.dialect.fence(room.target) as fence, room.connect() as connection:
        connection.exec_driver_sql(ONE_ROW)
        with no_endless_wait(), pytest.raises(LockHeld), fence.hold(0.3):
            pytest.fail("held")
        connection.rollback()
        with fence.hold(0.3):
            pass
    room.execute(ONE_ROW)


# The swap


def old(room: Room) -> URL:
    return room.dialect.generation_url(room.target, "0000000c-old")


def swapped(room: Room, staging: URL) -> None:
    with room.dialect.fence(room.target) as fence:
        room.dialect.swap(staging, room.target, old(room), fence, fence.token(), timeout_s=5)


def test_the_old_database_is_kept(room: Room) -> None:
    room.fill()
    before = room.state()
    staging = room.staged()
    with room.dialect.fence(room.target) as fence:
        with room.dialect.image(room.target, old(room), fence) as image:
            token = image.token
        room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
    assert room.state(old(room)) == before
    assert room.dialect.problems(old(room)) == []


def test_a_swap_that_was_not_killed_needs_no_recovery(room: Room) -> None:
    room.fill()
    staging = room.staged()
    room.dialect.set_mark(staging, "00000abc")
    before = room.everything()
    room.dialect.recover(staging, room.target, old(room))
    assert room.everything() == before
    expected = room.everything(staging)
    swapped(room, staging)
    for _ in range(2):
        room.dialect.recover(staging, room.target, old(room))
        assert room.everything() == expected


def test_the_swap_makes_the_target_what_staging_is(room: Room) -> None:
    room.fill()
    staging = room.staged()
    room.dialect.set_mark(staging, "00000abc")
    expected = room.everything(staging)
    swapped(room, staging)
    assert room.everything() == expected
    assert room.dialect.problems(room.target) == []


def test_a_target_without_tables_can_be_swapped(room: Room) -> None:
    room.dialect.create(room.target)
    staging = room.staged()
    expected = room.everything(staging)
    swapped(room, staging)
    assert room.everything() == expected


def test_a_target_can_become_empty(room: Room) -> None:
    room.fill()
    staging = room.other("empty")
    room.dialect.prepare_staging(staging, room.target)
    swapped(room, staging)
    assert room.state() == {}


def test_a_late_writer_stops_the_swap_and_is_not_lost(room: Room) -> None:
    room.fill()
    staging = room.staged()
    with room.dialect.fence(room.target) as fence:
        token = fence.token()
        room.execute(ONE_ROW)
        before = room.everything()
        with pytest.raises(LateWrite):
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
        assert room.everything() == before
        room.dialect.swap(staging, room.target, old(room), fence, fence.token(), timeout_s=5)
    assert len(room.state()["parents"]) == len(PARENTS) + 1


def test_a_target_that_stays_locked_stops_the_swap(room: Room) -> None:
    room.fill()
    staging = room.staged()
    before = room.everything()
    with room.dialect.fence(room.target) as fence, room.connect() as connection:
        connection.exec_driver_sql(ONE_ROW)
        with no_endless_wait(), pytest.raises(LockHeld):
            room.dialect.swap(staging, room.target, old(room), fence, fence.token(), timeout_s=0.3)
        connection.rollback()
    assert room.everything() == before
    swapped(room, staging)


def test_a_connected_application_sees_the_new_database(room: Room) -> None:
    room.fill()
    staging = room.staged()
    with room.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM parents").scalar() == 3
        connection.rollback()
        swapped(room, staging)
        assert connection.exec_driver_sql("SELECT count(*) FROM parents").scalar() == 4


def test_a_restored_backup_can_be_swapped_in(room: Room) -> None:
    room.fill()
    dump = room.dump(room.directory / "dump")
    room.execute(ONE_ROW)
    back = room.other("back")
    room.dialect.restore(dump, back)
    room.dialect.fit_staging(back, room.target)
    swapped(room, back)
    assert room.state()["parents"] == PARENTS


# The lock


def test_one_holder_at_a_time(room: Room) -> None:
    with room.dialect.lock(room.target, 0):
        began = time.monotonic()
        with no_endless_wait(), pytest.raises(LockHeld), room.dialect.lock(room.target, 0.2):
            pytest.fail("two holders")
        assert time.monotonic() - began > 0.1
    with room.dialect.lock(room.target, 0):
        pass


def test_the_lock_is_held_against_other_processes_and_dies_with_them(room: Room) -> None:
    program = (
        "import sys; from sqlalchemy import make_url; from app.dialects import dialect_for\n"
        "url = make_url(sys.argv[1])\n"
        "with dialect_for(url).lock(url, 0): print('held', flush=True); sys.stdin.read()"
    )
    url = room.target.render_as_string(hide_password=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld), room.dialect.lock(room.target, 0):
            pytest.fail("two holders")
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    with room.dialect.lock(room.target, 10):
        pass


def test_a_digest_behind_the_rows_is_that_of_the_rows(room: Room) -> None:
    """Of a copy as well, which was not read before."""
    room.fill()
    copied = room.other("copied")
    room.dialect.copy(room.target, copied, timeout_s=10)
    with room.dialect.reader(room.target) as reader, room.dialect.reader(copied) as other:
        for name, table in reader.tables().items():
            assert list(reader.rows_to_digest(table)) == list(reader.rows(table))
            assert reader.digest(table) == other.digest(other.tables()[name]) is not None
            # One of some of its rows is none of the table.
            next(other.rows_to_digest(table), None)
            assert reader.digest(table) == other.digest(table)
