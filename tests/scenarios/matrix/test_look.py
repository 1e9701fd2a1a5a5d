"""``db-status`` runs no revision, whatever it would do, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ServerSite, databases
from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.site import Site
from tests.support.sources.sites import flask as in_process

PLACES = ("sqlite", "mariadb", "postgresql")


@pytest.mark.parametrize("place", PLACES)
def test_looking_runs_no_revision(
    deployed: Callable[[str], ServerSite | Site], taken: Path, tmp_path: Path, place: str
) -> None:
    site, ran = deployed(place), tmp_path / "ran"
    assert in_process(site, "db-migrate-data", str(taken), "--yes").status == 0
    lines = f"open({str(ran)!r}, 'w').close()\nop.execute('UPDATE users SET name = upper(name)')"
    environ = {"FLASK_APP": HOST, MIGRATIONS: str(history(tmp_path / "migrations", lines))}
    before, beside = site.content(), _beside(site)
    behind = site.flask("db-status", **environ)
    assert behind.status == 0, behind.stderr
    assert "Drift:       not looked for: the database is at " in behind.stdout
    assert site.content() == before
    stamped = site.flask("db", "stamp", "-d", environ[MIGRATIONS], "0008_next", **environ)
    assert stamped.status == 0, stamped.stderr
    before = site.content()
    assert "Drift:       none" in site.flask("db-status", **environ).stdout
    assert site.content() == before
    assert _beside(site) == beside
    assert not ran.exists()


def _beside(site: ServerSite | Site) -> list[str]:
    if isinstance(site, ServerSite):
        return databases(site.url)
    return sorted(path.name for path in site.directory.iterdir())
