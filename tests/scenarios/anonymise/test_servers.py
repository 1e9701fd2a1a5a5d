"""The same with a server's database as the target, and as the source."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.places import Server, ServerSite, fill_classic, new_name
from tests.support.sources.sites import flask

from .personal import MARK, marked


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_into_a_server_and_out_of_it(
    name: str, request: pytest.FixtureRequest, classic: dict[str, str], old: Path, tmp_path: Path
) -> None:
    server: Server = request.getfixturevalue(name)
    site = ServerSite(tmp_path / "site", url=server.url(new_name()))
    site.directory.mkdir()
    done = flask(site, "db-migrate-data", "--profile", "anonymous", "--yes", **classic)
    assert done.status == 0, done.stderr
    assert MARK not in repr(site.rows())
    assert marked(site.directory) == []
    assert site.scalar("SELECT count(DISTINCT uid) FROM users") == 60
    assert flask(site, "db-verify").status == 0

    raw = server.url(new_name())
    server.execute(f"CREATE DATABASE {raw.database}" + (" COLLATE utf8mb4_bin" if name == "mariadb" else ""))
    fill_classic(raw, old)
    url = raw.render_as_string(hide_password=False)
    again = flask(site, "db-migrate-data", "--profile", "anonymous", "--yes", FLASK_FERRY_SOURCE=url)
    assert again.status == 0, again.stderr
    assert MARK not in repr(site.rows())
    assert marked(site.directory) == []
