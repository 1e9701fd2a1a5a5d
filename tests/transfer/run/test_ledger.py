"""The records of the control area as objects: what no run wrote is refused by name."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import pytest

from app.dialects.model import TableChecksum
from app.transfer.rows.expect import Unexpected
from app.transfer.rows.header import AppliedProfile
from app.transfer.run.ledger import Entry, process

ENTRY = Entry(
    "20240101T000000-abcdef",
    "db-migrate-data",
    "identity",
    "https://old.example.com",
    "0001",
    "0000000b",
    "0000000a",
    "2024-01-01T00:00:00Z",
    options={"profile": {"name": "dev", "digest": "0f"}},
    checksums={"users": [2, "0" * 31 + "a"]},
)
KEPT = dataclasses.asdict(ENTRY)


def test_an_entry_comes_back_with_what_it_means() -> None:
    entry = Entry.from_json(KEPT)
    assert entry == ENTRY
    assert entry.profile == AppliedProfile("dev", "0f")
    assert entry.table_checksums == {"users": TableChecksum(2, 10)}
    bare = {key: value for key, value in KEPT.items() if key not in ("options", "revision", "checksums", "emptied")}
    assert (Entry.from_json(bare).profile, Entry.from_json(bare).revision) == (None, None)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"mark": None}, "mark"),
        ({"run_id": 5}, "run_id"),
        ({"backup": 5}, "backup"),
        ({"drift": "x"}, "drift"),
        ({"options": []}, "options"),
        ({"options": {"profile": "dev"}}, "profile"),
        ({"options": {"profile": {"name": "dev"}}}, "digest"),
        ({"checksums": {"users": [2]}}, r"checksums\.users"),
        ({"checksums": {"users": [2, "x" * 32]}}, r"checksums\.users\[1\]"),
        ({"emptied": "no"}, "emptied"),
        ({"of_a_newer_version": 1}, "of_a_newer_version"),
    ],
)
def test_what_no_run_writes_is_refused_by_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(Unexpected, match=place):
        Entry.from_json(KEPT | change)
    with pytest.raises(Unexpected, match="the entry"):
        Entry.from_json([KEPT])


def test_a_process_is_told_from_one_that_ended_and_from_another() -> None:
    mine = process(os.getpid())
    assert mine
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        other = process(child.pid)
        assert other not in ("", mine) or process(child.pid) == other
        child.communicate(b"\n")
    assert process(child.pid) == ""
