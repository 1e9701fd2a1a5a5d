"""Rows that were set aside are fixed by hand and loaded: the result is what the fixed source would have given."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment.data import make_database
from tests.support.deployment.runner import Deployment
from tests.support.pages import take_lines
from tests.support.site import Result, Site, content
from tests.support.sources.headrows import Tables, assert_same, at_head
from tests.support.sources.sites import SMALL, Before, Secrets, assert_refused, flask, ledger, report, rows_of

from .test_left_out import relaxed, split

Edit = Callable[[list[dict[str, Any]]], None]


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with rows that the schema refuses, others that refer to them, and reactions behind all of them."""
    directory = tmp_path_factory.mktemp("broken")
    make_database(directory / "strict.db", SMALL)
    relaxed(directory / "strict.db", directory / "old.db")
    with closing(sqlite3.connect(directory / "old.db")) as connection, connection:
        one = connection.execute
        owner = one("SELECT _owner_teacher_id FROM classrooms ORDER BY id DESC LIMIT 1").fetchone()[0]
        one("UPDATE users SET _uid = 'toby' WHERE id = ?", (owner,))
        # She reacted to nothing: what she reacted to is live, and refers to her by a number in its JSON.
        one("UPDATE microblogs SET _data = NULL WHERE _data LIKE '%' || ? || '%'", (owner,))
        one("UPDATE sections SET _name = NULL WHERE id = (SELECT max(section_id) FROM user_sections)")
        # The first microblog with reactions is refused: those of all others get other keys without it.
        first = "SELECT min(id) FROM microblogs WHERE _data LIKE '%reactions%'"
        one(f"UPDATE microblogs SET _content = NULL WHERE id = ({first})")
    return directory / "old.db"


def fixed(tables: Tables) -> Tables:
    """The broken rows as the edits below leave them."""
    found = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    seen: set[str] = set()
    for row in found["users"]:
        if row["_uid"] in seen:
            row["_uid"] = "toby-too"
        seen.add(row["_uid"])
    for table, column, value in (("sections", "_name", "Fixed"), ("microblogs", "_content", "fixed")):
        for row in found[table]:
            row[column] = value if row[column] is None else row[column]
    return found


def fix(rows: list[dict[str, Any]]) -> None:
    """Edit the file's rows so."""
    for item in rows:
        row = item["row"]
        if item["table"] == "users" and not item["reason"].startswith("refers to"):
            row["_uid"] = "toby-too"
        if item["table"] == "sections" and row["_name"] is None:
            row["_name"] = "Fixed"
        if item["table"] == "microblogs" and row["_content"] is None:
            row["_content"] = "fixed"


@pytest.fixture(scope="session")
def _set_aside(tmp_path_factory: pytest.TempPathFactory, broken: Path) -> Site:
    site = Site(tmp_path_factory.mktemp("set-aside"))
    done = flask(site, "db-migrate-data", str(broken), "--set-aside", "--yes")
    assert done.status == 0, done.stderr
    return site


@pytest.fixture
def migrated(site: Site, _set_aside: Site) -> Iterator[Site]:
    """A site that set rows aside; its ledger names the files of the directory it was copied from."""
    shutil.copytree(_set_aside.directory, site.directory, dirs_exist_ok=True)
    yield site
    assert [path.name for path in site.area.glob("staging*")] == []


@pytest.mark.executes("docs/set-aside.md")
def test_the_lines_of_the_page(site: Site, broken: Path) -> None:
    lines = [line.split()[1:] for line in take_lines("docs/set-aside.md")]
    for arguments in lines:
        for file in site.area.glob("runs/*/set-aside.json"):
            said = json.loads(file.read_text(encoding="utf-8"))
            fix(said["rows"])
            (site.directory / "set-aside.json").write_text(json.dumps(said), encoding="utf-8")
        typed = [str(site.directory / word) if word.endswith(".json") else word for word in arguments]
        answer = ["--yes"] if "db-migrate-data" in typed else []
        ok(flask(site, *typed, *answer, FLASK_FERRY_SOURCE=str(broken)))


