"""A fresh database with test data, for development: the schema afresh beside the old one, seeded, cut over."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ...dialects.wording import count_rows
from ...errors import DoesNotFit, FerryError
from ..cutover.cutover import entry_for
from ..cutover.secure import Secured, take_image
from ..proof.checksums import Contents, fingerprint
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.report import TableReceipt
from ..run.run import Run
from ..run.target import Target
from ..schema.alembic import data_tables, revision_of
from ..schema.drift import describe_differences, is_ahead
from ..schema.models import has_tables, require_models
from .job import Job, Nothing, Planning, Step, refresh_derived
from .passage import Order
from .seeded import is_as_seeded


@dataclass(frozen=True)
class InitOptions:
    """The options of db-init.

    :ivar schema: ``models`` or ``migrations``; None for the models, unless the revisions make the same tables and
        columns and something else differs.
    """

    no_seed: bool = False
    schema: str | None = None
    dry_run: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0


def order_init(run: Run, options: InitOptions) -> Order:
    """What db-init does with a database."""

    def plan(_: Planning) -> Job | Nothing:
        run.schema.head()
        if options.schema != "migrations" and run.host.is_one_of_several and not has_tables(run.host):
            return Nothing("Nothing to do: no model has a table in it.", {})
        if options.schema != "migrations":
            require_models(run.host)
        return Initialise(run, run.look(), options)

    return Order(run, plan, dry_run=options.dry_run, lock_timeout_s=options.lock_timeout_s)


class Initialise(Job):
    """Puts a fresh database with test data in the place of what is live."""

    def __init__(self, run: Run, target: Target, options: InitOptions) -> None:
        super().__init__(run, target, backup_to=options.backup_to)
        self._options = options
        self._revision: str | None = None
        self._built_from = options.schema or "models"
        self._drift: list[str] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            Step("staging", self._build),
            Step("seed", self._seed),
            Step("check", self._check),
        )

    def question(self) -> Question:
        target = self.target
        unchanged = target.empty or is_as_seeded(self.run, target)
        return Question(
            target=target,
            replaced={} if unchanged else target.rows,
            loads=self._loads(),
            backup=self.backup_place,
            typed_name=target.identity.database if target.production else None,
            needs_permission="db-init replaces a production database" if target.production else None,
            never_asked=True,
        )

    def preview(self, question: Question) -> str:
        return f"Would load {question.loads}."

    def foresee(self, directory: Path) -> None:
        del directory
        seed = self.run.settings.seed
        if seed is not None and not self._options.no_seed and not self.target.production:
            self.report.not_looked_at.append(f"how many rows {seed} makes, and whether it succeeds")
        if self._options.schema != "migrations":
            self.report.not_looked_at.append("whether the models equal the Alembic head")

    def entry(self) -> Entry:
        source = f"{self._built_from} and {self.run.settings.seed or 'no seed'}"
        return entry_for(
            self.run,
            self.target,
            self.secured,
            source_identity="init",
            source=source,
            revision=self._revision,
            drift=self._drift,
        )

    def summary(self, entry: Entry, rows: int) -> str:
        return (
            f"Done: a fresh database at {entry.revision or 'no revision'} with {count_rows(rows)} (run {self.run.id})."
        )

    def back_up(self) -> None:
        """What the last seed left is not backed up, lest it push out a backup of somebody's rows."""
        run, last = self.run, self.target.in_force
        if not self.backup_to and last and last.command == run.command and not self.target.empty:
            with take_image(run, self.fence) as image:
                if (sums := fingerprint(image.reader)) == last.table_checksums:
                    run.note("Nothing to back up: the database holds what the last db-init left.")
                    self.secured = Secured(image.token, None, contents=Contents(sums, {}))
                    return
        super().back_up()

    def _loads(self) -> str:
        seed = self.run.settings.seed
        if self.target.production or self._options.no_seed or seed is None:
            return f"an empty schema from the {self._built_from}"
        return f"the schema from the {self._built_from} and the test data of {seed}"

    def _build(self) -> None:
        """Build the schema; where the models differ from head, nothing is stamped."""
        run, head = self.run, self.run.schema.head()
        run.dialect.prepare_staging(run.staging, run.target)
        if self._options.schema == "migrations":
            run.schema.build(run.staging, head)
            return
        run.schema.create_models(run.staging)
        try:
            differences = find_differences(run)
        except DoesNotFit as error:
            # Such apps make their databases from the models, and have revisions for those that are there.
            self._drift = [f"not looked for: {error}"]
            run.warn(f"No revision is stamped, as the models cannot be compared with the Alembic head {head}: {error}")
            run.warn("Where the app's own way is to make the tables from the models: flask db stamp head")
            return
        if not differences.lines:
            run.schema.stamp(run.staging, head)
        elif self._options.schema is None and not differences.ahead:
            self._built_from = "migrations"
            run.note(f"The models differ from the Alembic head {head}, though not in tables and columns:")
            for line in differences.lines:
                run.note(f"  {line}")
            run.note("The revisions made the tables, so that the database is at one; or: flask db-init --schema models")
            run.dialect.prepare_staging(run.staging, run.target)
            run.schema.build(run.staging, head)
        else:
            self._drift = differences.lines
            run.warn(f"The models differ from the Alembic head {head}, so the database is stamped with no revision:")
            for line in differences.lines:
                run.warn(f"  {line}")
            run.warn("To version this: flask db-init --schema migrations --no-seed, then flask db migrate -m ...")
            run.warn("An app that runs its own upgrade when it starts does not start before.")

    def _seed(self) -> None:
        run = self.run
        if self._options.no_seed:
            return
        if self.target.production:
            run.note("This is production: nothing is seeded.")
        elif run.settings.seed is None:
            run.note("FERRY_SEED is not set: no test data is loaded.")
        else:
            _call_seed(run, run.settings.seed)

    def _check(self) -> None:
        run = self.run
        refresh_derived(run)
        if problems := run.dialect.problems(run.staging):
            raise DoesNotFit(
                "The test data breaks rules of the schema.",
                details=[str(problem) for problem in problems],
                hint="Fix FERRY_SEED.",
            )
        run.dialect.settle(run.staging)
        self._revision = _describe(run)


