"""The schema that an app's models, revisions and ``env.py`` name, where a server has schemas in its databases.

Staging stands in for one schema. An app may name it everywhere (``schema="shop"``, ``MetaData(schema="shop")``) and
connect with a search path that leads to another one; then its tables lie where their names say.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, MetaData

from ...dialects.base import Dialect
from ...errors import Protected
from .host import Host
from .models import find_metadatas, metadatas_of
from .version_table import find_env

OPTION = "version_table_schema"
ALL = "include_schemas"
_LOOK_ALIKE = "ferry"
_ONLY_DEFAULT = 'include_name=lambda name, kind, parents: kind != "schema" or name is None'


def find_named_schema(db: SQLAlchemy, migrate: Any, root: Path, bind: str | None) -> str | None:
    """The one schema that all tables of the models name, where the table of revisions is kept there as well, or None.

    What ``env.py`` only composes while it runs is taken for that schema here; the checks of the host look again.

    :param migrate: what Flask-Migrate keeps in ``app.extensions["migrate"]``, or None.
    :param root: the app's ``root_path``.
    """
    metadata = db.metadatas.get(bind)
    # The first table says it of most apps, which may ask in each request.
    if migrate is None or (metadata is not None and any(table.schema is None for table in metadata.tables.values())):
        return None
    schema = _find_only_schema(find_metadatas(db, bind))
    value = migrate.configure_args.get(OPTION)
    if schema is None or value is not None:
        return schema if value == schema else None
    env = find_env(migrate, root)
    at = env.stat() if env else None
    return schema if env and at and _names_option(env, at.st_mtime_ns, at.st_size) else None


@functools.lru_cache(maxsize=32)
def _names_option(env: Path, _mtime_ns: int, _size: int) -> bool:
    return OPTION in env.read_text(encoding="utf-8", errors="replace")


def _find_only_schema(metadatas: list[MetaData]) -> str | None:
    schemas = {table.schema for metadata in metadatas for table in metadata.tables.values()}
    return str(schemas.pop()) if len(schemas) == 1 and None not in schemas else None


def find_own_schema(host: Host) -> str | None:
    """The schema that may be spelled: the one that the app's tables lie in, where its name means staging then."""
    if not host.dialect.capabilities.named_live:
        return None
    place = host.dialect.whereabouts(host.url)
    return place[1] if place else None


def find_other_schemas(host: Host) -> Iterator[Protected]:
    """What of the models lies in another schema than the one that is carried."""
    tables = [table for metadata in metadatas_of(host) for table in metadata.tables.values()]
    spelled = {table.fullname: table.schema for table in tables}
    types = {f"{table.name}.{column.name}": column.type for table in tables for column in table.columns}
    spelled |= {f"the type of {name}": _type_of_its_own(item) for name, item in types.items()}
    # The server is asked only where there is something to ask about.
    if not any(spelled.values()):
        return
    own_schema = find_own_schema(host)
    others = {name: str(schema) for name, schema in spelled.items() if schema not in (None, own_schema)}
    if others:
        yield _refuse(host, others, own_schema)
    elif host.dialect.named_schema:
        yield from _unnamed_types(host, types)


def _refuse(host: Host, others: Mapping[str, str], own_schema: str | None) -> Protected:
    what, schemas = f"Models name a schema: {', '.join(sorted(others))}.", sorted(set(others.values()))
    if own_schema is None:
        return Protected(
            f"{what} On {host.dialect.name} that is another database, which no staging stands in for: one "
            "run carries one database.",
            hint="Leave schema= out of models and revisions, and name the database in its URL.",
        )
    if _find_only_schema(metadatas_of(host)) == schemas[0]:
        return Protected(
            f"{what} The table of revisions is looked for in {own_schema}: one run carries one schema.",
            hint=f"{show_lines(schemas[0])}\n"
            f"and once: ALTER TABLE {_quote(host.version_table)} SET SCHEMA {_quote(schemas[0])};\n"
            "Leave search_path out of the database's URL, or let it begin with that schema.",
        )
    return Protected(
        f"{what} One run carries one schema, here {own_schema}: only that has a staging, a backup, generations "
        f"and a place in the cut-over. Rows in {', '.join(schemas)} would stay the old ones, and foreign keys would "
        "point to what was replaced.",
        hint="Let all tables lie in one schema: ALTER TABLE ... SET SCHEMA, and the same in models and revisions.",
    )


def _quote(name: str | None) -> str:
    """A name for statements to paste: a table may well be called user, which is a word of SQL."""
    return '"{}"'.format(str(name).replace('"', '""'))


def show_lines(schema: str) -> str:
    """What to write into ``Migrate(...)``, for whoever pastes it."""
    return (
        f'Write: Migrate(app, db, {OPTION}="{schema}", {ALL}=True,\n'
        f'    include_name=lambda name, kind, parents: kind != "schema" or name == "{schema}")'
    )


def _type_of_its_own(item: Any) -> str | None:
    """The schema that the type of a column names."""
    inner = getattr(item, "item_type", item)
    schema = getattr(inner, "schema", None)
    return None if schema is None else str(schema)