def edited(site: Site, edit: Edit, to: str = "fixed.json") -> Path:
    """The file of rows set aside, edited, elsewhere."""
    file = site.area / "runs" / ledger(site)[0]["run_id"] / "set-aside.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    edit(said["rows"])
    path = site.directory / to
    path.write_text(json.dumps(said, indent=1), encoding="utf-8")
    return path


def load(site: Site, file: Path | str, *options: str) -> Result:
    return flask(site, "db-migrate-data", "--set-aside-from", str(file), "--yes", *options)


def ok(result: Result) -> Result:
    assert result.status == 0, result.stderr + result.stdout
    return result


def test_the_file_says_what_it_is_and_the_run_how_to_load_it(migrated: Site, broken: Path) -> None:
    [file] = migrated.area.glob("runs/*/set-aside.json")
    assert file.stat().st_mode & 0o777 == 0o600
    said = json.loads(file.read_text(encoding="utf-8"))
    [entry] = ledger(migrated)
    assert {name: said[name] for name in said if name not in ("rows", "written_at")} == {
        "format": "ferry-set-aside",
        "version": 1,
        "run": entry["run_id"],
        "revision": "0001_classic",
        "source": entry["source"],
        "identity": entry["source_identity"],
        "snapshot": entry["snapshot"],
        "sha256": entry["snapshot_sha256"],
    }
    _, gone = split(rows_of(broken))
    assert len(said["rows"]) == sum(map(len, gone.values()))
    assert set(said["rows"][0]) == {"table", "number", "reason", "row"}
    assert '"_uid": "toby",' in [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    receipt = report(migrated)
    assert receipt["aside"]["rows"] == len(said["rows"])
    command = f"flask db-migrate-data --set-aside-from {receipt['aside']['file']}"
    assert receipt["aside"]["command"] == entry["options"]["aside"]["command"] == command
    assert command in receipt["warnings"][0]
    shown = ok(flask(migrated, "db-status")).stdout
    assert f"{len(said['rows'])} rows in {receipt['aside']['file']}" in shown
    assert command in shown


def test_mended_rows_come_out_as_a_mended_source_would_have(migrated: Site, broken: Path) -> None:
    file = edited(migrated, fix)
    rows = len(json.loads(file.read_text())["rows"])
    before = migrated.content()
    done = ok(load(migrated, file))
    assert_same(migrated.database, at_head(fixed(rows_of(broken))), texts=True)
    assert migrated.query("PRAGMA foreign_key_check") == []
    assert done.last_line.endswith(f"Loaded: {rows} rows of {file}.")
    receipt = report(migrated)
    assert receipt["summary"] == done.last_line
    assert sum("is all there, by checksum" in note for note in receipt["notes"]) == 1
    assert sum(item["rows"] for item in receipt["tables"]) == rows
    assert all(item["rows"] == item["loaded"] for item in receipt["tables"])
    added = {item["table"]: item["rows"] for item in receipt["added"]}
    assert added["microblog_reactions"] >= 1
    assert added["users"] == 1
    assert receipt["aside"] == {}
    assert content(Path(receipt["backup"])) == before

    # Everything afterwards is as after any run.
    again = ok(load(migrated, file))
    assert again.stdout.splitlines() == [again.last_line]
    assert "Nothing to do" in again.last_line
    assert "already migrated" in ok(flask(migrated, "db-migrate-data", str(broken), "--yes")).last_line
    assert "holds exactly what came from" in ok(flask(migrated, "db-verify")).last_line
    status = ok(flask(migrated, "db-status")).stdout
    assert "Set aside:" not in status
    assert str(file) in status
    ok(flask(migrated, "db-rollback", "--yes"))
    assert migrated.content() == before
    assert "Set aside:" in ok(flask(migrated, "db-status")).stdout
    # What was rolled back is loaded anew, and the deploy hook still knows where all of it came from.
    ok(load(migrated, file))
    assert_same(migrated.database, at_head(fixed(rows_of(broken))), texts=True)
    assert "already migrated" in ok(flask(migrated, "db-migrate-data", str(broken), "--yes")).last_line


# A part of them


def only(*tables: str) -> Edit:
    """Leave only rows of these tables, fixed."""

    def edit(rows: list[dict[str, Any]]) -> None:
        rows[:] = [item for item in rows if item["table"] in tables]
        fix(rows)

    return edit


def test_rows_that_are_not_mended_are_refused_by_table_key_and_reason(migrated: Site) -> None:
    def leave_the_section(rows: list[dict[str, Any]]) -> None:
        fix(rows)
        next(item for item in rows if item["table"] == "sections")["row"]["_name"] = None

    file, before = edited(migrated, leave_the_section), Before.of(migrated)
    ended = load(migrated, file)
    assert_refused(ended, 22, "sections: row", "NOT NULL constraint failed: sections._name; key", "0001_classic")
    assert "refers to a row of sections that is set aside" in ended.stderr
    assert f"flask db-migrate-data --set-aside-from {file} --set-aside" in ended.stderr.splitlines()[-1]
    before.assert_unchanged()
    assert len(ledger(migrated)) == 1


def test_what_is_still_refused_goes_to_a_new_file_that_is_loaded_later(migrated: Site, broken: Path) -> None:
    def leave_the_user(rows: list[dict[str, Any]]) -> None:
        fix(rows)
        next(item for item in rows if item["table"] == "users")["row"]["_uid"] = "toby"

    file = edited(migrated, leave_the_user)
    rows = len(json.loads(file.read_text())["rows"])
    done = ok(load(migrated, file, "--set-aside"))
    receipt = report(migrated)
    still = sum(item["set_aside"] for item in receipt["tables"])
    assert 0 < still < rows
    assert all(item["rows"] == item["loaded"] + item["set_aside"] for item in receipt["tables"])
    assert sum(item["rows"] for item in receipt["tables"]) == rows
    assert receipt["aside"]["rows"] == still == len(receipt["set_aside"])
    assert receipt["aside"]["command"] in done.stderr
    assert receipt["aside"]["command"] in ok(flask(migrated, "db-status")).stdout
    assert "holds exactly" in ok(flask(migrated, "db-verify")).last_line
    rest = Path(receipt["aside"]["file"])
    assert rest.stat().st_mode & 0o777 == 0o600
    said = json.loads(rest.read_text())
    assert {item["table"] for item in said["rows"]} >= {"users", "classrooms"}
    fix(said["rows"])
    rest.write_text(json.dumps(said))
    ok(load(migrated, rest))
    assert_same(migrated.database, at_head(fixed(rows_of(broken))), texts=True)


def test_parents_first_and_what_refers_to_them_in_another_file(migrated: Site, broken: Path) -> None:
    """A child is brought to head beside its parent, though that came in another run: else it would lose it."""
    children = edited(migrated, lambda rows: fix(rows), "all.json")
    ok(load(migrated, edited(migrated, only("users", "sections"), "parents.json")))
    left = report(migrated)["aside"]["rows"]
    ok(load(migrated, children))
    assert_same(migrated.database, at_head(fixed(rows_of(broken))), texts=True)
    receipts = report(migrated)["tables"]
    assert {item["table"]: item["waived"] for item in receipts if item["waived"]} == {"users": 1, "sections": 1}
    assert sum(item["loaded"] for item in receipts) == left
    assert "already migrated" in ok(flask(migrated, "db-migrate-data", str(broken), "--yes")).last_line


def test_a_child_without_its_parent_stays_aside(migrated: Site) -> None:
    before = Before.of(migrated)
    file = edited(migrated, only("classrooms"))
    assert_refused(load(migrated, file), 22, "classrooms: row", "refers to a row of users that is set aside")
    # With --set-aside there would be nothing left to do.
    assert_refused(load(migrated, file, "--set-aside"), 22, "still refused, which is all", "refers to a row of users")
    before.assert_unchanged()


def test_a_row_that_was_loaded_is_no_other_one_now(migrated: Site) -> None:
    ok(load(migrated, edited(migrated, only("sections"), "first.json")))
    before = Before.of(migrated)
    said = json.loads((migrated.directory / "first.json").read_text())
    said["rows"][0]["row"]["_name"] = "Fixed otherwise"
    (migrated.directory / "second.json").write_text(json.dumps(said))
    ended = load(migrated, migrated.directory / "second.json")
    assert_refused(ended, 22, "of sections was loaded with other values")
    before.assert_unchanged()


# What the application did meanwhile


def test_writes_since_the_run_stay_and_generated_keys_give_way(migrated: Site) -> None:
    migrated_rows = rows_of(migrated.database)
    blog = migrated_rows["microblogs"][-1]["id"]
    user = migrated_rows["users"][0]["id"]
    for number in range(40):
        _write(
            migrated,
            "INSERT INTO microblog_reactions (microblog_id, kind, user_id) VALUES (?, ?, ?)",
            blog,
            f"later-{number}",
            user,
        )
    _write(migrated, "UPDATE users SET name = 'Changed since' WHERE id = ?", user)
    _write(migrated, "DELETE FROM microblog_reactions WHERE id = (SELECT min(id) FROM microblog_reactions)")
    live = rows_of(migrated.database)
    ok(load(migrated, edited(migrated, fix)))
    now = rows_of(migrated.database)
    for table, rows in live.items():
        assert [row for row in rows if row not in now[table]] == [], table
    assert len(now["microblog_reactions"]) > len(live["microblog_reactions"])
    keys = [row["id"] for row in now["microblog_reactions"]]
    assert len(keys) == len(set(keys))


def _write(site: Site, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(site.database, timeout=10)) as connection, connection:
        connection.execute(sql, values)


def test_a_key_that_the_application_gave_to_other_values(migrated: Site) -> None:
    file = edited(migrated, fix)
    [user] = [item["row"] for item in json.loads(file.read_text())["rows"] if item["table"] == "users"]
    _write(
        migrated,
        "INSERT INTO users (id, name, uid, email, password, role, pfp) "
        "VALUES (?, 'N', 'new', '', 'pbkdf2:x', 'User', '')",
        user["id"],
    )
    before = Before.of(migrated)
    ended = load(migrated, file)
    assert_refused(ended, 22, f"users [{user['id']}]: changed", 'uid: "new" -> "toby-too"', "differences.json")
    assert "pbkdf2" not in ended.stderr
    assert user["_password"] not in ended.stderr
    before.assert_unchanged()
    assert report(migrated)["differences"][0]["columns"]["uid"] == ["new", "toby-too"]


def test_equal_rows_that_are_there_already_are_counted(migrated: Site) -> None:
    file = edited(migrated, only("sections"))
    [section] = [item["row"] for item in json.loads(file.read_text())["rows"]]
    _write(
        migrated,
        "INSERT INTO sections (id, name, abbreviation) VALUES (?, ?, ?)",
        section["id"],
        section["_name"],
        section["_abbreviation"],
    )
    live = migrated.content()
    ok(load(migrated, file))
    assert [(item["rows"], item["there_already"]) for item in report(migrated)["added"]] == [(0, 1)]
    assert migrated.content() == live
    # What refers to it is loaded beside it, as it was loaded by a run.
    ok(load(migrated, edited(migrated, fix, "all.json")))
    assert "holds exactly" in ok(flask(migrated, "db-verify")).last_line


def test_a_value_that_the_application_has_taken(migrated: Site) -> None:
    _write(
        migrated,
        "INSERT INTO users (name, uid, email, password, role, pfp) VALUES ('N', 'toby-too', '', 'x', 'User', '')",
    )
    before = Before.of(migrated)
    assert_refused(load(migrated, edited(migrated, fix)), 22, "users: UNIQUE constraint failed: users.uid; key")
    before.assert_unchanged()


def test_what_they_refer_to_is_deleted_by_now(migrated: Site) -> None:
    file = edited(migrated, fix)
    pairs = [i["row"] for i in json.loads(file.read_text())["rows"] if i["table"] == "user_sections"]
    keep = {i["row"]["id"] for i in json.loads(file.read_text())["rows"] if i["table"] == "users"}
    user = next(row["user_id"] for row in pairs if row["user_id"] not in keep)
    with closing(sqlite3.connect(migrated.database)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM posts WHERE user_id = ?", (user,))
        connection.execute("DELETE FROM microblogs WHERE user_id = ?", (user,))
        connection.execute("DELETE FROM classrooms WHERE owner_id = ?", (user,))
        connection.execute("DELETE FROM skill_snapshots WHERE user_id = ?", (user,))
        connection.execute("DELETE FROM users WHERE id = ?", (user,))
    before = Before.of(migrated)
    ended = load(migrated, file)
    assert_refused(ended, 22, "user_sections: ", "of users that", "not there", str(user))
    before.assert_unchanged()


def test_rows_that_would_change_live_ones_are_refused(migrated: Site, broken: Path) -> None:
    """With her student id again, another user would lose it: she has the smaller id."""

    def same_sid(rows: list[dict[str, Any]]) -> None:
        fix(rows)
        user = next(item["row"] for item in rows if item["table"] == "users")
        found = migrated.query("SELECT sid FROM users WHERE id > ? AND sid IS NOT NULL ORDER BY id", user["id"])
        user["_sid"] = found[0][0]

    before = Before.of(migrated)
    ended = load(migrated, edited(migrated, same_sid))
    assert_refused(ended, 22, "others of what is live already: 1 row", "users [", "former_sid: null -> ")
    before.assert_unchanged()


def test_what_no_revision_made_stays(migrated: Site) -> None:
    _write(migrated, "CREATE TABLE bookmarks (id INTEGER PRIMARY KEY, what TEXT)")
    _write(migrated, "INSERT INTO bookmarks VALUES (1, 'mine')")
    _write(migrated, "CREATE VIEW names AS SELECT name FROM users")
    ok(load(migrated, edited(migrated, fix)))
    assert migrated.query("SELECT * FROM bookmarks") == [(1, "mine")]
    assert migrated.query("SELECT count(*) FROM names") == [(60,)]


# The file edited into nonsense

Change = Callable[[dict[str, Any]], None]


def _row(said: dict[str, Any], table: str = "users") -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in said["rows"] if item["table"] == table)
    return found


def _twice(said: dict[str, Any]) -> None:
    said["rows"].append(_row(said))


NONSENSE: dict[str, tuple[Change, int, list[str]]] = {
    "another format": (lambda said: said.update(format="x"), 3, ["is not a file of rows set aside"]),
    "a later version": (lambda said: said.update(version=2), 3, ["format version 2"]),
    "no run": (lambda said: said.pop("run"), 22, ["does not say run"]),
    "an unknown run": (lambda said: said.update(run="20200101T000000-abcdef"), 2, ["no run 20200101T000000-abcdef"]),
    "another revision": (lambda said: said.update(revision="0007_unique_sids"), 22, ["revision is '0007_unique_sids'"]),
    "another source": (lambda said: said.update(identity="https://else"), 22, ["identity is 'https://else'"]),
    "another snapshot": (lambda said: said.update(sha256="0" * 64), 22, ["sha256 is '000"]),
    "no rows": (lambda said: said.pop("rows"), 22, ["has no rows"]),
    "rows that are no list": (lambda said: said.update(rows={}), 3, ["'[' expected at line 1"]),
    "a row that is none": (lambda said: said["rows"].insert(0, 5), 22, ["row 1 (line 1) is not an object"]),
    "no number": (lambda said: _row(said).pop("number"), 22, ["needs table (a text), number"]),
    "an unknown table": (lambda said: _row(said).update(table="userz"), 22, ["no table userz at revision 0001"]),
    "an unknown column": (lambda said: _row(said)["row"].update(colour=1), 22, ["there is no column colour"]),
    "a column less": (lambda said: _row(said)["row"].pop("_uid"), 22, ["column _uid is missing"]),
    "a value of another type": (lambda said: _row(said)["row"].update(_uid=5), 22, ["column _uid takes a text"]),
    "a row twice": (_twice, 22, ["is there twice"]),
    "a number that was not set aside": (
        lambda said: _row(said).update(number=1),
        22,
        ["row 1 of users", "not among those"],
    ),
    "a number that is not there": (lambda said: _row(said).update(number=9999), 22, ["row 9999 of users"]),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense(migrated: Site, name: str) -> None:
    change, status, words = NONSENSE[name]
    said = json.loads(edited(migrated, fix).read_text())
    change(said)
    file = migrated.directory / "nonsense.json"
    file.write_text(json.dumps(said))
    before = Before.of(migrated)
    ended = load(migrated, file)
    assert ended.status == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert str(file) in ended.stderr
    for text in words:
        assert text in ended.stderr, ended.stderr
    before.assert_unchanged()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"rows": [', '"rows": [,', "line 11"),
        ('"number":', '"number" ', "line "),
        ('"table": "', '"table": "\\ud800', "surrogate"),
        ("\n]\n}", "\n", "too early"),
    ],
)
def test_bad_json_is_named_by_line(migrated: Site, old: str, new: str, words: str) -> None:
    file = edited(migrated, fix)
    file.write_text(file.read_text().replace(" ]\n}", "]\n}").replace(old, new, 1))
    ended = load(migrated, file)
    assert_refused(ended, 3, str(file), words)


def test_no_such_file(migrated: Site) -> None:
    assert_refused(load(migrated, migrated.directory / "gone.json"), 3, "gone.json", "flask db-status")
    assert_refused(flask(migrated, "db-migrate-data", "--set-aside-from", str(migrated.area), "--yes"), 2)


# What is needed, and what is in the way


def test_a_snapshot_that_was_kept_under_another_name(site: Site, broken: Path, tmp_path: Path) -> None:
    ok(flask(site, "db-migrate-data", str(broken), "--set-aside", "--yes"))
    file = edited(site, fix)
    kept = site.snapshot.with_name("data.json.20200101T000000.bak")
    site.snapshot.rename(kept)
    site.snapshot.write_text("{}")
    assert "Would load" in ok(load(site, file, "--dry-run")).last_line
    kept.unlink()
    before = Before.of(site)
    assert_refused(load(site, file), 3, str(site.snapshot), "its digest", "--set-aside")
    before.assert_unchanged()


def test_what_is_live_comes_from_elsewhere(migrated: Site) -> None:
    file = edited(migrated, fix)
    run = report(migrated)["run"]
    ok(flask(migrated, "db-backup"))
    ok(flask(migrated, "db-restore", "--yes"))
    before = Before.of(migrated)
    assert_refused(load(migrated, file), 20, f"does not come from run {run}", "db-restore", "db-rollback")
    before.assert_unchanged()
    ok(flask(migrated, "db-rollback", "--yes"))
    ok(load(migrated, file))


@pytest.mark.parametrize(
    "options", [["self"], ["--exclude", "posts"], ["--rerun"], ["--fallback", "only"], ["--verify", "counts"]]
)
def test_what_is_about_a_source_does_not_go_with_it(migrated: Site, options: list[str]) -> None:
    ended = load(migrated, edited(migrated, fix), *options)
    assert ended.status == 2
    assert "--set-aside-from reads no source" in ended.stderr


def test_a_dry_run_writes_nothing(migrated: Site) -> None:
    file = edited(migrated, fix)
    before, runs = Before.of(migrated), sorted(path.name for path in migrated.area.glob("runs/*"))
    done = ok(load(migrated, file, "--dry-run"))
    assert "Would load its own rows, and" in done.last_line
    assert "1 users" in done.last_line
    before.assert_unchanged()
    assert sorted(path.name for path in migrated.area.glob("runs/*")) == runs


def test_the_question_says_what_is_added(migrated: Site) -> None:
    before = Before.of(migrated)
    file = edited(migrated, fix)
    ended = flask(migrated, "db-migrate-data", "--set-aside-from", str(file))
    assert_refused(ended, 130, f"rows of {file}", "1 users", "--yes")
    before.assert_unchanged()


def test_production_and_prohibition(migrated: Site) -> None:
    """No row is replaced, so production asks for no further permission, as for self."""
    file = edited(migrated, fix)
    ended = flask(migrated, *_arguments(file), FLASK_FERRY_PROHIBIT="db-migrate-data")
    assert_refused(ended, 20, "FERRY_PROHIBIT")
    done = ok(flask(migrated, *_arguments(file), "--json", FLASK_FERRY_ENVIRONMENT="production"))
    assert json.loads(done.stdout.splitlines()[-1])["exit_status"] == 0


def _arguments(file: Path) -> tuple[str, ...]:
    return ("db-migrate-data", "--set-aside-from", str(file), "--yes")


def test_the_directories_of_rows_set_aside_are_never_pruned(migrated: Site) -> None:
    file, runs = edited(migrated, fix), migrated.area / "runs"
    for number in range(13):
        (runs / f"20200101T0000{number:02}-abcdef").mkdir()
    (runs / "20200101T000000-abcdef" / "set-aside.json").touch()
    (runs / "20200101T000001-abcdef" / "loaded.json").touch()
    first = ledger(migrated)[0]["run_id"]
    ok(flask(migrated, *_arguments(file), FLASK_FERRY_KEEP="1"))
    left = sorted(path.name for path in runs.iterdir())
    assert left[:2] == ["20200101T000000-abcdef", "20200101T000001-abcdef"]
    assert "20200101T000002-abcdef" not in left
    assert first in left


# Records of an API


def test_rows_that_adapters_made_are_mended_and_loaded(site: Site, wrong: Deployment) -> None:
    """Their numbers are those of the adapted rows; the adapters run again on what was received."""
    relaxed(wrong.directory / "pristine.db", site.directory / "relaxed.db")
    with (
        closing(sqlite3.connect(site.directory / "relaxed.db")) as now,
        closing(sqlite3.connect(wrong.database)) as served,
    ):
        [(first,), (second,)] = now.execute("SELECT id FROM topics ORDER BY id DESC LIMIT 2").fetchall()[::-1]
        now.execute("UPDATE topics SET _page_key = 'twice' WHERE id IN (?, ?)", (first, second))
        now.execute("UPDATE microblogs SET _topic_id = ? WHERE id % 3 = 0", (second,))
        now.commit()
        now.backup(served)
    source = Secrets.of(wrong).source
    ok(flask(site, "db-migrate-data", "--yes", "--set-aside", **source))
    receipt = report(site)
    # Every key that adapters left out is in the receipt, with why and how often.
    [waived] = [item for item in receipt["waived"] if item["what"] == "posts.replyCount"]
    assert waived["reason"]
    assert waived["records"] == next(item["distinct"] for item in receipt["records"] if item["type"] == "posts")
    assert receipt["aside"]["rows"] > 1

    def mend_the_topic(rows: list[dict[str, Any]]) -> None:
        next(item for item in rows if item["table"] == "topics")["row"]["_page_key"] = "once"

    file = edited(site, mend_the_topic)
    ok(load(site, file))
    assert site.query("SELECT id, page_key FROM topics WHERE page_key IN ('twice', 'once') ORDER BY id") == [
        (first, "twice"),
        (second, "once"),
    ]
    about = [row for row in rows_of(wrong.database)["microblogs"] if row["_topic_id"] == second]
    assert site.query("SELECT count(*) FROM microblogs WHERE topic_id = ?", second) == [(len(about),)]
    assert site.query("SELECT count(*) FROM microblogs") == [(len(rows_of(wrong.database)["microblogs"]),)]
    assert "already migrated" in ok(flask(site, "db-migrate-data", "--yes", **source)).last_line
    assert "holds exactly" in ok(flask(site, "db-verify")).last_line


# A classic file is known by its own digest, and loaded as another one


def test_a_classic_file_is_proved_again(site: Site, wrong: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(wrong.get("/api/export/all").json()), encoding="utf-8")
    ok(flask(site, "db-migrate-data", str(path), "--accept-missing", "--yes"))
    assert "holds exactly what came from" in ok(flask(site, "db-verify")).last_line
    assert "already migrated" in ok(flask(site, "db-migrate-data", str(path), "--yes")).last_line
