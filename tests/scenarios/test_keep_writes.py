"""``db-rollback --keep-writes``: what was written since the cut-over comes along, by the app's own downgrades."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.dialects import dialect_for
from tests.scenarios.releases import deploy, first_release, second_release
from tests.scenarios.small_host import SmallHost
from tests.support.places import ServerSite, connected, execute
from tests.support.site import Result, Site
from tests.support.writers import Writers

Deploy = Callable[[str], Any]
SERVERS = ["sqlite", "mariadb", "postgresql"]
KEEP = ("db-rollback", "--keep-writes", "--yes")
TABLES = {
    "sections": "id, name, abbreviation",
    "users": "id, uid, name, password",
    "posts": "id, user_id, parent_id, content",
    "visits": "who, n",
    "tallies": "id, name, secret_code",
}


def url_of(site: Any) -> Any:
    return site.url if isinstance(site, ServerSite) else f"sqlite:///{site.database}"


def ok(result: Result) -> Result:
    assert result.status == 0, result.stderr + result.stdout
    return result


def flask(site: Any, *arguments: str) -> Result:
    """A command of the release that is deployed."""
    result: Result = site.flask(*arguments, **site.environ)
    return result


def rows(site: Any, sql: str) -> list[tuple[Any, ...]]:
    with connected(url_of(site)) as connection:
        return sorted((tuple(row) for row in connection.exec_driver_sql(sql)), key=repr)


def everything(site: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows(site, f"SELECT {columns} FROM {name}") for name, columns in TABLES.items()}


def write(site: Any, *statements: str) -> None:
    for sql in statements:
        execute(url_of(site), sql)


@pytest.fixture
def released(deployed: Deploy, taken: Path, tmp_path: Path) -> Callable[..., Any]:
    """An app of the first release whose database a second one has brought to its head."""

    def make(name: str, **second: str) -> Any:
        site = deployed(name)
        deploy(site, first_release(tmp_path / "first"))
        ok(flask(site, "db-migrate-data", str(taken), "--yes"))
        write(
            site,
            "INSERT INTO visits VALUES ('ann', 1)",
            "INSERT INTO visits VALUES ('ann', 1)",
            "INSERT INTO visits VALUES ('bob', NULL)",
            "INSERT INTO tallies VALUES (7, 'seven', 'x'), (8, 'eight', 'y')",
        )
        deploy(site, second_release(tmp_path / "second", **second))
        ok(flask(site, "db-migrate-data", "self", "--yes"))
        return site

    return make


WRITES = (
    "INSERT INTO sections (name, abbreviation, room) VALUES ('Since', 'SINCE', 'R1')",
    "UPDATE sections SET room = 'R2' WHERE id = (SELECT m FROM (SELECT min(id) m FROM sections) x)",
    "UPDATE users SET password = 'a secret hash' WHERE id = (SELECT m FROM (SELECT max(id) m FROM users) x)",
    "DELETE FROM posts WHERE id = (SELECT m FROM (SELECT max(id) m FROM posts) x)",
    "INSERT INTO visits VALUES ('ann', 1)",
    "DELETE FROM visits WHERE who = 'bob'",
    "UPDATE tallies SET label = 'seven and a half' WHERE id = 7",
    "DELETE FROM tallies WHERE id = 8",
    "INSERT INTO rooms VALUES (1, 'R1')",
)


def expected(before: dict[str, list[tuple[Any, ...]]], site: Any) -> dict[str, list[tuple[Any, ...]]]:
    """What was live, with the same writes in the words of the old schema."""
    found = {name: list(values) for name, values in before.items()}
    largest = max(row[0] for row in found["sections"])
    [key] = [row[0] for row in rows(site, "SELECT id, name FROM sections") if row[1] == "Since"]
    assert key > largest
    found["sections"].append((key, "Since", "SINCE"))
    user = max(found["users"])
    found["users"] = [(*row[:3], "a secret hash") if row == user else row for row in found["users"]]
    found["posts"].remove(max(found["posts"], key=lambda row: row[0]))
    found["visits"] = [("ann", 1), ("ann", 1), ("ann", 1)]
    found["tallies"] = [(7, "seven and a half", "x")]
    return {name: sorted(values, key=repr) for name, values in found.items()}


@pytest.mark.parametrize("name", SERVERS)
def test_added_changed_and_deleted_rows_come_along(released: Any, tmp_path: Path, name: str) -> None:
    site = released(name)
    before = everything_at_head(site)
    write(site, *WRITES)
    wanted = expected(before, site)
    done = ok(flask(site, *KEEP))
    assert everything(site) == wanted
    assert "at revision 0008_first" in done.last_line
    assert "a secret hash" not in done.stdout + done.stderr

    [run] = {path.parent for path in site.area.glob("runs/*/not-kept.json")}
    report = json.loads((run / "report.json").read_text())
    kept = {item["table"]: item["counts"] for item in report["kept"]}
    assert kept["sections"] == {"added": 1, "changed": 0, "deleted": 0}
    assert kept["visits"] == {"added": 1, "changed": 0, "deleted": 1}
    assert kept["tallies"] == {"added": 0, "changed": 1, "deleted": 1}
    left = {item["what"]: item for item in report["not_kept"]}
    assert set(left) == {"sections", "sections.room", "rooms"}
    assert left["rooms"]["keys"] == ["1"]
    assert "Not kept, as the old schema has no place for it" in done.stdout
    assert len(json.loads((run / "writes-since.json").read_text())["rows"]) == len(WRITES)

    # Keys go on behind those that were brought; the app's own upgrade and the way back work as after any run.
    deploy(site, first_release(tmp_path / "again"))
    write(site, "INSERT INTO sections (name, abbreviation) VALUES ('Next', 'NEXT')")
    ok(flask(site, "db-restore", report["backup"], "--yes"))
    assert ("Since", "R1") in rows(site, "SELECT name, room FROM sections")


def everything_at_head(site: Any) -> dict[str, list[tuple[Any, ...]]]:
    """As everything(), where the second release has renamed a column."""
    found = {**TABLES, "tallies": "id, label, secret_code"}
    return {name: rows(site, f"SELECT {columns} FROM {name}") for name, columns in found.items()}


def refused(site: Any, status: int, *words: str, command: tuple[str, ...] = KEEP) -> Result:
    """It ends so, says this, and leaves the live database and nothing else."""
    before = site.content()
    done = flask(site, *command)
    assert done.status == status, done.stderr + done.stdout
    for word in words:
        assert word in done.stderr, done.stderr
    assert site.content() == before
    assert [path.name for path in site.area.rglob("*") if path.name.startswith("staging-")] == []
    return done


@pytest.mark.parametrize(
    ("back", "words"),
    [
        ("raise NotImplementedError('never')", "Revision 0009_second has no downgrade that works here"),
        ("op.drop_table('no_such_table')", "Revision 0009_second has no downgrade that works here"),
        ("pass", "the downgrade of 0009_second changes nothing"),
        ("op.drop_table('rooms')", "do not lead to the schema that was live before"),
    ],
)
def test_a_revision_without_a_way_back(released: Any, back: str, words: str) -> None:
    site = released("sqlite", back=back)
    write(site, WRITES[0])
    done = refused(site, 22, words, "flask db-rollback", "writes-since.json")
    assert "Traceback" not in done.stderr
    ok(flask(site, "db-rollback", "--yes"))


def test_what_a_downgrade_cannot_restore_stays_as_it_was(released: Any) -> None:
    """A column that the second release drops: rows that were written keep what they had in it."""
    site = released(
        "sqlite",
        upgrade="with op.batch_alter_table('tallies') as batch:\n    batch.drop_column('secret_code')",
        back="op.add_column('tallies', sa.Column('secret_code', sa.String(40)))",
        declared="ferry_losses = {'tallies.secret_code': 'nobody needs it'}",
    )
    write(site, "UPDATE tallies SET name = 'other' WHERE id = 7", "INSERT INTO tallies VALUES (9, 'nine')")
    write(site, "DELETE FROM tallies WHERE id = 8")
    done = ok(flask(site, *KEEP))
    assert rows(site, "SELECT * FROM tallies") == [(7, "other", "x"), (9, "nine", None)]
    assert "Of tallies what was live before keeps: secret_code." in done.stdout


def test_a_rule_of_the_old_schema_that_what_was_written_breaks(released: Any) -> None:
    site = released(
        "sqlite",
        upgrade="with op.batch_alter_table('tallies') as batch:\n    batch.alter_column('name', nullable=True)",
        back="op.execute(\"CREATE UNIQUE INDEX one_name ON tallies (name)\")\nop.execute('DROP INDEX one_name')",
        declared="",
    )
    write(site, "INSERT INTO tallies VALUES (9, 'seven', NULL)")
    refused(site, 22, "Revision 0009_second has no downgrade that works here", "UNIQUE constraint failed")


@pytest.fixture
def repeated(deployed: Deploy, taken: Path) -> Callable[[str], Any]:
    """An app that was written, and whose rows a migration from the source replaced: those before are others."""

    def make(name: str) -> Any:
        site = deployed(name)
        ok(site.flask("db-migrate-data", str(taken), "--yes"))
        write(site, "UPDATE users SET name = 'before' WHERE id = (SELECT m FROM (SELECT min(id) m FROM users) x)")
        write(site, "DELETE FROM posts WHERE id = (SELECT m FROM (SELECT max(id) m FROM posts) x)")
        write(site, "INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Theirs', 'T')")
        ok(site.flask("db-migrate-data", str(taken), "--rerun", "--yes"))
        return site

    return make


@pytest.mark.parametrize("name", SERVERS)
def test_rows_that_were_others_before_are_a_conflict(repeated: Any, name: str) -> None:
    site = repeated(name)
    write(site, "INSERT INTO sections (id, name, abbreviation) VALUES (901, 'Since', 'SINCE')")
    write(site, "UPDATE users SET name = 'since' WHERE id = (SELECT m FROM (SELECT max(id) m FROM users) x)")
    users = rows(site, f"SELECT {TABLES['users']} FROM users")
    ids = [row[0] for row in users]
    write(site, "INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Ours', 'O')")
    write(site, f"UPDATE users SET password = 'p' WHERE id = {min(ids)}")
    write(site, "DELETE FROM posts WHERE id = (SELECT m FROM (SELECT max(id) m FROM posts) x)")
    done = flask(site, *KEEP)
    assert done.status == 22, done.stderr
    assert "sections [900]: another row has this key" in done.stderr
    assert f"users [{min(ids)}]: it is another one than the row that was changed (name)" in done.stderr
    assert "posts [" in done.stderr
    assert "is not there any more" in done.stderr
    assert ("Ours",) in rows(site, "SELECT name FROM sections"), "live is unchanged"

    write(site, "DELETE FROM sections WHERE id = 900")
    original = [row[3] for row in users if row[0] == min(ids)]
    write(site, f"UPDATE users SET password = '{original[0]}' WHERE id = {min(ids)}")
    refused_again = flask(site, *KEEP)
    assert refused_again.status == 22, "a post that was gone before"
    assert "posts [" in refused_again.stderr


def test_without_writes_it_is_a_rollback(released: Any) -> None:
    site = released("sqlite")
    before = everything_at_head(site)
    done = ok(flask(site, *KEEP))
    assert "Nothing was written since the cut-over." in done.stdout
    assert everything(site) == before


def test_where_there_was_no_database_before(site: Site, taken: Path) -> None:
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    refused(site, 22, "There was no database before", "flask db-rollback")


def test_a_dry_run_and_a_question_that_nobody_answers(released: Any) -> None:
    site = released("sqlite")
    write(site, *WRITES)
    before = site.content()
    assert flask(site, "db-rollback", "--keep-writes", "--dry-run", "--yes").status == 0
    unanswered = flask(site, "db-rollback", "--keep-writes")
    assert unanswered.status == 130
    assert "Kept:      sections: 1 added" in unanswered.stderr
    assert "Not kept:  rooms: 1 row (1)" in unanswered.stderr
    assert site.content() == before
    assert [path.name for path in site.area.rglob("*") if path.name.startswith("staging-")] == []


def test_tables_that_were_changed_by_hand_since(released: Any) -> None:
    site = released("sqlite")
    write(site, "ALTER TABLE sections ADD COLUMN by_hand TEXT")
    refused(site, 22, "Tables of the live database were changed since the cut-over", "flask db-rollback")


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_every_write_of_a_busy_application_is_there(released: Any, name: str) -> None:
    site = released(name)
    with Writers(site.url, 2, pause_s=0.02) as writers:
        done = ok(flask(site, *KEEP))
    assert writers.failures == []
    assert set(writers.acknowledged) <= {name for (name,) in rows(site, "SELECT name FROM sections")}
    assert writers.acknowledged
    assert "at revision 0008_first" in done.last_line


def test_a_number_is_shown_with_the_noughts_that_it_was_written_with(new_database: Deploy, tmp_path: Path) -> None:
    url = new_database("postgresql")
    dialect_for(url, directory=tmp_path).create(url)
    host = SmallHost(tmp_path, url)
    host.revise("CREATE TABLE prices (id INTEGER NOT NULL PRIMARY KEY, v NUMERIC)")
    host.done("db", "upgrade")
    execute(url, "INSERT INTO prices VALUES (1, 1.00), (2, 2.0)")
    host.revise("ALTER TABLE prices ADD COLUMN more INTEGER DEFAULT 3", name="r2", down="r1")
    [script] = (tmp_path / "migrations" / "versions").glob("*r2*")
    script.write_text(f"{script.read_text()}\n\ndef downgrade():\n    op.drop_column('prices', 'more')\n")
    host.done("db-migrate-data", "self", "--yes")
    execute(url, "UPDATE prices SET v = 7.000 WHERE id = 1")
    execute(url, "INSERT INTO prices VALUES (3, 5.00)")
    host.done(*KEEP)
    with connected(url) as connection:
        values = [v for (v,) in connection.exec_driver_sql("SELECT v::text FROM prices ORDER BY id")]
    assert values == ["7.000", "2.0", "5.00"]
