"""What this database is: everything ``flask db-status`` shows, looked up without a write to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...dialects.redact import redact, redact_text
from ...dialects.wording import count_rows
from ...errors import ExitStatus, FerryError, Misconfigured
from ..cutover.cutover import finishing_command
from ..rows.snapshot import is_anonymised, is_snapshot
from ..run.control import Control
from ..run.history import list_runs
from ..run.ledger import Holder
from ..run.leftovers import find_leftovers
from ..run.plan import lineage
from ..run.records import measure_disk
from ..run.resumable import find_resumable
from ..run.run import Run
from ..run.settings import DEFAULTS, SECRET
from ..run.target import Target
from ..schema.binds import name_of
from ..schema.host_checks import find_unsupported
from ..schema.host_engine import ran_env_at_start
from .backup import list_backups
from .seeded import is_as_seeded

AT_START = (
    "the app runs its revisions when it starts, before any command here: on the live database, not beside it; "
    "see docs/hosts.md"
)


@dataclass
class Status:
    """The answers, and the exit status of ``--check``."""

    database: dict[str, Any]
    revision: str | None
    head: str | None
    drift: list[str]
    not_compared: str | None
    """Why the database was not compared with the models."""
    rows: Mapping[str, int]
    last_run: dict[str, Any] | None
    holder: str | None
    holder_alive: bool
    unfinished: str | None
    backups: list[dict[str, Any]]
    snapshot: str
    settings: list[dict[str, str]]
    leftovers: list[str] = field(default_factory=list)
    """What killed runs left, which the next run that takes the lock removes."""
    resumable: str | None = None
    oddities: list[str] = field(default_factory=list)
    """What lies where the live database or the control area should be, and the way on."""
    aside: dict[str, Any] | None = None
    """Rows of what is live that are still set aside: file, rows, command."""
    at_start: str | None = None
    """What the app does to the live database before any command, if that was seen."""
    check: int = 0
    problems: list[str] = field(default_factory=list)
    next_command: str | None = None
    """What to type next, where a command would help."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The runs of this database, oldest first; for ``--history`` only."""
    disk: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What backups, generations, snapshots and records take: kind -> place, count, size_bytes; under ``-v`` only."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def status(run: Run, *, history: bool = False, disk: bool = False) -> Status:
    """Look at everything; nothing is changed.

    :param history: list the runs as well.
    :param disk: measure what lies beside the database.
    """
    run.refuse_prohibited(only_looks=True)
    control = run.peek(with_records=True)
    with control.read_once() if control else contextlib.nullcontext():
        return _status(run, control, history=history, disk=disk)


def _status(run: Run, control: Control | None, *, history: bool, disk: bool) -> Status:
    at_start = AT_START if ran_env_at_start() else None
    target = run.look()
    holder = control.holder() if control else None
    backups = list_backups(run)
    head, drift, not_compared = _find_drift(run, target)
    result = Status(
        database={
            "server": target.identity.server,
            "host": target.identity.host,
            "database": target.identity.database,
            "bind": name_of(run.host.bind) if run.host.others else None,
            "exists": target.exists,
            "is_file": target.identity.is_file,
            "size_bytes": target.size_bytes,
            "environment": target.environment,
            "environment_from": target.environment_origin,
            "mark": target.mark,
        },
        revision=target.revision,
        head=head,
        drift=drift,
        not_compared=not_compared,
        rows=target.rows,
        last_run=_last(target),
        holder=str(holder) if holder else None,
        holder_alive=bool(holder and holder.alive),
        unfinished=_describe_unfinished(run, target, control),
        backups=[{"id": b.id, "made_at": b.made_at, "rows": b.rows, "by": b.command} for b in backups],
        snapshot=_snapshot(run),
        settings=_settings(run),
        leftovers=_leftovers(run, control) if control and not (holder and holder.alive) else [],
        resumable=_describe_resumable(run, control) if control and not (holder and holder.alive) else None,
        oddities=run.dialect.oddities(run.target),
        aside=_aside(target),
        at_start=at_start,
    )
    if disk:
        size_bytes = sum(backup.size_bytes for backup in backups)
        kept_backups = {"place": str(run.settings.backups), "count": len(backups), "size_bytes": size_bytes}
        result.disk = {"backups": kept_backups, **measure_disk(run)}
    if history and control:
        result.runs = list_runs(control, run.dialect.version_table)
    _check(run, result, target, holder)
    return result


