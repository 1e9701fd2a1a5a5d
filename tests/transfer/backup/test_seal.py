"""The key of a database's backups, and the seal of a manifest: of its values, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.transfer.backup.seal import existing_id, existing_key, is_sealed, make_id, make_key, seal
from tests.transfer.hosts import made_run

KEY = b"k" * 32
MANIFEST = {"id": "a", "sha256": "0f", "tables": {"t": [1, "é"]}, "file": "/one/a", "seal": ""}


def test_a_key_is_made_once_and_only_where_somebody_asks_for_it(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    assert existing_key(run.settings, None) is None
    assert existing_key(run.settings, run.control) is None
    key = make_key(run.settings, run.control)
    again = made_run(tmp_path)
    assert existing_key(again.settings, again.control) == make_key(again.settings, again.control) == key
    assert len(key) == 32


def test_an_id_is_made_once_and_is_each_databases_own(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one")
    assert existing_id(None) is None
    assert existing_id(run.control) is None
    database_id = make_id(run.control)
    again = made_run(tmp_path / "one")
    assert existing_id(again.control) == make_id(again.control) == database_id
    assert make_id(made_run(tmp_path / "two").control) != database_id


def test_a_key_of_the_settings_comes_first_and_is_not_kept(tmp_path: Path) -> None:
    kept = made_run(tmp_path / "kept")
    own = make_key(kept.settings, kept.control)
    run = made_run(tmp_path / "kept", FERRY_BACKUP_KEY="a key of sixteen or more")
    assert make_key(run.settings, run.control) == existing_key(run.settings, None) != own
    assert existing_key(kept.settings, kept.control) == own


def test_a_seal_is_of_the_values_however_they_are_laid_out() -> None:
    sealed = MANIFEST | {"seal": seal(MANIFEST, KEY)}
    assert is_sealed(sealed, KEY)
    assert is_sealed(json.loads(json.dumps(dict(reversed(sealed.items())), indent=3)) | {"file": "/moved/a"}, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"sha256": "0e"},
        {"tables": {"t": [2, "é"]}},
        {"more": 1},
        {"seal": ""},
        {"seal": None},
        {"seal": 5},
        {"seal": "é"},
    ],
)
def test_any_other_value_breaks_it(change: dict[str, object]) -> None:
    sealed = MANIFEST | {"seal": seal(MANIFEST, KEY)}
    assert not is_sealed(sealed | change, KEY)
    assert not is_sealed({key: value for key, value in sealed.items() if key != "id"}, KEY)
    assert not is_sealed(sealed, b"another")
    assert not is_sealed(sealed, None)
