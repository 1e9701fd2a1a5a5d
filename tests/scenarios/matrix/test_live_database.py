"""Revisions that name the live database on MySQL and MariaDB, or attach it on SQLite: refused by name, unsent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ServerSite
from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.site import Site
from tests.support.sources.sites import flask as in_process

MARIADB = {
    "update": "op.execute('UPDATE `LIVE`.users SET name = upper(name)')",
    "raw cursor": "op.get_bind().connection.cursor().execute('DELETE FROM LIVE.feedbacks')",
    "use": "op.execute('USE LIVE')\nop.execute('UPDATE users SET name = upper(name)')",
    "ddl": "op.execute('ALTER TABLE LIVE.users ADD COLUMN extra INT')",
    "versioned comment": "op.execute('/*!50000 UPDATE LIVE.users SET name = upper(name) */')",
    "prepared": "op.execute(\"PREPARE s FROM 'DELETE FROM LIVE.feedbacks'\")\nop.execute('EXECUTE s')",
    "put together": (
        "op.execute(\"SET @s = CONCAT('UPDATE ', 'LIV', 'E', '.users SET name = 2')\")\n"
        "op.execute('PREPARE x FROM @s')\nop.execute('EXECUTE x')"
    ),
    "body": (
        "op.execute(\"CREATE PROCEDURE p() EXECUTE IMMEDIATE CONCAT('UPDATE ', 'LIV', 'E', '.users SET name = 2')\")\n"
        "op.execute('CALL p()')"
    ),
    "look-up": "op.execute(\"SELECT count(*) FROM information_schema.tables WHERE table_schema = 'LIVE'\")",
    "select": "op.execute('INSERT INTO sections (name, abbreviation) SELECT name, id FROM LIVE.sections')",
}
SQLITE = {
    "attach": "op.execute(\"ATTACH 'LIVE' AS live\")\nop.execute('UPDATE live.users SET name = upper(name)')",
    "bound": (
        "op.get_bind().exec_driver_sql('ATTACH ? AS live', ('LIVE',))\n"
        "op.execute('UPDATE live.users SET name = upper(name)')"
    ),
    "computed": "op.execute(\"ATTACH 'LIV' || 'E' AS live\")\nop.execute('DELETE FROM live.feedbacks')",
    "uri": "op.execute(\"ATTACH 'file:LIVE?mode=rw' AS live\")\nop.execute('DELETE FROM live.feedbacks')",
}
KINDS = [("mariadb", kind) for kind in MARIADB] + [("sqlite", kind) for kind in SQLITE]


@pytest.mark.parametrize(("place", "kind"), KINDS)
def test_no_command_lets_a_revision_reach_what_is_live(
    deployed: Callable[[str], ServerSite | Site], taken: Path, tmp_path: Path, place: str, kind: str
) -> None:
    site = deployed(place)
    assert in_process(site, "db-migrate-data", str(taken), "--yes").status == 0
    name = str(site.url.database) if isinstance(site, ServerSite) else str(site.database)
    lines = (MARIADB if place == "mariadb" else SQLITE)[kind]
    for between in (" || ", ", "):
        lines = lines.replace(f"'LIV'{between}'E'", f"'{name[:-1]}'{between}'{name[-1]}'")
    lines = lines.replace("LIVE", name)
    environ = {"FLASK_APP": HOST, MIGRATIONS: str(history(tmp_path / "migrations", lines))}
    before = site.content()
    commands = [("db-migrate-data", "self", "--yes"), ("db-init", "--schema", "migrations", "--yes")]
    for command in commands if kind in ("update", "attach") else commands[:1]:
        refused = site.flask(*command, **environ)
        assert refused.status == 22, refused.stderr
        assert "0008_next" in refused.stderr
    assert site.content() == before
