"""The installation as the pages have it, to the letter; and every line of docs/hosts.md has its test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dialects.postgresql import test_upgrade
from tests.scenarios import test_version_table
from tests.support.pages import take, take_lines
from tests.support.site import ROOT

from . import (
    test_accepted,
    test_binds,
    test_host,
    test_named_schema,
    test_own_schema,
    test_refused,
    test_several,
    test_three_hosts,
)
from .conftest import HostApp

PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///garden.db"
db = SQLAlchemy(app)


class Plant(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(40))
"""


FIVE = "from flask_migrate import Migrate"


@pytest.mark.executes("docs/hosts.md", "from flask_migrate import Migrate", "flask db init")
@pytest.mark.executes("docs/guide.md", "from flask_migrate import Migrate")
@pytest.mark.executes("README.md", "from flask_migrate import Migrate")
def test_the_five_lines(tmp_path: Path, python: Path) -> None:
    [lines] = take("docs/hosts.md", FIVE)
    assert len(lines.splitlines()) == 5
    for page in ("README.md", "docs/guide.md"):
        assert take(page, FIVE) == [lines]
    (tmp_path / "garden.py").write_text(APP + "\n" + lines)
    garden = HostApp(tmp_path, python, application="garden")
    for line in take_lines("docs/hosts.md", "flask db init"):
        program, *arguments = shlex.split(line)
        assert program == "flask"
        last = garden.ok(*arguments)
    assert re.search(r"Revision: +(\w+) \(head \1\)", last.stdout)
    assert "Drift:       none" in last.stdout
    assert garden.query("SELECT count(*) FROM plant") == [(0,)]


