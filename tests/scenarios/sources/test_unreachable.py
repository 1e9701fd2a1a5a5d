"""Sources that are not there, credentials that are wrong, and configuration that cannot be meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.deployment import words
from tests.support.deployment.runner import Deployment
from tests.support.site import Site
from tests.support.sources.sites import Before, Secrets, assert_refused, flask

PASSWORD = "FLASK_FERRY_SOURCE_PASSWORD"
PASSWORD_FILE = "FLASK_FERRY_SOURCE_PASSWORD_FILE"
UID = "FLASK_FERRY_SOURCE_UID"
SOMEBODY = {UID: "mira", PASSWORD: "Secret-9f2"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def without(source: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in source.items() if key not in keys}


def test_no_server(filled: Site) -> None:
    before, url = Before.of(filled), f"http://127.0.0.1:{free_port()}"
    ended = flask(filled, "db-migrate-data", url, "--yes", **SOMEBODY)
    assert_refused(ended, 3, url, "refused", "no usable snapshot")
    before.assert_unchanged()
    assert "Secret-9f2" not in ended.stdout + ended.stderr


def test_an_unknown_host(filled: Site) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "https://old.invalid", "--yes", FLASK_FERRY_TIMEOUT="0.5", **SOMEBODY)
    assert_refused(ended, 3, "https://old.invalid", "no usable snapshot")
    before.assert_unchanged()


def test_a_server_that_accepts_and_says_nothing(filled: Site) -> None:
    before = Before.of(filled)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended = flask(filled, "db-migrate-data", url, "--yes", FLASK_FERRY_TIMEOUT="0.3", **SOMEBODY)
    assert_refused(ended, 3, url, "timed out")
    before.assert_unchanged()


def test_a_wrong_password(filled: Site, wrong: Deployment) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", wrong.url, "--yes", **SOMEBODY)
    assert_refused(ended, 12, wrong.url, "'mira'", "401")
    before.assert_unchanged()
    assert "Secret-9f2" not in ended.stdout + ended.stderr
    assert len(wrong.requests("/api/authenticate")) == 1, "a wrong password is not tried again: accounts get locked"


def test_nobody_of_that_name(filled: Site, wrong: Deployment) -> None:
    ended = flask(filled, "db-migrate-data", wrong.url, "--yes", **{UID: "nobody", PASSWORD: "x"})
    assert_refused(ended, 12, "'nobody'")


def test_not_an_admin(filled: Site, wrong: Deployment) -> None:
    before = Before.of(filled)
    plain = {UID: words.PLAIN_UID, PASSWORD: words.PLAIN_PASSWORD}
    ended = flask(filled, "db-migrate-data", wrong.url, "--yes", **plain)
    assert_refused(ended, 12, "'niko'", "403", "admin")
    before.assert_unchanged()


@pytest.mark.parametrize("key", [UID, PASSWORD])
def test_missing_credentials(filled: Site, wrong: Deployment, key: str) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "--yes", **without(Secrets.of(wrong).source, key))
    assert_refused(ended, 2, key.removeprefix("FLASK_"), wrong.url)
    before.assert_unchanged()
    assert wrong.requests() == []


def test_a_password_in_a_file(site: Site, wrong: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{words.TEACHER_PASSWORD}\n")
    source = without(Secrets.of(wrong).source, PASSWORD)
    done = flask(site, "db-migrate-data", "--yes", **source, **{PASSWORD_FILE: str(file)})
    assert done.status == 0, done.stderr
    assert str(file) not in done.stdout + done.stderr


def test_a_password_file_that_is_not_there(filled: Site, wrong: Deployment, tmp_path: Path) -> None:
    source = without(Secrets.of(wrong).source, PASSWORD) | {PASSWORD_FILE: str(tmp_path / "gone")}
    ended = flask(filled, "db-migrate-data", "--yes", **source)
    assert_refused(ended, 2, "FERRY_SOURCE_PASSWORD_FILE", str(tmp_path / "gone"))
    assert wrong.requests() == []


def test_both_passwords(filled: Site, wrong: Deployment, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    source = Secrets.of(wrong).source | {PASSWORD_FILE: str(tmp_path / "password")}
    ended = flask(filled, "db-migrate-data", "--yes", **source)
    assert ended.status == 2
    assert "FERRY_SOURCE_PASSWORD and FERRY_SOURCE_PASSWORD_FILE" in ended.stderr
    assert wrong.requests() == []


@pytest.mark.parametrize("password", ["1.10", "null", "true", '"quoted"', " padded "])
def test_a_password_is_text_whatever_it_looks_like(filled: Site, wrong: Deployment, password: str) -> None:
    from werkzeug.security import generate_password_hash

    hashed = generate_password_hash(password, "pbkdf2:sha256:1000")
    wrong.execute("UPDATE users SET _password = ? WHERE _uid = 'mira'", hashed)
    done = flask(filled, "db-migrate-data", wrong.url, "--yes", "--dry-run", **{UID: "mira", PASSWORD: password})
    assert done.status == 0, done.stderr


@pytest.mark.parametrize(
    ("url", "words_of_it"),
    [
        ("http://old.invalid", ["unencrypted", "--insecure-http"]),
        ("http://192.0.2.7:8080/app", ["unencrypted"]),
        ("https://mira:Secret-9f2@old.invalid", ["credentials"]),
        ("https://Secret-9f2@old.invalid", ["credentials"]),
        ("https://old.invalid/?page=1", ["not the URL of a deployment"]),
        ("https://old.invalid:99999", ["is not a URL"]),
        ("https://", ["not the URL of a deployment"]),
    ],
)
def test_a_url_that_cannot_be_meant(filled: Site, url: str, words_of_it: list[str]) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", url, "--yes", **SOMEBODY)
    assert ended.status == 2, ended.stderr
    for said in words_of_it:
        assert said in ended.stderr
    assert "Secret-9f2" not in ended.stdout + ended.stderr
    before.assert_unchanged()
    assert not filled.area.exists()


def test_http_off_loopback_can_be_allowed(filled: Site) -> None:
    # 192.0.2.0/24 is for documentation: nobody answers there.
    arguments = ["http://192.0.2.7", "--insecure-http", "--yes"]
    ended = flask(filled, "db-migrate-data", *arguments, FLASK_FERRY_TIMEOUT="0.2", **SOMEBODY)
    assert_refused(ended, 3, "http://192.0.2.7")


def test_an_unsupported_kind_of_source(filled: Site) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "ftp://old.invalid/data", "--yes")
    assert ended.status in (2, 20), ended.stderr
    assert "ftp" in ended.stderr
    before.assert_unchanged()


def test_no_source_at_all(filled: Site) -> None:
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "--yes")
    assert_refused(ended, 2, "No source.", "FERRY_SOURCE", "flask db upgrade")
    before.assert_unchanged()


def test_no_adapters(filled: Site, wrong: Deployment) -> None:
    source = Secrets.of(wrong).source
    for name, said in (("", "not set"), ("no.such.module", "cannot be imported"), ("json", "does not say")):
        ended = flask(filled, "db-migrate-data", "--yes", **source, FLASK_FERRY_ADAPTERS=name)
        assert ended.status == 2, ended.stderr
        assert "FERRY_ADAPTERS" in ended.stderr
        assert said in ended.stderr
