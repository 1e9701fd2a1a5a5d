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


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "\ufeff{}", "\t{} "])
def test_what_files_and_pastes_leave_around_a_key_of_age_is_no_part_of_it(around: str) -> None:
    assert check_backup_key(around.format(IDENTITY), "environment") == IDENTITY
    assert is_recipients(check_backup_key(around.format(RECIPIENT), "environment"))


@pytest.mark.parametrize("key", ["a secret of the image1", "village1 and village2", "a line\n", " blanks around it "])
def test_a_secret_of_ones_own_stays_as_it_is_to_the_last_blank(key: str) -> None:
    """It sealed backups."""
    assert check_backup_key(key := key.rjust(20, "x"), "environment") == key
    assert secret_of(key) == key


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
        f'"{RECIPIENT}"',
        f"'{IDENTITY}'",
        f"a secret of ours,{RECIPIENT}",
        f"secret{RECIPIENT}",
        f"# created: 2026-01-01\n# public key: {RECIPIENT}\n{IDENTITY}\n",
        f"FERRY_BACKUP_KEY={RECIPIENT}",
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
        "AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQQ",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@host",
        '"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ"',
        "ecdsa-sha2-nistp256 AAAAE2VjZHNh",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE",
        "age1-is-how-my-secret-begins",
    ],
)
def test_what_looks_like_a_key_of_age_and_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_BACKUP_KEY \(environment\)") as caught:
        check_backup_key(key, "environment")
    assert key not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/b/", "gs://me@bucket/path", "file:///srv/backups"])
def test_a_storage(url: str) -> None:
    assert check_storage(url, "FERRY_STORAGE") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/prefix",
        "s3://",
        "memory://x",
        "sftp://me@host/path",
        "SSH://host/path",
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
