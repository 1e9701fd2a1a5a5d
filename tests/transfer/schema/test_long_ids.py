"""A revision's id that is too long is named, where it was Alembic's own table that refused it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DataError, OperationalError

from app.transfer.schema.long_ids import LONGEST_ID, explain_long_id

LONG = "x" * (LONGEST_ID + 1)


def refused(statement: str) -> DataError:
    return DataError(statement, {}, ValueError("Data too long for column 'version_num'"))


@pytest.mark.parametrize("statement", ["INSERT INTO versions (version_num)", "UPDATE versions SET version_num=%s"])
def test_the_id_and_the_way_out_are_named(statement: str) -> None:
    error = explain_long_id(refused(statement), ["0001", LONG], "versions")
    assert error is not None
    assert error.details == [LONG]
    assert "Data too long" in error.message
    assert "op.alter_column('versions', 'version_num'" in str(error.hint)


@pytest.mark.parametrize(
    ("error", "ids"),
    [
        (refused("INSERT INTO versions (version_num)"), ["x" * LONGEST_ID]),
        (refused("INSERT INTO users (name)"), [LONG]),
        (refused("SELECT version_num FROM versions"), [LONG]),
        (OperationalError(None, {}, ValueError("gone")), [LONG]),
        (ValueError("versions"), [LONG]),
    ],
)
def test_any_other_error_is_not_explained_so(error: BaseException, ids: list[str]) -> None:
    assert explain_long_id(error, ids, "versions") is None
