"""Histograms: read as they were asked for, and made again."""

from __future__ import annotations

import pytest

from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.histograms import Histogram, list_histograms, make_histograms
from tests.dialects.rooms import Room
from tests.support.servers import of_mariadb, of_mysql


@of_mysql
def test_they_are_made_again_as_they_were_asked_for(room: Room) -> None:
    room.fill()
    room.execute("ANALYZE TABLE children UPDATE HISTOGRAM ON price, `long` WITH 12 BUCKETS")
    room.execute("ANALYZE TABLE parents UPDATE HISTOGRAM ON id WITH 3 BUCKETS AUTO UPDATE")
    database = str(room.target.database)
    with connect_to(room.target, None) as connection:
        listed = list_histograms(connection, database)
        # The key tells all that there is to know of it already, and the server makes none.
        assert listed == [Histogram("children", "long", 12, False), Histogram("children", "price", 12, False)]
        room.execute("ANALYZE TABLE children DROP HISTOGRAM ON price")
        make_histograms(connection, listed)
        assert list_histograms(connection, database) == listed


@of_mysql
@pytest.mark.parametrize("kept_up", [True, False])
def test_who_looks_again_is_kept(room: Room, *, kept_up: bool) -> None:
    room.fill()
    wanted = [Histogram("children", "big", 5, kept_up)]
    with connect_to(room.target, None) as connection:
        make_histograms(connection, wanted)
        assert list_histograms(connection, str(room.target.database)) == wanted


@of_mariadb
def test_mariadb_has_none(room: Room) -> None:
    room.fill()
    with connect_to(room.target, None) as connection:
        assert list_histograms(connection, str(room.target.database)) == []
