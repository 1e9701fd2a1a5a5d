"""Everybody, for whoever is logged in, without the hashes."""

from __future__ import annotations

from flask.testing import FlaskClient

from .sites import KEYS, Login


def test_users(login: Login, client: FlaskClient) -> None:
    assert client.get("/api/user").status_code == 401
    users = login("niko").get("/api/user").json
    assert users is not None
    assert set(users[0]) == (set(KEYS["users"].split()) - {"password"}) | {"access"}
    by_uid = {user["uid"]: user for user in users}
    assert by_uid["niko"]["sections"] == [{"id": 1, "name": "Computer Science A", "abbreviation": "CSA", "year": 2026}]
    assert by_uid["niko"]["personas"][0] == {
        "user_id": 3,
        "uid": "niko",
        "persona_id": 1,
        "persona_alias": "planner",
        "weight": 1,
        "selected_at": "2026-01-05T10:00:00",
    }
    assert (by_uid["niko"]["access"], by_uid["toby"]["access"]) == (["rw"], ["ro"])
    assert {user["access"][0] for user in login("toby").get("/api/user").json or []} == {"rw"}


def test_pages_of_users(login: Login) -> None:
    client = login("niko")
    answer = client.get("/api/user?page=2&per_page=2").json
    assert answer is not None
    assert [user["id"] for user in answer["users"]] == [3, 4]
    assert answer["pagination"] == {"page": 2, "per_page": 2, "total": 5, "has_next": True, "has_prev": True}
    assert isinstance(client.get("/api/user?page=0").json, list)
    capped = client.get("/api/user?page=1&per_page=5000").json
    assert capped is not None
    assert capped["pagination"]["per_page"] == 200
