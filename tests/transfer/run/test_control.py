"""The control area: ledger, journal, lease and what is kept, on a SQLite file."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects.model import ControlArea, TableChecksum
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.errors import DatabaseUnreachable, FerryError, LeaseLost, LockHeld, Protected
from app.transfer.run import control as module
from app.transfer.run import ledger
from app.transfer.run.control import Control
from app.transfer.run.ledger import LEASE_DEAD_S, Entry
from tests.support.site import ROOT

DIALECT = SqliteDialect()
ENTRY = Entry("run1", "db-migrate-data", "https://old", "https://old", "0001", "00000001", "", "2024-01-01T00:00:00Z")


@pytest.fixture
def area(tmp_path: Path) -> ControlArea:
    return DIALECT.control_area(url_of(tmp_path / "live.db"))


@pytest.fixture
def control(area: ControlArea) -> Control:
    return Control.open(DIALECT, area)


def sql(area: ControlArea, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(str(area.url.database))) as connection, connection:
        connection.execute(statement, values)


# Opening


def test_looking_makes_nothing(area: ControlArea) -> None:
    assert Control.peek(DIALECT, area) is None
    assert not area.directory.exists()


def test_opened_again_it_is_the_same(area: ControlArea, control: Control) -> None:
    control.record(ENTRY)
    for other in (Control.open(DIALECT, area), Control.peek(DIALECT, area)):
        assert other
        assert other.ledger() == [ENTRY]


def test_an_area_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "live.db.ferry").touch()
    with pytest.raises(FerryError, match="cannot be written"):
        Control.open(DIALECT, DIALECT.control_area(url_of(tmp_path / "live.db")))


def test_a_damaged_area_is_named(area: ControlArea, control: Control) -> None:
    control.record(ENTRY)
    Path(str(area.url.database)).write_bytes(b"nothing of a database at all" * 100)
    with pytest.raises(FerryError, match="damaged") as caught:
        Control.peek(DIALECT, area)
    assert caught.value.hint


# What is kept


def test_values_are_kept_under_names(control: Control) -> None:
    assert control.environment() is None
    control.keep("environment", "staging")
    control.keep("environment", "production")
    assert control.environment() == "production"
    control.keep("drift abc", "1")
    control.keep("drift def", "2", in_place_of="drift ")
    assert (control.get("drift abc"), control.get("drift def")) == (None, "2")
    assert control.environment() == "production"


# Ledger and journal


def test_the_ledger_keeps_order_and_every_field(control: Control) -> None:
    full = replace(
        ENTRY,
        run_id="run2",
        snapshot="/data.json",
        snapshot_sha256="abc",
        from_snapshot_of="2024",
        backup="/b",
        undoes="run1",
        emptied=True,
        drift=["x"],
        options={"exclude": ["a"]},
        checksums={"t": [2, f"{255:032x}"]},
    )
    control.record(ENTRY)
    control.record(full)
    assert control.ledger() == [ENTRY, full]
    assert full.table_checksums == {"t": TableChecksum(2, 255)}


def test_a_cut_over_is_recorded_once(control: Control) -> None:
    control.record(ENTRY)
    control.record(ENTRY)
    assert control.ledger() == [ENTRY]


def test_an_entry_of_an_older_version_is_read(area: ControlArea, control: Control) -> None:
    """Fields that came later have defaults."""
    names = ("run_id", "command", "source_identity", "source", "revision", "mark", "previous_mark", "finished_at")
    text = json.dumps(dict.fromkeys(names, "x"))
    sql(area, "INSERT INTO ledger (run_id, entry) VALUES ('x', ?)", text)
    assert control.ledger()[0].checksums == {}


def test_the_journal_keeps_order_and_detail(control: Control) -> None:
    control.write("run1", "backup", "begun", {"a": [1, "ü"]})
    control.write("run2", "backup", "begun")
    control.write("run1", "backup", "done")
    assert [(item.run_id, item.phase) for item in control.journal()] == [
        ("run1", "begun"),
        ("run2", "begun"),
        ("run1", "done"),
    ]
    assert [item.phase for item in control.journal("run1")] == ["begun", "done"]
    assert control.journal("run1")[0].detail == {"a": [1, "ü"]}
    assert control.journal()[0].written_at.year >= 2024


def test_a_cut_over_is_unfinished_until_it_is_done_or_undone(control: Control) -> None:
    assert control.find_unfinished_cut_over() is None
    control.write("run1", "backup", "begun")
    assert control.find_unfinished_cut_over() is None
    control.write("run1", "cut-over", "begun", {"entry": {}})
    control.write("run1", "run", "failed")
    found = control.find_unfinished_cut_over()
    assert found
    assert found.run_id == "run1"
    control.write("run1", "cut-over", "undone")
    assert control.find_unfinished_cut_over() is None
    control.write("run1", "cut-over", "begun")
    control.record(ENTRY)
    assert control.find_unfinished_cut_over() is None


# The lease


def test_the_lease_has_one_holder(control: Control) -> None:
    assert control.holder() is None
    assert control.take_lease("run1", "db-init") is None
    holder = control.holder()
    assert holder
    assert (holder.run_id, holder.command, holder.host, holder.pid) == (
        "run1",
        "db-init",
        socket.gethostname(),
        os.getpid(),
    )
    assert holder.alive
    assert 0 <= holder.age_s < 30
    with pytest.raises(LockHeld, match=r"run1 \(db-init\)"):
        control.take_lease("run2", "db-init")
    control.release_lease("run2")
    assert control.holder()
    control.release_lease("run1")
    assert control.holder() is None
    control.take_lease("run2", "db-init")


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=30)
    return process.pid


def test_a_process_that_ended_is_dead_at_once(area: ControlArea, control: Control) -> None:
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET pid = ?", ended())
    dead = control.take_lease("run2", "db-init")
    assert dead
    assert (dead.run_id, dead.alive) == ("run1", False)
    assert control.holder().run_id == "run2"  # type: ignore[union-attr] # it was just taken


def test_another_process_with_the_number_is_not_the_holder(area: ControlArea, control: Control) -> None:
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET process = '1'")
    holder = control.holder()
    assert holder
    assert not holder.alive


def test_a_process_that_ended_unasked_is_dead(area: ControlArea, control: Control) -> None:
    """In a container nobody may ever ask for its status."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        control.take_lease("run1", "db-init")
        sql(area, "UPDATE lease SET pid = ?, process = ?", child.pid, ledger.process(child.pid))
        assert control.holder().alive  # type: ignore[union-attr] # it was just taken
        assert child.stdin
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not control.holder().alive  # type: ignore[union-attr]
    finally:
        child.wait(timeout=30)


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (LEASE_DEAD_S - 5, True), (LEASE_DEAD_S + 5, False)])
def test_on_another_host_the_heartbeat_decides(area: ControlArea, control: Control, age_s: int, alive: bool) -> None:
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET host = 'elsewhere', heartbeat_at = datetime('now', ?)", f"-{age_s} seconds")
    holder = control.holder()
    assert holder
    assert holder.alive is alive


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET entry = '[]'",
        "UPDATE ledger SET entry = '{'",
        "UPDATE ledger SET entry = 'null'",
        'UPDATE ledger SET entry = \'{"run_id": "r"}\'',
        "UPDATE ledger SET entry = json_set(entry, '$.of_a_newer_version', 1)",
        "UPDATE ledger SET entry = json_set(entry, '$.mark', 7)",
        "UPDATE ledger SET entry = json_set(entry, '$.options', 'none')",
        "UPDATE ledger SET entry = json_set(entry, '$.checksums', json('{\"t\": [1]}'))",
        "UPDATE ledger SET entry = x'ff'",
    ],
)
def test_a_damaged_ledger_is_named(control: Control, area: ControlArea, change: str) -> None:
    control.record(ENTRY)
    assert len(control.ledger()) == 1
    sql(area, change)
    with pytest.raises(FerryError, match="The ledger in the control area") as caught:
        control.ledger()
    assert "move the control area away" in str(caught.value.hint)


