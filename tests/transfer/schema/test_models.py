"""The host's models: complete, with every metadata, made as tables, and clashes named."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import DoesNotFit, Misconfigured
from app.transfer.schema.models import configure_models, create_tables, metadatas_of, require_models
from tests.transfer.hosts import history, made_host


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    history(tmp_path / "migrations")
    return tmp_path


def test_an_app_without_a_table_is_refused_and_one_table_will_do(directory: Path) -> None:
    host, db = made_host(directory)
    with pytest.raises(Misconfigured, match="knows no table"):
        require_models(host)
    sa.Table("t", db.metadatas[None], sa.Column("id", sa.Integer))
    require_models(host)


def test_a_metadata_that_a_model_brought_is_found_once(directory: Path) -> None:
    host, db = made_host(directory)
    own = sa.MetaData()
    table = sa.Table("own", own, sa.Column("id", sa.Integer, primary_key=True))
    for name in ("One", "Two"):
        type(name, (db.Model,), {"__table__": table, "__mapper_args__": {"primary_key": [table.c.id]}})
    assert [id(found) for found in metadatas_of(host)] == [id(db.metadatas[None]), id(own)]


def test_models_that_contradict_each_other_are_told(directory: Path) -> None:
    host, db = made_host(directory)
    relation = sa.orm.relationship("Nobody")
    type("Lost", (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True), "others": relation})
    with pytest.raises(Misconfigured, match="Nobody"):
        configure_models(host)


def test_tables_of_all_metadatas_are_made_and_names_that_clash_are_told(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    one, other = sa.MetaData(), sa.MetaData()
    sa.Table("users", one, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer))
    sa.Table("posts", other, sa.Column("id", sa.Integer, sa.ForeignKey("marks.id")), sa.Column("b", sa.Integer))
    sa.Table("marks", other, sa.Column("id", sa.Integer, primary_key=True))
    create_tables([one, other], engine)
    assert sorted(sa.inspect(engine).get_table_names()) == ["marks", "posts", "users"]
    tags = sa.Table("tags", other, sa.Column("b", sa.Integer))
    sa.Index("users", tags.c.b)
    with pytest.raises(DoesNotFit, match="users") as caught:
        create_tables([one, other], engine)
    assert caught.value.details == ["users is the name of a table of 2 columns and of an index of the table tags"]
