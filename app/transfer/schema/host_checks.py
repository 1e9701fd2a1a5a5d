"""What of a host app cannot be carried: found by name, before any question, and before a revision runs.

Staging stands in for one database only. Whatever would reach past it, to a further database or to another schema, would
work on live rows.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from ...dialects import is_same_place
from ...dialects.sessions import remember
from ...errors import Misconfigured, Protected
from .binds import ALL as ALL_BINDS
from .binds import DEFAULT, list_carried, name_of, runs_on_all
from .host import Host
from .named_schema import ALL, find_other_schemas, find_own_schema, refuse_all_schemas
from .named_schema import OPTION as SCHEMA_OPTION
from .version_table import OPTION, list_constants

_ELSEWHERE = (
    "database", "db", "dbname", "dsn", "host", "hostaddr", "passwd", "password", "port", "read_default_file",
    "read_default_group", "service", "unix_socket", "uri", "user",
)  # fmt: skip
"""Arguments of drivers that say which database is opened, and as whom, in place of the URL."""

_PROBE = "\u00c3\u00a9"

_OTHER_SCHEMA = ("schema", "source_schema", "referent_schema", "schema_name")
_OWN_ENGINE = ("create_engine", "engine_from_config")
_LOOKED_FOR = (*_OTHER_SCHEMA, *_OWN_ENGINE, SCHEMA_OPTION, ALL, OPTION)
_NO_SCHEMA = (
    "One run carries one schema. Where all tables lie in one, name it everywhere, in models, revisions and"
    " version_table_schema, or nowhere but in the search path of the database's URL."
)


def refuse_unsupported(host: Host) -> None:
    """Refuse a host whose models or engine reach past its one database.

    :raises Protected: the first thing found, by name.
    """
    for refusal in find_unsupported(host):
        raise refusal


def find_unsupported(host: Host) -> Iterator[Protected]:
    """Everything that :func:`refuse_unsupported` would refuse."""
    with host.app_context():
        yield from _binds(host)
    yield from _engine_options(host.engine_options)
    yield from find_other_schemas(host)


def _binds(host: Host) -> Iterator[Protected]:
    """Further databases that hold tables of the app; one for nothing but the app's own SQL is left alone."""
    filled = {str(key) for key, metadata in host.db.metadatas.items() if key and metadata.tables}
    there = {str(key) for key in host.db.engines if key}
    env = host.migrations / "env.py"
    if host.others:
        yield from _one_database_twice(host)
    elif others := list_carried(host.db, env)[1:]:
        why = f"and {env} runs revisions on each" if runs_on_all(env) else "and models have tables in them"
        yield Protected(
            f"SQLALCHEMY_BINDS names further databases ({', '.join(others)}), {why}; one run carries one of them.",
            hint=f"Choose which, and run once for each: {', '.join(f'--bind {key}' for key in [DEFAULT, *others])}; "
            f"or carry all of them by one command: --bind {ALL_BINDS}",
        )
    if unbound := sorted(filled - there):
        yield Protected(
            f"Models have a __bind_key__ ({', '.join(unbound)}): their tables are not in the app's default database.",
            hint="Leave __bind_key__ out, or look with: flask db-status",
        )


def _one_database_twice(host: Host) -> Iterator[Protected]:
    """Of two databases that are one, the run would close what it carries, or carry only half of its tables."""
    same = [name_of(key) for key, url in host.others.items() if is_same_place(url, host.url)]
    if same:
        yield Protected(
            f"The databases {', '.join(sorted([name_of(host.bind), *same]))} of the app are one and the same.",
            hint="Leave __bind_key__ out of models whose tables lie in the same database, and the bind.",
        )


