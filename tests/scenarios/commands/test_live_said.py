"""Each failure of a command that could have replaced the live database says whether it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.local import Local

UNCHANGED = "The live database is unchanged."


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("db-init",), 130),
        (("db-restore", "no-such-backup", "--yes"), 21),
        (("db-migrate-data", "no-such-file.json", "--yes"), 3),
        (("db-migrate-data", "--set-aside-from", "no-such-file.json", "--yes"), 3),
        (("db-rollback",), 130),
        (("db-rollback", "--keep-writes", "--yes"), 22),
    ],
)
def test_a_failure_says_that_it_is_unchanged(
    changed: Local, tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    live = changed.content()
    report = tmp_path / "report.json"
    result = changed.run(*arguments, "--report", str(report))
    assert (result.status, changed.content()) == (status, live), result.stderr
    assert UNCHANGED in result.stderr.splitlines()
    assert json.loads(report.read_text())["live"] == "unchanged"
    told = changed.run(*arguments, "--json")
    assert told.events[-1]["live"] == "unchanged"


def test_a_hook_that_refuses_the_cut_over_leaves_it_unchanged(changed: Local) -> None:
    live = changed.content()
    result = changed.run("db-init", "--yes", FLASK_FERRY_HOOKS="sh -c '[ $HOOK_STEP != cut-over ]'")
    assert result.status == 1
    assert "The hook before the step cut-over (FERRY_HOOKS) refused: it ended with status 1." in result.stderr
    assert UNCHANGED in result.stderr.splitlines()
    assert (changed.content(), changed.staging(), changed.lease()) == (live, [], [])
    assert changed.run("db-init", "--yes", FLASK_FERRY_HOOKS="no-such-program").status == 2


def test_what_was_replaced_is_said_in_the_report(changed: Local) -> None:
    told = changed.ok("db-init", "--yes", "--json")
    assert told.events[-1]["live"] == "replaced"


def test_a_command_that_only_looks_says_nothing_of_it(changed: Local) -> None:
    result = changed.run("db-verify", "no-such-run", "--json")
    assert result.status == 2
    assert UNCHANGED not in result.stderr
    assert "live" not in result.events[-1]
