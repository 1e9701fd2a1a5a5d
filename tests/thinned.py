"""What ``make test`` leaves to ``make test-all``: further values of a test, and further whole runs of one kind.

Each line is a test, or a file of them, by how its name begins, and one of how many ``make test`` takes. Which ones
differs from test to test and from file to file, so that of two servers neither is always left out.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

import pytest

T = TypeVar("T")

SERVERS = ("mariadb", "postgresql")
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
    "scenarios/sources/test_cut.py::test_a_command": 24,
    "scenarios/sources/test_cut.py::test_the_": 48,
    "scenarios/sources/test_cut.py::test_endpoints": 48,
    "scenarios/sources/test_misbehaviour.py": 6,
    "scenarios/sources/test_connections.py": 2,
    "scenarios/sources/test_endpoints.py::test_what_is_refused": 3,
    "scenarios/sources/test_padded_keys.py": 2,
    "scenarios/sources/test_spoiled_records.py": 3,
    "scenarios/sources/test_fallback.py::test_the_snapshot_stands_in": 2,
    "dialects/mysql/test_catch_up.py::test_every_change": 3,
    "dialects/postgresql/test_catch_up.py::test_every_change": 3,
    "dialects/mysql/test_write.py::test_what_the_server_would_change": 3,
    "dialects/mysql/test_shown.py::test_what_the_app_read": 2,
    "dialects/test_contract.py::test_any_other_value": 2,
    "scenarios/hosts/test_damaged_control_area.py": 3,
    "scenarios/commands/test_hints.py": 2,
    "transfer/cutover/test_cutover.py::test_every_order": 2,
    "transfer/cutover/test_keeping.py": 3,
    "transfer/staging/test_unmanaged.py": 3,
    "transfer/rows/test_foreign.py::test_a_packed_file_of_one_endless_line": 3,
    "api/test_hostile.py::test_every_route": 3,
    "api/test_hostile.py::test_odd_tokens_are_refused": 3,
    # Kills, signals and full disks at one moment more; `make chaos` takes many.
    "chaos/": 3,
    "dialects/mysql/test_once.py::test_who_is_cut_off": 2,
    "dialects/postgresql/test_once.py::test_who_is_cut_off": 2,
    "dialects/mysql/test_swap.py::test_a_process_that_is_killed_at_a_step": 2,
    "dialects/mysql/test_swap_plan.py::test_a_step_that_fails": 2,
    "scenarios/matrix/test_server_killed.py": 3,
    "scenarios/matrix/test_short_stop.py": 6,
    "scenarios/runs/test_faults.py::test_files_may_not_grow": 2,
    "scenarios/runs/test_faults.py::test_a_revision_that_fails_half_way": 2,
    "scenarios/runs/test_files_in_use.py": 2,
    "scenarios/runs/test_private_files.py": 2,
    "scenarios/runs/test_dask.py": 2,
    "scenarios/runs/test_going_on.py": 3,
    "scenarios/runs/test_jobs.py::test_every_row_arrives": 3,
    "scenarios/runs/test_jobs.py::test_those_who_help": 3,
    "scenarios/runs/test_keep_writes.py": 2,
    "scenarios/runs/test_kill.py": 4,
    "scenarios/runs/test_set_aside_from.py": 2,
    "scenarios/runs/test_signals.py::test_a_migration_is_interrupted": 2,
    "scenarios/anonymise/test_pull.py::test_after_a_kill": 2,
    # Whole runs on each server, where the rooms have tests of their own.
    "scenarios/matrix/test_catch_up.py": 2,
    "scenarios/matrix/test_commands.py": 2,
    "scenarios/matrix/test_connection.py": 2,
    "scenarios/matrix/test_server_conditions.py": 5,
    "scenarios/matrix/test_server_disk.py": 8,
    "scenarios/hosts/test_several_keep_writes.py": 8,
    "scenarios/matrix/test_hostile_names.py": 3,
    "dialects/test_tls.py": 4,
    "scenarios/matrix/test_pairs.py": 3,
    "scenarios/matrix/test_set_aside_from.py": 2,
    "scenarios/matrix/test_writers.py": 2,
    "scenarios/anonymise/test_servers.py": 2,
    "scenarios/anonymise/test_pull.py::test_nothing_personal_is_left": 3,
    "scenarios/commands/test_canary.py::test_no_command_shows_or_keeps_a_secret": 6,
    "scenarios/commands/test_canary.py::test_no_secret_of_a_refused_url_is_repeated": 3,
    "scenarios/objects/test_guarantees.py": 6,
    "scenarios/test_counters.py": 3,
    "scenarios/test_dry_run.py": 2,
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
"""Tests, by how they begin, and one of how many of their values ``make test`` takes."""

EITHER_SERVER = ("scenarios/", "chaos/", "api/")
"""Files of whole runs: one server stands for the other, and of two files not always the same one."""


WHOLE_RUNS = {
    # Conditions of servers: each begins in the middle of a run, and another one shows that it has gone.
    "scenarios/matrix/test_server_conditions.py": 16,
    # Each command on each server, where the rooms of the servers and of the run have tests of their own.
    "scenarios/matrix/": 5,
    "scenarios/anonymise/": 3,
    "scenarios/export/": 3,
    "scenarios/objects/test_extensions.py": 2,
    "scenarios/objects/test_guarantees.py": 2,
    "scenarios/objects/test_source.py": 2,
    "scenarios/objects/test_upgrade.py": 3,
    "scenarios/types/": 2,
    "scenarios/test_": 4,
    "scenarios/deployment/": 2,
    "scenarios/hosts/test_accepted.py": 2,
    "scenarios/hosts/test_binds.py": 2,
    "scenarios/hosts/test_handbook.py": 3,
    "scenarios/hosts/test_host.py": 2,
    "scenarios/hosts/test_named_schema.py": 4,
    "scenarios/hosts/test_own_schema.py": 2,
    "scenarios/hosts/test_several.py": 4,
    "scenarios/hosts/test_three_hosts.py": 2,
    # What an old deployment or a file may do, and where a run may end.
    "scenarios/sources/": 4,
    "scenarios/runs/test_files_in_use.py": 4,
    "scenarios/runs/test_dask.py": 6,
    "transfer/run/test_cluster.py": 3,
    "scenarios/runs/": 4,
    # Encryption, cards and objects have tests in the rooms, which are quick.
    "scenarios/storage/test_fetched.py": 2,
    "scenarios/commands/test_backup.py": 3,
    "scenarios/commands/test_initialise.py": 3,
    "scenarios/commands/test_output.py": 3,
    "scenarios/commands/test_restore.py": 3,
    "scenarios/commands/test_status.py": 3,
    "scenarios/commands/test_verify.py": 3,
    "dialects/test_contract.py": 2,
    "dialects/postgresql/test_restore.py": 2,
    "dialects/postgresql/test_swap.py": 2,
    "dialects/postgresql/test_upgrade": 2,
    # Faults of each kind at steps of each command: `make chaos` has thousands.
    "chaos/": 3,
    # Tokens after each way to another generation, on each server.
    "api/test_generations.py": 2,
    "api/test_hostile.py": 2,
}
"""Files of tests that take a second or more each, by how they begin, and one of how many ``make test`` takes."""


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests that only ``make test-all`` runs: values of those in :data:`THINNED`, tests of :data:`WHOLE_RUNS`.

    Of every test that is taken at least one value is, of every file at least one test, and one of each server that
    its tests have as a value; of a file of whole runs (:data:`EITHER_SERVER`) one of one of them.
    """
    by_test: dict[str, list[pytest.Item]] = defaultdict(list)
    by_file: dict[str, list[str]] = defaultdict(list)
    for item in items:
        name = item.nodeid.partition("tests/")[2].partition("[")[0]
        if name not in by_test:
            by_file[name.partition("::")[0]].append(name)
        by_test[name].append(item)
    taken = {name for file, names in by_file.items() for name in take(names, WHOLE_RUNS, file)}
    values = {item for name in taken for item in take(by_test[name], THINNED, name)}
    for file, names in by_file.items():
        of_file = [item for name in names for item in by_test[name]]
        values |= _one_of_each_server(of_file, values, _servers_of(file, of_file, values))
    return [item for item in items if item not in values]


def _servers_of(file: str, items: list[pytest.Item], taken: set[pytest.Item]) -> Iterable[str]:
    """The servers of which a file needs a test."""
    if not file.startswith(EITHER_SERVER):
        return SERVERS
    named = {server for server in SERVERS for item in items if item in taken and server in item.name}
    return () if named else [SERVERS[zlib.crc32(file.encode()) % len(SERVERS)]]


def _one_of_each_server(items: list[pytest.Item], taken: set[pytest.Item], servers: Iterable[str]) -> set[pytest.Item]:
    """Of a file's tests one more for each of these servers that no test which is taken names among its values."""
    further = set()
    for server in servers:
        of_server = [item for item in items if server in item.name.partition("[")[2]]
        if of_server and not taken & {*of_server}:
            further.add(of_server[zlib.crc32(items[0].nodeid.encode()) % len(of_server)])
    return further


def take(things: list[T], table: Mapping[str, int], name: str) -> list[T]:
    """One of every so many things, as a table says of the first beginning of ``name`` that it has."""
    every = next((every for start, every in table.items() if name.startswith(start)), 1)
    first = zlib.crc32(name.encode()) % min(every, len(things))
    return things[first::every]
