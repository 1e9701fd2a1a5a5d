"""What a key of backups and the URL of a storage may be; what looks like a key of age is one, or is refused."""

from __future__ import annotations

import pytest

from app.errors import Misconfigured
from app.transfer.run.backup_key import check_backup_key, check_storage, is_identity, is_recipients, secret_of

RECIPIENT = "age19xgpw78n3y5mt0lhy68a3x9tds35cc0clarux8vj2chtk9ag4cysvrh8pn"
IDENTITY = "AGE-SECRET-KEY-1" + "QC6P" * 14 + "QC"


def test_a_recipient_is_public_and_seals_nothing() -> None:
    for key in (RECIPIENT, f"{RECIPIENT}, {RECIPIENT}", f"{RECIPIENT}\n{RECIPIENT}"):
        assert check_backup_key(key, "environment") == key
        assert is_recipients(key)
        assert secret_of(key) is None
    assert is_identity(check_backup_key(IDENTITY, "environment"))
    assert secret_of(IDENTITY) == IDENTITY
    assert secret_of("a key of sixteen or more") == "a key of sixteen or more"
    assert check_backup_key(None, "default") is None


@pytest.mark.parametrize(
    "key",
    [
        RECIPIENT[:-1],
        RECIPIENT.upper(),
        f"{RECIPIENT},{RECIPIENT[:-1]}b ",
        f"{RECIPIENT} {IDENTITY}",
        IDENTITY.lower(),
        IDENTITY[:-1],
        f"{IDENTITY} {IDENTITY}",
    ],
)
def test_what_begins_as_a_key_of_age_and_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_BACKUP_KEY \(environment\)") as caught:
        check_backup_key(key, "environment")
    assert key not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/b/", "sftp://me@host/path", "file:///srv/backups"])
def test_a_storage(url: str) -> None:
    assert check_storage(url, "FERRY_STORAGE") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/prefix",
        "s3://",
        "memory://x",
        "simplecache::s3://bucket",
        "s3://key:hunter2@bucket/prefix",
        "s3://bucket/prefix?secret=hunter2",
        "s3://bucket#hunter2",
    ],
)
def test_no_storage(url: str) -> None:
    with pytest.raises(Misconfigured, match="FERRY_STORAGE") as caught:
        check_storage(url, "FERRY_STORAGE (environment)")
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"
