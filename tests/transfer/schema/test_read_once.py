"""Commands of Alembic that read the revisions once for all of them."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from app.transfer.schema.read_once import read_once


def test_one_configuration_has_one_reading_for_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    config, other = Config(), Config()
    for each in (config, other):
        each.set_main_option("script_location", str(tmp_path))
    with read_once(config):
        first = ScriptDirectory.from_config(config)
        assert ScriptDirectory.from_config(config) is first
        assert ScriptDirectory.from_config(other) is not first
    assert ScriptDirectory.from_config(config) is not first
