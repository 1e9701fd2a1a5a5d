"""The rows written since a cut-over are in a file of the rollback, whole, and can be put back by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import take
from tests.support.places import ServerSite, connected, execute
from tests.support.site import ROOT, Site

Deploy = Callable[[str], ServerSite | Site]


def url_of(site: ServerSite | Site) -> Any:
    return site.url if isinstance(site, ServerSite) else f"sqlite:///{site.database}"


def ok(site: Site, *arguments: str, **environ: str) -> str:
    result = site.flask(*arguments, **environ)
    assert result.status == 0, result.stderr + result.stdout
    return result.stderr


def rows(site: Any, sql: str) -> list[tuple[Any, ...]]:
    with connected(url_of(site)) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


@pytest.mark.executes("docs/guide.md", "import base64", "jq ")
@pytest.mark.parametrize("name", ["sqlite", "mariadb", "postgresql"])
def test_rows_are_whole_and_can_be_put_back(deployed: Deploy, name: str, taken: Path, tmp_path: Path) -> None:
    site = deployed(name)
    ok(site, "db-migrate-data", str(taken), "--yes")
    ok(site, "db-migrate-data", str(taken), "--rerun", "--yes")
    secret = "UPDATE users SET password = 'a secret hash' WHERE id = (SELECT m FROM (SELECT min(id) m FROM users) x)"
    users = rows(site, "SELECT id, uid, password FROM users ORDER BY id")
    execute(url_of(site), secret)
    execute(url_of(site), "INSERT INTO sections (name, abbreviation) VALUES ('It''s ü 100%%', 'S')")
    sections = rows(site, "SELECT id, name, abbreviation FROM sections ORDER BY id")
    posts = "SELECT id, user_id, content FROM posts ORDER BY id"
    execute(url_of(site), "DELETE FROM posts WHERE id = (SELECT m FROM (SELECT max(id) m FROM posts) x)")
    assert "docs/guide.md" in ok(site, "db-rollback", "--yes")

    [file] = site.area.glob("runs/*/writes-since.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    found = {item["table"]: item for item in kept["rows"]}
    assert {table: item["kind"] for table, item in found.items()} == {
        "users": "changed",
        "sections": "added",
        "posts": "deleted",
    }
    was, became = found["users"]["before"], found["users"]["after"]
    assert (was["id"], was["uid"], was["password"]) == users[0]
    assert became == {**was, "password": "a secret hash"}
    assert found["posts"]["before"]["content"] == rows(site, posts)[-1][2]
    assert (file.stat().st_mode & 0o777, kept["revision"]) == (0o600, "0007_unique_sids")

    assert len(rows(site, "SELECT id FROM sections")) == len(sections) - 1
    insert_by_the_guide(site, file, tmp_path)
    assert rows(site, "SELECT id, name, abbreviation FROM sections ORDER BY id") == sections


def insert_by_the_guide(site: Site, file: Path, tmp_path: Path) -> None:
    """Run what the guide shows, for another table and another path."""
    shown, query = take("docs/guide.md", "import base64", "jq ")
    looked = subprocess.run(
        ["bash", "-c", query.replace('"posts"', '"sections"')], cwd=file.parent, capture_output=True
    )
    assert (looked.returncode, bool(looked.stdout)) == (0, True), looked.stderr
    script = tmp_path / "put_back.py"
    script.write_text(
        "from app import create_app\nwith create_app().app_context():\n"
        + "\n".join(
            f"    {line}"
            for line in shown.replace('"writes-since.json"', repr(str(file)))
            .replace('"posts"', '"sections"')
            .splitlines()
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env=site.env(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