@pytest.mark.parametrize("detail", ["{}", "[]", "{", '{"entry": 7}', '{"entry": {"mark": 1}}'])
def test_a_damaged_journal_is_named(control: Control, area: ControlArea, detail: str) -> None:
    control.write("run1", "cut-over", "begun", {"entry": {}})
    sql(area, "UPDATE journal SET detail = ?", detail)

    def look() -> object:
        begun = control.find_unfinished_cut_over()
        return begun and control.entry_begun(begun)

    with pytest.raises(FerryError, match="The journal in the control area"):
        look()


def test_a_lease_of_the_future_is_dead(control: Control, area: ControlArea) -> None:
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET host = 'elsewhere', heartbeat_at = '2099-01-01 00:00:00'")
    holder = control.holder()
    assert holder
    assert not holder.alive


def test_a_lease_cannot_be_taken_over_while_it_is_held_for_a_swap(control: Control, area: ControlArea) -> None:
    control.take_lease("run1", "db-init")
    with control.lease_held("run1"), closing(sqlite3.connect(str(area.url.database), timeout=0.1)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE lease SET run_id = 'run2'")
        assert control.holder()
    lost = pytest.raises(LeaseLost, match="Another run took over: run run2 lost its lock to run run1")
    with lost, control.lease_held("run2"):
        pytest.fail("it was not held")
    with pytest.raises(LeaseLost):
        control.write("run2", "cut-over", "begun", with_lease=True)
    assert control.journal() == []
    control.write("run1", "cut-over", "begun", with_lease=True)
    assert len(control.journal()) == 1


def test_a_lease_that_was_taken_away_ends_the_run(control: Control) -> None:
    control.take_lease("run1", "db-init")
    control.check_lease("run1")
    with pytest.raises(LockHeld, match="run2 lost its lock to run run1"):
        control.check_lease("run2")
    control.release_lease("run1")
    with pytest.raises(LockHeld, match="nobody"):
        control.check_lease("run1")


def test_only_a_dead_lease_is_removed(area: ControlArea, control: Control) -> None:
    with pytest.raises(Protected, match="nobody"):
        control.unlock("run1")
    control.take_lease("run1", "db-init")
    with pytest.raises(Protected, match="run2 does not hold"):
        control.unlock("run2")
    with pytest.raises(Protected, match="alive"):
        control.unlock("run1")
    sql(area, "UPDATE lease SET pid = ?", ended())
    assert control.unlock("run1").run_id == "run1"
    assert control.holder() is None


def test_the_heart_beats_on_when_the_server_was_gone(
    area: ControlArea, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread ended with a traceback, and the lease died though the run went on."""
    refusals = iter([1, 2])

    def refuse(*_: object) -> None:
        if threading.current_thread().name == "ferry-heartbeat" and next(refusals, None):
            raise DatabaseUnreachable("The database server does not answer.")  # as a room's own connection does

    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET heartbeat_at = datetime('now', '-50 seconds')")
    with control.heartbeat("run1"):
        control._alone.dispose()
        sa.event.listen(control._alone, "do_connect", refuse)
        deadline = time.monotonic() + 60
        while (holder := control.holder()) is None or holder.age_s > 10:
            assert time.monotonic() < deadline, "no beat"
            time.sleep(0.01)
    assert next(refusals, None) is None


def test_the_heart_beats(area: ControlArea, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)
    control.take_lease("run1", "db-init")
    sql(area, "UPDATE lease SET heartbeat_at = datetime('now', '-50 seconds')")
    with control.heartbeat("run1"):
        for _ in range(500):
            holder = control.holder()
            assert holder
            if holder.age_s < 10:
                break
            subprocess.run([sys.executable, "-c", ""], check=True, timeout=30)
        else:
            pytest.fail("no beat")


def test_of_two_that_take_it_at_once_one_gets_it(area: ControlArea, control: Control) -> None:
    program = (
        "import sys; from pathlib import Path; from app.dialects.sqlite.dialect import *\n"
        "from app.dialects.sqlite.names import *; from app.transfer.run.control import *\n"
        "from app.errors import LockHeld\n"
        "d = SqliteDialect(); c = Control.open(d, d.control_area(url_of(Path(sys.argv[1]))))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try: c.take_lease(sys.argv[2], 'db-init'); print('got', flush=True); sys.stdin.read()\n"
        "except LockHeld: print('held', flush=True)\n"
    )
    live = str(area.directory).removesuffix(".ferry")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, live, f"run{n}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    try:
        said = []
        for racer in racers:
            assert racer.stdout
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            assert racer.stdout
            said.append(racer.stdout.readline().strip())
    finally:
        for racer in racers:
            racer.communicate(timeout=30)
    assert sorted(said) == ["got", "held", "held"]
