"""A program that is called has what is listed of this process's environment, and none of its secrets."""

from __future__ import annotations

import pytest

from app.dialects.inherited import inherit

SECRETS = ("DATABASE_URL", "SECRET_KEY", "PGPASSWORD", "MYSQL_PWD", "FERRY_SOURCE_PASSWORD", "LCX", "AWS_SESSION_TOKEN")


def test_secrets_stay_here_and_the_way_to_programs_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SECRETS, "PGSSLROOTCERT", "LC_ALL", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PATH", "/usr/bin")
    given = inherit(["PGSSLROOTCERT", "NOT_SET"])
    assert given.keys().isdisjoint(SECRETS)
    assert (given["PATH"], given["LC_ALL"], given["SSL_CERT_FILE"], given["PGSSLROOTCERT"]) == (
        "/usr/bin",
        "x",
        "x",
        "x",
    )
    assert "NOT_SET" not in given
    assert "PGSSLROOTCERT" not in inherit()