A, B, H, R, S, T = test_accepted, test_binds, test_host, test_refused, test_own_schema, test_three_hosts
N, V = test_named_schema, test_several
LIVES = T.test_a_life_on_sqlite
TESTS: dict[str, Callable[..., None]] = {
    "a factory, a module-level": A.test_two_apps_in_one_process,
    "models on `db.Model`": LIVES,
    "a declarative base": LIVES,
    "`TypeDecorator`": LIVES,
    "quoted and reserved": LIVES,
    "views and triggers": LIVES,
    "models, and tables between models": A.test_a_table_between_models_with_a_metadata_of_its_own,
    "revisions that do not lead to head": A.test_models_whose_history_starts_in_the_middle,
    "tables that an extension makes": A.test_tables_that_are_made_when_models_are_configured,
    "`SQLALCHEMY_BINDS` with databases that no": A.test_a_further_database_without_a_model_is_left_alone,
    "`env.py` as `flask db init` wrote": A.test_an_env_py_of_an_older_template_makes_its_engine_of_the_configuration,
    "`env.py` as `flask db init` writes": R.test_binds_are_refused_before_any_code_of_a_multidb_env_runs,
    "`include_object`": A.test_a_hook_that_decides_what_alembic_compares,
    "scripts in another": A.test_revisions_in_several_places,
    "`Migrate(..., command": A.test_migrate_under_another_name,
    "`version_table=": test_version_table.test_all_commands,
    "`SQLALCHEMY_ENGINE_OPTIONS`: pool": A.test_engine_options,
    "listeners on every": A.test_a_listener_on_every_engine,
    "URLs of other drivers": A.test_other_drivers_of_postgresql,
    "revisions that end": test_upgrade.test_what_it_means,
    "`sqlite:///file:": A.test_file_uris,
    "`url_prefix`": A.test_ways_to_register_it,
    "`SQLALCHEMY_BINDS` with tables": B.test_one_of_them,
    "two of several databases": B.test_what_is_refused,
    "an `env.py` that runs no": B.test_what_is_refused,
    "a `--bind` that": B.test_what_is_refused,
    "`--bind all`": V.test_names_that_mean_two_things,
    "one SOURCE": V.test_sources,
    "`db-adopt` with several": B.test_what_is_refused,
    "`SQLALCHEMY_BINDS` with databases that models": R.test_a_bind_that_models_have_tables_in,
    "models with a `__bind_key__`": R.test_a_bind_that_only_models_name,
    "on PostgreSQL, `schema=`": S.test_it_is_carried,
    "on PostgreSQL, one schema": N.test_every_command,
    "on PostgreSQL, `include_schemas": N.test_models_and_revisions_are_compared_there,
    "`schema=` of a second": R.test_models_of_another_schema,
    "one schema in all models": N.test_revisions_counted_elsewhere,
    "the same, where the app's tables": N.test_tables_that_stayed_where_they_were,
    "a schema, other than": N.test_a_name_that_is_too_long,
    "types of models": N.test_a_type_that_names_none,
    "`include_schemas` that shows": N.test_all_schemas_without_a_filter,
    "a revision or seed that makes": N.test_a_revision_that_names_no_schema,
    "the same in a revision": R.test_revisions_that_reach_elsewhere,
    "a revision that opens": R.test_revisions_that_reach_elsewhere,
    "a listener that attaches": R.test_a_listener_that_attaches_a_database_to_every_connection,
    "`version_table_schema`": R.test_a_version_kept_elsewhere,
    "`creator`": R.test_engine_options_that_lead_elsewhere,
    "`schema_translate_map`": R.test_engine_options_that_lead_elsewhere,
    "`connect_args`": R.test_connect_args_show_no_value,
    "a listener that puts": R.test_sessions_that_a_listener_puts_elsewhere,
    "`sqlite+pysqlcipher`": R.test_urls,
    "`read_default_file`": R.test_urls,
    "other servers": R.test_urls,
    "SQLite in memory": H.test_in_memory,
    "a SQLite file": R.test_a_sqlite_file_that_the_app_only_reads,
    "a SQLite VFS": R.test_urls,
    "no Flask-SQLAlchemy": R.test_an_app_without_the_extensions,
    "`Migrate` with another": R.test_flask_migrate_with_another_sqlalchemy,
    "no `SQLALCHEMY_DATABASE_URI`": R.test_without_a_default_database,
    "no scripts": H.test_without_its_scripts,
    "two heads": R.test_two_heads,
    "`db-init` with models": R.test_models_that_flask_sqlalchemy_does_not_know,
    "commands of the same": R.test_commands_that_the_app_replaced_later,
    "`cli_group`": R.test_a_group_of_commands,
    "an `env.py` that makes": R.test_an_env_py_with_an_engine_of_its_own_is_refused_before_anything_is_done,
    "an `env.py` that fails": R.test_an_env_py_that_fails_is_refused_before_anything_is_done,
    "models that contradict": A.test_models_that_contradict_each_other,
    "an `env.py` that composes": R.test_a_name_of_the_version_table_that_only_a_run_tells,
    "`ATTACH`": R.test_attach_in_a_revision_fails_and_changes_nothing,
}
"""The beginning of each line of the page's tables -> the test that it rests on."""

ROWS = [row for row in re.findall(r"^\| (.+?) \| ?(.*?) ?\|$", PAGE, re.MULTILINE) if row[0] != "in the app"]


@pytest.mark.parametrize("what", [row[0] for row in ROWS])
def test_every_line_has_a_test(what: str) -> None:
    assert len([start for start in TESTS if what.startswith(start)]) == 1


def test_no_line_is_missing() -> None:
    assert len(ROWS) == len(TESTS)


SOURCE = re.sub(
    r'"\s+f?"', "", "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "app").rglob("*.py")))
)


@pytest.mark.parametrize("message", sorted({text for _, said in ROWS for text in re.findall(r'"([^"]+)"', said)}))
def test_every_message_is_one(message: str) -> None:
    theirs = ("not authorized",)  # SQLite's own words
    composed = {"has schema=": "has {name}=", "env.py fails": "'env.py'} fails"}
    assert composed.get(message, message) in SOURCE or message in theirs
