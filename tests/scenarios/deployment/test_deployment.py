"""The deployment does what the classic API does, as a process that leaves nothing behind."""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from tests.support.deployment import misbehaviour as wrong
from tests.support.deployment.api import OLDER_USER_KEYS, create_app
from tests.support.deployment.data import make_database, volume
from tests.support.deployment.models import db
from tests.support.deployment.runner import ROOT, Deployment, DeploymentFailed
from tests.support.deployment.settings import Settings

from .conftest import SMALL

psutil: Any = importlib.import_module("psutil")  # it has no types

POSTS = "/api/export/posts"
PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")
WHOLE = ("sections", "classrooms", "feedback", "study")
RECORD_KEYS = {
    "sections": "id name abbreviation",
    "users": "id uid name email sid role pfp class kasm_server_needed grade_data ap_exam password school "
    "game_profile sections personas",
    "topics": "id pagePath pageKey pageTitle pageDescription displayName color icon allowAnonymous moderated "
    "maxPostsPerUser isActive settings createdAt updatedAt postCount",
    "posts": "id userId userUid studentName content gradeReceived pageUrl pageTitle timestamp updatedAt "
    "parentId replyCount replies",
    "classrooms": "id name school_name owner_teacher_id ownerUid status created_at students studentUids",
    "feedback": "id title body type github_username github_issue_url created_at",
    "study": "id user_id userUid topic subtopic studied timestamp",
    "personas": "id alias category bio_map empathy_map",
    "user_personas": "userUid personaAlias weight selectedAt",
}


@pytest.fixture(scope="module")
def all_posts(shared: Deployment, admin: dict[str, str]) -> list[dict[str, Any]]:
    shared.behave()
    found: list[dict[str, Any]] = shared.get(POSTS, admin, per_page=9999).json()["posts"]
    return found


@contextmanager
def in_process(deployment: Deployment) -> Iterator[Any]:
    """Give a client that is logged in as the admin, without a server, where a process would only cost time."""
    deployment.prepare()
    app = create_app(str(deployment.directory))
    client = app.test_client()
    assert client.post("/api/authenticate", json={"uid": "toby", "password": "password"}).status_code == 200
    yield client
    with app.app_context():
        db.engine.dispose()


def pages(deployment: Deployment, headers: dict[str, str], name: str, size: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 1000):
        answer = deployment.get(f"/api/export/{name}", headers, page=page, per_page=size).json()
        found += answer[name]
        if not answer["has_next"]:
            return found
    raise AssertionError("has_next never ends")


def test_log_in_sends_json_and_a_cookie(newer: Deployment) -> None:
    answer = requests.post(f"{newer.url}/api/authenticate", json={"uid": "toby", "password": "password"}, timeout=9)
    assert answer.status_code == 200
    assert set(answer.json()) == {"message", "user"}
    assert set(answer.json()["user"]) == {"uid", "id", "name", "role", "class"}
    assert answer.headers["Set-Cookie"].startswith("jwt_python_flask=")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"uid": "toby", "password": "wrong"}}, 401),
        ({"json": {"uid": "TOBY", "password": "password"}}, 401),
        ({"json": {"uid": "toby"}}, 401),
        ({"json": {"password": "password"}}, 401),
        ({"json": {}}, 400),
        ({}, 500),
        ({"data": {"uid": "toby", "password": "password"}}, 500),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, 500),
    ],
)
def test_log_in_refusals_are_json(newer: Deployment, sent: dict[str, Any], status: int) -> None:
    answer = requests.post(f"{newer.url}/api/authenticate", **sent, timeout=9)
    assert answer.status_code == status
    assert "message" in answer.json()


def test_older_log_in_answers_text_and_a_bad_token_is_500(older: Deployment) -> None:
    answer = requests.post(f"{older.url}/api/authenticate", json={"uid": "toby", "password": "password"}, timeout=9)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert older.get("/api/user", {"Cookie": "jwt_python_flask=bad"}).status_code == 500
    assert older.get("/api/user", {}).status_code == 401


def test_fork_gives_the_token_in_the_body_and_takes_it_as_bearer(fork: Deployment) -> None:
    answer = requests.post(f"{fork.url}/api/authenticate", json={"uid": "toby", "password": "password"}, timeout=9)
    token = answer.json()["token"]
    assert fork.get("/api/export/sections", {"Authorization": f"Bearer {token}"}).status_code == 200
    assert fork.get("/api/export/sections", {"Cookie": f"jwt={token}"}).status_code == 200


