"""Alembic on a staging engine: build at a revision, upgrade, compare with the models.

The stock ``env.py`` of Flask-Migrate takes its engine from Flask-SQLAlchemy and ignores any URL, so Alembic is pointed
at staging by swapping its engine in ``db.engines`` for the duration; afterwards it is asserted that staging holds the
revision and that the live schema did not change.
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Engine
from sqlalchemy.exc import SQLAlchemyError, StatementError

from ...dialects.ahead import asked_ahead
from ...dialects.base import OutsideStaging
from ...dialects.model import Table
from ...dialects.reader import Reader
from ...errors import DatabaseUnreachable, DoesNotFit, FerryError, LiveSchemaChanged, Misconfigured, Protected
from .callables import call_without_arguments, import_callable
from .comparison import compare, foresee
from .declarations import Declarations, Declared, combine, declared_by
from .drift import describe_differences
from .host import Host
from .host_checks import refuse_env, refuse_history
from .host_engine import quiet_warnings, use_engine
from .listen import Heard, find_lines, listen
from .long_ids import explain_long_id
from .models import create_tables, metadatas_of
from .named_schema import leave_out_beside
from .read_once import read_once
from .version_table import find_version_table, only_revision


def revision_of(reader: Reader) -> str | None:
    """The revision that a database says it is at, or None.

    :raises DoesNotFit: it says more than one.
    """
    table = next((table for table in reader.tables().values() if table.of_alembic), None)
    if table is None:
        return None
    return only_revision([str(row[0]) for row in reader.rows(table)])


def data_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables without Alembic's own."""
    return {name: table for name, table in tables.items() if not table.of_alembic}


