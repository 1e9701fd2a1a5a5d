"""The privileges that the page on servers names are enough for every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.small_host import SmallHost
from tests.support.pages import take_lines

TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, words VARCHAR(40))"


@pytest.mark.executes("docs/servers.md", "GRANT ALL PRIVILEGES")
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_they_are_enough(host: Callable[[str], SmallHost], request: pytest.FixtureRequest, kind: str) -> None:
    target, server = host(kind), request.getfixturevalue(kind)
    name = str(target.url.database)
    user = f"u{name}"
    is_postgresql = kind == "postgresql"
    password = "PASSWORD" if is_postgresql else "IDENTIFIED BY"
    _create(server, name, user, password, is_postgresql=is_postgresql)
    lines = take_lines("docs/servers.md", "GRANT ALL PRIVILEGES")
    ours = [line for line in lines if line.startswith("GRANT") and ("DATABASE" in line) == is_postgresql]
    assert len(ours) == (1 if is_postgresql else 2)
    for line in ours:
        server.execute(
            line.replace("'shop'@'%'", f"'{user}'@'%'").replace("TO shop", f"TO {user}").replace("shop", name)
        )
    target.url = target.url.set(username=user, password="x", query={})
    target.revise(TABLE)
    target.done("db-init", "--schema", "migrations", "--yes")
    target.revise("ALTER TABLE notes ADD COLUMN more INTEGER", name="r2", down="r1")
    target.done("db-migrate-data", "self", "--yes")
    target.done("db-rollback", "--yes")
    target.done("db-backup")
    target.done("db-restore", "--yes")


def _create(server: Any, name: str, user: str, password: str, *, is_postgresql: bool) -> None:
    server.execute(f"CREATE USER {user} {password} 'x'")
    server.execute(f"CREATE DATABASE {name}")
    if is_postgresql:
        server.execute(f"ALTER SCHEMA public OWNER TO {user}", database=name)
