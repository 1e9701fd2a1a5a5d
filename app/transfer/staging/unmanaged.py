"""What the live database has that no revision made: tables, views and triggers are carried as they are, and named."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import URL

from ...dialects.model import SchemaObject
from ...dialects.reader import Reader
from ...errors import DoesNotFit, VerificationFailed
from ..run.run import Run


@dataclass(frozen=True)
class Brought:
    """What was brought into staging.

    :ivar tables: their names.
    :ivar objects: views, triggers and the like.
    """

    tables: tuple[str, ...] = ()
    objects: tuple[SchemaObject, ...] = ()


NOTHING_BROUGHT = Brought()


def bring_unmanaged(
    run: Run, revision: str, carried: Brought = NOTHING_BROUGHT, taken_away: Collection[str] | None = None
) -> Brought:
    """Bring tables, views and triggers of the live database that no revision made into staging.

    :param revision: what the live database is at.
    :param taken_away: what the upgrade dropped or renamed by name, where staging was a copy of the live database.
    :param carried: what was brought before the live database was written again; tables of it are brought anew.
    :return: what was brought, that included.
    :raises DoesNotFit: one of them cannot be carried.
    :raises VerificationFailed: one that was brought before is gone or is another one by now.
    """
    live = run.before
    if not run.dialect.exists(live):
        return NOTHING_BROUGHT
    with run.dialect.reader(live) as reader, run.dialect.reader(run.staging) as staged:
        here, there = reader.tables(), staged.tables()
        _refuse_taken_away(reader, carried)
        have = {item.name for item in staged.objects()}
        objects = [item for item in reader.objects() if item.name not in have]
    tables = sorted((set(here) - set(there)) | set(carried.tables))
    if not tables and not objects:
        return carried
    made_tables, made_objects = _find_made(run, revision, taken_away)
    tables = [name for name in tables if name not in made_tables]
    wanted = [item for item in objects if item.name not in made_objects and item.table not in tables]
    return Brought(tuple(tables), (*carried.objects, *_bring(run, live, tables, wanted)))


def _refuse_taken_away(live: Reader, carried: Brought) -> None:
    """:raises VerificationFailed: staging has what the live database has not, or has otherwise: it would come back."""
    tables, objects = live.tables(), {(item.kind, item.name, item.sql) for item in live.objects()}
    missing = [f"table {name}" for name in carried.tables if name not in tables]
    missing += [
        f"{item.kind} {item.name}" for item in carried.objects if (item.kind, item.name, item.sql) not in objects
    ]
    if missing:
        raise VerificationFailed(
            "What no revision made was changed or dropped in the live database while the run was at work.",
            details=missing,
            hint="The live database is unchanged. Run the command again.",
        )


def _bring(run: Run, live: URL, tables: list[str], wanted: list[SchemaObject]) -> list[SchemaObject]:
    if tables:
        run.dialect.carry(live, run.staging, tables)
        lines = [f"table {name}: no revision made it; carried as it is" for name in tables]
        run.report.carried += [text for text in lines if text not in run.report.carried]
    movable = [item for item in wanted if item.kind not in ("index", "virtual table")]
    run.dialect.create_objects(run.staging, movable)
    run.report.carried += [f"{item.kind} {item.name}: no revision made it; created again" for item in movable]
    for item in wanted:
        if item.kind == "virtual table":
            raise DoesNotFit(
                f"The live database has a virtual table, {item.name}, which no revision makes.",
                hint="Make it in a revision, or drop it first; a backup keeps it.",
            )
        if item.kind == "index":
            run.warn(f"The index {item.name} on {item.table} was made by hand and is not carried.")
    return movable


def _find_made(run: Run, revision: str, taken_away: Collection[str] | None) -> tuple[set[str], set[str]]:
    """What the revisions made, of tables and of objects.

    Where an old one no longer runs, that is what the newer ones took away by name: of a copy, all else is still there,
    or was lost as a side effect.
    """
    try:
        return _find_made_by_revisions(run, revision)
    except DoesNotFit as error:
        if taken_away is None:
            raise
        run.note(f"{error.message} What no revision made is what the upgrade did not take away by name.")
        with run.dialect.reader(run.before) as reader:
            names = {*reader.tables(), *(item.name for item in reader.objects())}
        taken_names = {name for name in names if name.lower() in taken_away}
        return taken_names, taken_names


def _find_made_by_revisions(run: Run, revision: str) -> tuple[set[str], set[str]]:
    if revision not in run.schema.lineage():
        return set(), set()
    run.dialect.prepare_staging(run.scratch, run.target)
    try:
        run.schema.build(run.scratch, revision)
        with run.dialect.reader(run.scratch) as reader:
            return set(reader.tables()), {item.name for item in reader.objects()}
    finally:
        run.dialect.drop(run.scratch)
