"""Revisions that drop data and belong to somebody else: who deploys them says that it may go."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.scenarios.hosts.foreign import Foreign

DROP_COLUMN = "with op.batch_alter_table('thing') as batch:\n        batch.drop_column('name')"


@pytest.fixture
def dropped(tmp_path: Path) -> Foreign:
    """A revision of somebody's drops a column with a value, and the next one a table with a row."""
    host = Foreign(tmp_path)
    host.add("logs", "two", "op.create_table('log', sa.Column('id', sa.Integer, primary_key=True))")
    host.at("logs")
    host.execute("INSERT INTO log VALUES (1)")
    host.add("three", "logs", DROP_COLUMN)
    host.add("four", "three", "op.drop_table('log')")
    return host


def test_the_refusal_names_revisions_and_each_way_on_works(dropped: Foreign) -> None:
    before = dropped.rows(), dropped.rows("log")
    refused = dropped.run("db-migrate-data", "self", "--yes")
    assert refused.status == 23
    assert "column thing.name (1 value) is gone (revision three)" in refused.stderr
    assert "table log (1 row) is gone (revision four)" in refused.stderr
    assert (dropped.rows(), dropped.rows("log")) == before
    file = dropped.directory / "declarations.toml"
    stanzas = re.findall(r'\["\w+"\.ferry_losses\]\n(?:".*" = "why"\n)+', refused.stderr)
    assert len(stanzas) == 2, refused.stderr
    file.write_text("".join(stanzas))
    dropped.config["FERRY_DECLARATIONS"] = str(file)
    done = dropped.ok("db-migrate-data", "self", "--yes")
    assert "thing.name: 1 value: why (revision three)" in done.stdout
    assert "log: 1 row: why (revision four)" in done.stdout


def test_for_one_run(dropped: Foreign) -> None:
    refused = dropped.run("db-migrate-data", "self", "--yes").stderr
    command = next(line for line in refused.splitlines() if line.startswith("For this run only: "))
    typed = shlex.split(command.partition(": ")[2])
    typed = typed[typed.index("db-migrate-data") :]
    assert typed.count("--accept-loss") == 2
    # Parts of the names of what is lost are names of nothing that is.
    others = ["thing.colour", "name", "lo"]
    asked = dropped.ok(*typed, *(f"--accept-loss={name}" for name in others))
    assert "thing.name: 1 value: --accept-loss" in asked.stdout
    assert re.findall("Nothing called (.+) was lost", asked.stdout) == others
    [entry] = dropped.ledger()
    assert entry["options"]["accept_loss"] == ["log", "thing.name", *others]


def test_what_is_declared_need_not_be_accepted(dropped: Foreign) -> None:
    file = dropped.directory / "declarations.toml"
    file.write_text('["four".ferry_losses]\nlog = "why"\n')
    dropped.config["FERRY_DECLARATIONS"] = str(file)
    done = dropped.ok("db-migrate-data", "self", "--yes", "--accept-loss", "log", "--accept-loss", "thing.name")
    assert re.findall("A declaration says why (.+) may go", done.stdout) == ["log"]
    assert "Nothing called" not in done.stdout


def test_what_is_accepted_is_all_that_may_go(dropped: Foreign) -> None:
    refused = dropped.run("db-migrate-data", "self", "--yes", "--accept-loss", "log")
    assert refused.status == 23
    assert "thing.name" in refused.stderr
    assert "table log" not in refused.stderr


def test_a_declaration_of_a_revision_that_is_not_there(dropped: Foreign) -> None:
    file = dropped.directory / "declarations.toml"
    file.write_text('["gone".ferry_losses]\nlog = "why"\n')
    dropped.config["FERRY_DECLARATIONS"] = str(file)
    refused = dropped.run("db-migrate-data", "self", "--yes")
    assert refused.status == 2
    assert "'gone', which is no revision" in refused.stderr


def test_a_file_that_cannot_be_read_stops_every_command_that_would_need_it(dropped: Foreign) -> None:
    dropped.config["FERRY_DECLARATIONS"] = str(dropped.directory / "nowhere.toml")
    assert dropped.run("db-migrate-data", "self", "--yes").status == 2
