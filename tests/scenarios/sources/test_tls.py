"""A deployment behind TLS must prove who it is before it is told anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.deployment import words
from tests.support.deployment.runner import Deployment
from tests.support.site import Site
from tests.support.sources.sites import Before, assert_refused, flask
from tests.support.sources.tls import Authority, relay

HERE = "IP:127.0.0.1"
UID, PASSWORD = "FLASK_FERRY_SOURCE_UID", "FLASK_FERRY_SOURCE_PASSWORD"
TEACHER = {UID: words.TEACHER_UID, PASSWORD: words.TEACHER_PASSWORD}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "ca")


def test_a_certificate_of_the_authority_that_is_named_is_taken(
    filled: Site, wrong: Deployment, authority: Authority
) -> None:
    with relay(authority.sign(HERE), wrong.port) as url:
        ended = flask(filled, "db-migrate-data", url, "--yes", FLASK_FERRY_TLS_CA=str(authority.file), **TEACHER)
    assert ended.status == 0, ended.stderr


def test_a_certificate_that_signed_itself_is_refused(
    filled: Site, wrong: Deployment, authority: Authority, tmp_path: Path
) -> None:
    """Of an authority that nobody named: its own."""
    before, own = Before.of(filled), Authority.make(tmp_path / "own")
    pair = tmp_path / "pair.pem"
    pair.write_text((own.directory / "ca.key").read_text() + own.file.read_text())
    with relay(pair, wrong.port) as url:
        ended = flask(filled, "db-migrate-data", url, "--yes", FLASK_FERRY_TLS_CA=str(authority.file), **TEACHER)
    assert_refused(ended, 3, url, "the TLS certificate is refused")
    before.assert_unchanged()
    assert wrong.requests() == []
    assert words.TEACHER_PASSWORD not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("address", "days", "trusted", "reason"),
    [
        (HERE, 2, False, "self-signed certificate in certificate chain|unable to get local issuer"),
        (HERE, -1, True, "expired"),
        ("DNS:old.example.com", 2, True, "127.0.0.1"),
    ],
    ids=["unknown-authority", "expired", "another-name"],
)
def test_any_other_is_refused_and_nothing_is_sent(
    filled: Site,
    wrong: Deployment,
    authority: Authority,
    tmp_path: Path,
    address: str,
    days: int,
    trusted: bool,
    reason: str,
) -> None:
    before, ca = Before.of(filled), authority if trusted else Authority.make(tmp_path / "other")
    with relay(authority.sign(address, days=days), wrong.port) as url:
        ended = flask(filled, "db-migrate-data", url, "--yes", FLASK_FERRY_TLS_CA=str(ca.file), **TEACHER)
    assert_refused(ended, 3, url, "the TLS certificate is refused")
    assert any(part in ended.stderr for part in reason.split("|")), ended.stderr
    before.assert_unchanged()
    assert wrong.requests() == [], "who is there was not known yet"
    assert words.TEACHER_PASSWORD not in ended.stdout + ended.stderr
