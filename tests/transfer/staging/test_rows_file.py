"""What the schema has no place for, and tables that are left out."""

from __future__ import annotations

import pytest
from sqlalchemy import URL

from app.dialects.model import Column, LogicalType, Table
from app.errors import DoesNotFit
from app.transfer.staging.load import load
from app.transfer.staging.rows_file import check_exclusions

from .tables import DIALECT, WHOLE, Make, held


def test_rows_can_be_read_again(make: Make) -> None:
    rows = make(WHOLE)
    assert list(rows.rows("posts")) == WHOLE["posts"]
    assert list(rows.rows("posts")) == WHOLE["posts"]


def test_columns_come_in_the_order_of_the_source(staging: URL, make: Make, schema: dict[str, Table]) -> None:
    turned = [Table(t.name, t.columns[::-1], t.primary_key) for t in schema.values()]
    rows = make({"users": [[None, "a", 1]]}, tables=turned)
    load(DIALECT, staging, rows)
    assert held(staging, "users") == [[1, "a", None]]


def test_a_further_table_is_refused_until_excluded(make: Make, schema: dict[str, Table]) -> None:
    extra = [*schema.values(), Table("extra", (Column("x", LogicalType.INT),))]
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=extra)
    assert caught.value.details == ["table extra"]
    assert "--exclude" in str(caught.value.hint)
    make({}, tables=extra, exclude=["extra"])


def test_a_further_column_is_refused_while_it_holds_values(make: Make, schema: dict[str, Table]) -> None:
    logs = Table("logs", (*schema["logs"].columns, Column("more", LogicalType.INT)))
    others = [table for name, table in schema.items() if name != "logs"]
    make({"logs": [["x", None]]}, tables=[*others, logs])
    with pytest.raises(DoesNotFit) as caught:
        make({"logs": [["x", None], ["y", 0], ["z", 1]]}, tables=[*others, logs])
    assert caught.value.details == ["column logs.more (2 values)"]


def test_a_table_or_column_that_the_source_lacks_is_refused(make: Make, schema: dict[str, Table]) -> None:
    """It says it is at this revision; rows would arrive empty without a word."""
    others = [table for name, table in schema.items() if name != "likes"]
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=others)
    assert caught.value.details == ["table likes"]
    make({}, tables=others, exclude=["likes"])
    narrow = Table("users", schema["users"].columns[:2], ("id",))
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=[narrow, *(table for name, table in schema.items() if name != "users")])
    assert caught.value.details == ["column users.best"]


def test_what_is_no_table_is_not_excluded(make: Make) -> None:
    with pytest.raises(DoesNotFit, match="no rows to leave out: word_index") as caught:
        make({}, exclude=["word_index"])
    assert "made anew" in str(caught.value.hint)


def test_an_excluded_table_arrives_empty(staging: URL, make: Make) -> None:
    rows = make(WHOLE, exclude=["likes", "logs"])
    check_exclusions(rows)
    accounts, _ = load(DIALECT, staging, rows)
    assert held(staging, "likes") == held(staging, "logs") == []
    assert (accounts["logs"].rows, accounts["logs"].excluded, accounts["logs"].loaded.rows) == (3, 3, 0)
    assert list(rows.rows("logs")) == []


def test_a_table_that_others_refer_to_cannot_be_left_out(make: Make) -> None:
    with pytest.raises(DoesNotFit) as caught:
        check_exclusions(make(WHOLE, exclude=["posts"]))
    assert sorted(caught.value.details) == ["1 row of users refers to posts", "2 rows of likes refer to posts"]
    check_exclusions(make({**WHOLE, "users": [[1, "a", None]], "likes": []}, exclude=["posts"]))
    check_exclusions(make(WHOLE, exclude=["posts", "users", "likes"]))


def test_an_exclusion_of_what_is_not_there(make: Make) -> None:
    with pytest.raises(DoesNotFit, match="potss"):
        make(WHOLE, exclude=["potss"])
