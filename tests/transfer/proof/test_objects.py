"""What an upgrade took away, of definitions alone."""

from __future__ import annotations

from app.dialects.model import Column, Definition, LogicalType, Table
from app.transfer.proof.objects import find_lost, find_not_migrated
from app.transfer.schema.clauses import Clause
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.listen import Heard, Nameless
from app.transfer.schema.statements import Rename

NOTHING = Declarations((), {})


def table(name: str, *columns: str, key: tuple[str, ...] = ()) -> Table:
    return Table(name, tuple(Column(column, LogicalType.TEXT) for column in columns), key)


def tables(*found: Table) -> dict[str, Table]:
    return {one.name: one for one in found}


def unique(of: str, *columns: str, name: str = "") -> Definition:
    return Definition("unique", of, name, columns, " , ".join(columns))


def lost(
    before: list[Definition], after: list[Definition], head: dict[str, Table], heard: Heard | None = None
) -> list[str]:
    return sorted(str(item) for item in find_lost(before, after, head, heard or Heard(), NOTHING))


def test_a_column_that_is_renamed_in_one_table_keeps_its_name_in_another() -> None:
    before = [unique("a", "name"), unique("b", "name"), Definition("check", "b", "", ("name",), "name <> ''")]
    after = [unique("a", "title"), *before[1:]]
    heard = Heard(renames=[Rename("a", "name", "title")])
    assert lost(before, after, tables(table("a", "title"), table("b", "name")), heard) == []


def test_a_foreign_key_follows_its_parent_and_its_columns() -> None:
    before = [Definition("foreign key", "child", "", ("parent_id",), "parent_id references parent ( id )")]
    after = [Definition("foreign key", "kid", "", ("folk",), "folk references folks ( number )")]
    heard = Heard(
        renames=[
            Rename("", "parent", "folks"),
            Rename("folks", "id", "number"),
            Rename("child", "parent_id", "folk"),
            Rename("", "child", "kid"),
        ]
    )
    assert lost(before, after, tables(table("kid", "folk"), table("folks", "number")), heard) == []
    assert lost(before, [], tables(table("kid", "folk"), table("folks", "number")), heard)[0].endswith("is gone")


def test_a_trigger_of_another_table_does_not_stand_in_for_one_of_the_same_name() -> None:
    before = [Definition("trigger", name, "noted") for name in ("a", "b")]
    assert lost(before, before[:1], tables(table("a", "x"), table("b", "x"))) == ["trigger noted on b is gone"]


def test_one_constraint_that_is_dropped_accounts_for_one() -> None:
    before = [unique("a", "x"), unique("a", "y")]
    heard = Heard(nameless=[Nameless("a", "unique", "uq_a_y", "r2")])
    found = lost(before, [], tables(table("a", "x", "y")), heard)
    assert found == ["unique (x) on a is gone", "unique (y) on a: dropped by name (revision r2)"]


def test_a_primary_key_does_what_a_unique_constraint_did() -> None:
    assert lost([unique("a", "x")], [], tables(table("a", "x", key=("x",)))) == []


def test_a_foreign_key_may_get_actions_and_loses_none() -> None:
    plain = Definition("foreign key", "a", "", ("x",), "x references b ( id )")
    active = Definition("foreign key", "a", "", ("x",), "x references b ( id ) on delete cascade")
    head = tables(table("a", "x"), table("b", "id"))
    assert lost([plain], [active], head) == []
    assert lost([active], [plain], head) == ["foreign key (x references b ( id ) on delete cascade) on a is gone"]


def test_an_index_that_comes_back_as_less_is_gone() -> None:
    was = Definition("index", "a", "i", ("x",), "( lower ( x ) )")
    assert lost([was], [Definition("index", "a", "i", ("x",), "x")], tables(table("a", "x"))) == [
        "index i on a is gone"
    ]


def test_what_goes_with_its_column_or_table_is_said() -> None:
    before = [unique("a", "x"), unique("b", "y")]
    assert lost(before, [], tables(table("a", "z"))) == [
        "unique (x) on a: gone with the column a.x",
        "unique (y) on b: gone with b",
    ]


def of_column(kind: str, text: str, *, table: str = "a", column: str = "x") -> Definition:
    return Definition(kind, table, column, (column,), text)


def test_what_is_said_in_so_many_words_is_meant_and_only_of_that_column() -> None:
    before = [of_column("default", "1"), of_column("default", "1", column="y"), of_column("comment", "c")]
    heard = Heard(clauses={Clause("default", "a", "x"): "r2"})
    assert lost(before, [], tables(table("a", "x", "y")), heard) == [
        "comment x on a is gone",
        "default x on a: dropped by name (revision r2)",
        "default y on a is gone",
    ]


def test_a_default_or_comment_of_another_column_does_not_stand_in_and_a_new_text_does() -> None:
    before = [of_column("default", "1"), of_column("comment", "c")]
    head = tables(table("a", "x", "y"))
    assert lost(before, [of_column("default", "2"), of_column("comment", "d")], head) == []
    assert len(lost(before, [of_column("default", "1", column="y"), of_column("comment", "c", column="y")], head)) == 2


def test_a_column_of_the_primary_key_is_never_null_and_a_key_may_be_another() -> None:
    before = [of_column("not null", "not null"), Definition("primary key", "a", "", ("y",), "y")]
    head = tables(table("a", "x", "y", key=("x",)))
    assert lost(before, [Definition("primary key", "a", "", ("x",), "x")], head) == []
    assert lost(before, [], head) == ["primary key (y) on a is gone"]


def test_a_source_whose_default_is_another_one_is_named() -> None:
    made = [of_column("default", "2"), of_column("not null", "not null")]
    source = [of_column("default", "1"), of_column("not null", "not null")]
    missing = find_not_migrated(source, made, tables(table("a", "x")), same_server=True)
    assert [str(item) for item in missing] == ["default x on a"]


def test_what_was_on_a_view_that_is_made_again_is_gone() -> None:
    view, trigger = Definition("view", "", "v"), Definition("trigger", "v", "t")
    assert lost([view, trigger], [view], {}, Heard(dropped={"v": "r2"}, revisions=["r2"])) == [
        "trigger t on v is gone (revision r2)"
    ]
    assert lost([trigger], [], {}, Heard(revisions=["r2"])) == ["trigger t on v: gone with v (revision r2)"]


def test_a_routine_is_dropped_with_and_without_the_types_of_its_arguments() -> None:
    before = [Definition("function", "", "f(a integer)"), Definition("function", "", '"G"()')]
    assert lost(before, [], {}, Heard(dropped={"f": "r2", "g": "r2"})) == [
        'function "G"(): dropped by name (revision r2)',
        "function f(a integer): dropped by name (revision r2)",
    ]
