"""Alembic on staging: build, upgrade, recognise, declare; the host's engine and logging as they were."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.errors import DoesNotFit, FerryError, Misconfigured
from app.transfer.schema.listen import Heard
from tests.transfer.schema.made import Made

# The history


def test_head_and_lineage(two: Made) -> None:
    assert two.schema.head() == "two"
    assert two.schema.lineage() == ["one", "two"]


def test_no_revision_at_all(made: Made) -> None:
    with pytest.raises(Misconfigured, match="no Alembic revision") as caught:
        made.schema.head()
    assert "flask db migrate" in str(caught.value.hint)


def test_two_heads(two: Made) -> None:
    two.add("other", "one")
    with pytest.raises(Misconfigured, match="2 heads: other, two") as caught:
        two.schema.head()
    assert "flask db merge" in str(caught.value.hint)


@pytest.mark.filterwarnings("ignore:Revision one:UserWarning")
def test_a_revision_that_is_missing(two: Made) -> None:
    (two.migrations / "versions" / "one.py").unlink()
    with pytest.raises(Misconfigured, match="broken"):
        two.schema.head()


def test_a_revision_that_this_code_does_not_have(two: Made) -> None:
    two.schema.require("one", "the source")
    with pytest.raises(DoesNotFit, match="the source is at revision three"):
        two.schema.require("three", "the source")


def test_how_many_revisions_are_ahead(two: Made) -> None:
    assert [two.schema.count_ahead(revision) for revision in (None, "unknown", "one", "two")] == [2, 2, 1, 0]


# Building


def test_each_revision_is_told_when_it_begins(two: Made) -> None:
    revisions: list[str] = []
    two.schema.build(two.staging(), "two", Heard(tell=revisions.append))
    assert revisions == ["one", "two"]


def test_staging_is_built_step_by_step_and_live_is_left_alone(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "one")
    assert (two.columns(staging), two.revision(staging)) == ({"t": ("id", "x")}, "one")
    two.schema.build(staging, "two")
    assert (two.columns(staging), two.revision(staging)) == ({"t": ("id", "x", "y")}, "two")
    assert not two.host.dialect.exists(two.host.url)


def live_engine(made: Made) -> sa.Engine:
    with made.host.app_context():
        return made.db.engine


def test_the_engine_of_the_host_is_put_back(two: Made) -> None:
    staging = two.staging()
    before = live_engine(two)
    two.schema.build(staging, "two")
    assert live_engine(two) is before
    two.add("three", "two", "raise RuntimeError('no')")
    with pytest.raises(FerryError):
        two.schema.build(staging, "three")
    assert live_engine(two) is before


def test_an_upgrade_that_fails_is_explained(two: Made) -> None:
    two.add("three", "two", "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(DoesNotFit, match=r"Revision three \(line \d+\) failed: no such table: nowhere") as caught:
        two.schema.build(two.staging(), "three")
    assert caught.value.details == ["statement: INSERT INTO nowhere VALUES (1)"]


def test_a_revision_that_raises_or_exits(two: Made) -> None:
    two.add("three", "two", "raise ValueError('odd rows: 7')")
    with pytest.raises(DoesNotFit, match=r"Revision three .* odd rows: 7"):
        two.schema.build(two.staging(), "three")
    two.add("three", "two", "raise SystemExit(4)")
    with pytest.raises(FerryError, match="three"):
        two.schema.build(two.staging(), "three")


def test_an_env_py_that_works_on_another_database_is_found(two: Made) -> None:
    staging = two.staging()
    with live_engine(two).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (x)")
    env = two.migrations / "env.py"
    text = env.read_text()
    url = f"sqlite:///{two.directory / 'further.db'}"
    env.write_text(
        text.replace(
            "connectable = get_engine()", f"import sqlalchemy; connectable = sqlalchemy.create_engine({url!r})"
        )
    )
    assert env.read_text() != text
    with pytest.raises(Misconfigured, match="engine of its own"):
        two.schema.build(staging, "two")
    with two.host.dialect.reader(two.host.url) as reader:
        assert set(reader.tables()) == {"mine"}


def test_stamp_and_models(two: Made) -> None:
    staging = two.staging()
    sa.Table("from_models", two.db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    two.schema.create_models(staging)
    two.schema.stamp(staging, "two")
    assert (two.columns(staging), two.revision(staging)) == ({"from_models": ("id",)}, "two")


def test_what_the_models_have_and_head_has_not(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "two")
    sa.Table(
        "t",
        two.db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("x", sa.Integer),
        sa.Column("y", sa.Integer),
    )
    assert two.schema.differences_to_models(staging) == []
    sa.Table("more", two.db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    [drift] = two.schema.differences_to_models(staging)
    assert drift[:1] == ("add_table",)


def test_a_seed_that_cannot_be_imported(two: Made) -> None:
    for name in ("nothing:seed", "json:nothing", "json", ""):
        with pytest.raises(Misconfigured, match="FERRY_SEED"):
            two.schema.call(two.staging(), name, "FERRY_SEED")


# Declarations


def test_what_revisions_declare_from_one_on(two: Made) -> None:
    two.add("three", "two", declared="ferry_moves = {'t': 'u', 'a.b': ('c', 'd')}")
    two.add("four", "three", declared="ferry_losses = {'u.x': 'unused'}")
    said = two.schema.declarations("two")
    assert said.moves == ({"t": ("u",), "a.b": ("c", "d")}, {})
    assert said.losses == {"u.x": "unused (revision four)"}
    assert two.schema.declarations("four").moves == ()


def test_a_database_at_two_revisions(two: Made) -> None:
    staging = two.staging()
    two.schema.build(staging, "two")
    assert two.revision(staging) == "two"
    with two.host.dialect.engine(staging).begin() as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('other')")
    with pytest.raises(DoesNotFit, match="several revisions"):
        two.revision(staging)
    with two.host.dialect.engine(staging).begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    assert two.revision(staging) is None
