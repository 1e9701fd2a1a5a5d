"""Logging in, and being refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from app.api import login as login_module
from app.extensions import db
from app.models import User

from .sites import GOOD


def test_the_answer_names_the_user(client: FlaskClient) -> None:
    answer = client.post("/api/authenticate", json=GOOD)
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["user"] == {"uid": "toby", "name": "Toby Fernwick", "role": "Admin", "class": []}


def test_no_key_no_login_outside_development(app: Flask, client: FlaskClient) -> None:
    app.config["FERRY_ENVIRONMENT"] = "production"
    answer = client.post("/api/authenticate", json=GOOD)
    assert answer.status_code == 503
    assert answer.json
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("password", ["123Toby", "", "123toby!", "x" * 1000, "\0", "\ud800"])
def test_a_wrong_password_and_an_unknown_uid_get_the_same_answer(client: FlaskClient, password: str) -> None:
    answers = [
        client.post("/api/authenticate", json={"uid": uid, "password": password})
        for uid in ("toby", "Toby", "nobody", "guest", "", "\0", "\ud800")
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert not any("Set-Cookie" in answer.headers for answer in answers)


@pytest.mark.parametrize("uid", ["nobody", "guest"])
def test_a_hash_is_checked_whoever_it_is(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, uid: str) -> None:
    checked = []
    monkeypatch.setattr(login_module, "check_password_hash", lambda *args: checked.append(args))
    client.post("/api/authenticate", json={"uid": uid, "password": "guess"})
    assert checked == [(login_module.DUMMY_HASH, "guess")]


def test_the_dummy_takes_as_long_as_a_hash_made_today() -> None:
    method = generate_password_hash("x").split("$")[0]
    assert login_module.DUMMY_HASH.split("$")[0] == method


@pytest.mark.parametrize("method", ["pbkdf2:sha256:1000", "pbkdf2:sha512:1000", "scrypt:1024:8:1"])
def test_hashes_of_every_age(app: Flask, client: FlaskClient, method: str) -> None:
    with app.app_context():
        db.session.get_one(User, 3).password = generate_password_hash("old", method)
        db.session.commit()
    assert client.post("/api/authenticate", json={"uid": "niko", "password": "old"}).status_code == 200
    assert client.post("/api/authenticate", json={"uid": "niko", "password": "new"}).status_code == 401


@pytest.mark.parametrize("stored", ["", "!", "123Niko!", "plain$123Niko!$x", "scrypt:a:b:c$d$e", "$$", "$"])
def test_what_is_no_hash_opens_nothing(app: Flask, client: FlaskClient, stored: str) -> None:
    with app.app_context():
        db.session.get_one(User, 3).password = stored
        db.session.commit()
    for password in ("123Niko!", "", "!"):
        assert client.post("/api/authenticate", json={"uid": "niko", "password": password}).status_code == 401


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {}}, 400),
        ({"json": {"uid": "toby"}}, 401),
        ({"json": {"uid": 1, "password": ["x"]}}, 401),
        ({"json": []}, 400),
        ({"json": None}, 400),
        ({}, 400),
        ({"data": "{bad", "content_type": "application/json"}, 400),
        ({"data": GOOD}, 400),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400),
        ({"json": {"uid": "x" * 20_000, "password": "x"}}, 413),
    ],
)
def test_bad_requests(client: FlaskClient, options: dict[str, Any], status: int) -> None:
    answer = client.post("/api/authenticate", **options)
    assert answer.status_code == status
    assert answer.json
    assert answer.json["message"]


def test_guessing_ends(app: Flask, login: Callable[[str], FlaskClient]) -> None:
    guess = {"uid": "toby", "password": "guess"}
    statuses = [app.test_client().post("/api/authenticate", json=guess).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    refused = app.test_client().post("/api/authenticate", json=GOOD)
    assert refused.status_code == 429
    assert refused.json
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    login("niko")  # somebody else, from the same address


def test_logging_in_again_and_again_is_no_guessing(client: FlaskClient) -> None:
    assert {client.post("/api/authenticate", json=GOOD).status_code for _ in range(12)} == {200}


def test_errors_are_json(client: FlaskClient) -> None:
    for answer in (client.get("/api/authenticate"), client.get("/api/nothing")):
        assert answer.json
        assert answer.json["message"]
    assert client.get("/api/authenticate").status_code == 405
    assert client.get("/nothing").content_type.startswith("text/html")
