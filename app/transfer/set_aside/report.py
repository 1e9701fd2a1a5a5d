"""Rows that a run set aside, kept in its directory and named in its report."""

from __future__ import annotations

from itertools import islice
from typing import Any

from ...dialects.wording import rows_are
from ..run.evidence_files import NAME
from ..run.run import Run
from ..staging.load import aside_to_json
from ..staging.rows_file import RowsFile
from .file import Origin, digest_of, loading_command, write_aside

SET_ASIDE_SHOWN = 1000
"""So many are named in a report; the file has all of them."""


def keep_aside(run: Run, rows: RowsFile, origin: Origin) -> None:
    """Write the file of the rows that are set aside, if any are, and say what loads it.

    :param origin: what they are of.
    """
    if not rows.aside.count():
        return
    report, path = run.report, run.directory / NAME
    command = run.name_bind(loading_command(path))
    write_aside(path, origin, aside_to_json(rows))
    report.set_aside = describe_aside(rows)
    report.aside = {
        "file": str(path),
        "rows": rows.aside.count(),
        "command": command,
        "revision": origin.revision,
        "digest": digest_of(rows.aside.rows()),
    }
    run.warn(f"{rows_are(rows.aside.count())} set aside in {path}. To load what is fixed by then: {command}")


def describe_aside(rows: RowsFile) -> list[dict[str, Any]]:
    """The first rows set aside, for a report: which and why, without their values."""
    return [
        {"table": table, "number": number, "reason": reason}
        for table, number, reason, _ in islice(rows.aside.rows(), SET_ASIDE_SHOWN)
    ]
