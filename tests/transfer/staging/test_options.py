"""What a person asked of a migration: what of it a later run needs to know."""

from __future__ import annotations

from pathlib import Path

from app.transfer.sources.base import SourceOptions
from app.transfer.staging.options import MigrateOptions
from tests.transfer.hosts import made_run


def test_the_ledger_keeps_what_was_left_out_and_accepted_and_nothing_else() -> None:
    assert MigrateOptions().for_ledger() == {"exclude": [], "set_aside": False}
    asked = MigrateOptions(
        SourceOptions(("logs",)), set_aside=True, accept_loss=("users.bio",), keep_violations=True, rerun=True
    )
    assert asked.for_ledger() == {
        "exclude": ["logs"],
        "set_aside": True,
        "accept_loss": ["users.bio"],
        "keep_violations": True,
    }


def test_tables_that_a_snapshot_does_not_have_need_not_be_excluded() -> None:
    asked = MigrateOptions(SourceOptions(("logs", "tags"), accept_missing=True), set_aside=True)
    left = asked.without(["tags", "none"])
    assert (left.source.exclude, left.source.accept_missing, left.set_aside) == (("logs",), True, True)
    assert asked.source.exclude == ("logs", "tags")


def test_where_a_backup_goes(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    assert MigrateOptions().backup_place(run) == str(run.settings.backups)
    assert MigrateOptions(backup_to=tmp_path / "x.json").backup_place(run) == str(tmp_path / "x.json")