def _engine_options(options: Mapping[str, Any]) -> Iterator[Protected]:
    where = "SQLALCHEMY_ENGINE_OPTIONS"
    for name in ("creator", "module"):
        if options.get(name) is not None:
            yield Protected(
                f"{where} has {name}: which database the app opens is not seen in its URL.",
                hint="Say it in SQLALCHEMY_DATABASE_URI alone.",
            )
    if (options.get("execution_options") or {}).get("schema_translate_map"):
        yield Protected(f"{where} has a schema_translate_map: tables lie in another schema.", hint=_NO_SCHEMA)
    arguments = options.get("connect_args") or {}
    # Values may be secrets: only names are shown.
    named = [name for name in sorted(arguments) if name in _ELSEWHERE or "search_path" in str(arguments[name])]
    if named:
        yield Protected(
            f"{where} has connect_args that say where or as whom to connect: {', '.join(named)}.",
            hint="Say it in SQLALCHEMY_DATABASE_URI: Ferry makes its own connections by that.",
        )


def _ask_as_app(host: Host, sql: str, otherwise: Any, *more: str) -> Any:
    """The one value that a query has for the app's own sessions; something else where they cannot be had here.

    :param more: queries that are asked later, over the same connection now.
    """
    answers: dict[str, Any] = remember(("as the app", host.url), dict)
    if sql in answers:
        return answers[sql]
    with host.app_context():
        engine = host.engine
        if engine.dialect.is_async:
            return otherwise
        try:
            with engine.connect() as connection:
                answers |= {query: connection.exec_driver_sql(query).scalar() for query in (sql, *more)}
                return answers[sql]
        finally:
            # Of a cut-over an idle session of ours would be in the way.
            engine.dispose()


def refuse_odd_sessions(host: Host) -> None:
    """Refuse an app whose engine options or listeners, beyond its URL, show other characters than are stored.

    What is loaded is stored as it is: the app would not see it.

    :raises Misconfigured: says how.
    """
    arguments = host.engine_options.get("connect_args") or {}
    options = {name: str(arguments[name]) for name in ("charset", "init_command", "use_unicode") if name in arguments}
    odd = host.dialect.find_odd_texts(host.url.update_query_dict(options)) if options else ""
    sql = host.dialect.capabilities.query_for_text
    if not odd and sql and host.dialect.exists(host.url):
        place = host.dialect.whereabouts(host.url)
        text = _ask_as_app(host, sql, _PROBE, *([place[0]] if place else []))
        # What a character set lacks is a question mark to them, which is no other character.
        is_lacking = isinstance(text, str) and "?" in text
        odd = "" if text == _PROBE or is_lacking else f"a stored {_PROBE} is {text!r} to them"
    if odd:
        raise Misconfigured(
            f"This app's sessions would not see the texts that are loaded: {odd}.",
            hint="Leave charset, init_command and use_unicode out of SQLALCHEMY_ENGINE_OPTIONS, and SET NAMES out of "
            "the engine's listeners (the new database keeps utf8mb4), then run the command again.",
        )


def refuse_elsewhere(host: Host) -> None:
    """Refuse an app whose sessions a listener, or its driver's own files, put elsewhere than its URL says.

    :raises Protected: names both places.
    """
    if not host.dialect.exists(host.url) or (expected := host.dialect.whereabouts(host.url)) is None:
        return
    place = _ask_as_app(host, expected[0], expected[1])
    if str(place).casefold() != expected[1].casefold():
        raise Protected(
            f"The app's own sessions work in {place}, and not in {expected[1]}, which its database URL means.",
            hint="Say it in the URL, where a listener or the driver's options say it now.",
        )


def refuse_history(host: Host, scripts: Iterable[Path]) -> None:
    """Refuse an Alembic history that keeps its version elsewhere, or whose revisions reach past the one database.

    :param scripts: the files of the revisions.
    :raises Protected: names the option, or the file and the line.
    """
    env = host.migrations / "env.py"
    refuse_configuration(host, host.migrate.configure_args, "Migrate(...)")
    for name, value, _ in _keywords(env):
        if name == SCHEMA_OPTION and isinstance(value, _Source) and host.dialect.capabilities.named_live:
            continue  # its run tells
        refuse_configuration(host, {name: value}, str(env))
    # Asked of the server once, and only where a revision names one.
    own_schema = functools.cache(lambda: find_own_schema(host))
    for path in scripts:
        for name, value, line in _keywords(path):
            if name in _OTHER_SCHEMA and value is not None and value != own_schema():
                raise Protected(f"{path.name}, line {line}, has {name}={value!r}.", hint=_NO_SCHEMA)
            if name in _OWN_ENGINE:
                raise Protected(
                    f"{path.name}, line {line}, opens an engine of its own with {name}().",
                    hint="A revision must work on the connection that Alembic gives it: op.get_bind().",
                )


