"""Databases, and some of their tables, made again on the same server."""

from __future__ import annotations

import pytest

from app.dialects.mysql import copy
from app.dialects.mysql.fence import content
from app.dialects.mysql.session import Factory
from app.errors import LockHeld
from tests.support.limits import no_endless_wait
from tests.support.servers.mariadb import NOT_RUN, ON_MYSQL, MariaDB

from .tortured import events, everything


def test_a_copy_is_exact(mariadb: MariaDB, torture: Factory) -> None:
    copy.copy_database(torture, "torture", "torture__stg_back", 5)
    # The default of a column goes on naming the live database's sequence.
    assert everything(mariadb, "torture__stg_back", "torture") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_back") == {("tidy", NOT_RUN), ("never", "DISABLED")}


def test_a_copy_gives_up_on_a_source_that_stays_locked(mariadb: MariaDB, torture: Factory) -> None:
    with mariadb.connect("torture") as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLES parents WRITE")
        with no_endless_wait(), pytest.raises(LockHeld):
            copy.copy_database(torture, "torture", "torture__stg_back", 1)


def test_some_tables_are_carried_with_their_triggers(mariadb: MariaDB, torture: Factory) -> None:
    mariadb.execute("DROP DATABASE IF EXISTS torture__stg_back")
    mariadb.execute("CREATE DATABASE torture__stg_back")
    sequences = [] if ON_MYSQL else ["numbers"]
    wanted = ["parents", "types", "empty one", *sequences]
    for _ in range(2):
        copy.carry(torture, "torture", "torture__stg_back", wanted)
        with torture(to_database=False) as connection:
            there, here = (content(connection, name) for name in ("torture__stg_back", "torture"))
            objects = copy.objects(connection, "torture__stg_back")
        assert there == {name: here[name] for name in wanted}
        assert [item.name for item in objects] == [*sequences, "first", "second"]
        mariadb.execute("DELETE FROM parents", database="torture__stg_back")
