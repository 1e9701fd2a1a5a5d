"""An env.py that makes an engine of the app's URL gets staging's, and for any other URL an engine of its own."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
import sqlalchemy.engine.create
from sqlalchemy import make_url

from app.transfer.schema.env_engine import give_engine

LIVE = make_url("mysql+pymysql://app:secret@db:3306/shop")
STAGING = sa.create_engine("mysql+pymysql://app:secret@db:3306/shop__stg_1")


@pytest.mark.parametrize(
    "url",
    [
        LIVE,
        "mysql+pymysql://app:***@db:3306/shop",
        "mysql+mysqldb://app@db:3306/shop",
        "mysql+pymysql://app:secret@db:3306/shop?charset=utf8mb4",
        STAGING.url,
    ],
)
def test_the_app_s_url_in_any_spelling(url: str) -> None:
    with give_engine({LIVE: STAGING}):
        assert sa.create_engine(url, pool_pre_ping=True) is STAGING
        assert sa.engine_from_config({"sqlalchemy.url": url}) is STAGING
        assert sqlalchemy.engine.create.create_engine(url) is STAGING


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://app@db:3306/other",
        "mysql+pymysql://app@db2:3306/shop",
        "mysql+pymysql://root@db:3306/shop",
        "sqlite://",
    ],
)
def test_another_database(url: str) -> None:
    with give_engine({LIVE: STAGING}):
        for engine in (sa.create_engine(url), sa.engine_from_config({"x.url": url}, prefix="x.")):
            assert engine is not STAGING
            assert engine.url == make_url(url)


def test_a_file_is_known_by_its_name_as_env_py_may_spell_it_from_elsewhere() -> None:
    staging = sa.create_engine("sqlite:////area/staging-1.db")
    with give_engine({make_url("sqlite:////instance/app.db"): staging}):
        assert sa.create_engine("sqlite:///app.db") is staging
        assert sa.create_engine("sqlite:///other.db") is not staging


def test_what_is_no_url_is_sqlalchemy_s_to_refuse_and_all_is_put_back() -> None:
    former = (sa.create_engine, sa.engine_from_config, sqlalchemy.engine.create.create_engine)
    with give_engine({LIVE: STAGING}):
        with pytest.raises(sa.exc.ArgumentError):
            sa.create_engine("nonsense")
        with pytest.raises(KeyError):
            sa.engine_from_config({})
    assert (sa.create_engine, sa.engine_from_config, sqlalchemy.engine.create.create_engine) == former
