"""Every command on every server, as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyrage import x25519

from tests.support.places import ServerSite, databases, execute
from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.servers.mariadb import ON_MYSQL
from tests.support.site import Result
from tests.support.sources.sites import assert_refused, report

SERVERS = ["mariadb", "postgresql"]
Deploy = Callable[[str], ServerSite]


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, deployed: Deploy) -> ServerSite:
    """A deployed app on each server, with no database yet."""
    return deployed(request.param)


@pytest.fixture
def migrated(site: ServerSite, taken: Path) -> ServerSite:
    """The same, with an old deployment's data at head."""
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    return site


def ok(result: Result) -> Result:
    assert result.status == 0, result.stderr + result.stdout
    return result


def beside(site: ServerSite) -> list[str]:
    """Staging databases that somebody left."""
    return [name for name in databases(site.url) if "staging" in name or "__stg_" in name]


def test_a_database_is_made_filled_and_looked_at(site: ServerSite) -> None:
    ok(site.flask("db-init"))
    assert site.rows()["users"]
    shown = ok(site.flask("db-status")).stdout
    assert str(site.url.database) in shown
    assert "0007_unique_sids (head 0007_unique_sids)" in shown
    assert "development" in shown
    assert site.url.password is None or site.url.password not in shown
    assert "none" in next(line for line in shown.splitlines() if "Drift:" in line)
    assert beside(site) == []


STATUS = f"{'performance_schema' if ON_MYSQL else 'information_schema'}.global_status"


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("mariadb", f"SELECT variable_value FROM {STATUS} WHERE variable_name = 'Connections'"),
        ("postgresql", "SELECT sum(sessions) FROM pg_stat_database"),
    ],
)
def test_a_run_opens_few_sessions(
    request: pytest.FixtureRequest, deployed: Deploy, taken: Path, name: str, query: str
) -> None:
    """Each is several round trips, and on PostgreSQL a process."""
    site, own = deployed(name), request.getfixturevalue(name)
    [(before,)] = own.execute(query)
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    [(after,)] = own.execute(query)
    assert int(after) - int(before) < 60


def test_the_second_seed_asks_nothing_and_other_rows_are_asked_about(site: ServerSite) -> None:
    ok(site.flask("db-init"))
    ok(site.flask("db-init"))
    site.execute("INSERT INTO sections (name, abbreviation) VALUES ('Mine', 'M')")
    before = site.content()
    refused = site.flask("db-init")
    assert_refused(refused, 130, "sections")
    assert site.content() == before


def test_the_history_goes_down_and_up_again(site: ServerSite) -> None:
    ok(site.flask("db-init", "--no-seed"))
    ok(site.flask("db", "downgrade", "base"))
    ok(site.flask("db", "upgrade"))
    ok(site.flask("db", "check"))


def test_the_history_goes_down_with_ids_that_dangled_and_up_again(migrated: ServerSite) -> None:
    """A student of a user that is gone, and a post of one: the oldest revision has them, and its rules."""
    last = "(SELECT m FROM (SELECT max(id) m FROM posts) x)"
    posts = f"UPDATE posts SET former_user_id = 99999, user_id = NULL WHERE id = {last}"
    migrated.execute(posts)
    migrated.execute("INSERT INTO user_sections_orphans (user_id, section_id, year) VALUES (99999, 99998, 2020)")
    before = migrated.rows()
    ok(migrated.flask("db", "downgrade", "0001_classic"))
    assert migrated.scalar("SELECT count(*) FROM user_sections WHERE user_id = 99999") == 1
    ok(migrated.flask("db", "upgrade"))
    assert same(migrated.rows(), before)
    ok(migrated.flask("db", "check"))


