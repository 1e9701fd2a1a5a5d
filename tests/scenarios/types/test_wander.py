"""Random databases by random routes: a short form of ``make routes``."""

from __future__ import annotations

import pytest

from tests.support.types.carry import Place
from tests.support.types.generated import PORTABLE, database
from tests.support.types.wander import wander


@pytest.mark.parametrize("seed", [20, 24, 29])
def test_random_databases_arrive_byte_for_byte(places: dict[str, Place], seed: int) -> None:
    wander(places, seed, count=8)


def test_a_seed_is_the_same_database_and_all_types_are_met() -> None:
    assert database(7, "d") == database(7, "d")
    made = [table for seed in range(60) for table in database(seed, "d")]
    assert {kind for table in made for kind in table.columns.values()} == set(PORTABLE)
    assert any(table.references for table in made)
    assert any(not table.key for table in made)