def _last(target: Target) -> dict[str, Any] | None:
    if not target.entries:
        return None
    entry = target.entries[-1]
    return {
        "run": entry.run_id,
        "command": entry.command,
        "source": entry.source,
        "finished_at": entry.finished_at,
        "from_snapshot_of": entry.from_snapshot_of,
        "profile": entry.profile.name if entry.profile else None,
        "in_force": target.in_force is entry,
        "backup": entry.backup,
    }


def _leftovers(run: Run, control: Control) -> list[str]:
    databases, files = find_leftovers(run, control, find_resumable(control, run.id))
    kinds = {True: "generation", False: "staging database"}
    return [*(f"{kinds[item.is_generation]} {item.name}" for item in databases), *(str(file) for file in files)]


def _describe_resumable(run: Run, control: Control) -> str | None:
    """What the next migration may go on with, and how it does or does not."""
    resumable = find_resumable(control, run.id)
    if resumable is None or resumable.is_old:
        return None
    is_there = resumable.rows and run.dialect.exists(run.dialect.staging_url(run.target, resumable.staging))
    rows = sum(count for count, _ in resumable.rows.values()) if is_there else 0
    loaded = f" and loaded {count_rows(rows)}" if rows else ""
    return (
        f"run {resumable.run_id}, which died, had read {resumable.source} at {resumable.read_from}{loaded}; the same "
        "command goes on with that, and with --restart it begins anew"
    )


def _aside(target: Target) -> dict[str, Any] | None:
    """What the newest run that set rows aside, or loaded some, left aside."""
    aside = next((entry.options["aside"] for entry in lineage(target) if "aside" in entry.options), None)
    return aside if aside and aside["rows"] else None


def _describe_unfinished(run: Run, target: Target, control: Control | None) -> str | None:
    """Which database is live, and what finishes or undoes the cut-over."""
    if target.unfinished is None or control is None:
        return None
    entry = control.entry_begun(target.unfinished)
    new = entry.mark == run.dialect.mark(run.target)
    return (
        f"run {target.unfinished.run_id} ended in its cut-over; the {'new' if new else 'old'} database is live; "
        f"the next run {'finishes' if new else 'undoes'} it: "
        f"{run.name_bind(finishing_command(entry.command))}"
    )


def _find_drift(run: Run, target: Target) -> tuple[str | None, list[str], str | None]:
    """Head, where the database and the models differ, and why they were not compared, if so.

    No revision runs: the live database is compared as it is, as ``flask db check`` does it.
    """
    recorded = list(target.entries[-1].drift) if target.in_force and target.entries else []
    try:
        head = run.schema.head()
    except FerryError as error:
        return None, recorded, error.message
    if refused := list(find_unsupported(run.host)):
        return head, recorded, "; ".join(refusal.message for refusal in refused)
    if not target.exists:
        return head, recorded, "there is no database yet"
    try:
        with run.schema.looking(with_models=target.revision == head):
            run.schema.refuse_env()
            if target.revision != head:
                return head, recorded, f"the database is at {target.revision or 'no revision'}"
            return head, list(dict.fromkeys([*recorded, *run.schema.look_at_live()])), None
    except FerryError as error:
        return head, recorded, error.message


def _snapshot(run: Run) -> str:
    path = run.settings.snapshot
    if not path.is_file():
        return f"{path} (not there)"
    kind = "a snapshot, anonymised" if is_anonymised(path) else "a snapshot" if is_snapshot(path) else "another file"
    return f"{path} ({kind})"


