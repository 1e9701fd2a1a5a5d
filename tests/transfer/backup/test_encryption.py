"""age: who has the identity reads, and nobody else; what was changed or cut off is refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pyrage import x25519

from app.errors import BackupFailed, Misconfigured
from app.transfer.backup.encryption import decrypt, encrypt, is_encrypting, require
from app.transfer.run.settings import Settings, build_settings

TEXT = b"every row" * 50_000
OURS, OTHER = x25519.Identity.generate(), x25519.Identity.generate()


def made(directory: Path, key: str, identity: str = "") -> Settings:
    keys = {"FERRY_BACKUP_KEY": key}
    if identity:
        file = directory / "identity.txt"
        file.write_text(f"# one of age-keygen\n\n{identity}\n")
        file.chmod(0o600)
        keys["FERRY_BACKUP_IDENTITY"] = str(file)
    return build_settings(keys, {}, instance=directory, directory=directory, options={})


def encrypted(settings: Settings) -> bytes:
    require(settings)
    to = io.BytesIO()
    encrypt(settings, io.BytesIO(TEXT), to)
    return to.getvalue()


def decrypted(settings: Settings, text: bytes) -> bytes:
    to = io.BytesIO()
    decrypt(settings, io.BytesIO(text), to, "the backup")
    return to.getvalue()


def test_an_identity_writes_and_reads(tmp_path: Path) -> None:
    settings = made(tmp_path, str(OURS))
    text = encrypted(settings)
    assert TEXT[:40] not in text
    assert decrypted(settings, text) == TEXT


def test_a_recipient_writes_only(tmp_path: Path) -> None:
    public = made(tmp_path, f"{OURS.to_public()}, {OTHER.to_public()}")
    text = encrypted(public)
    with pytest.raises(Misconfigured, match="no identity"):
        decrypted(public, text)
    assert decrypted(made(tmp_path, str(OURS.to_public()), str(OTHER)), text) == TEXT
    assert is_encrypting(public)
    assert not is_encrypting(made(tmp_path, "a key of sixteen or more"))


def test_another_identity_reads_nothing(tmp_path: Path) -> None:
    text = encrypted(made(tmp_path, str(OURS.to_public())))
    with pytest.raises(BackupFailed, match="the backup could not be decrypted"):
        decrypted(made(tmp_path, str(OTHER)), text)


@pytest.mark.parametrize(
    "spoil",
    [lambda text: text[:-1], lambda text: text[:70_000], lambda text: text[:-9] + bytes([text[-9] ^ 1]) + text[-8:]],
)
def test_what_was_changed_or_cut_off(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    settings = made(tmp_path, str(OURS))
    with pytest.raises(BackupFailed, match="could not be decrypted"):
        decrypted(settings, spoil(encrypted(settings)))


def test_what_a_stream_raises_is_raised(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise BackupFailed("the storage is gone")

        def write(self, piece: object) -> int:
            raise OSError("the disk is full")

    settings = made(tmp_path, str(OURS))
    with pytest.raises(BackupFailed, match="the storage is gone"):
        encrypt(settings, Broken(), io.BytesIO())
    with pytest.raises(BackupFailed, match="the storage is gone"):
        decrypt(settings, Broken(), io.BytesIO(), "x")
    with pytest.raises(OSError, match="the disk is full"):
        decrypt(settings, io.BytesIO(encrypted(settings)), Broken(), "x")


def test_a_file_of_identities_is_for_its_owner_alone(tmp_path: Path) -> None:
    settings = made(tmp_path, str(OURS.to_public()), str(OURS))
    text, file = encrypted(settings), tmp_path / "identity.txt"
    file.chmod(0o640)
    with pytest.raises(Misconfigured, match="can be read by others"):
        decrypted(settings, text)
    file.chmod(0o600)
    file.write_text(f"{str(OURS)[:-1]}")
    with pytest.raises(Misconfigured, match="no identity of age") as caught:
        decrypted(settings, text)
    assert str(OURS)[:-1] not in f"{caught.value!r} {caught.value.hint}"
    file.unlink()
    with pytest.raises(Misconfigured, match="cannot be read"):
        decrypted(settings, text)


def test_a_key_with_a_wrong_character(tmp_path: Path) -> None:
    key = str(OURS.to_public())
    wrong = key[:-1] + ("q" if key[-1] != "q" else "p")
    with pytest.raises(Misconfigured, match="a character of it is wrong"):
        require(made(tmp_path, wrong))