@dataclass(frozen=True)
class Differences:
    """Where the models differ from head, and whether they have tables or columns that it lacks."""

    lines: list[str]
    ahead: bool


def find_differences(run: Run) -> Differences:
    """What ``flask db check`` finds between head and the models, and what their tables in staging lack of head.

    Building head costs more than all the rest of db-init, so the answer is kept in the control area under a digest
    of the revisions and of what the models make.
    """
    key = f"differences {_digest(run)}"
    text = run.control.get(key)
    if text is None:
        with run.schema.built_at(run.scratch, run.schema.head()) as at_head:
            operations = run.schema.differences_to_models(at_head)
            lines = describe_differences(operations, "head")
            lines += [line for line in _find_unmade(run, at_head) if line not in lines]
        text = json.dumps([lines, is_ahead(operations)])
        run.control.keep(key, text, in_place_of="differences ")
    return Differences(*json.loads(text))


def _find_unmade(run: Run, at_head: URL) -> list[str]:
    """Tables and columns of head that the models did not make, whatever the host lets Alembic compare."""
    with run.dialect.reader(run.staging) as models, run.dialect.reader(at_head) as wanted:
        present = {name: set(table.column_names) for name, table in models.tables().items()}
        tables = data_tables(wanted.tables())
    lines = [f"table {name} of head is in no model" for name in sorted(tables.keys() - present.keys())]
    return lines + [
        f"column {name}.{column} of head is in no model"
        for name in sorted(tables.keys() & present.keys())
        for column in tables[name].column_names
        if column not in present[name]
    ]


def _digest(run: Run) -> str:
    digest = hashlib.sha256(run.dialect.schema_fingerprint(run.staging).encode())
    for path in sorted({*run.host.migrations.rglob("*.py"), *run.schema.files()}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _call_seed(run: Run, seed: str) -> None:
    try:
        run.schema.call(run.staging, seed, "FERRY_SEED")
    except FerryError:
        raise
    except (Exception, SystemExit) as error:
        # The driver's words only: SQLAlchemy's own add the values, hashes of passwords among them.
        words = getattr(error, "orig", None) or error
        raise FerryError(
            f"FERRY_SEED {seed} failed: {type(error).__name__}: {words}",
            hint="Fix the seed, or leave it out with: flask db-init --no-seed",
        ) from error


def _describe(run: Run) -> str | None:
    """Fill the receipt; name what the live database had that no model knows."""
    with run.dialect.reader(run.staging) as staged:
        tables = data_tables(staged.tables())
        revision = revision_of(staged)
        names = {item.name for item in staged.objects()}
        for name, checksum in fingerprint(staged).items():
            if name in tables:
                run.report.tables.append(TableReceipt(name, checksum.rows, checksum.rows, checksum=str(checksum)))
    if run.dialect.exists(run.before):
        with run.dialect.reader(run.before) as old:
            unknown = sorted(set(data_tables(old.tables())) - set(tables))
            kinds = ("view", "virtual table")
            views = sorted(item.name for item in old.objects() if item.kind in kinds and item.name not in names)
        if unknown or views:
            run.note(f"No model knows {', '.join(unknown + views)}: they stay in the backup only.")
    return revision