def _unnamed_types(host: Host, types: Mapping[str, Any]) -> Iterator[Protected]:
    """Types that are made in the first schema of the app's search path, while its tables lie in the one they name."""
    inner = {name: getattr(item, "item_type", item) for name, item in types.items()}
    names = sorted(name for name, item in inner.items() if _is_made(item) and _type_of_its_own(item) is None)
    if names:
        schema = host.dialect.named_schema
        yield Protected(
            f"Models name the schema {schema}, but not for the types of {', '.join(names)}: these would be made, and "
            "looked for, elsewhere.",
            hint=f'Write Enum(..., schema="{schema}") there and in revisions, and once: '
            f"ALTER TYPE ... SET SCHEMA {_quote(schema)};",
        )


def _is_made(item: Any) -> bool:
    """Whether a server of named types makes one for this."""
    return isinstance(item, sa.types.SchemaType) and getattr(item, "native_enum", not isinstance(item, sa.Boolean))


def refuse_left_behind(host: Host, revisions: Callable[[], Container[str]]) -> None:
    """Refuse an app whose models came to name a schema while its database stayed in the one of its sessions.

    The named one is empty, so that a run would begin anew there, from whatever SOURCE is, past what is live.

    :param revisions: lists those of the app; asked where there is something to compare.
    :raises Protected: with the statements that move the tables.
    """
    dialect = host.dialect
    if dialect.named_schema is None or list_tables(dialect, host.url):
        return
    plain = copy.copy(dialect)
    plain.named_schema = None
    if not plain.exists(host.url):
        return
    with plain.reader(host.url) as reader:
        tables = reader.tables()
        rows = [row for table in tables.values() if table.of_alembic for row in reader.rows(table)]
    if any(str(row[0]) in revisions() for row in rows):
        schema = dialect.named_schema
        place = plain.whereabouts(host.url)
        raise Protected(
            f"All models name the schema {schema}, which has no tables: this app's are in {place and place[1]}.",
            details=[
                f"CREATE SCHEMA IF NOT EXISTS {_quote(schema)};",
                *(f"ALTER TABLE {_quote(name)} SET SCHEMA {_quote(schema)};" for name in sorted(tables)),
            ],
            hint="Move them by these statements, and so types, views and functions; or let models name no schema.",
        )


def list_tables(dialect: Dialect, url: URL) -> list[str]:
    """The tables of a database, none where it is not there."""
    if not dialect.exists(url):
        return []
    with dialect.reader(url) as reader:
        return list(reader.tables())


def refuse_all_schemas(host: Host, options: Mapping[str, Any], where: str) -> None:
    """Refuse an ``env.py`` that compares the tables of all schemas, Flask-Ferry's own among them.

    ``flask db migrate`` would write a revision that drops those.

    :param options: of ``context.configure()``.
    :raises Protected: with the line that leaves them out.
    """
    if not options.get(ALL):
        return
    schema = find_own_schema(host) or ""
    ours = [_LOOK_ALIKE, *([f"{schema}__{_LOOK_ALIKE}"] if host.dialect.named_schema is not None else [])]
    if not any(_takes(options, name) for name in ours):
        return
    is_default = host.dialect.named_schema is None
    raise Protected(
        f"{where} sets {ALL}=True for every schema there is: flask db migrate would drop the tables of Flask-Ferry's "
        f"own ({_LOOK_ALIKE} and others).",
        # Alembic calls the schema that sessions take for their own None.
        hint=f"Leave {ALL} out, or write: {_ONLY_DEFAULT}" if is_default else show_lines(schema),
    )


def _takes(options: Mapping[str, Any], schema: str) -> bool:
    """Whether ``context.configure()`` would compare a table of ours in a schema."""
    include_name, include_object = options.get("include_name"), options.get("include_object")
    if include_name is not None and not include_name(schema, "schema", {}):
        return False
    table = sa.Table("ledger", MetaData(), schema=schema)
    return include_object is None or bool(include_object(table, table.name, "table", True, None))


@contextlib.contextmanager
def leave_out_beside(host: Host) -> Iterator[None]:
    """Let any ``env.py`` compare the schema that the models name, and none of those that lie beside the target.

    Without ``include_schemas`` Alembic finds no table of that schema, and takes each one for missing.
    """
    only = host.dialect.named_schema
    former, names = EnvironmentContext.configure, re.compile(host.dialect.capabilities.beside_names)

    @functools.wraps(former)
    def configure(self: EnvironmentContext, *arguments: Any, **options: Any) -> None:
        if only is not None and not options.get(ALL):
            options |= {ALL: True, "include_name": _only(only, options.get("include_name"))}
        elif options.get(ALL):
            options["include_name"] = _without(names, options.get("include_name"))
        former(self, *arguments, **options)

    EnvironmentContext.configure = configure  # type: ignore[method-assign] # Alembic has no hook for it
    try:
        yield
    finally:
        EnvironmentContext.configure = former  # type: ignore[method-assign]


def _only(schema: str, include_name: Callable[..., bool] | None) -> Callable[..., bool]:
    def include(name: str | None, kind: str, parents: Any) -> bool:
        return name == schema if kind == "schema" else include_name is None or include_name(name, kind, parents)

    return include


def _without(names: re.Pattern[str], include_name: Callable[..., bool] | None) -> Callable[..., bool]:
    def include(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema" and name is not None and names.fullmatch(name):
            return False
        return include_name is None or include_name(name, kind, parents)

    return include
