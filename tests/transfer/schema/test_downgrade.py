"""The way down by the app's own downgrades: which failed, and which did nothing, are named."""

from __future__ import annotations

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.errors import DoesNotFit
from app.transfer.schema.downgrade import bring_down, find_way_down, shape_of

from .made import Made


def write_downgrade(made: Made, name: str, body: str) -> None:
    path = made.migrations / "versions" / f"{name}.py"
    head, sign, _ = path.read_text().partition("def downgrade")
    assert sign
    path.write_text(f"{head}def downgrade() -> None:\n    {body}\n")


def test_the_way_down_is_straight_and_ends_where_it_should(two: Made) -> None:
    two.add("three", "two")
    assert find_way_down(two.schema, "three", "one") == ["three", "two", "one"]
    assert find_way_down(two.schema, "two", "two") == ["two"]
    with pytest.raises(DoesNotFit, match="cannot be brought down to three: at one"):
        find_way_down(two.schema, "two", "three")


def test_a_downgrade_that_works_and_one_that_changes_nothing(two: Made) -> None:
    two.add("three", "two")
    write_downgrade(two, "two", "op.drop_column('t', 'y')")
    write_downgrade(two, "three", "pass")
    staging = two.staging()
    two.schema.build(staging, "three")
    assert bring_down(two.schema, two.host.dialect, staging, ["three", "two", "one"]) == ["three"]
    assert (two.columns(staging), two.revision(staging)) == ({"t": ("id", "x")}, "one")


@pytest.mark.parametrize("body", ["raise NotImplementedError('no way back')", "op.drop_table('nothing')"])
def test_a_downgrade_that_fails_is_named(two: Made, body: str) -> None:
    write_downgrade(two, "two", body)
    staging = two.staging()
    two.schema.build(staging, "two")
    with pytest.raises(DoesNotFit, match="Revision two has no downgrade that works here"):
        bring_down(two.schema, two.host.dialect, staging, ["two", "one"])
    assert two.revision(staging) == "two"


def test_a_shape_is_tables_and_columns_without_alembic_s_own() -> None:
    columns = tuple(Column(name, LogicalType.INT) for name in ("b", "a"))
    versions = Table("alembic_version", columns, of_alembic=True)
    assert shape_of({"t": Table("t", columns), "alembic_version": versions}) == {"t": ["a", "b"]}
