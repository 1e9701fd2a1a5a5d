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
    "scenarios/matrix/test_live_name.py::test_looking_and_rehearsing": 3,
    "scenarios/matrix/test_live_name.py::test_what_reaches_out_is_refused": 3,
    "scenarios/matrix/test_live_database.py": 3,
    "scenarios/matrix/test_role_names.py::test_the_app_sees_what_it_saw": 3,
    # One command and server stands for another: the same code remembers and asks.
    "scenarios/matrix/test_environment.py::test_production_is_not_forgotten": 4,
    # Answers of a broken or hostile deployment.
    "scenarios/sources/test_hostile.py::test_a_hostile_server": 2,
    "scenarios/sources/test_misbehaviour.py::test_what_can_be_overcome": 2,
    "scenarios/sources/test_misbehaviour.py::test_what_cannot_be_overcome": 2,
    # Whole runs on each server, where the rooms have tests of their own.
    "scenarios/matrix/test_commands.py": 2,
    "scenarios/matrix/test_connection.py": 2,
    "scenarios/matrix/test_pairs.py": 2,
    "scenarios/matrix/test_set_aside_from.py": 2,
    "scenarios/matrix/test_writers.py": 2,
    "scenarios/anonymise/test_servers.py": 2,
    "scenarios/test_counters.py": 2,
    "scenarios/test_keep_writes.py::test_added_changed_and_deleted_rows_come_along": 3,
    "scenarios/test_keep_writes.py::test_rows_that_were_others_before_are_a_conflict": 3,
    "scenarios/test_keep_writes.py::test_every_write_of_a_busy_application_is_there": 2,
    "scenarios/test_long_revision_id.py": 2,
    "scenarios/test_rows_of_revisions.py": 2,
    "scenarios/test_writes_since.py": 2,
    "api/test_generations.py": 2,
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