class Schema:
    """The host's Alembic history.

    :param declared: what who deploys it says of its revisions.
    """

    def __init__(
        self, host: Host, *, verbose: bool = False, declared: Mapping[str, Declared] = MappingProxyType({})
    ) -> None:
        self.host = host
        self._verbose, self._declared = verbose, declared
        self._history_accepted = self._env_accepted = False
        self._looking: Engine | None = None

    def _config(self) -> Config:
        config: Config = self.host.migrate.migrate.get_config(str(self.host.migrations))
        # Alembic prints to it; what a command prints is the command's own.
        config.stdout = io.StringIO()
        return config

    @functools.cached_property
    def script(self) -> ScriptDirectory:
        """The revisions as they are when they are first asked for: reading them all takes longer than most of a run."""
        with quiet_warnings():
            return ScriptDirectory.from_config(self._config())

    def head(self) -> str:
        """The newest revision.

        :raises Misconfigured: there is none, there are two, or the history is broken.
        :raises Protected: it reaches past the one database.
        """
        try:
            heads = self.script.get_heads()
        except (CommandError, KeyError) as error:
            raise Misconfigured(f"The Alembic history in {self.host.migrations} is broken: {error}") from error
        if not heads:
            raise Misconfigured(
                f"There is no Alembic revision in {self.host.migrations}.",
                hint='Make one with: flask db migrate -m "..."\n'
                "where the database has the tables of the models already: flask db-adopt",
            )
        if len(heads) > 1:
            raise Misconfigured(
                f"The Alembic history has {len(heads)} heads: {', '.join(sorted(heads))}.",
                hint='Join them with: flask db merge -m "merge" heads',
            )
        self._refuse_history()
        return heads[0]

    def _refuse_history(self) -> None:
        if not self._history_accepted:
            refuse_history(self.host, self.files())
            self._history_accepted = True

    def files(self) -> list[Path]:
        """The files of all revisions, wherever ``version_locations`` has them."""
        return sorted(Path(script.path) for script in self.script.walk_revisions())

    def list_revisions(self) -> set[str]:
        return {script.revision for script in self.script.walk_revisions()}

    def lineage(self) -> list[str]:
        """All revisions that lead to head, oldest first."""
        return [script.revision for script in reversed(list(self.script.walk_revisions("base", self.head())))]

    def count_ahead(self, revision: str | None) -> int:
        """How many revisions lead from this one to head; all of them from one that is unknown here."""
        known = revision is not None and revision in self.lineage()
        return len(self.up_to(self.head()) - (self.up_to(str(revision)) if known else set()))

    def up_to(self, revision: str) -> set[str]:
        """A revision and all that lead to it: of branches that were merged later, only its own."""
        return {script.revision for script in self.script.walk_revisions("base", revision)}

    def require(self, revision: str, of: str) -> None:
        """Refuse a revision that this code does not have.

        :raises DoesNotFit: it is unknown, or ahead of head.
        """
        if revision not in self.lineage():
            raise DoesNotFit(
                f"{of} is at revision {revision}, which is not in {self.host.migrations}.",
                hint="Deploy code that has this revision, or downgrade the database with the code that made it.",
            )

    def build(self, staging: URL, revision: str, heard: Heard | None = None) -> None:
        """Run the revisions from where staging is up to ``revision``.

        :param heard: takes what the revisions drop and touch.
        :raises DoesNotFit: a revision failed, with its name, the statement and the server's words.
        :raises FerryError: the host's ``env.py`` worked on another database than staging.
        """
        self.carry(staging, revision, self._steps(staging, revision), command.upgrade, heard)

    def carry(
        self,
        staging: URL,
        revision: str,
        steps: list[str],
        go: Callable[[Config, str], None],
        heard: Heard | None = None,
    ) -> None:
        """Run Alembic's ``go`` on staging to each of ``steps``, which end with ``revision``; raises as build()."""
        before = self.host.dialect.schema_fingerprint(self.host.url)
        step, config = revision, self._config()
        with self._work_on(staging) as engine:
            try:
                self._refuse_env(engine)
                with listen(engine, heard or Heard(), self._revisions_by_file()), read_once(config):
                    for step in steps:
                        go(config, step)
            except (Exception, SystemExit) as error:
                raise self._explain_failure(error, staging, step) from error
        self._assert_built(staging, revision, before)

    def _revisions_by_file(self) -> dict[str, str]:
        scripts = self.script.walk_revisions()
        return {str(path): script.revision for script in scripts for path in (script.path, Path(script.path).resolve())}

    def _steps(self, staging: URL, revision: str) -> list[str]:
        """One command for each revision where foreign keys are enforced, else one for all.

        A row that refers to nothing may be changed again only in another transaction: to one that the same transaction
        has made, a server looks closer (seen: ``insert or update ... violates foreign key constraint``).
        """
        if not self.host.dialect.capabilities.enforces_foreign_keys:
            return [revision]
        with self.host.dialect.reader(staging) as reader:
            reached = revision_of(reader)
        lineage = self.lineage()
        if revision not in lineage:
            return [revision]
        wanted = self.up_to(revision) - (self.up_to(reached) if reached in lineage else set())
        return [step for step in lineage if step in wanted] or [revision]

    def _assert_built(self, staging: URL, revision: str, live_before: str) -> None:
        if self.host.dialect.schema_fingerprint(self.host.url) != live_before:
            raise LiveSchemaChanged(
                "A revision changed the schema of the live database instead of staging, or somebody else did.",
                hint="Revisions must use op.get_bind(), env.py Flask-SQLAlchemy's engine; if others did, run it again.",
            )
        with self.host.dialect.reader(staging) as reader:
            reached = revision_of(reader)
        if reached != revision:
            raise FerryError(
                f"Staging is at revision {reached} and not at {revision} after the upgrade.",
                hint="env.py must take its engine from Flask-SQLAlchemy, as Flask-Migrate's own does.",
            )

    def stamp(self, staging: URL, revision: str) -> None:
        """Write the revision into staging without running anything."""
        with self._work_on(staging) as engine:
            self._refuse_env(engine)
            command.stamp(self._config(), revision)

    def rename_versions(self, staging: URL, revision: str) -> None:
        """Let a staging that another app's database was copied to hold its revision where this app looks for it."""
        with self.host.dialect.reader(staging) as reader:
            tables = reader.tables()
        former = find_version_table(tables.values(), self.host.version_table)
        if former == self.host.version_table or former not in tables:
            return
        with self._work_on(staging) as engine:
            sa.Table(former, sa.MetaData()).drop(engine)
        self.stamp(staging, revision)

    def write_first(self, empty: URL, message: str) -> str:
        """Write a revision that makes the tables of the models; returns its file.

        :param empty: a database without a table.
        """
        with self._work_on(empty) as engine:
            self._refuse_env(engine)
            with leave_out_beside(self.host):
                script = command.revision(self._config(), message, autogenerate=True)
        if not isinstance(script, Script):
            raise Misconfigured(
                "env.py makes other revisions than one.", hint="See it with: flask db revision -m first"
            )
        return script.path

    def create_models(self, staging: URL) -> None:
        """Create the tables that the models define, without Alembic.

        :raises DoesNotFit: the server refuses them.
        """
        with self._work_on(staging) as engine:
            create_tables(metadatas_of(self.host), engine)

    def call(self, staging: URL, name: str, key: str) -> None:
        """Call ``module:callable``, a function or a click command, with the session bound to staging.

        :raises Misconfigured: there is no such callable.
        """
        function = import_callable(name, key)
        with self._work_on(staging):
            call_without_arguments(function, name)

    @contextlib.contextmanager
    def built_at(self, scratch: URL, revision: str) -> Iterator[URL]:
        """A scratch database as a revision makes it; it is dropped again. Raises as build()."""
        dialect = self.host.dialect
        dialect.prepare_staging(scratch, self.host.url)
        try:
            self.build(scratch, revision)
            yield scratch
        finally:
            dialect.drop(scratch)

    def tables_at(self, scratch: URL, revision: str) -> dict[str, Table]:
        """The tables of a revision, which is built in a scratch database; raises as build()."""
        with self.built_at(scratch, revision) as url, self.host.dialect.reader(url) as reader:
            return data_tables(reader.tables())

    def differences_to_models(self, at_head: URL) -> list[Any]:
        """What ``flask db check`` finds between head and the models, in Alembic's form; empty when they agree."""
        with self._work_on(at_head) as engine:
            self._refuse_env(engine)
            return compare(self.host, self._config())

    @contextlib.contextmanager
    def looking(self, *, with_models: bool) -> Iterator[None]:
        """Look at the live database by one engine, and ask ahead what is asked of it.

        :param with_models: it is going to be compared with the models.
        :raises FerryError: the host reaches past it, or it cannot be reached.
        """
        questions = foresee(self.host.version_table, self.host.dialect.named_schema, with_models=with_models)
        with self._look() as engine, asked_ahead(engine, questions):
            self._looking = engine
            try:
                yield
            finally:
                self._looking = None

    def refuse_env(self) -> None:
        """Let ``env.py`` run once on the live database, with nothing to do and nothing that could be written.

        This is to know early; what it does on staging is looked at again there.

        :raises Misconfigured: it fails, or works on another database.
        :raises Protected: it keeps the version elsewhere.
        """
        with self._look() as engine:
            try:
                refuse_env(self.host, self._config(), self.script, engine)
            except (FerryError, SQLAlchemyError) as error:
                # Something that it writes is no fault here: staging will take it.
                if isinstance(error, FerryError):
                    raise
            except (Exception, SystemExit) as error:
                raise Misconfigured(
                    f"{self.host.migrations / 'env.py'} fails: {type(error).__name__}: {error}",
                    hint="See it with: flask db current",
                ) from error

    def look_at_live(self) -> list[str]:
        """What ``flask db check`` finds between the live database, which is at head, and the models.

        No revision runs, and the database refuses writes.

        :raises FerryError: it fails.
        """
        with self._look():
            try:
                return describe_differences(compare(self.host, self._config()), "the database")
            except (Exception, SystemExit) as error:
                words = getattr(error, "orig", None) or error
                raise DoesNotFit(f"flask db check fails: {type(error).__name__}: {words}") from error

    def declarations(self, after: str) -> Declarations:
        """What is said of the revisions behind ``after`` up to head.

        :raises Misconfigured: the file of who deploys names a revision that is not there.
        """
        lineage, past = self.lineage(), self.up_to(after)
        if unknown := sorted(set(self._declared) - set(lineage)):
            raise Misconfigured(
                f"FERRY_DECLARATIONS says something of {unknown[0]!r}, which is no revision in {self.host.migrations}."
            )
        behind = [revision for revision in lineage if revision not in past]
        by_revision = {revision: declared_by(self._module(revision)) for revision in behind}
        return combine(behind, by_revision, self._declared)

    def _module(self, revision: str) -> object:
        return getattr(self.script.get_revision(revision), "module", None)

    def _explain_failure(self, error: BaseException, staging: URL, step: str) -> FerryError:
        """Name the revision whose file the traceback leads through last, the statement, the words, the rows.

        :param step: the revision that was asked for.
        """
        if isinstance(error, FerryError):
            return error
        where = find_lines(error, self._revisions_by_file())
        place = f"Revision {where[-1][0]} (line {where[-1][1]})" if where else "The upgrade"
        words = getattr(error, "orig", None) or error
        if isinstance(error, OutsideStaging):
            return DoesNotFit(
                f"{place if where else f'Revision {step}'} reaches past the database that is being built: {error}",
                hint="A revision may change its own database only, and names no other: fix it, then run again.",
            )
        if getattr(error, "connection_invalidated", False):
            return DatabaseUnreachable(
                f"{place} was interrupted: the connection to the database was lost: {words}",
                hint="Check that the server runs, then run the command again.",
            )
        known = self.host.dialect.explain(staging, words)
        if isinstance(known, DoesNotFit | Protected | DatabaseUnreachable):
            return known.with_details(f"{place} failed: {known.message}", known.details)
        if long_id := explain_long_id(error, self.lineage(), self.host.version_table):
            return long_id
        details = [f"statement: {error.statement}"] if isinstance(error, StatementError) and error.statement else []
        details += self.host.dialect.find_refused_keys(staging, str(words))
        if isinstance(error, SQLAlchemyError | CommandError) or where:
            return DoesNotFit(f"{place} failed: {words}", details=details, hint="Fix the revision and run again.")
        return FerryError(f"{place} failed: {type(error).__name__}: {words}")

    def _look(self) -> contextlib.AbstractContextManager[Engine]:
        """Let the host's engine and session be such as cannot write to the live database."""
        if self._looking is not None:
            return contextlib.nullcontext(self._looking)
        return use_engine(self.host, self.host.dialect.read_only_engine(self.host.url), verbose=self._verbose)

    def _work_on(self, staging: URL) -> contextlib.AbstractContextManager[Engine]:
        """Let the host's engine and session be staging's."""
        return use_engine(self.host, self.host.dialect.engine(staging, self._json_options()), verbose=self._verbose)

    def _json_options(self) -> dict[str, Any]:
        """How the host writes and reads JSON: in its seed and its revisions as in the app."""
        options = self.host.engine_options
        return {name: options[name] for name in ("json_serializer", "json_deserializer") if name in options}

    def _refuse_env(self, engine: Engine) -> None:
        if self._env_accepted:
            return
        refuse_env(self.host, self._config(), self.script, engine)
        self._env_accepted = True
