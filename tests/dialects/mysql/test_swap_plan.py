"""What a cut-over refuses while nothing is changed, and how one that was cut off is finished."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from app.dialects.mysql import swap
from app.errors import CutOverUnfinished, DoesNotFit, FerryError, Protected
from tests.dialects.mysql.chaos import CONTROL, LIVE, Shop
from tests.support.servers.mariadb import MariaDB

from .shops import STEPS, is_there, staged, state


def test_tables_of_other_databases_that_refer_to_it_are_refused(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute(f"CREATE DATABASE {CONTROL}_other")
    mariadb.execute(f"CREATE TABLE {CONTROL}_other.x (id INT, FOREIGN KEY (id) REFERENCES {LIVE}.accounts (id))")
    with pytest.raises(Protected, match="go on referring") as caught:
        shop.swap(staging, old)
    assert caught.value.details == [f"{CONTROL}_other.x"]


def test_a_broken_view_is_refused_by_name(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute("ALTER TABLE accounts DROP COLUMN amount", database=staging)
    before = state(shop)
    with pytest.raises(DoesNotFit, match="balances"):
        shop.swap(staging, old)
    assert state(shop) == before


def test_a_generation_that_is_there_is_not_overwritten(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute(f"CREATE DATABASE {old}")
    mariadb.execute("CREATE TABLE precious (id INT)", database=old)
    with pytest.raises(FerryError, match="has tables already"):
        shop.swap(staging, old)
    assert shop.generation() == 0


def raising(*_: object, **__: object) -> None:
    raise pymysql.OperationalError(2013, "Lost connection (made up)")


@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_step_that_fails_is_undone_or_finished(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    before = state(shop)
    staging, old = staged(shop)
    prepared = state(shop, staging)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, raising)
        with pytest.raises((FerryError, pymysql.OperationalError)):
            shop.swap(staging, old)
    shop.recover(staging, old)
    live = shop.generation()
    assert state(shop) == (before if live == 0 else (*prepared[:3], [("tidy", "ENABLED")]))
    if live == 0:
        assert state(shop, staging) == prepared
        assert not is_there(shop, old)
        shop.swap(staging, old)
    assert state(shop, old)[:3] == before[:3]


def test_rows_that_are_in_the_old_tables_only_are_told_until_they_are_brought_over(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, old = staged(shop)
    with monkeypatch.context() as patch:
        patch.setattr(swap, "bring_routines", raising)
        with pytest.raises(CutOverUnfinished, match="interrupted"):
            shop.swap(staging, old)
    mariadb.execute("INSERT INTO t01 VALUES (77)", database=old)
    with pytest.raises(CutOverUnfinished, match=r"only in shop__gen_\w+: see the tables t01"):
        shop.recover(staging, old)
    with pytest.raises(CutOverUnfinished, match="begun and has not ended"):
        shop.swap(staging, old)
    with pytest.raises(CutOverUnfinished, match="not of"):
        shop.recover("shop__stg_other", old)
    mariadb.execute("DELETE FROM t01 WHERE g = 77", database=old)
    notes = shop.recover(staging, old)
    assert any("without these triggers" in note and "noted" in note for note in notes)
    assert shop.generation() == 1