def test_a_backup_is_restored_and_proved(migrated: ServerSite, tmp_path: Path) -> None:
    before = migrated.rows()
    (tmp_path / "far").mkdir()
    keys = {
        "FLASK_FERRY_STORAGE": f"file://{tmp_path}/far",
        "FLASK_FERRY_BACKUP_KEY": str(x25519.Identity.generate()),
    }
    ok(migrated.flask("db-backup", **keys))
    shutil.rmtree(migrated.backups)
    migrated.execute("DELETE FROM posts WHERE parent_id IS NOT NULL")
    migrated.execute("UPDATE users SET name = 'somebody else'")
    ok(migrated.flask("db-restore", "--yes", **keys))
    assert same(migrated.rows(), before)
    ok(migrated.flask("db-verify"))
    ok(migrated.flask("db-backup", "--check", **keys))
    ok(migrated.flask("db-backup", "--drill", **keys))
    assert beside(migrated) == []


def same(left: object, right: object) -> bool:
    def told(tables: object) -> str:
        assert isinstance(tables, dict)
        return repr(sorted((name, sorted(map(repr, rows))) for name, rows in tables.items()))

    return told(left) == told(right)


def test_a_dump_of_the_servers_own_program(deployed: Deploy, taken: Path, tmp_path: Path) -> None:
    site = deployed("mariadb")
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    before = site.rows()
    file = tmp_path / "client.sql"
    ok(site.flask("db-backup", "--client", "--to", str(file)))
    assert file.read_text(errors="replace").rstrip().rpartition("\n")[2].startswith("-- Dump completed")
    site.execute("DELETE FROM feedbacks")
    ok(site.flask("db-restore", str(file), "--yes"))
    assert same(site.rows(), before)
    # What it would lose is no backup.
    site.execute("CREATE TABLE measured (id INT PRIMARY KEY, x FLOAT)")
    site.execute("INSERT INTO measured VALUES (1, 16777218)")
    refused = site.flask("db-backup", "--client")
    assert refused.status == 21, refused.stdout
    assert "measured" in refused.stderr
    assert "Leave --client out" in refused.stderr
    ok(site.flask("db-backup"))


def test_elsewhere_there_is_no_other_program(deployed: Deploy) -> None:
    site = deployed("postgresql")
    ok(site.flask("db-init"))
    assert_refused(site.flask("db-backup", "--client"), 21, "pg_dump")


def test_a_portable_backup_goes_to_another_server(migrated: ServerSite, deployed: Deploy, tmp_path: Path) -> None:
    other = deployed("postgresql" if "mysql" in migrated.url.drivername else "mariadb")
    file = tmp_path / "all.json.zst"
    ok(migrated.flask("db-backup", "--portable", "--to", str(file)))
    assert_refused(other.flask("db-restore", str(file), "--yes"), 20, "seal", "--trust-file")
    ok(other.flask("db-restore", str(file), "--yes", "--trust-file"))
    assert sums(other) == sums(migrated)


def sums(site: ServerSite) -> dict[str, int]:
    return {name: len(rows) for name, rows in site.rows().items()}


def test_a_rollback_brings_every_row_back_and_lists_what_was_written_since(migrated: ServerSite, taken: Path) -> None:
    migrated.execute(
        "UPDATE sections SET name = 'before' WHERE id = (SELECT m FROM (SELECT min(id) m FROM sections) x)"
    )
    before = migrated.rows()
    ok(migrated.flask("db-migrate-data", str(taken), "--rerun", "--yes"))
    migrated.execute("INSERT INTO sections (name, abbreviation) VALUES ('Since', 'S')")
    done = ok(migrated.flask("db-rollback", "--yes"))
    assert same(migrated.rows(), before)
    [written] = report(migrated)["differences"]
    assert (written["table"], written["kind"]) == ("sections", "added")
    assert "writes-since.json" in done.stderr
    ok(migrated.flask("db-rollback", "--yes"))
    again = migrated.flask("db-migrate-data", str(taken), "--yes")
    assert_refused(again, 20, "--rerun")


def test_self_brings_the_live_database_to_head(site: ServerSite) -> None:
    ok(site.flask("db-init"))
    ok(site.flask("db", "downgrade", "0006_links"))
    rows = len(site.rows()["users"])
    done = ok(site.flask("db-migrate-data", "self", "--yes"))
    assert "at revision 0007_unique_sids" in done.last_line
    assert len(site.rows()["users"]) == rows
    assert "writers waited" in report(site)["seconds"]


