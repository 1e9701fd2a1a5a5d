"""What the receipt of a migration says of its source and of every table."""

from __future__ import annotations

from collections.abc import Mapping

from ...dialects.wording import rows_are
from ...errors import VerificationFailed
from ..run.report import TableReceipt
from ..run.run import Run
from ..run.source import SourceKind, SourceSpec
from ..sources.base import Taken
from ..staging.load import TableLoad
from ..staging.rows_file import RowsFile
from ..staging.stage import Staged

_LACKED = {False: ("table", "it arrives empty"), True: ("column", "its values are NULL, or its default")}


def describe_source(run: Run, source: SourceSpec, snapshot: Taken, read_from: str, rows: RowsFile) -> None:
    """What was read of a source, from when to when, and what is left out of it."""
    report = run.report
    report.snapshot = str(snapshot.path)
    report.source = {
        "label": source.label,
        "read": f"from {read_from} to {snapshot.footer.read_until}",
        "revision": snapshot.header.revision,
        "sha256": snapshot.sha256,
        "fallback_of": snapshot.fallback_of,
    }
    if source.kind in (SourceKind.HTTP, SourceKind.DATABASE):
        run.note(
            f"The source was read from {read_from} to {snapshot.footer.read_until}; "
            "what was written there later is not carried."
        )
    if snapshot.header.kind == "records":
        report.records = snapshot.count_received()
        report.unproved = list(snapshot.header.notes)
    waived = [{"what": f"table {t}", "rows": n, "reason": "--exclude"} for t, n in snapshot.extra.items()]
    missing = [
        {"what": f"table {t}", "rows": None, "reason": f"--accept-missing: {why}"}
        for t, why in snapshot.header.missing.items()
    ]
    lacking = [
        {"what": f"{kind} {name}", "rows": None, "reason": f"--accept-missing: the source lacks it; {how}"}
        for name in rows.missing
        for kind, how in [_LACKED["." in name]]
    ]
    report.waived += waived + missing + lacking


def describe_tables(run: Run, staged: Staged, missing: Mapping[str, str]) -> None:
    """An account of every table.

    :param missing: why the source gives no rows of some.
    """
    report = run.report
    report.revisions["source"] = staged.rows.header.revision
    for name, load in staged.accounts.items():
        if load.excluded:
            report.waived.append({"what": f"table {name}", "rows": load.excluded, "reason": "--exclude"})
        report.tables.append(_receipt_of(name, load, missing.get(name, "")))


def _receipt_of(table: str, load: TableLoad, note: str) -> TableReceipt:
    """:raises VerificationFailed: not every row is accounted for."""
    receipt = TableReceipt(
        table=table,
        rows=load.rows,
        loaded=load.loaded.rows,
        waived=load.excluded,
        set_aside=load.set_aside,
        checksum=str(load.loaded),
        note=note,
    )
    if receipt.rows != receipt.loaded + receipt.waived + receipt.set_aside:
        raise VerificationFailed(
            f"{table}: {rows_are(receipt.rows)} not {receipt.loaded} loaded + {receipt.waived} waived "
            f"+ {receipt.set_aside} set aside."
        )
    return receipt