def _settings(run: Run) -> list[dict[str, str]]:
    """Each key with its value, secrets masked, and where the value came from."""
    settings = run.settings
    values: dict[str, object] = {
        "FERRY_SOURCE": settings.source and redact_text(settings.source),
        "FERRY_SOURCE_UID": settings.source_uid,
        "FERRY_SOURCE_PASSWORD": settings.source_password,
        "FERRY_SOURCE_PASSWORD_FILE": settings.password_file,
        "FERRY_SOURCE_TIME_ZONE": settings.source_time_zone,
        "FERRY_SNAPSHOT": settings.snapshot,
        "FERRY_BACKUPS": settings.backups,
        "FERRY_BACKUP_KEY": settings.backup_key_text,
        "FERRY_BACKUP_IDENTITY": settings.backup_identity,
        "FERRY_STORAGE": settings.storage and redact_text(settings.storage),
        "FERRY_KEEP": settings.keep,
        "FERRY_KEEP_DAYS": settings.keep_days,
        "FERRY_FALLBACK": settings.fallback.text,
        "FERRY_ENVIRONMENT": settings.environment,
        "FERRY_PROHIBIT": ",".join(sorted(settings.prohibited)),
        "FERRY_SEED": settings.seed,
        "FERRY_ADAPTERS": settings.adapters,
        "FERRY_FILES": settings.files,
        "FERRY_DECLARATIONS": settings.declarations,
        "FERRY_BIND": settings.bind,
        "FERRY_PROFILE": settings.profile,
        "FERRY_PROFILES": settings.profiles,
        "FERRY_PROFILE_KEY": settings.profile_key,
        "FERRY_REHEARSED": settings.rehearsed and settings.rehearsed.text,
        "FERRY_HOOKS": settings.hooks,
        "FERRY_TLS_CA": settings.tls_ca,
        "FERRY_TIMEOUT": settings.timeout_s,
        "FERRY_CONNECTIONS": settings.connections,
        "FERRY_JOBS": settings.jobs,
        "FERRY_EXECUTOR": settings.executor,
        "FERRY_THROTTLE": settings.throttle and settings.throttle.text,
    }
    rows = [{"key": "SQLALCHEMY_DATABASE_URI", "value": redact(run.target), "from": "the app's engine"}]
    for key in DEFAULTS:
        value = values[key]
        text = "" if value is None else "***" if key in SECRET else str(value)
        rows.append({"key": key, "value": text, "from": settings.origins[key]})
    return rows


def _check(run: Run, result: Status, target: Target, holder: Holder | None) -> None:
    """Find what is to do, the most urgent first, and the command that does it."""
    ways = list(_find_problems(run, result, target))
    result.problems = [problem for problem, _ in ways]
    result.next_command = next((command for _, command in ways if command), None)
    if result.problems:
        result.check = int(ExitStatus.FAILED)
    if holder and holder.alive:
        result.check, result.next_command = int(ExitStatus.LOCKED), None
    if result.unfinished:
        result.check, result.next_command = int(ExitStatus.CUT_OVER_UNFINISHED), finishing_command_of(run, target)
    result.next_command = result.next_command and run.name_bind(result.next_command)


def _find_problems(run: Run, result: Status, target: Target) -> Iterator[tuple[str, str | None]]:
    """What is to do, and the command that does it, where one does."""
    try:
        _ = run.settings.backup_key
    except Misconfigured as error:
        yield f"no command but this one runs: {error.message.removesuffix('.')}", None
    if not target.exists:
        yield "there is no database yet", _first_command(run, target)
        return
    if result.head is None:
        yield str(result.not_compared), None
    elif result.revision != result.head:
        yield (
            f"the database is at {result.revision or 'no revision'}, head is {result.head}",
            "flask db-migrate-data self",
        )
    elif result.not_compared:
        yield f"drift was not looked for: {result.not_compared}", None
    if result.drift:
        yield _describe_drift(result), None if result.not_compared else "flask db check"
    if not target.empty and not result.backups and not is_as_seeded(run, target):
        yield "there is no verified backup", "flask db-backup"


def _describe_drift(result: Status) -> str:
    if result.not_compared is None:
        return "the schema drifted"
    return "the models differed from the schema when it was made, and were not compared now"


def _first_command(run: Run, target: Target) -> str:
    if run.settings.source or run.settings.snapshot.is_file():
        return "flask db-migrate-data"
    return "flask db upgrade" if target.production else "flask db-init"


def finishing_command_of(run: Run, target: Target) -> str | None:
    """The command that finishes or undoes the cut-over that was left begun."""
    control = run.peek()
    if control is None or target.unfinished is None:
        return None
    return finishing_command(control.entry_begun(target.unfinished).command)
