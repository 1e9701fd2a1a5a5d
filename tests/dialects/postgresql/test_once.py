"""Parts of a table that several load: each once, and nobody behind the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialects.rooms import ROOMS
from tests.dialects.sharing import check_cut_off, check_end, check_once


def test_a_part_goes_in_once_and_wholly(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_once(room)


def test_the_end_waits_for_who_is_at_work(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_end(room)


@pytest.mark.parametrize("limit", ["PATIENT_S", "MOST_WAITED_S"])
def test_who_is_cut_off_is_not_waited_for_without_end(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    with ROOMS["postgresql"](request, tmp_path) as room:
        check_cut_off(room, monkeypatch, limit)
