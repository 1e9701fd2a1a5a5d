"""Commands that hints tell can be pasted, whatever a table is called."""

from __future__ import annotations

import shlex

from app.transfer.run.way_out import migrate_without


def test_each_table_is_one_option_of_the_command() -> None:
    names = ["logs", "odd name", "it's; rm -rf", "--yes"]
    words = shlex.split(migrate_without(names))
    assert words == ["flask", "db-migrate-data", *(word for name in names for word in ("--exclude", name))]
    assert migrate_without([]) == "flask db-migrate-data"
