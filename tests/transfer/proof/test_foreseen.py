"""What would be gone at head, by the tables alone."""

from __future__ import annotations

from collections.abc import Mapping

from app.dialects.model import Column, LogicalType, Table
from app.transfer.proof.foreseen import Foreseen, foresee_losses
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.listen import Heard
from app.transfer.schema.statements import Rename


def table(name: str, *columns: str) -> Table:
    return Table(name, tuple(Column(column, LogicalType.TEXT) for column in columns), ())


def foresee(
    before: Table,
    *head: Table,
    rows: int = 2,
    values: Mapping[str, int] | None = None,
    moves: Mapping[str, tuple[str, ...]] | None = None,
    losses: Mapping[str, str] | None = None,
    heard: Heard | None = None,
) -> Foreseen:
    return foresee_losses(
        [before],
        {before.name: rows},
        lambda _table, columns: {name: (values or {}).get(name, 0) for name in columns},
        {one.name: one for one in head},
        Declarations((moves or {},), losses or {}),
        heard or Heard(),
    )


def lines(found: Foreseen) -> list[str]:
    return [str(item) for item in found.lost]


def test_a_table_that_is_gone() -> None:
    log = table("log", "id")
    assert lines(foresee(log, heard=Heard(dropped={"log": "r2"}))) == ["table log (2 rows) is gone (revision r2)"]
    assert lines(foresee(log, rows=0)) == []
    declared = foresee(log, losses={"log": "not kept"})
    assert (lines(declared), declared.declared) == ([], ["log: 2 rows: not kept"])
    assert lines(foresee(log, table("diary", "id"), moves={"log": ("diary",)})) == []


def test_a_column_that_is_gone_with_its_values() -> None:
    people = table("people", "id", "hair")
    head = table("people", "id")
    assert lines(foresee(people, head, values={"hair": 1})) == ["column people.hair (1 value) is gone"]
    assert lines(foresee(people, head)) == []
    declared = foresee(people, head, values={"hair": 2}, losses={"people.hair": "unused"})
    assert (lines(declared), declared.declared) == ([], ["people.hair: 2 values: unused"])
    moved = foresee(
        people, head, table("hairs", "colour"), values={"hair": 1}, moves={"people.hair": ("hairs.colour",)}
    )
    assert lines(moved) == []


def test_a_column_that_may_have_another_name_is_not_called_lost() -> None:
    people, head = table("people", "id", "hair"), table("people", "id", "colour")
    open_question = foresee(people, head, values={"hair": 2})
    assert lines(open_question) == []
    assert open_question.unknown == ["whether the 2 values of people.hair are in a column of another name at head"]
    renamed = foresee(people, head, values={"hair": 2}, heard=Heard(renames=[Rename("people", "hair", "colour")]))
    assert (lines(renamed), renamed.unknown) == ([], [])
