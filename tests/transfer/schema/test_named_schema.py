"""The one schema that all models and the table of revisions name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from flask_sqlalchemy import SQLAlchemy

from app.errors import Protected
from app.transfer.schema.host import Host
from app.transfer.schema.named_schema import (
    find_named_schema,
    find_other_schemas,
    find_own_schema,
    leave_out_beside,
    refuse_all_schemas,
)
from tests.transfer.hosts import history, made_host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    history(tmp_path / "migrations")
    return made_host(tmp_path)[0]


def with_tables(host: Host, *schemas: str | None) -> SQLAlchemy:
    for number, schema in enumerate(schemas):
        sa.Table(f"t{number}", host.db.metadata, sa.Column("id", sa.Integer), schema=schema)
    return host.db


@pytest.mark.parametrize(
    ("schemas", "option", "env", "name"),
    [
        (("shop", "shop"), "shop", "", "shop"),
        (("shop",), "other", "", None),
        (("shop",), None, "", None),
        (("shop",), None, "configure(version_table_schema=get_metadata().schema)", "shop"),
        (("shop", "audit"), "shop", "", None),
        (("shop", None), "shop", "", None),
        ((None,), "shop", "", None),
        ((), "shop", "", None),
    ],
)
def test_which_one_it_is(
    host: Host, schemas: tuple[str | None, ...], option: str | None, env: str, name: str | None
) -> None:
    db = with_tables(host, *schemas)
    with (host.migrations / "env.py").open("a") as file:
        file.write(f"\n{env}")
    migrate = SimpleNamespace(configure_args={"version_table_schema": option}, directory=str(host.migrations))
    assert find_named_schema(db, migrate, host.migrations.parent, None) == name
    assert find_named_schema(db, None, host.migrations.parent, None) is None


def test_on_sqlite_any_schema_is_another_database(host: Host) -> None:
    with_tables(host, "shop", None)
    assert find_own_schema(host) is None
    [refusal] = find_other_schemas(host)
    assert "Models name a schema: shop.t0. On SQLite that is another database" in refusal.message


def by_name(name: str | None, _kind: str, _parents: Any) -> bool:
    return name == "shop"


def all_of_them(*_arguments: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "is_refused"),
    [
        ({}, False),
        ({"include_schemas": False}, False),
        ({"include_schemas": True}, True),
        ({"include_schemas": True, "include_name": all_of_them, "include_object": all_of_them}, True),
        ({"include_schemas": True, "include_name": by_name}, False),
        ({"include_schemas": True, "include_object": lambda table, *_: table.schema != "ferry"}, False),
    ],
)
def test_schemas_of_ours_are_none_of_the_apps(host: Host, options: dict[str, Any], is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(Protected, match="would drop the tables of Flask-Ferry's"):
            refuse_all_schemas(host, options, "env.py")
    else:
        refuse_all_schemas(host, options, "env.py")


@pytest.mark.parametrize(
    ("named", "options", "schemas"),
    [
        ("shop", {}, ["shop"]),
        ("shop", {"include_name": all_of_them}, ["shop"]),
        ("shop", {"include_schemas": True}, [None, "shop", "audit"]),
        (None, {"include_schemas": True, "include_name": by_name}, ["shop"]),
        (None, {"include_schemas": True}, [None, "shop", "audit"]),
        (None, {"include_name": all_of_them}, [None, "shop", "audit", "ferry", "shop__ferry_gen_0badcafe_old"]),
    ],
)
def test_what_is_compared(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    named: str | None,
    options: dict[str, Any],
    schemas: list[str | None],
) -> None:
    from app.dialects.postgresql.server import CAPABILITIES

    seen: dict[str, Any] = {}
    monkeypatch.setattr(EnvironmentContext, "configure", lambda _self, **more: seen.update(more))
    monkeypatch.setattr(host.dialect, "named_schema", named)
    monkeypatch.setattr(host.dialect, "capabilities", CAPABILITIES)
    with leave_out_beside(host):
        EnvironmentContext.configure(None, **options)  # type: ignore[arg-type]
    assert EnvironmentContext.configure(None) is None  # type: ignore[arg-type]
    include = seen["include_name"]
    names = [None, "shop", "audit", "ferry", "shop__ferry_gen_0badcafe_old"]
    assert [name for name in names if include(name, "schema", {})] == schemas
    assert include("shop", "table", {})
