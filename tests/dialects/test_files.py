"""Files and directories for their owner alone, whatever the umask and whatever was there before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.dialects.files import create_private, fsync, fsync_directory, make_directory, open_private


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    former = os.umask(0)
    yield
    os.umask(former)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_are_made_with_those_above_and_never_committed(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    make_directory(deep)
    assert (mode(tmp_path / "a"), mode(deep), (deep / ".gitignore").read_text()) == (0o700, 0o700, "*\n")
    assert mode(deep / ".gitignore") == 0o600
    assert not (tmp_path / "a" / ".gitignore").exists()


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    make_directory(tmp_path / "mine")
    assert (mode(tmp_path / "mine"), list((tmp_path / "mine").iterdir())) == (0o755, [])
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists"):
        make_directory(tmp_path / "file")


def test_a_private_file_is_private_before_anything_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "new"
    create_private(path)
    assert (mode(path), path.read_bytes()) == (0o600, b"")
    path.write_bytes(b"kept")
    create_private(path)
    assert path.read_bytes() == b"kept"


def test_a_file_that_others_could_read_is_made_private_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"a longer text of before")
    path.chmod(0o666)
    with open_private(path) as file:
        assert mode(path) == 0o600
        file.write(b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(IsADirectoryError):
        open_private(tmp_path)


def test_what_is_not_there_cannot_be_made_durable(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    fsync(tmp_path / "x")
    fsync_directory(tmp_path)
    for ask, path in ((fsync, tmp_path / "none"), (fsync_directory, tmp_path / "none")):
        with pytest.raises(FileNotFoundError):
            ask(path)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("make", [create_private, open_private])
def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    yours, link = tmp_path / "yours", tmp_path / "backup.sql"
    yours.write_text("of value")
    yours.chmod(0o644)
    for target in (yours, tmp_path / "nowhere"):
        link.symlink_to(target)
        with pytest.raises(OSError, match="symbolic links"):
            make(link)
        link.unlink()
    assert (yours.read_text(), mode(yours)) == ("of value", 0o644)
    assert not (tmp_path / "nowhere").exists()
