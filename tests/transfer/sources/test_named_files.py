"""Files that records name: one that cannot be had, or cannot be written, is named and stops nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from app.errors import FerryError
from app.transfer.sources import named_files
from app.transfer.sources.answer import Answer
from app.transfer.sources.named_files import ENDLESS, FETCHED, NO_NAME, PAGE, TAKEN, _fetch

CLIENT: Any = None


class Source:
    """Answers each file with its own address."""

    def __init__(self, kind: str = "image/png", *, ended: bool = True) -> None:
        self.kind, self.ended = kind, ended

    def fetch(self, path: str, most_bytes: int, client: Any) -> Answer:
        del most_bytes, client
        return Answer(200, self.kind, path.encode(), {}, self.ended)


def fetch(directory: Path, *place: str, source: Any = None) -> str:
    return _fetch(source or Source(), directory, place, CLIENT)


def test_names_that_are_near_one_another_or_long(tmp_path: Path) -> None:
    for name in ("a.png.part", "a.png", "x" * 255):
        assert fetch(tmp_path, name) == FETCHED
    assert (tmp_path / "a.png.part").read_bytes() == b"/a.png.part"
    assert {path.name for path in tmp_path.iterdir()} >= {"a.png.part", "a.png", "x" * 255}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") and path.name != ".gitignore"]


def test_names_that_cannot_be_side_by_side(tmp_path: Path) -> None:
    assert fetch(tmp_path, "a") == FETCHED
    assert fetch(tmp_path, "a", "b") == TAKEN
    assert fetch(tmp_path, "a", "b", "c") == TAKEN
    assert fetch(tmp_path, "d", "e") == FETCHED
    assert fetch(tmp_path, "d") == TAKEN
    assert fetch(tmp_path, *["x" * 255] * 20) == NO_NAME
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_no_file(tmp_path: Path) -> None:
    assert fetch(tmp_path, "a", source=Source(ended=False)) == ENDLESS
    assert fetch(tmp_path, "a", source=Source("text/html; charset=utf-8")) == PAGE
    assert not (tmp_path / "a").exists()
    assert fetch(tmp_path, "a.HTML", source=Source("text/html")) == FETCHED


def test_a_disk_that_is_full_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(named_files, "write", fail)
    with pytest.raises(FerryError, match="No space left"):
        fetch(tmp_path, "a")
