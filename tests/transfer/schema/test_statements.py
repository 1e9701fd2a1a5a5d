"""What statements drop and rename, by their words."""

from __future__ import annotations

import pytest

from app.transfer.schema.statements import Rename, find_drops, find_renames, split

DROPS = {
    "DROP VIEW grown": {"grown"},
    'DROP VIEW IF EXISTS "Grown", other CASCADE': {"grown", "other"},
    "DROP TRIGGER noted ON person": {"noted"},
    "DROP INDEX by_n ON person": {"by_n"},
    "DROP FUNCTION total(integer)": {"total"},
    "ALTER TABLE person DROP CONSTRAINT positive, ADD COLUMN n INT": {"positive"},
    "ALTER TABLE person DROP FOREIGN KEY a, DROP INDEX b": {"a", "b"},
    "-- DROP VIEW kept\nDROP VIEW gone": {"gone"},
}
NONE = (
    "CREATE OR REPLACE VIEW grown AS SELECT n FROM person",
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger AS $$ BEGIN EXECUTE 'DROP VIEW grown'; END $$ LANGUAGE plpgsql",
    "CREATE FUNCTION f() RETURNS void AS $b$ BEGIN IF true THEN DROP VIEW grown; END IF; END; $b$ LANGUAGE plpgsql",
    "INSERT INTO log VALUES ('DROP VIEW grown')",
    "ALTER TABLE person ADD COLUMN grown INT",
)
RENAMES = {
    "ALTER TABLE a RENAME TO b": [Rename("", "a", "b")],
    'ALTER TABLE IF EXISTS ONLY public."a" RENAME TO b': [Rename("", "a", "b")],
    "ALTER TABLE t RENAME COLUMN a TO b": [Rename("t", "a", "b")],
    "ALTER TABLE t RENAME a TO b": [Rename("t", "a", "b")],
    "ALTER TABLE t RENAME INDEX a TO b": [Rename("", "a", "b")],
    "ALTER TABLE t RENAME CONSTRAINT a TO b": [Rename("", "a", "b")],
    "ALTER TABLE `t` CHANGE `a` `b` INTEGER NOT NULL": [Rename("t", "a", "b")],
    "ALTER TABLE t CHANGE COLUMN a b INTEGER": [Rename("t", "a", "b")],
    "RENAME TABLE a TO b, c TO d": [Rename("", "a", "b"), Rename("", "c", "d")],
    "ALTER INDEX a RENAME TO b": [Rename("", "a", "b")],
    "ALTER MATERIALIZED VIEW a RENAME TO b": [Rename("", "a", "b")],
    "ALTER TABLE t ADD COLUMN b INT": [],
    "ALTER TABLE t RENAME": [],
    "ALTER TABLE": [],
}


@pytest.mark.parametrize("sql", DROPS)
def test_what_is_dropped_by_name(sql: str) -> None:
    [words] = split(sql)
    assert DROPS[sql] <= set(find_drops(words))
    assert not {"person", "kept"} & set(find_drops(words))


def test_what_a_block_drops_and_renames() -> None:
    statements = list(
        split(
            """
            DO $$BEGIN
                IF EXISTS (SELECT 1 FROM pg_indexes WHERE indexname = 'by_n') THEN
                    DROP INDEX by_n;
                    CREATE UNIQUE INDEX by_n ON person (n) WHERE n > 0;
                ELSE ALTER TABLE person DROP CONSTRAINT positive;
                END IF;
                LOOP ALTER TABLE a RENAME TO b; EXIT; END LOOP;
            END$$;
            DROP VIEW grown
            """
        )
    )
    assert {name for words in statements for name in find_drops(words)} >= {"by_n", "positive", "grown"}
    assert [item for words in statements for item in find_renames(words)] == [Rename("", "a", "b")]


@pytest.mark.parametrize("sql", NONE)
def test_what_only_names_something_drops_nothing(sql: str) -> None:
    assert [name for words in split(sql) for name in find_drops(words)] == []


@pytest.mark.parametrize("sql", RENAMES)
def test_what_is_renamed(sql: str) -> None:
    [words] = split(sql)
    assert list(find_renames(words)) == RENAMES[sql]


def test_each_statement_of_a_text_is_read() -> None:
    found = [name for words in split("DROP VIEW a; DROP VIEW b;") for name in find_drops(words)]
    assert {"a", "b"} <= set(found)
