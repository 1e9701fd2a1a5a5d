"""What a database was once declared to be counts after every command that writes, on every server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ServerSite
from tests.support.site import Site
from tests.support.sources.sites import assert_refused
from tests.support.sources.sites import flask as in_process

PRODUCTION = {"FLASK_FERRY_ENVIRONMENT": "production"}
COMMANDS = {
    "db-init": ("db-init", "--yes", "--allow-production"),
    "db-migrate-data": ("db-migrate-data", "SOURCE", "--yes", "--allow-production", "--rerun"),
    "db-backup": ("db-backup",),
    "db-restore": ("db-restore", "--yes", "--allow-production"),
    "db-rollback": ("db-rollback", "--yes", "--allow-production"),
    "db-verify": ("db-verify",),
}


@pytest.mark.parametrize("place", ["sqlite", "mariadb", "postgresql"])
@pytest.mark.parametrize("command", list(COMMANDS))
def test_production_is_not_forgotten(
    deployed: Callable[[str], ServerSite | Site], taken: Path, place: str, command: str
) -> None:
    site = deployed(place)
    for first in (("db-migrate-data", str(taken), "--yes"), ("db-backup",)):
        assert in_process(site, *first).status == 0
    given = [str(taken) if word == "SOURCE" else word for word in COMMANDS[command]]
    done = in_process(site, *given, **PRODUCTION)
    assert done.status == 0, done.stderr

    before = in_process(site, "db-status").stdout
    assert "production" in before
    refused = in_process(site, "db-init", "--yes")
    assert_refused(refused, 20, "production")
