"""Several requests at once to an old deployment: fewer, never more in flight than allowed, the same bytes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import misbehaviour as does
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import Settings
from tests.support.runs.commands import until
from tests.support.site import Site
from tests.support.sources.hooks import read_notes
from tests.support.sources.sites import Secrets, admit_teacher, flask, report

from .conftest import POSTS as SHAPE

PASSPORTS = "/api/admin/skill-passport/"
WHOLE = [f"/api/export/{name}" for name in ("sections", "classrooms", "feedback", "study")]
USERS = 60


@pytest.fixture(scope="module")
def shared_wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    # More threads than any test opens connections: what is in hand is up to the client alone.
    with Deployment(tmp_path_factory.mktemp("wide"), Settings(cheap=True), shape=SHAPE, threads=12) as deployment:
        admit_teacher(deployment)
        yield deployment


@pytest.fixture
def wide(shared_wide: Deployment) -> Iterator[Deployment]:
    shared_wide.behave()
    shared_wide.forget_requests()
    yield shared_wide
    shared_wide.behave()


def migrate(site: Site, deployment: Deployment, connections: int | None = None) -> None:
    number = {} if connections is None else {"FLASK_FERRY_CONNECTIONS": str(connections)}
    done = flask(site, "db-migrate-data", "--yes", **Secrets.of(deployment).source, **number)
    assert done.status == 0, done.stderr


def sections(site: Site) -> list[bytes]:
    """The snapshot without its first and last line, which have the times."""
    return site.snapshot.read_bytes().splitlines()[1:-1]


def passports(deployment: Deployment) -> list[str]:
    """The users whose passports were asked for, without the probe."""
    return [r.path.removeprefix(PASSPORTS) for r in deployment.requests() if r.path.startswith(PASSPORTS)][1:]


@pytest.mark.parametrize("connections", [1, 3, None])
def test_no_more_in_flight_than_allowed(site: Site, wide: Deployment, connections: int | None) -> None:
    wide.misbehave(does.TIME_OUT, path=f"{PASSPORTS}*", seconds=0.05)
    migrate(site, wide, connections)
    together = Counter(r.together for r in wide.requests())
    assert max(together) == (connections or 4)
    assert sorted(passports(wide), key=int) == [str(id_) for (id_,) in wide.execute("SELECT id FROM users ORDER BY id")]


def test_nothing_is_asked_for_without_need(site: Site, wide: Deployment) -> None:
    migrate(site, wide)
    asked = Counter(r.path for r in wide.requests())
    # Whether it is there, and in its turn: what was said before all else was read would not fit that.
    assert {path: asked[path] for path in WHOLE} == dict.fromkeys(WHOLE, 2)
    # A probe, a page with its total, and the total once more when everything was read.
    assert asked["/api/export/topics"] == 3
    # A probe, three pages, and the total twice.
    assert asked["/api/export/posts"] == 6


def test_the_same_bytes_over_one_connection_and_over_four(site: Site, wide: Deployment, tmp_path: Path) -> None:
    migrate(site, wide, 1)
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    # Answers overtake one another.
    wide.misbehave(does.TIME_OUT, path=f"{PASSPORTS}*", every=3, seconds=0.1)
    migrate(other, wide, 4)
    assert sections(other) == sections(site)


def test_a_pause_that_one_is_asked_for_holds_for_all(site: Site, wide: Deployment, tmp_path: Path) -> None:
    """Seen by the client's own clock: what an answer has on its way, and a busy machine, make no difference."""
    rule = wide.misbehave(does.TOO_MANY_REQUESTS, path=f"{PASSPORTS}*", after=3, times=1, retry_after=2)
    hook = ("tests.support.sources.hooks:note_requests", {"file": str(tmp_path / "notes")})
    process = site.start("db-migrate-data", "--yes", **Secrets.of(wide).source, hooks=[hook])
    _, stderr = process.communicate(timeout=120)
    assert process.wait() == 0, stderr
    assert wide.matched(rule)
    notes = read_notes(tmp_path / "notes")
    [pause] = [note for note in notes if note.what == "pause"]
    assert pause.seconds == 2
    later = [note for note in notes if note.what == "begin" and note.at > pause.at]
    meanwhile = [note for note in later if note.at < pause.until]
    # Each other connection had been let go, at most, when the pause was set.
    assert len(meanwhile) <= 3, "somebody went on asking"
    behind = {note.path for note in later[len(meanwhile) :] if note.path.startswith(PASSPORTS)}
    assert len(behind) > 3, "all was read before the pause, so this proves nothing"
    together = {r.path: r.together for r in wide.requests() if r.path in behind}
    assert max(together.values()) <= 1 + len(meanwhile), "one at a time after a 429"


def test_a_deployment_that_refuses_whoever_comes_second(site: Site, wide: Deployment) -> None:
    """Every other request is too many: as many attempts as over one connection are enough."""
    rule = wide.misbehave(does.TOO_MANY_REQUESTS, path=f"{PASSPORTS}*", every=2, retry_after=0)
    migrate(site, wide)
    assert wide.matched(rule) > USERS


@pytest.mark.parametrize("with_500", [False, True])
def test_a_token_that_expires_under_several(site: Site, wide: Deployment, with_500: bool) -> None:
    if with_500:
        wide.misbehave(does.BAD_TOKEN_500)
    wide.misbehave(does.TOKEN_EXPIRES, path="/api/*", requests=8)
    migrate(site, wide)
    assert len(wide.requests("/api/authenticate")) > 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_of_the_passports(site: Site, wide: Deployment, number: int) -> None:
    wide.misbehave(does.TIME_OUT, path=f"{PASSPORTS}*", after=20, seconds=240)
    process = site.start("db-migrate-data", "--yes", **Secrets.of(wide).source, FLASK_FERRY_TIMEOUT="600")
    until(lambda: len(passports(wide)) > 20, 60)
    os.kill(process.pid, number)
    # Neither the answers nor the time-out come before this limit: it does not wait for what nobody needs.
    process.communicate(timeout=120)
    wide.behave()
    wide.forget_requests()
    migrate(site, wide)
    assert not [r for r in wide.requests("/api/export/posts") if r.query.get("per_page") == "200"], "read once more"
    assert len(passports(wide)) == USERS
    assert site.query("SELECT count(*) FROM skill_snapshots") == wide.execute("SELECT count(*) FROM skill_snapshots")
    records = next(item for item in report(site)["records"] if item["type"] == "skill_passport")
    assert records["distinct"] == USERS