def test_a_deploy_hook_behind_head_carries_the_live_database(migrated: ServerSite, taken: Path) -> None:
    ok(migrated.flask("db", "downgrade", "0006_links"))
    migrated.execute("UPDATE sections SET name = 'written since'")
    done = ok(migrated.flask("db-migrate-data", str(taken), "--yes"))
    assert "0007_unique_sids" in done.last_line
    assert {row["name"] for row in migrated.rows()["sections"]} == {"written since"}


def test_a_revision_that_fails_half_way_leaves_staging_alone_in_pieces(migrated: ServerSite, tmp_path: Path) -> None:
    migrations = history(
        tmp_path / "migrations",
        "op.create_table('half', sa.Column('id', sa.Integer, primary_key=True))\n"
        "op.execute('INSERT INTO half VALUES (1)')\n"
        "op.execute('UPDATE users SET name = NULL')",
    )
    before = migrated.content()
    done = migrated.flask("db-migrate-data", "self", "--yes", FLASK_APP=HOST, **{MIGRATIONS: str(migrations)})
    assert done.status == 22, done.stderr
    assert "Revision 0008_next" in done.stderr
    assert "UPDATE users SET name = NULL" in done.stderr
    assert migrated.content() == before
    assert beside(migrated) == []


def test_what_no_revision_made_is_carried(migrated: ServerSite, taken: Path) -> None:
    execute(migrated.url, "CREATE TABLE notes (id INTEGER PRIMARY KEY, words VARCHAR(20))")
    execute(migrated.url, "INSERT INTO notes VALUES (1, 'by hand')")
    execute(migrated.url, "CREATE VIEW note_words AS SELECT words FROM notes")
    done = ok(migrated.flask("db-migrate-data", str(taken), "--rerun", "--yes", "-v"))
    assert "table notes: no revision made it" in done.stdout
    assert migrated.rows()["notes"] == [{"id": 1, "words": "by hand"}]
    assert migrated.scalar("SELECT words FROM note_words") == "by hand"
    ok(migrated.flask("db-rollback", "--yes"))
    assert migrated.scalar("SELECT words FROM note_words") == "by hand"


def test_two_urls_are_one_database(migrated: ServerSite) -> None:
    alias = migrated.url.set(host="localhost").render_as_string(hide_password=False)
    done = ok(migrated.flask("db-migrate-data", "--yes", FLASK_FERRY_SOURCE=alias))
    assert "the source is this database itself" in done.last_line


def test_off_this_machine_is_production(deployed: Deploy) -> None:
    site = deployed("mariadb")
    ok(site.flask("db-init"))
    refused = site.flask("db-init", "--yes", FLASK_FERRY_ENVIRONMENT="production")
    assert_refused(refused, 20, "--allow-production")


def test_events_as_json_hold_no_password(deployed: Deploy) -> None:
    site = deployed("postgresql")
    ok(site.flask("db-init"))
    done = ok(site.flask("db-backup", "--json"))
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-1] == "result"
    assert site.url.password
    assert str(site.url.password) not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "first", ["-- MariaDB dump 10.19", "-- MySQL dump 10.13", "/*M!999999\\- enable the sandbox mode */"]
)
def test_a_script_from_elsewhere_is_never_run(deployed: Deploy, taken: Path, first: str) -> None:
    site = deployed("mariadb")
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    before = site.content()
    file = site.directory / "theirs.sql"
    file.write_text(f"{first}\nDELETE FROM {site.url.database}.posts;\n\\! touch {site.directory}/made\n")
    for options in ((), ("--trust-file",), ("--trust-file", "--dry-run")):
        assert_refused(site.flask("db-restore", str(file), "--yes", *options), 20, "theirs.sql")
    assert site.content() == before
    assert not (site.directory / "made").exists()
