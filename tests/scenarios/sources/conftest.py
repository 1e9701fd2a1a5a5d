"""Old deployments, each started once a session, and sites that migrate from them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.deployment.data import Shape, make_database
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import FORK, OLDER, Settings
from tests.support.site import Site
from tests.support.sources.sites import SMALL, Secrets, admit_teacher

# Three pages of posts, two of users; 260 scores are more than the 200 that the API gives unless it is asked.
PAGED = Shape(users=220, posts=430, microblogs=210, topics=8, classrooms=6, feedbacks=20, study=30, skilled_users=20)
# Three pages of posts, little else.
POSTS = replace(SMALL, posts=430, microblogs=30, seed=Shape.seed)


@pytest.fixture(scope="session")
def paged_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old database with orphans of every kind."""
    return _with_orphans(tmp_path_factory.mktemp("paged") / "old.db", PAGED)


@pytest.fixture(scope="session")
def small_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in small, for tests that are not about many rows."""
    return _with_orphans(tmp_path_factory.mktemp("small") / "old.db", SMALL)


def _with_orphans(file: Path, shape: Shape) -> Path:
    make_database(file, shape)
    with closing(sqlite3.connect(file)) as connection, connection:
        _add_orphans(connection)
    return file


def _add_orphans(connection: sqlite3.Connection) -> None:
    """Rows whose user, section, persona, topic, parent or classroom is gone: number 9999."""
    kept = connection.execute("SELECT id FROM users ORDER BY id LIMIT 2").fetchall()
    (user,), (other,) = kept
    section = connection.execute("SELECT max(id) FROM sections").fetchone()[0]
    persona = connection.execute("SELECT max(id) FROM personas").fetchone()[0]
    classroom = connection.execute("SELECT max(id) FROM classrooms").fetchone()[0]
    at = "2024-02-29 12:00:00.000001"
    for sql, values in (
        ("INSERT INTO user_sections VALUES (?, ?, ?)", (9999, section, 2024)),
        ("INSERT INTO user_sections VALUES (?, ?, ?)", (user, 9999, 2024)),
        # Two that the API shows exactly alike.
        ("INSERT INTO user_personas VALUES (?, ?, ?, ?)", (9998, persona, 3, at)),
        ("INSERT INTO user_personas VALUES (?, ?, ?, ?)", (9999, persona, 3, at)),
        ("INSERT INTO user_personas VALUES (?, ?, ?, ?)", (user, 9999, 4, None)),
        ("INSERT INTO user_personas VALUES (?, ?, ?, ?)", (other, 9999, 4, None)),
        ("INSERT INTO classrooms VALUES (?, ?, ?, ?, ?, ?)", (9000, "left", "", 9999, None, at)),
        ("INSERT INTO classroom_student VALUES (?, ?)", (classroom, 9999)),
        ("INSERT INTO classroom_student VALUES (?, ?)", (9999, user)),
        ("INSERT INTO study VALUES (?, ?, ?, ?, ?, ?)", (9000, 9999, "a", "b", 1, "once")),
        ("INSERT INTO leaderboard VALUES (?, ?, ?, ?)", (9000, 9999, '{"a": 1.50}', at)),
        ("INSERT INTO elementary_leaderboard_events VALUES (?, ?, ?, ?)", (9000, 9999, "null", at)),
        ("INSERT INTO skill_snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (9000, 9999, "p", at, 1, 2, 3, 4)),
        ("INSERT INTO microblogs VALUES (?, ?, ?, ?, ?, ?, ?)", (9000, 9999, 9999, "left", None, at, at)),
        (
            "INSERT INTO microblogs VALUES (?, ?, ?, ?, ?, ?, ?)",
            (9001, user, None, "by one who is gone", f'{{"reactions": {{"x": [9999, {user}], "n": 5}}}}', at, None),
        ),
        ("INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (9000, 9999, 9999, "l", None, "?", "?", at, at)),
    ):
        connection.execute(sql, values)
    connection.execute("UPDATE topics SET _settings = 'null' WHERE id = (SELECT max(id) FROM topics)")


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory, paged_database: Path) -> Iterator[Deployment]:
    """A deployment of the newer style with much data."""
    directory = tmp_path_factory.mktemp("newer")
    settings = Settings(cheap=True, production_cookie=True)
    with Deployment(directory, settings, database=paged_database) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory, paged_database: Path) -> Iterator[Deployment]:
    """A deployment of the older style with the same data."""
    directory = tmp_path_factory.mktemp("older")
    with Deployment(directory, Settings(style=OLDER, cheap=True), database=paged_database) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory, paged_database: Path) -> Iterator[Deployment]:
    """A fork with the same data, whose token is in the body only."""
    directory = tmp_path_factory.mktemp("fork")
    settings = Settings(style=FORK, cheap=True, send_cookie=False, hide_passwords=True)
    with Deployment(directory, settings, database=paged_database) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def shared_wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("wrong")
    with Deployment(directory, Settings(cheap=True), shape=POSTS) as deployment:
        admit_teacher(deployment)
        shutil.copyfile(deployment.database, directory / "pristine.db")
        yield deployment


@pytest.fixture
def wrong(shared_wrong: Deployment) -> Iterator[Deployment]:
    """A deployment that a test may tell to misbehave, and whose rows it may change."""
    shared_wrong.behave()
    shared_wrong.forget_requests()
    yield shared_wrong
    shared_wrong.behave()
    with (
        closing(sqlite3.connect(shared_wrong.directory / "pristine.db")) as pristine,
        closing(sqlite3.connect(shared_wrong.database, timeout=10)) as live,
    ):
        pristine.backup(live)


@pytest.fixture(scope="session")
def good_snapshot(shared_wrong: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot that was taken from ``wrong`` while it behaved."""
    shared_wrong.behave()
    site = Site(tmp_path_factory.mktemp("taken"))
    done = site.flask("db-migrate-data", "--yes", **Secrets.of(shared_wrong).source)
    assert done.status == 0, done.stderr
    return site.snapshot


@pytest.fixture(scope="session")
def former_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is live before a run: other rows than any source has."""
    file = tmp_path_factory.mktemp("former") / "app.db"
    make_database(file, SMALL)
    return file


@pytest.fixture
def filled(site: Site, former_database: Path) -> Site:
    """A site whose database holds rows."""
    shutil.copyfile(former_database, site.database)
    return site


@pytest.fixture
def with_snapshot(filled: Site, good_snapshot: Path) -> Site:
    """A site that holds rows, and a snapshot of ``wrong``."""
    shutil.copy2(good_snapshot, filled.snapshot)
    return filled


@pytest.fixture(scope="session")
def old_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts a small old database, as ``create_all()`` made it, at a path."""
    made = tmp_path_factory.mktemp("file") / "old.db"
    make_database(made, SMALL)

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, path)
        return path

    return put
