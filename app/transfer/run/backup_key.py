"""What ``FERRY_BACKUP_KEY`` and ``FERRY_STORAGE`` may be: a secret, or keys of age; a URL without a password."""

from __future__ import annotations

import re

from ...dialects.redact import redact_text
from ...errors import Misconfigured

SHORTEST_KEY = 16
_RECIPIENT = re.compile("age1[02-9ac-hj-np-z]{58}")
_IDENTITY = re.compile("AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}")
_OF_AGE = re.compile(
    r"(?<![A-Za-z0-9])age1|age1[a-z0-9]{20}|AGE-SECRET-KEY-|AGE-PLUGIN-|age-encryption\.org|-----BEGIN"
    r"|^\W*(?:sk-)?(?:ssh-|ecdsa-sha2-)",
    re.IGNORECASE,
)
"""What looks as if something were to be encrypted: a secret of one's own is very unlikely to."""
_AROUND = " \t\r\n\ufeff"
_URL = re.compile("([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_GONE_WITH_THE_PROCESS = ("memory", "data")
_NOT_SAFE = ("sftp", "ssh")
"""fsspec's way to them takes any server's key, and leaves half an object where an upload breaks off."""


def split_recipients(key: str) -> list[str]:
    """The keys that a text names, apart by blanks or commas."""
    return re.split(r"[\s,]+", key.strip(_AROUND))


def is_recipients(key: str | None) -> bool:
    """Whether a key is public: recipients of age, who alone can read what is encrypted for them."""
    return key is not None and all(map(_RECIPIENT.fullmatch, split_recipients(key)))


def is_identity(key: str | None) -> bool:
    """Whether a key is an identity of age: the secret that reads what its recipient is sent."""
    return key is not None and _IDENTITY.fullmatch(key) is not None


def secret_of(key: str | None) -> str | None:
    """What of a key is secret, and so may seal; everybody may know a recipient."""
    return None if is_recipients(key) else key


def check_backup_key(key: str | None, origin: str) -> str | None:
    """The key, if it can be one, and a key of age without the blanks around it; the error does not show it.

    :raises Misconfigured: it is too short, or something in it looks like a key of age or of SSH, and it is not wholly a
        key of age: it would be taken for a secret, and nothing would be encrypted.
    """
    if key is None:
        return None
    if len(key) < SHORTEST_KEY:
        raise Misconfigured(
            f"FERRY_BACKUP_KEY ({origin}) is shorter than {SHORTEST_KEY} characters.",
            hint="Make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    bare = key.strip(_AROUND)
    if is_recipients(bare) or is_identity(bare):
        return bare
    if _OF_AGE.search(bare):
        raise Misconfigured(
            f"FERRY_BACKUP_KEY ({origin}) looks like a key of age or of SSH, and is not wholly one of age, so nothing "
            "would be encrypted.",
            hint="Use one identity (AGE-SECRET-KEY-1...), or recipients (age1...), apart by commas: without quotes,\n"
            "comments, or another secret beside. An identity is made by age-keygen, or by\n"
            "python -c 'from pyrage import x25519; print(x25519.Identity.generate())'\n"
            "If it is a secret of yours, take another; what it sealed comes back with:\n"
            "flask db-restore FILE --trust-file",
        )
    # A secret stays as it is, to the last blank: it sealed backups.
    return key


def check_storage(url: str | None, place: str) -> str | None:
    """The URL of a storage, if it can be one.

    :param place: where it stands, for people.
    :raises Misconfigured: it is none, has a password or a query, or names what is gone with the process or not safe.
    """
    if url is None:
        return None
    match = _URL.fullmatch(url)
    if match and match[1].lower() in _NOT_SAFE:
        raise Misconfigured(
            f"{place} is a URL of {match[1].lower()}, which no backup is stored at: {redact_text(url)[:80]}",
            hint="Mount the directory (sshfs) and use file:///PATH, or use the URL of a bucket: s3://BUCKET/PREFIX.",
        )
    if match is None or "::" in url or match[1].lower() in _GONE_WITH_THE_PROCESS:
        raise Misconfigured(
            f"{place} is {redact_text(url)[:80]!r}.",
            hint="Use the URL of one place that stays: s3://BUCKET/PREFIX, file:///PATH.",
        )
    user, at, _ = match[2].rpartition("@")
    if "?" in url or "#" in url or (at and ":" in user):
        raise Misconfigured(
            f"{place} has a password or a query: {redact_text(url)[:80]}",
            hint="A secret comes from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, FSSPEC_...).",
        )
    return url.rstrip("/")
