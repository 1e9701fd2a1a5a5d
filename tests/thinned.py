"""What ``make test`` leaves to ``make test-all``: further values of tests that run with others of the same kind.

Each line is a test, or a file of them, by how its name begins, and one of how many of its values ``make test`` takes.
Which ones differs from test to test, so that of two servers neither is always left out.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest

THINNED = {
    # Ways in which a revision reaches out of staging: three walls, many spellings.
    "scenarios/matrix/test_live_name.py": 6,
    "scenarios/matrix/test_live_database.py": 6,
    "scenarios/matrix/test_role_names.py": 6,
    "dialects/mysql/test_restore.py::test_nothing_but_what_a_backup_holds_is_run": 2,
    # One command and server stands for another: the same code remembers, asks, looks.
    "scenarios/matrix/test_environment.py::test_production_is_not_forgotten": 8,
    "scenarios/matrix/test_look.py": 2,
    "scenarios/runs/test_decisions.py::test_a_dry_run_writes_nothing": 2,
    # Answers of a broken or hostile deployment, and what is sent to ours.
    "scenarios/sources/test_hostile.py::test_a_hostile_server": 8,
    "scenarios/sources/test_misbehaviour.py": 6,
    "scenarios/sources/test_connections.py": 2,
    "scenarios/sources/test_spoiled_records.py": 3,
    "scenarios/sources/test_fallback.py::test_the_snapshot_stands_in": 2,
    "transfer/rows/test_foreign.py::test_a_packed_file_of_one_endless_line": 3,
    "api/test_hostile.py::test_every_route": 3,
    "api/test_hostile.py::test_odd_tokens_are_refused": 3,
    # Kills, signals and full disks at one moment more; `make chaos` takes many.
    "dialects/mysql/test_swap.py::test_a_process_that_is_killed_at_a_step": 2,
    "dialects/mysql/test_swap_plan.py::test_a_step_that_fails": 2,
    "scenarios/matrix/test_server_killed.py": 3,
    "scenarios/runs/test_faults.py::test_files_may_not_grow": 2,
    "scenarios/runs/test_faults.py::test_a_revision_that_fails_half_way": 2,
    "scenarios/runs/test_keep_writes.py": 2,
    "scenarios/runs/test_kill.py": 4,
    "scenarios/runs/test_set_aside_from.py": 2,
    "scenarios/runs/test_signals.py::test_a_migration_is_interrupted": 2,
    "scenarios/anonymise/test_pull.py::test_after_a_kill": 2,
    # Whole runs on each server, where the rooms have tests of their own.
    "scenarios/matrix/test_catch_up.py": 2,
    "scenarios/matrix/test_commands.py": 2,
    "scenarios/matrix/test_connection.py": 2,
    "scenarios/matrix/test_pairs.py": 3,
    "scenarios/matrix/test_set_aside_from.py": 2,
    "scenarios/matrix/test_writers.py": 2,
    "scenarios/anonymise/test_servers.py": 2,
    "scenarios/anonymise/test_pull.py::test_nothing_personal_is_left": 3,
    "scenarios/commands/test_canary.py::test_no_command_shows_or_keeps_a_secret": 3,
    "scenarios/objects/test_guarantees.py": 3,
    "scenarios/test_counters.py": 3,
    "scenarios/test_large_objects.py": 4,
    "scenarios/test_old_revision.py": 3,
    "scenarios/test_version_table.py": 6,
    "dialects/postgresql/test_upgrade.py::test_what_it_means": 2,
    "dialects/postgresql/test_upgrade.py::test_what_reaches_out": 2,
    "scenarios/test_keep_writes.py": 3,
    "scenarios/test_lacking.py": 3,
    "scenarios/test_long_revision_id.py": 2,
    "scenarios/test_rows_of_revisions.py": 3,
    "scenarios/test_violations.py": 3,
    "scenarios/test_writes_since.py": 2,
    "api/test_generations.py": 3,
}


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests that only ``make test-all`` runs."""
    of_test: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        of_test[item.nodeid.partition("tests/")[2].partition("[")[0]].append(item)
    found = []
    for name, values in of_test.items():
        every = next((every for start, every in THINNED.items() if name.startswith(start)), 1)
        first = zlib.crc32(name.encode()) % min(every, len(values))
        found += [item for number, item in enumerate(values) if number % every != first]
    return found
