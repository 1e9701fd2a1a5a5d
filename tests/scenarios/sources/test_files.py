"""Files as sources: snapshots, the two classic shapes, SQLite databases; whole, damaged and odd."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from app.transfer.rows.encode import encode
from app.transfer.rows.files import write
from app.transfer.rows.snapshot import SnapshotReader
from tests.support.deployment.runner import Deployment
from tests.support.site import Result, Site
from tests.support.sources.headrows import answered, assert_same, at_head, listed
from tests.support.sources.sites import Before, assert_refused, flask, report, rows_of

from .test_every_value import OVER_HTTP

Put = Callable[[Path], Path]
SEPARATE = ("leaderboard", "elementary_leaderboard_events", "skill_snapshots")


def migrate(site: Site, source: Path | str, *options: str, **environ: str) -> Result:
    return flask(site, "db-migrate-data", str(source), "--yes", *options, **environ)


# The two classic shapes


@pytest.fixture(scope="module")
def by_type(newer: Deployment) -> dict[str, Any]:
    found: dict[str, Any] = newer.get("/api/export/all").json()
    return found


@pytest.fixture(scope="module")
def as_list(older: Deployment) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = older.get("/api/user").json()
    return found


def written(path: Path, data: Any, **options: Any) -> Path:
    path.write_text(json.dumps(data, **options), encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"ensure_ascii": False, "indent": "\t"}])
def test_an_object_by_type(
    site: Site, by_type: dict[str, Any], paged_database: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = written(tmp_path / "old.json", by_type, **options)
    before = path.read_bytes()
    assert_refused(migrate(site, path), 3, *SEPARATE, "--accept-missing")
    done = migrate(site, path, "--accept-missing")
    assert done.status == 0, done.stderr
    assert path.read_bytes() == before
    expected = answered(rows_of(paged_database), *OVER_HTTP) | {table: [] for table in SEPARATE}
    for row in expected["user_sections"]:
        row["year"] = None  # only GET /api/user says it
    assert_same(site.database, at_head(expected), texts=False)
    assert "does not say the year" in " ".join(report(site)["notes"])


def test_a_list_of_users(site: Site, as_list: list[Any], paged_database: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "old.json", as_list)
    assert_refused(migrate(site, path), 3, "posts", "--accept-missing")
    done = migrate(site, path, "--accept-missing")
    assert done.status == 0, done.stderr
    assert_same(site.database, at_head(listed(rows_of(paged_database))), texts=False)
    assert not site.snapshot.exists(), "a file given as SOURCE is its own snapshot"


def test_a_classic_file_is_the_source_when_none_is_given(site: Site, by_type: dict[str, Any]) -> None:
    written(site.snapshot, by_type)
    done = flask(site, "db-migrate-data", "--yes", "--accept-missing")
    assert done.status == 0, done.stderr
    again = flask(site, "db-migrate-data", "--yes")
    assert (again.status, again.stdout.count("\n")) == (0, 1)


def test_failed_endpoints(filled: Site, by_type: dict[str, Any], tmp_path: Path) -> None:
    failed = {**by_type, "_metadata": by_type["_metadata"] | {"failed_endpoints": [["posts", "504 Gateway"]]}}
    before = Before.of(filled)
    ended = migrate(filled, written(tmp_path / "old.json", failed), "--accept-missing")
    assert_refused(ended, 3, str(tmp_path / "old.json"), "incomplete", "posts")
    before.assert_unchanged()
    none = {**by_type, "_metadata": by_type["_metadata"] | {"failed_endpoints": []}}
    assert migrate(filled, written(tmp_path / "old.json", none), "--accept-missing").status == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", ["neither a snapshot, nor JSON"]),
        (b"   \n", ["neither a snapshot, nor JSON"]),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ["neither a snapshot, nor JSON"]),
        (b"{}", ["no records"]),
        (b'{"_metadata": {"total_records": 0}}', ["no records"]),
        (b'[\n{"id": 1},\n{"id": NaN}\n]', ["NaN", "line 3"]),
        (b'{"users": [\n{"id": 1, "id": 2}]}', ["twice", "'id'", "line 2"]),
        (b'{"users": [],\n"users": []}', ["twice", "'users'"]),
        (b'{"users": [\n\n{"name": "\\ud800"}]}', ["surrogate", "line 3"]),
        (b'{"users": [\n{"name": "\xff"}]}', ["not UTF-8"]),
        (b'[{"id": 1},', ["line 1, column 12"]),
        (b'[{"id": 1}\n{"id": 2}]', ["','"]),
        (b'{"users": [{"id": 1}', ["too early"]),
        (b'[{"id": 1}] [{"id": 2}]', ["behind"]),
        (b'{"users": []} trailing', ["behind"]),
        (b'{"users": {"id": 1}}', ["'['"]),
        (b"[" * 100_000, ["nested too deeply"]),
        (b'[{"id": ' + b"1" * 5000 + b"}", ["too early"]),
    ],
    ids=range(18),
)
def test_a_damaged_classic_file(filled: Site, tmp_path: Path, text: bytes, said: list[str]) -> None:
    path, before = tmp_path / "old.json", Before.of(filled)
    path.write_bytes(text)
    ended = migrate(filled, path, "--accept-missing")
    assert ended.status == 3, ended.stderr
    assert str(path) in ended.stderr
    for words in said:
        assert words in ended.stderr
    before.assert_unchanged()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"users": [], "grades": []}, ["'grades'"]),
        ([1, 2], ["user record 1", "not an object"]),
        ([{"id": 1, "shoe_size": 4, "uid": "a", "name": "", "email": "", "role": "", "pfp": None}], ["user record 1"]),
        ({"sections": [{"id": "x", "name": 5, "abbreviation": None}]}, ["sections record 1"]),
        ({"sections": [{"id": 2**70, "name": "", "abbreviation": ""}]}, ["sections record 1", "id"]),
    ],
    ids=range(5),
)
def test_a_classic_file_of_something_else(filled: Site, tmp_path: Path, data: Any, said: list[str]) -> None:
    before = Before.of(filled)
    ended = migrate(filled, written(tmp_path / "old.json", data), "--accept-missing")
    assert ended.status == 22, ended.stderr
    for words in said:
        assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    before.assert_unchanged()


def test_records_that_come_twice_in_a_file(filled: Site, as_list: list[dict[str, Any]], tmp_path: Path) -> None:
    path = written(tmp_path / "old.json", [*as_list, as_list[0]])
    done = migrate(filled, path, "--accept-missing")
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM users") == [(len(as_list),)]
    before = Before.of(filled)
    changed = [*as_list, {**as_list[0], "name": "somebody else"}]
    ended = migrate(filled, written(path, changed), "--accept-missing", "--rerun")
    assert ended.status == 22
    assert "holds other values" in ended.stderr
    before.assert_unchanged()


# Snapshots


def packed(path: Path, data: bytes) -> Path:
    if path.suffix == ".gz":
        data = gzip.compress(data)
    if path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["kept.json", "kept.json.gz", "kept.json.zst", "gzip.json"])
def test_a_snapshot_in_every_packing(site: Site, good_snapshot: Path, tmp_path: Path, name: str) -> None:
    data = good_snapshot.read_bytes()
    path = packed(tmp_path / name, gzip.compress(data) if name == "gzip.json" else data)
    before = path.read_bytes()
    done = migrate(site, path)
    assert done.status == 0, done.stderr
    assert site.query("SELECT count(*) FROM posts") == [(430,)]
    assert path.read_bytes() == before
    assert "not from the source" not in done.stdout
    again = migrate(site, path)
    assert again.last_line.startswith("Nothing to do")


def test_a_moved_snapshot_is_the_same_source(site: Site, good_snapshot: Path, tmp_path: Path) -> None:
    path = shutil.copy(good_snapshot, tmp_path / "a.json")
    assert migrate(site, path).status == 0
    moved = Path(path).rename(tmp_path / "b.json")
    assert migrate(site, moved).last_line.startswith("Nothing to do")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_truncated_snapshot(filled: Site, good_snapshot: Path, tmp_path: Path, suffix: str) -> None:
    whole = packed(tmp_path / f"whole.json{suffix}", good_snapshot.read_bytes()).read_bytes()
    before = Before.of(filled)
    # In the first bytes, in the header, in the data, in the footer, before the last line's end.
    for keep in (3, 5, 14, 200, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        path = tmp_path / f"cut.json{suffix}"
        path.write_bytes(whole[:keep])
        ended = migrate(filled, path)
        assert ended.status == 3, (keep, ended.stderr)
        assert str(path) in ended.stderr
        # What is left of a compressed file may be nothing at all.
        assert keep < len(whole) // 2 or "line " in ended.stderr
    before.assert_unchanged()


def test_the_line_where_a_snapshot_ends(filled: Site, good_snapshot: Path, tmp_path: Path) -> None:
    whole = good_snapshot.read_bytes()
    newline = b"\n"
    cut = whole[: whole.index(b'"posts": [') + 100]
    (tmp_path / "cut.json").write_bytes(cut)
    ended = migrate(filled, tmp_path / "cut.json")
    assert f"line {cut.count(newline) + 1}:" in ended.stderr


@pytest.mark.parametrize("fill", ["same length", "longer", "line gone", "line twice", "lines exchanged"])
def test_an_edited_snapshot(filled: Site, good_snapshot: Path, tmp_path: Path, fill: str) -> None:
    lines = good_snapshot.read_bytes().splitlines(keepends=True)
    posts = next(number for number, line in enumerate(lines) if line.startswith(b'"posts": ['))
    at = posts + 200
    match fill:
        case "same length":
            lines[at] = lines[at].replace(b"content", b"c0ntent")
        case "longer":
            lines[at] = lines[at].replace(b'"content"', b'"content" ')
        case "line gone":
            del lines[at]
        case "line twice":
            lines.insert(at, lines[at])
        case "lines exchanged":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
    path, before = tmp_path / "edited.json", Before.of(filled)
    path.write_bytes(b"".join(lines))
    ended = migrate(filled, path)
    assert ended.status == 3, ended.stderr
    assert str(path) in ended.stderr
    named = ended.stderr.partition("line ")[2].partition(":")[0]
    # The block of a hundred lines that holds the edited one.
    assert at - 100 < int(named) <= at + 2
    before.assert_unchanged()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"complete":true', b'"complete":false'),
        (b'"version":1', b'"version":2'),
        (b'"kind":"records"', b'"kind":"rows"'),
        (b'"rows":430', b'"rows":431'),
        (b'"revision":"0001_classic"', b'"revision":"0009_future"'),
    ],
)
def test_a_snapshot_whose_header_or_footer_was_edited(
    filled: Site, good_snapshot: Path, tmp_path: Path, old: bytes, new: bytes
) -> None:
    data, before = good_snapshot.read_bytes(), Before.of(filled)
    assert old in data
    path = tmp_path / "edited.json"
    path.write_bytes(data.replace(old, new))
    ended = migrate(filled, path)
    assert ended.status == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    before.assert_unchanged()


def test_text_behind_a_snapshot(filled: Site, good_snapshot: Path, tmp_path: Path) -> None:
    path = tmp_path / "longer.json"
    path.write_bytes(good_snapshot.read_bytes() + b"\n")
    ended = migrate(filled, path)
    assert ended.status == 3
    assert "behind the footer" in ended.stderr


def test_a_missing_file_and_a_directory(filled: Site, tmp_path: Path) -> None:
    before = Before.of(filled)
    for path in (tmp_path / "gone.json", tmp_path):
        ended = migrate(filled, path)
        assert ended.status == 3, ended.stderr
        assert f"no file {path}" in ended.stderr
    before.assert_unchanged()


def test_a_snapshot_of_a_revision_that_is_not_here(filled: Site, old_file: Put, tmp_path: Path) -> None:
    made = Site(tmp_path / "made")
    made.directory.mkdir()
    assert migrate(made, old_file(tmp_path / "old.db")).status == 0
    with SnapshotReader(made.snapshot) as reader:
        header = reader.header.__class__(**{**vars(reader.header), "revision": "0009_future"})
        write(tmp_path / "future.json", encode(header, reader.sections()))
    before = Before.of(filled)
    ended = migrate(filled, tmp_path / "future.json")
    assert ended.status == 22
    assert "0009_future" in ended.stderr
    before.assert_unchanged()


# SQLite files


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


KILLED = """
import os, signal, sqlite3, sys
path, mode = sys.argv[1:]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA journal_mode = " + mode)
connection.execute("PRAGMA synchronous = FULL")
connection.execute("PRAGMA cache_spill = ON")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE users SET _name = 'changed ' || id")
connection.execute("UPDATE posts SET _content = _content || hex(randomblob(4000))")
if mode == "WAL":
    connection.execute("COMMIT")
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_process(path: Path, mode: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), mode], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_write_ahead_log_left_by_a_killed_process(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old" / "old.db")
    left_by_a_killed_process(source, "WAL")
    log = source.with_name("old.db-wal")
    before = source.read_bytes(), log.read_bytes()
    assert before[1], "nothing is in the log"
    done = migrate(site, source)
    assert done.status == 0, done.stderr
    assert site.query("SELECT count(*) FROM users WHERE name = 'changed ' || id") == [(60,)]
    assert (source.read_bytes(), log.read_bytes()) == before


def test_a_hot_journal_left_by_a_killed_process(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old" / "old.db")
    expected = at_head(rows_of(source))
    left_by_a_killed_process(source, "DELETE")
    journal = source.with_name("old.db-journal")
    before = source.read_bytes(), journal.read_bytes()
    assert b"changed " in before[0], "the journal is not hot: nothing was written yet"
    done = migrate(site, source)
    assert done.status == 0, done.stderr
    assert (source.read_bytes(), journal.read_bytes()) == before
    assert_same(site.database, expected, texts=True)
    assert sorted(path.name for path in source.parent.iterdir()) == ["old.db", "old.db-journal"]


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nobody can write here: by the mode bits, and by a read-only mount where root would pass those."""
    if os.geteuid() != 0:
        directory.chmod(0o500)
        yield
        directory.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", str(directory), str(directory)], check=True, capture_output=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(directory)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True, capture_output=True)


def test_a_file_in_a_read_only_directory(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old" / "old.db")
    with read_only(source.parent):
        with pytest.raises(OSError, match=r"Read-only|Permission"):
            (source.parent / "probe").touch()
        done = migrate(site, source)
    assert done.status == 0, done.stderr


def test_an_extra_table(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    change(source, "CREATE TABLE grades (id INTEGER PRIMARY KEY, mark TEXT)", "INSERT INTO grades VALUES (1, 'A')")
    ended = migrate(filled, source)
    assert_refused(ended, 22, "table grades", "--exclude")
    before.assert_live_unchanged()
    done = migrate(filled, source, "--exclude", "grades")
    assert done.status == 0, done.stderr
    assert {"what": "table grades", "rows": 1, "reason": "--exclude"} in report(filled)["waived"]
    assert filled.query("SELECT count(*) FROM sqlite_schema WHERE name = 'grades'") == [(0,)]


def test_an_extra_table_of_a_database_that_says_its_revision(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    change(
        source,
        "CREATE TABLE grades (id INTEGER PRIMARY KEY, mark TEXT)",
        "INSERT INTO grades VALUES (1, 'A')",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0001_classic')",
    )
    assert_refused(migrate(filled, source), 22, "table grades", "--exclude")
    done = migrate(filled, source, "-e", "grades")
    assert done.status == 0, done.stderr
    assert {"what": "table grades", "rows": 1, "reason": "--exclude"} in report(filled)["waived"]


def test_an_extra_column(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    change(source, "ALTER TABLE posts ADD COLUMN mood TEXT")
    assert migrate(filled, source).status == 0, "a column without values loses nothing"
    filled.database.unlink()
    shutil.rmtree(filled.area)
    change(source, "UPDATE posts SET mood = 'merry' WHERE id % 2 = 0")
    [(values,)] = sqlite3.connect(source).execute("SELECT count(mood) FROM posts").fetchall()
    ended = migrate(filled, source)
    assert_refused(ended, 22, f"column posts.mood ({values} values)")
    assert before.content


def test_a_missing_table_and_a_missing_column(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    change(source, "DROP TABLE study", "ALTER TABLE posts DROP COLUMN _page_title")
    ended = migrate(filled, source)
    assert_refused(ended, 22, "study", "posts._page_title", "0001_classic", "flask db stamp")
    before.assert_unchanged()


def test_a_database_of_something_else(filled: Site, tmp_path: Path) -> None:
    source, before = tmp_path / "other.db", Before.of(filled)
    change(source, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    assert_refused(migrate(filled, source), 22, str(source), "notes")
    before.assert_unchanged()


def test_a_database_without_tables(filled: Site, tmp_path: Path) -> None:
    source, before = tmp_path / "empty.db", Before.of(filled)
    change(source, "CREATE TABLE gone (x)", "DROP TABLE gone")
    assert_refused(migrate(filled, source), 3, str(source), "no tables")
    before.assert_unchanged()


def test_text_that_is_not_utf_8(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    change(source, "UPDATE users SET _name = CAST(x'4AFF' AS TEXT) WHERE id = 7")
    ended = migrate(filled, source)
    assert ended.status == 22, ended.stderr
    assert "users._name holds text that is not UTF-8 (key [7])" in ended.stderr
    before.assert_unchanged()


@pytest.mark.parametrize("damage", ["cut", "pages"])
def test_a_damaged_database(filled: Site, old_file: Put, tmp_path: Path, damage: str) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    data = bytearray(source.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[4096 * 2 :] = b"\xee" * (len(data) - 4096 * 2)
    source.write_bytes(data)
    ended = migrate(filled, source)
    assert_refused(ended, 3, str(source), "malformed")
    before.assert_unchanged()


def test_a_database_that_somebody_holds_for_a_moment(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    held = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(source, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            held.set()
            time.sleep(1)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    done = migrate(site, source)
    thread.join(10)
    assert done.status == 0, done.stderr


def test_a_virtual_table(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    change(source, "CREATE VIRTUAL TABLE words USING fts5 (word)", "INSERT INTO words VALUES ('loop')")
    assert_refused(migrate(filled, source), 22, "words", "--exclude")
    before.assert_live_unchanged()
    done = migrate(filled, source, "--exclude", "words")
    assert done.status == 0, done.stderr
    assert "words" in " ".join(item["what"] for item in report(filled)["waived"])


def test_a_sqlite_url(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    assert migrate(site, f"sqlite:///{source}").status == 0
    # The same file by its path is the same source.
    assert migrate(site, source).last_line.startswith("Nothing to do")


def test_a_relative_path(site: Site, old_file: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_file(tmp_path / "here" / "old.db")
    monkeypatch.chdir(tmp_path / "here")
    assert migrate(site, "old.db").status == 0
    assert migrate(site, "sqlite:///old.db").last_line.startswith("Nothing to do")
    monkeypatch.chdir(tmp_path)
    ended = migrate(site, "old.db")
    assert ended.status == 3
    assert str(tmp_path / "old.db") in ended.stderr


def test_the_target_as_its_own_source(site: Site, old_file: Put, tmp_path: Path) -> None:
    old_file(site.database)
    expected = at_head(rows_of(site.database))
    (tmp_path / "link.db").symlink_to(site.database)
    done = migrate(site, tmp_path / "link.db")
    assert done.status == 0, done.stderr
    assert_same(site.database, expected, texts=True)
    assert not site.snapshot.exists()
    for same in (site.database, f"sqlite:///{site.database}", "self"):
        again = migrate(site, same)
        assert again.status == 0, again.stderr
        assert "this database itself" in again.last_line


def test_a_database_at_a_later_revision(site: Site, old_file: Put, tmp_path: Path) -> None:
    first = Site(tmp_path / "first")
    first.directory.mkdir()
    assert migrate(first, old_file(tmp_path / "old.db")).status == 0
    before = first.content()
    done = migrate(site, first.database)
    assert done.status == 0, done.stderr
    assert first.content() == before
    assert_same(site.database, at_head(rows_of(tmp_path / "old.db")), texts=True)
    assert report(site)["revisions"]["source"] == "0007_unique_sids"