def test_production_cookie_is_dropped_by_a_cookie_jar(fork: Deployment) -> None:
    with requests.Session() as session:
        answer = session.post(f"{fork.url}/api/authenticate", json={"uid": "toby", "password": "password"}, timeout=9)
        attributes = set(answer.headers["Set-Cookie"].split("; "))
        assert {"Domain=old.example", "Secure", "HttpOnly", "SameSite=None"} <= attributes
        assert session.get(f"{fork.url}/api/user", timeout=9).status_code == 401
    assert fork.get("/api/user").status_code == 200


def test_newer_takes_no_bearer_and_a_bad_token_is_401(newer: Deployment, admin: dict[str, str]) -> None:
    token = admin["Cookie"].partition("=")[2]
    assert newer.get(POSTS, {"Authorization": f"Bearer {token}"}).status_code == 401
    assert newer.get(POSTS, {"Cookie": "jwt_python_flask=bad"}).status_code == 401
    assert newer.get(POSTS, {}).status_code == 401


def test_export_is_for_admins(newer: Deployment) -> None:
    for uid, password in ((newer.plain_uid, newer.plain_password), (newer.teacher_uid, newer.teacher_password)):
        headers = newer.log_in(uid, password)
        assert newer.get(POSTS, headers).status_code == 403
        assert newer.get("/api/user", headers).status_code == 200


def test_a_token_ends_after_its_lifetime(tmp_path: Path) -> None:
    with in_process(Deployment(tmp_path, Settings(token_lifetime_s=-1), shape=SMALL)) as client:
        assert client.get("/api/user").status_code == 401


# ---- users


def test_users_are_a_list_and_a_page_when_asked(newer: Deployment, admin: dict[str, str]) -> None:
    everybody = newer.get("/api/user", admin).json()
    assert len(everybody) == newer.counts()["users"]
    assert set(everybody[0]) == {*RECORD_KEYS["users"].split(), "access"}
    years = [section["year"] for user in everybody for section in user["sections"]]
    assert None in years
    assert 2025 in years
    page = newer.get("/api/user", admin, page=2, per_page=1000).json()
    assert page["pagination"] == {
        "page": 2,
        "per_page": 200,
        "total": len(everybody),
        "has_next": True,
        "has_prev": True,
    }
    assert page["users"] == everybody[200:400]
    assert newer.get("/api/user", admin, page=0).json() == everybody


def test_access_is_for_oneself_unless_admin(newer: Deployment) -> None:
    listed = newer.get("/api/user", newer.log_in(newer.plain_uid, newer.plain_password)).json()
    assert [user["uid"] for user in listed if user["access"] == ["rw"]] == [newer.plain_uid]


def test_older_has_the_old_keys_no_pages_and_no_export(older: Deployment) -> None:
    headers = older.log_in()
    listed = older.get("/api/user", headers, page=1, per_page=5).json()
    assert len(listed) == SMALL.users
    assert set(listed[0]) == set(OLDER_USER_KEYS)
    for path in (POSTS, "/api/export/all", "/api/dynamic/leaderboard"):
        answer = older.get(path, headers)
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (404, "text/html")


def test_newest_leaves_passwords_out_of_the_list_only(fork: Deployment) -> None:
    headers = fork.log_in()
    assert all("password" not in user for user in fork.get("/api/user", headers).json())
    assert all(user["password"] for user in fork.get("/api/export/users", headers).json()["users"])


# ---- export


@pytest.mark.parametrize("name", PAGED)
def test_paged_types(newer: Deployment, admin: dict[str, str], name: str) -> None:
    answer = newer.get(f"/api/export/{name}", admin).json()
    assert set(answer) == {name, "count", "total", "page", "per_page", "has_next", "has_prev"}
    assert (answer["page"], answer["per_page"], answer["has_prev"]) == (1, 50, False)
    assert answer["count"] == len(answer[name])
    records = pages(newer, admin, name, 97)
    assert len(records) == answer["total"] == newer.counts()[name]
    assert len({json.dumps(record) for record in records}) == len(records)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_types_ignore_pages(newer: Deployment, admin: dict[str, str], name: str) -> None:
    answer = newer.get(f"/api/export/{name}", admin, page=2, per_page=3).json()
    assert set(answer) == {name, "count"}
    assert len(answer[name]) == answer["count"] == newer.counts().get(name, newer.counts()["feedbacks"])


@pytest.mark.parametrize("name", RECORD_KEYS)
def test_record_keys(newer: Deployment, admin: dict[str, str], name: str) -> None:
    records = newer.get(f"/api/export/{name}", admin, per_page=9999).json()[name]
    expected = set(RECORD_KEYS[name].split())
    absent = [expected - set(record) for record in records]
    assert all(missing <= {"userUid"} for missing in absent)
    assert all(set(record) <= expected for record in records)
    # A missing uid stands for a user row that is gone, or in study for a record without a user.
    if name == "posts":
        assert absent.count({"userUid"}) == 1


