"""Which names are those of secrets, and what words may say of them."""

from __future__ import annotations

import pytest

from app.transfer.rows.masking import is_secret, words_without_secrets
from tests.transfer.proof.databases import USERS


def test_a_servers_words_may_quote_a_secret() -> None:
    long = "s3cret" * 30
    words = f"Duplicate entry '{long[:64]}' for key 'users.password'; name a"
    told = words_without_secrets(words, USERS, [1, "a", long, None])
    assert told == "Duplicate entry '***' for key 'users.password'; name a"
    assert words_without_secrets("Key (password)=(abc)", USERS, [1, "a", "abc", None]) == "Key (password)=(***)"


@pytest.mark.parametrize("name", ["password", "_password", "passwordHash", "api_key", "auth_token", "SECRET", "jwt"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    assert not is_secret("name")
