"""Files for their owner alone, written beside and renamed; how they are opened."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from app.errors import SnapshotUnusable
from app.transfer.rows import files
from app.transfer.rows.files import encode_rows, open_plain, read_text, write
from app.transfer.rows.snapshot import (
    check,
)
from tests.support.site import ROOT

from .snapshots import SUFFIXES, USERS, header, store


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnusable, match="No such file"):
        open_plain(tmp_path / "x")
    with pytest.raises(SnapshotUnusable, match="directory"):
        open_plain(tmp_path)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        path = store(tmp_path / "data.json", header(USERS), [])
        former = write(path, [b"x"])
    finally:
        os.umask(mask)
    assert former
    assert {file.stat().st_mode & 0o777 for file in (path, former)} == {0o600}


def test_former_files_are_kept_under_a_time(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    assert write(path, [b"1"]) is None
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert write(path, [b"2"]) == tmp_path / "data.json.20231114T221320.bak"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert write(path, [b"3"]) == tmp_path / "data.json.20231114T221320-1.bak"
    assert sorted(file.read_bytes() for file in tmp_path.iterdir()) == [b"1", b"2", b"3"]
    assert path.read_bytes() == b"3"


def test_what_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write(path, [b"1"])
    assert write(path, [b"2"], keep_former=False) is None
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"2"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_breaks_off_leaves_the_former_file_alone(tmp_path: Path, suffix: str) -> None:
    path = store(tmp_path / f"data{suffix}", header(USERS), [[1, "a"]])
    before = path.read_bytes()

    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write(path, pieces())

    def refuse(_path: Path) -> None:
        raise SnapshotUnusable("no")

    with pytest.raises(SnapshotUnusable, match="no"):
        write(path, [b"whole"], check=refuse)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_the_check_sees_the_finished_file(tmp_path: Path) -> None:
    path = tmp_path / "data.json.zst"
    seen = []
    write(path, [b"a", b"b"], check=lambda file: seen.append((file.read_bytes(), file.parent, path.exists())))
    [(content, directory, there)] = seen
    assert (directory, there) == (tmp_path, False)
    assert zstandard.ZstdDecompressor().decompressobj().decompress(content) == b"ab"


def test_gzip_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write(tmp_path / name, [b"content"])
        assert gzip.decompress((tmp_path / name).read_bytes()) == b"content"
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_killed_at_any_moment_the_name_has_a_whole_file(tmp_path: Path) -> None:
    path = store(tmp_path / "data.json", header(USERS), [[1, "a"]])
    program = (
        "import sys; from pathlib import Path; from app.transfer.rows.snapshot import *\n"
        "from app.transfer.rows.header import *; from app.transfer.rows.files import *\n"
        "from app.dialects.model import *\n"
        "table = Table('users', (Column('id', LogicalType.INT), Column('name', LogicalType.TEXT)), ('id',))\n"
        "head = Header('rows', 's', 'i', '2024-01-01T00:00:00Z', '0001', (table,))\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    rows = ([n, 'x' * 50] for n in range(2000))\n"
        "    write(Path(sys.argv[1]), encode(head, [('users', hash_rows(table, rows))]), check=check)\n"
    )
    for number in range(6):
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout
        assert writer.stdout.readline()
        time.sleep(0.007 * number)
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=30)
        check(path)
    for kept in tmp_path.glob("*.bak"):
        check(kept)


def test_a_text_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_TEXT_BYTES", 1 << 20)
    path = tmp_path / "data.json"
    path.write_bytes(b" " * (1 << 20))
    assert len(read_text(path)) == 1 << 20
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(SnapshotUnusable, match=f"{path} is longer than 1 MiB"):
        read_text(path)


def test_a_document_of_rows_is_json_whatever_the_values_hold() -> None:
    rows = [{"a": "x\n\r\u2028\u2029\x85\x1c\x0b y", "b": {"c": [1, None]}}, {}]
    text = b"".join(encode_rows({"format": "f", "n": 1}, rows)).decode()
    assert json.loads(text) == {"format": "f", "n": 1, "rows": rows}
    assert text.split("\n")[:2] == ["{", ' "format": "f",']
    assert json.loads(b"".join(encode_rows({"n": 1}, []))) == {"n": 1, "rows": []}