def test_microblogs_merge_their_data_and_base_keys_win(newer: Deployment, admin: dict[str, str]) -> None:
    shown = {m["id"]: m for m in newer.get("/api/export/microblogs", admin, per_page=9999).json()["microblogs"]}
    hidden = newer.execute('SELECT id, _content FROM microblogs WHERE _data LIKE \'%"content": "hidden%\'')
    assert hidden
    assert all(shown[id_]["content"] == content and shown[id_]["hashtags"] is not None for id_, content in hidden)
    bare = [m for m in shown.values() if "reactions" not in m]
    base = "id userId userName userUid content topicId topicKey topicPath timestamp updatedAt characterCount"
    assert bare
    assert all(set(m) == set(base.split()) for m in bare)
    assert any("note" in m for m in shown.values())


def test_replies_come_twice_at_any_depth(all_posts: list[dict[str, Any]]) -> None:
    posts = {p["id"]: p for p in all_posts}
    nested = {r["id"]: (p["id"], r) for p in posts.values() for r in p["replies"]}
    gone = [p for p in posts.values() if p["parentId"] is not None and p["parentId"] not in posts]
    assert len(gone) == 1
    assert len(nested) == sum(p["parentId"] is not None for p in posts.values()) - 1
    assert all(posts[id_]["parentId"] == parent for id_, (parent, _) in nested.items())
    assert all(set(r) == {"id", "userId", "studentName", "content", "timestamp"} for _, r in nested.values())
    assert all(p["replyCount"] == len(p["replies"]) for p in posts.values())


def test_datetimes(newer: Deployment, admin: dict[str, str], all_posts: list[dict[str, Any]]) -> None:
    whole = [bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", p["timestamp"])) for p in all_posts]
    assert 0 < sum(whole) < len(whole)
    assert all(re.fullmatch(r"[-\dT:]{19}(\.\d{6})?", p["timestamp"]) for p in all_posts)
    made = [f["created_at"] for f in newer.get("/api/export/feedback", admin).json()["feedback"]]
    assert None in made
    assert all(value is None or re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", value) for value in made)


def test_odd_page_numbers(newer: Deployment, admin: dict[str, str]) -> None:
    first = newer.get(POSTS, admin).json()
    for page in (0, -1):
        answer = newer.get(POSTS, admin, page=page).json()
        assert (answer["posts"], answer["page"], answer["has_next"]) == (first["posts"], page, True)
    for size in (0, -5):
        answer = newer.get(POSTS, admin, per_page=size).json()
        assert (len(answer["posts"]), answer["per_page"]) == (20, size)
    past = newer.get(POSTS, admin, page=9999).json()
    assert (past["posts"], past["count"], past["has_next"]) == ([], 0, False)
    assert len(newer.get(POSTS, admin, per_page="x").json()["posts"]) == 50


def test_all_has_ten_types_and_metadata(newer: Deployment, admin: dict[str, str]) -> None:
    answer = newer.get("/api/export/all", admin).json()
    metadata = answer.pop("_metadata")
    assert set(answer) == set(metadata["tables"]) == {*PAGED, *WHOLE}
    assert metadata["total_records"] == sum(map(len, answer.values()))
    assert "+" not in metadata["exported_at"]


def test_unknown_types_are_404_in_html(newer: Deployment, admin: dict[str, str]) -> None:
    for path in ("/api/export/leaderboard", "/api/export/counts", "/api/export/nothing"):
        answer = newer.get(path, admin)
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (404, "text/html")


def test_fork_exports_three_more_types_and_counts(fork: Deployment) -> None:
    headers, tables = fork.log_in(), fork.counts()
    counts = fork.get("/api/export/counts", headers).json()
    assert len(counts) == 13
    for name, table in (
        ("leaderboard", "leaderboard"),
        ("elementary_leaderboard", "elementary_leaderboard_events"),
        ("skill_snapshots", "skill_snapshots"),
    ):
        assert counts[name] == tables[table]
        answer = fork.get(f"/api/export/{name}", headers, per_page=7).json()
        assert (len(answer[name]), answer["total"], answer["has_next"]) == (7, tables[table], True)


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("/api/dynamic/leaderboard", "leaderboard"),
        ("/api/events/ELEMENTARY_LEADERBOARD", "elementary_leaderboard_events"),
    ],
)
def test_leaderboards_are_bare_lists_for_anybody(newer: Deployment, path: str, table: str) -> None:
    assert len(newer.get(path, {}).json()) == 200
    listed = newer.get(path, {}, limit=9999).json()
    assert len(listed) == newer.counts()[table] > 200
    assert set(listed[0]) == {"id", "userId", "user", "algoName", "eventName", "payload", "timestamp"}
    times = [entry["timestamp"].ljust(26, ".") for entry in listed]
    assert [t[:19] for t in times] == sorted((t[:19] for t in times), reverse=True)
    assert any(entry["user"] is None for entry in listed)
    assert any(entry["payload"] is None for entry in listed)


