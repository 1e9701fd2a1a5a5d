"""What ``FERRY_BACKUP_KEY`` and ``FERRY_STORAGE`` may be: a secret, or keys of age; a URL without a password."""

from __future__ import annotations

import re

from ...dialects.redact import redact_text
from ...errors import Misconfigured

SHORTEST_KEY = 16
_RECIPIENT = re.compile("age1[02-9ac-hj-np-z]{58}")
_IDENTITY = re.compile("AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}")
_URL = re.compile("([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_GONE_WITH_THE_PROCESS = ("memory", "data")


def split_recipients(key: str) -> list[str]:
    """The keys that a text names, apart by blanks or commas."""
    return re.split(r"[\s,]+", key.strip())


def is_recipients(key: str | None) -> bool:
    """Whether a key is public: recipients of age, who alone can read what is encrypted for them."""
    return key is not None and key.lower().startswith("age1")


def is_identity(key: str | None) -> bool:
    """Whether a key is an identity of age: the secret that reads what its recipient is sent."""
    return key is not None and key.lower().startswith("age-secret-key-")


def secret_of(key: str | None) -> str | None:
    """What of a key is secret, and so may seal; everybody may know a recipient."""
    return None if is_recipients(key) else key


def check_backup_key(key: str | None, origin: str) -> str | None:
    """The key, if it can be one; the error does not show it.

    :raises Misconfigured: it is too short, or looks like a key of age and is none: nothing would be encrypted.
    """
    if key is None:
        return None
    if len(key) < SHORTEST_KEY:
        raise Misconfigured(
            f"FERRY_BACKUP_KEY ({origin}) is shorter than {SHORTEST_KEY} characters.",
            hint="Make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    whole = not is_recipients(key) or all(map(_RECIPIENT.fullmatch, split_recipients(key)))
    if not whole or (is_identity(key) and not _IDENTITY.fullmatch(key)):
        raise Misconfigured(
            f"FERRY_BACKUP_KEY ({origin}) begins as a key of age does, and is none.",
            hint="Use one identity (AGE-SECRET-KEY-1...), or recipients (age1...), apart by commas. age-keygen, or\n"
            "python -c 'from pyrage import x25519; print(x25519.Identity.generate())', makes an identity.",
        )
    return key


def check_storage(url: str | None, place: str) -> str | None:
    """The URL of a storage, if it can be one.

    :param place: where it stands, for people.
    :raises Misconfigured: it is none, has a password or a query, or names what is gone with the process.
    """
    if url is None:
        return None
    match = _URL.fullmatch(url)
    if match is None or "::" in url or match[1].lower() in _GONE_WITH_THE_PROCESS:
        raise Misconfigured(
            f"{place} is {redact_text(url)[:80]!r}.",
            hint="Use the URL of one place that stays: s3://BUCKET/PREFIX, sftp://HOST/PATH, file:///PATH.",
        )
    user, at, _ = match[2].rpartition("@")
    if "?" in url or "#" in url or (at and ":" in user):
        raise Misconfigured(
            f"{place} has a password or a query: {redact_text(url)[:80]}",
            hint="A secret comes from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, FSSPEC_...).",
        )
    return url.rstrip("/")
