"""Files of the old API: any of them is read, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SnapshotUnusable
from app.transfer.rows.files import WINDOW_BYTES
from app.transfer.rows.snapshot import is_snapshot
from app.transfer.sources.classic_file import ClassicFile

from .foreign import JUNK, refusal_of


def test_a_frame_that_asks_for_a_huge_window(tmp_path: Path) -> None:
    path = tmp_path / "data.json.zst"
    # RFC 8878, 3.1.1.1.2: an exponent of 21 above 2^10.
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0, 21 << 3]) + b"\x01\x00\x00")
    assert WINDOW_BYTES < 1 << 31
    assert not is_snapshot(path)
    with pytest.raises(SnapshotUnusable, match="damaged"):
        ClassicFile(path)


@given(JUNK, st.sampled_from(["whole", "users", "_metadata", "failed"]))
def test_any_classic_file(tmp_path: Path, junk: Any, place: str) -> None:
    said: Any = {"users": [{"id": 1}], "_metadata": {"failed_endpoints": []}}
    said = {
        "whole": junk,
        "users": {**said, "users": junk},
        "_metadata": {**said, "_metadata": junk},
        "failed": {**said, "_metadata": {"failed_endpoints": junk}},
    }[place]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(said))

    def read() -> None:
        file = ClassicFile(path)
        for name in file.types:
            list(file.records(name))

    said_of_it = refusal_of(read)
    assert said_of_it is None or str(path) in said_of_it