def test_skill_passports_are_for_admins_oldest_first(newer: Deployment, admin: dict[str, str]) -> None:
    user, rows = newer.execute("SELECT user_id, count(*) n FROM skill_snapshots GROUP BY 1 ORDER BY n DESC")[0]
    answer = newer.get(f"/api/admin/skill-passport/{user}", admin).json()
    dates = [entry["snapshot_date"] for entry in answer["history"] if entry["snapshot_date"]]
    assert len(answer["history"]) == rows
    assert [d[:19] for d in dates] == sorted(d[:19] for d in dates)
    assert answer["current_skills"] == answer["history"][-1]
    assert newer.get(f"/api/admin/skill-passport/{user}", {}).status_code == 401
    assert newer.get("/api/admin/skill-passport/999999", admin).status_code == 404
    bare = newer.execute("SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM skill_snapshots) LIMIT 1")
    none = newer.get(f"/api/admin/skill-passport/{bare[0][0]}", admin).json()
    assert (none["current_skills"], none["history"]) == (None, [])


def test_cheap_pages_say_the_same_with_few_statements(tmp_path: Path) -> None:
    make_database(tmp_path / "volume.db", replace(volume(10_000), users=100))
    sizes = {"posts": 100, "users": 1000, "microblogs": 1000, "topics": 100, "user_personas": 1000}
    answers = []
    statements: list[str] = []
    for cheap in (False, True):
        settings = Settings(cheap=cheap)
        with in_process(Deployment(tmp_path / str(cheap), settings, database=tmp_path / "volume.db")) as client:
            answers.append([client.get(f"/api/export/{n}?per_page={s}").json for n, s in sizes.items()])
            if cheap:
                with client.application.app_context():
                    sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
                counts = [client.get(f"{POSTS}?per_page=1000&page={n}").json["count"] for n in range(1, 11)]
                assert sum(counts) == 10_000
                assert len(statements) < 10 * 50
    assert answers[0] == answers[1]


def test_requests_are_logged_without_secrets(newer: Deployment) -> None:
    headers = newer.log_in()
    newer.get(POSTS, headers, page=2, token="hush")
    newer.get("/api/dynamic/leaderboard", {})
    seen = newer.requests()
    assert [(r.method, r.path, r.credentials, r.body) for r in seen] == [
        ("POST", "/api/authenticate", False, True),
        ("GET", POSTS, True, False),
        ("GET", "/api/dynamic/leaderboard", False, False),
    ]
    assert newer.requests(POSTS)[0].query == {"page": "2", "token": "***"}
    text = (newer.directory / "requests.jsonl").read_text()
    assert newer.password not in text
    assert headers["Cookie"].partition("=")[2] not in text


def test_counters_hold_across_workers(tmp_path: Path) -> None:
    with Deployment(tmp_path, shape=SMALL, workers=2, threads=2) as deployment:
        headers = deployment.log_in()
        deployment.misbehave(wrong.BAD_GATEWAY, path=POSTS, times=5)
        statuses = [deployment.get(POSTS, headers).status_code for _ in range(12)]
        assert statuses == [502] * 5 + [200] * 7


def test_stop_leaves_nothing_and_start_takes_the_same_port(tmp_path: Path) -> None:
    with Deployment(tmp_path, shape=SMALL) as deployment:
        url, pid = deployment.url, deployment.pid
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        deployment.stop()
        psutil.wait_procs(family, timeout=5)
        assert not any(process.is_running() for process in family)
        with pytest.raises(requests.ConnectionError):
            deployment.get("/", {})
        deployment.start()
        assert deployment.url == url
        assert deployment.get("/", {}).status_code == 200


def test_a_deployment_that_cannot_start_says_why(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, shape=SMALL)
    deployment.prepare()
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(DeploymentFailed, match="JSONDecodeError"):
        deployment.start()
    assert not deployment.running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_foreground_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "tests.support.deployment", "--directory", str(tmp_path / "d"), "--users", "60"]
    command += ["--posts", "60", "--style", "fork", "--cheap", "--ready-file", str(ready)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(400):
                if ready.exists():
                    break
                time.sleep(0.05)
            known = json.loads(ready.read_text())
            assert ready.stat().st_mode & 0o777 == 0o600
            assert known["pid"] == process.pid
            family = psutil.Process(process.pid).children(recursive=True)
            assert len(family) == 2
            assert requests.get(known["url"], timeout=9).status_code == 200
            process.send_signal(number)
            assert process.wait(10) == (0 if number is signal.SIGTERM else -number)
            _, alive = psutil.wait_procs(family, timeout=8)
            assert alive == []
        finally:
            process.kill()
