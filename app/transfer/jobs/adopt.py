"""The first revision of an app whose database was made without any, such as by ``create_all()``.

``flask db migrate`` compares the models with the app's database, which has their tables already, and finds nothing to
do. So the first revision is made against an empty database; a run on the database itself recognises its tables then.
"""

from __future__ import annotations

from ...errors import Misconfigured
from ..run.report import Report
from ..run.run import Run
from ..schema.models import require_models


def adopt(run: Run, message: str, *, lock_timeout_s: float) -> Report:
    """Run db-adopt: write the first revision into the host's scripts. The database is not changed.

    :raises Misconfigured: there are revisions already, no database, no models, or several databases.
    """
    run.refuse_prohibited()
    if run.host.others:
        raise Misconfigured(
            "A first revision for one of the app's databases would leave the others out of it.",
            hint="Write it for all of them: flask db migrate -m first, with SQLALCHEMY_DATABASE_URI and "
            "SQLALCHEMY_BINDS of empty databases.",
        )
    if run.schema.files():
        raise Misconfigured(
            f"There are revisions in {run.host.migrations} already.",
            hint="A database that has no revision is recognised by its tables: flask db-migrate-data self --dry-run",
        )
    if not run.dialect.exists(run.target):
        raise Misconfigured(
            "There is no database yet: the first revision needs none.", hint="Make it with: flask db migrate -m first"
        )
    require_models(run.host)
    with run.hold_lock(lock_timeout_s):
        try:
            run.dialect.prepare_staging(run.scratch, run.target)
            file = run.schema.write_first(run.scratch, message)
        finally:
            run.dialect.drop(run.scratch)
    run.note(f"Look at it, and commit it: {file}")
    run.note("Then let the database be known by it: flask db-migrate-data self")
    return run.report.end("written", f"Wrote the first revision; {run.target.database} is unchanged.")
