"""A section's lines on their way into a snapshot: read again as they were written, or known to be others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.transfer.rows.canonical import MODULUS, hash_line
from app.transfer.sources.parts import Part, PartWriter

LINES = [b'{"a": 1}', b'{"b": "\xc3\xa9"}', b'{"a": 1}']


def write(path: Path, lines: list[bytes]) -> Part:
    with PartWriter("user", path) as part:
        for line in lines:
            part.add(line)
        return part.finish()


def test_lines_come_back_with_their_hashes(tmp_path: Path) -> None:
    part = write(tmp_path / "user", LINES)
    assert list(part.read()) == [(line, hash_line(line)) for line in LINES]
    assert (part.lines, part.total) == (3, sum(map(hash_line, LINES)) % MODULUS)
    assert part.is_whole()
    assert part.file.stat().st_mode & 0o77 == 0
    assert write(tmp_path / "none", []).is_whole()


@pytest.mark.parametrize("damage", [b"", b'{"a": 1}\n', b'{"a": 1}\n{"b": "x"}\n{"a": 1}\n', None])
def test_what_was_changed_since_is_not_whole(tmp_path: Path, damage: bytes | None) -> None:
    part = write(tmp_path / "user", LINES)
    part.file.unlink() if damage is None else part.file.write_bytes(damage)
    assert not part.is_whole()


def test_a_file_that_another_run_has_by_a_link_stays_as_it_is(tmp_path: Path) -> None:
    former = write(tmp_path / "former", LINES)
    os.link(former.file, tmp_path / "user")
    write(tmp_path / "user", LINES[:1])
    assert former.is_whole()
