"""What killed runs left behind: named by the runs that ended; not what one at work, or a generation, needs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import make_url

from app.dialects.model import Beside
from app.transfer.run.leftovers import drop_leftovers, find_leftovers
from app.transfer.run.run import STAMP

URL = make_url("sqlite:////x.db")
JUST_NOW = f"{dt.datetime.now(dt.UTC).strftime(STAMP)}-abc123"
LONG_AGO = "20200101T000000-abc123"


def build(tmp_path: Path, *names: str, generations: tuple[str, ...] = (), ended: tuple[str, ...] = ()) -> Any:
    beside = [Beside(name, URL.set(database=name), False) for name in names]
    beside += [Beside(name, URL.set(database=name), True) for name in generations]
    dropped: list[str] = []
    control = SimpleNamespace(
        journal=lambda: [SimpleNamespace(run_id=run_id, step="backup", detail={}) for run_id in ended],
        ledger=lambda: [SimpleNamespace(mark="0000abcd")],
        directory=tmp_path,
    )
    return SimpleNamespace(
        id="this-run",
        target=URL,
        control=control,
        settings=SimpleNamespace(backups=tmp_path / "backups"),
        dialect=SimpleNamespace(beside=lambda _url: beside, drop=lambda url: dropped.append(url.database)),
        dropped=dropped,
    )


def test_staging_of_a_run_that_ended_and_of_one_that_journalled_nothing(tmp_path: Path) -> None:
    run = build(tmp_path, JUST_NOW, f"{JUST_NOW}-scratch", LONG_AGO, "no run", ended=("other",))
    assert [item.name for item in find_leftovers(run, run.control)[0]] == [LONG_AGO, "no run"]
    run = build(tmp_path, JUST_NOW, f"{JUST_NOW}-scratch", ended=(JUST_NOW,))
    assert [item.name for item in find_leftovers(run, run.control)[0]] == [JUST_NOW, f"{JUST_NOW}-scratch"]


def test_generations_that_the_ledger_does_not_know(tmp_path: Path) -> None:
    run = build(tmp_path, generations=("0000abcd-old", "0000ffff-new"))
    assert [item.name for item in find_leftovers(run, run.control)[0]] == ["0000ffff-new"]


def test_all_of_it_is_dropped(tmp_path: Path) -> None:
    backups, directory = tmp_path / "backups", tmp_path / "runs" / JUST_NOW
    for place in (backups, directory):
        place.mkdir(parents=True)
    files = [backups / f".backup.sql.{JUST_NOW}.tmp", directory / ".rows.json.tmp"]
    other = backups / ".backup.sql.another.tmp"
    for file in (*files, other):
        file.touch()
    run = build(tmp_path, JUST_NOW, ended=(JUST_NOW,))
    drop_leftovers(run)
    assert run.dropped == [JUST_NOW]
    assert [file.exists() for file in (*files, other)] == [False, False, True]


def test_what_the_next_migration_goes_on_with_stays(tmp_path: Path) -> None:
    run = build(tmp_path, JUST_NOW, f"{JUST_NOW}-scratch", ended=(JUST_NOW,))
    resumable: Any = SimpleNamespace(staging=JUST_NOW, is_old=False)
    assert [item.name for item in find_leftovers(run, run.control, resumable)[0]] == [f"{JUST_NOW}-scratch"]
    resumable.is_old = True
    assert len(find_leftovers(run, run.control, resumable)[0]) == 2
