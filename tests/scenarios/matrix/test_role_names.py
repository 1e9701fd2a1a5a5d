"""Roles and schemas of PostgreSQL with the names that our own schemas have, or nearly."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.places import ServerSite, databases, new_name
from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import Result

NAMES = ["ferry", "Ferry", "ferry_control", "ferry_hold", "ferry__ferry", "ferry_staging", 'fe"rry', "ferry gen"]
Owned = Callable[[str], ServerSite]


@pytest.fixture
def owned(postgresql: PostgreSQL, tmp_path: Path) -> Owned:
    """An app whose role has a name, and owns its database."""

    def make(role: str) -> ServerSite:
        database, password, quoted = new_name(), secrets.token_hex(8), '"' + role.replace('"', '""') + '"'
        postgresql.execute(f"DROP ROLE IF EXISTS {quoted}")
        postgresql.execute(f"CREATE ROLE {quoted} LOGIN PASSWORD '{password}'")
        postgresql.execute(f"CREATE DATABASE {database} OWNER {quoted}")
        url = postgresql.url(database).set(username=role, password=password)
        return ServerSite(tmp_path, url=url)

    return make


@pytest.fixture
def gone(postgresql: PostgreSQL) -> Iterator[None]:
    """The roles, and what they own, are gone at the end: other tests have names of their own."""
    yield
    for role in NAMES:
        quoted = '"' + role.replace('"', '""') + '"'
        for (name,) in postgresql.execute(
            f"SELECT datname FROM pg_database WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = '{role}')"
        ):
            postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")
        postgresql.execute(f"DROP ROLE IF EXISTS {quoted}")


def ok(result: Result) -> Result:
    assert result.status == 0, result.stderr + result.stdout
    return result


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("role", NAMES)
def test_the_app_sees_what_it_saw(owned: Owned, taken: Path, tmp_path: Path, role: str) -> None:
    site = owned(role)
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    ok(site.flask("db-backup"))
    assert site.scalar("SELECT current_schema()") == "public"
    assert role not in [name for name in databases(site.url) if name != "public"]
    ok(site.flask("db", "check"))
    shown = ok(site.flask("db-status")).stdout
    assert "0007_unique_sids (head 0007_unique_sids)" in shown
    if role not in ("ferry", 'fe"rry'):
        return
    migrations = history(tmp_path / "migrations", "op.add_column('sections', sa.Column('extra', sa.Text()))")
    ok(site.flask("db-migrate-data", "self", "--yes", FLASK_APP=HOST, **{MIGRATIONS: str(migrations)}))
    ok(site.flask("db-rollback", "--yes"))
    ok(site.flask("db-restore", "--yes"))
    assert site.scalar("SELECT current_schema()") == "public"
    assert site.rows()["users"]
    assert "Nothing to do" in ok(site.flask("db-migrate-data", str(taken), "--yes")).stdout


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("command", [("db-backup",), ("db-rollback", "--yes"), ("db-init", "--yes")])
def test_a_control_area_in_the_way_of_its_role_is_moved(owned: Owned, taken: Path, command: tuple[str, ...]) -> None:
    site = owned("ferry")
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    # As an older version left it.
    site.execute("ALTER SCHEMA ferry_control RENAME TO ferry")
    assert site.scalar("SELECT current_schema()") == "ferry"
    shown = ok(site.flask("db-status")).stdout
    assert "0007_unique_sids (head 0007_unique_sids)" in shown
    assert "db-migrate-data from" in shown
    ok(site.flask("db-init", "--yes", "--dry-run"))
    assert site.scalar("SELECT current_schema()") == "ferry", "a dry run writes nothing"
    ok(site.flask(*command))
    assert site.scalar("SELECT current_schema()") == "public"
    assert "ferry" not in databases(site.url)
    assert site.scalar("SELECT count(*) FROM ferry_control.ledger") >= 1


@pytest.mark.usefixtures("gone")
def test_tables_of_the_app_in_a_control_area_are_named(owned: Owned, taken: Path) -> None:
    site = owned("ferry")
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    site.execute("ALTER SCHEMA ferry_control RENAME TO ferry")
    site.execute("CREATE TABLE stray (id int)")
    refused = site.flask("db-backup")
    assert refused.status == 20, refused.stderr
    assert "stray" in refused.stderr
    assert 'ALTER TABLE "ferry"."stray" SET SCHEMA "public"' in refused.stderr
    site.execute('ALTER TABLE "ferry"."stray" SET SCHEMA "public"')
    ok(site.flask("db-backup"))
    assert site.scalar("SELECT current_schema()") == "public"


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("schema", ["ferry", "ferry_hold", "ferry_staging", "ferry_staging_x", "ferry_gen_1"])
def test_a_schema_with_a_name_of_ours_is_refused_before_anything_is_made(owned: Owned, schema: str) -> None:
    site = owned("ferry")
    site.execute(f"CREATE SCHEMA {schema}")
    site.execute(f"CREATE TABLE {schema}.mine (id int)")
    site.execute(f"ALTER DATABASE {site.url.database} SET search_path = {schema}")
    before = databases(site.url)
    for command in (("db-backup",), ("db-migrate-data", "self", "--yes"), ("db-init", "--yes"), ("db-status",)):
        refused = site.flask(*command)
        assert refused.status == 20, (command, refused.stderr)
        assert schema in refused.stderr
        if schema != "ferry_staging":
            assert "ALTER ROLE CURRENT_USER SET search_path = public" in refused.stderr
    assert databases(site.url) == before
    assert site.scalar(f"SELECT count(*) FROM {schema}.mine") == 0


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("command", [("db-backup",), ("db-init", "--yes")])
def test_a_live_schema_that_was_left_renamed_is_brought_back(
    owned: Owned, taken: Path, command: tuple[str, ...]
) -> None:
    site = owned("ferry")
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    before = site.rows()
    # As an older version's restore of a forged file left it.
    site.execute("ALTER SCHEMA public RENAME TO ferry_hold")
    site.execute("CREATE SCHEMA public")
    site.execute("CREATE TABLE public.half (id int)")
    looked = ok(site.flask("db-status")).stdout
    assert "Left behind: The live schema public was left renamed to ferry_hold" in looked
    assert "flask db-backup" in looked
    assert "ferry_hold" in databases(site.url), "db-status changes nothing"
    said = ok(site.flask(*command)).stderr
    assert "has its name again" in said
    assert "ferry_hold" not in databases(site.url)
    if command == ("db-backup",):
        assert site.rows() == before
    assert "Left behind" not in ok(site.flask("db-status")).stdout
    (found,) = (name for name in databases(site.url) if name.startswith("found_"))
    assert site.scalar(f"SELECT count(*) FROM {found}.half") == 0


@pytest.mark.usefixtures("gone")
def test_a_second_control_area_is_named_with_the_way_on(owned: Owned, taken: Path) -> None:
    site = owned('fe"rry')
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    assert "Left behind" not in ok(site.flask("db-status")).stdout
    # As an older version made it, which took the first one for the app's schema.
    site.execute("CREATE SCHEMA ferry__ferry")
    for table in ("identity", "ledger", "journal", "lease"):
        site.execute(f"CREATE TABLE ferry__ferry.{table} (LIKE ferry.{table} INCLUDING ALL)")
    before = databases(site.url)
    shown = ok(site.flask("db-status")).stdout
    assert "two control areas: ferry, which is used, with 1 ledger entries, and ferry__ferry with 0" in shown
    assert 'remove it: DROP SCHEMA "ferry__ferry" CASCADE' in shown
    site.execute("INSERT INTO ferry__ferry.ledger SELECT * FROM ferry.ledger")
    assert "Keep the one whose newest entry is of what is live" in ok(site.flask("db-status")).stdout
    site.execute("DELETE FROM ferry.ledger")
    shown = ok(site.flask("db-status")).stdout
    assert 'ALTER SCHEMA "ferry__ferry" RENAME TO "ferry"' in shown
    assert databases(site.url) == before
    site.execute("ALTER SCHEMA ferry RENAME TO found_control")
    site.execute("ALTER SCHEMA ferry__ferry RENAME TO ferry")
    shown = ok(site.flask("db-status")).stdout
    assert "two control areas" not in shown
    assert "db-migrate-data from" in shown


@pytest.mark.usefixtures("gone")
def test_what_is_not_ours_in_a_control_area_is_named(owned: Owned, taken: Path) -> None:
    site = owned('fe"rry')
    ok(site.flask("db-migrate-data", str(taken), "--yes"))
    site.execute("CREATE VIEW ferry.seen AS SELECT 1 AS one")
    site.execute("CREATE FUNCTION ferry.twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'")
    site.execute("CREATE TYPE ferry.mood AS ENUM ('calm')")
    shown = ok(site.flask("db-status")).stdout
    for name in ("seen", "ferry.twice(integer)", "mood"):
        assert f"Left behind: {name} is not Flask-Ferry's, but lies in ferry" in shown