def refuse_configuration(host: Host, options: Mapping[str, Any], where: str) -> None:
    """Refuse what ``context.configure()`` is given where it hides the version, or looks at live databases.

    :raises Protected: names the argument.
    """
    for name, value in ((item, options.get(item)) for item in (OPTION, SCHEMA_OPTION, ALL)):
        if not value or _is_carried(host, name, value):
            continue
        raise Protected(
            f"{where} sets {name}={value!r}: revisions are only found in the table {host.version_table} of the "
            f"{'' if host.dialect.named_schema else 'default '}schema{_name_schema(host)}, and tables only there.",
            hint=f"Write its name, one and the same, as a text: Migrate(..., {OPTION}='...')."
            if name == OPTION
            else f"Leave {name} out.",
        )


def _is_carried(host: Host, name: str, value: object) -> bool:
    if name == OPTION:
        return value == host.version_table
    return host.dialect.capabilities.named_live if name == ALL else value == find_own_schema(host)


def _name_schema(host: Host) -> str:
    return f" {host.dialect.named_schema}" if host.dialect.named_schema else ""


def _refuse_composed(host: Host, options: Mapping[str, Any], where: str) -> None:
    """Refuse what only a run of ``env.py`` shows: where it keeps the version, and what it compares.

    :raises Protected: names the argument.
    """
    refuse_configuration(host, options, where)
    schema = host.dialect.named_schema
    if schema is not None and options.get(SCHEMA_OPTION) != schema:
        raise Protected(
            f"{where} does not set {SCHEMA_OPTION}: revisions are only found in the table {host.version_table} of the "
            f"schema {schema}, which all models name.",
            hint=f'Write: Migrate(app, db, {SCHEMA_OPTION}="{schema}")',
        )
    refuse_all_schemas(host, options, where)


def refuse_env(host: Host, config: Config, script: ScriptDirectory, engine: Engine) -> None:
    """Let ``env.py`` run once with nothing to do, to see which database it works on.

    :param engine: staging's, which is the host's own at the moment.
    :raises Misconfigured: it works on another: it opened an engine of its own.
    :raises Protected: it keeps the version elsewhere.
    """
    contexts: list[MigrationContext] = []

    def look(_revision: object, context: MigrationContext) -> list[Any]:
        contexts.append(context)
        return []

    env = Path(script.dir) / "env.py"
    with EnvironmentContext(config, script, fn=look, dont_mutate=True):
        script.run_env()
    if host.others and not contexts:
        raise Misconfigured(
            f"{env} runs no revision on the database {name_of(host.bind)!r} of the app.",
            hint="That of flask db init --multidb runs them on each one that SQLALCHEMY_BINDS names.",
        )
    for context in contexts:
        _refuse_composed(host, {**context.opts, OPTION: context.version_table}, str(env))
        if context.connection is None or context.connection.engine.pool is not engine.pool:
            raise Misconfigured(
                f"{env} opens an engine of its own: revisions would change the live database, or another one, instead "
                "of staging.",
                hint="env.py must take its engine from Flask-SQLAlchemy, as Flask-Migrate's own does:\n"
                "connectable = current_app.extensions['migrate'].db.engine",
            )


def _keywords(path: Path) -> Iterator[tuple[str, Any, int]]:
    """Keyword arguments of all calls in a file, with their value and line; calls that open an engine by their name.

    A value that is neither a literal nor a name of the file for one is its source text.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if not any(word in text for word in _LOOKED_FOR):
        return
    tree = ast.parse(path.read_bytes(), str(path))
    known = list_constants(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called in _OWN_ENGINE:
            yield called, None, call.lineno
        for keyword in call.keywords:
            if keyword.arg:
                yield keyword.arg, _value(keyword.value, known), keyword.value.lineno


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    source = _Source(ast.unparse(node))
    return known.get(node.id, source) if isinstance(node, ast.Name) else source


class _Source(str):
    """The text of a value that is composed while a file runs."""

    __slots__ = ()
