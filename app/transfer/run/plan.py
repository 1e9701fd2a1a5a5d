"""The plan: source, target and what to do about them, as data. Making one changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ...errors import Protected
from ..proof.checksums import fingerprint
from ..schema.host import Host
from .ledger import Entry
from .source import SELF, SourceKind, SourceSpec
from .target import MIGRATE, Target


class Action(StrEnum):
    """What a run of db-migrate-data comes to."""

    NOTHING = "nothing to do"
    MIGRATE = "migrate from the source"
    SELF = "bring the live database to head"
    ADD = "add rows that were set aside"


@dataclass(frozen=True)
class Question:
    """What is asked before anything is replaced.

    :ivar replaced: tables and rows that would be replaced; empty when there is nothing to ask.
    :ivar typed_name: on production, what has to be typed.
    :ivar needs_permission: unattended, this also needs ``--allow-production``; says why.
    """

    target: Target
    replaced: Mapping[str, int]
    loads: str
    backup: str
    typed_name: str | None = None
    needs_permission: str | None = None
    always: bool = False
    never_asked: bool = False
    """On a terminal too, only the option gives the permission."""
    find_more: Callable[[], list[str]] = list
    """Further lines, found when somebody is shown them."""

    def with_more(self, find_more: Callable[[], list[str]]) -> Question:
        """The same question, with further lines."""
        return replace(self, find_more=find_more)

    @property
    def backup_place(self) -> str:
        """Where the backup goes; beside a database on a server it is said when the file is on this host only."""
        here = self.target.identity.is_file or "://" in self.backup
        return self.backup if here else f"{self.backup} (on this host only)"


@dataclass(frozen=True)
class Plan:
    """What would be done, and why."""

    command: str
    target: Target
    action: Action
    reason: str
    source: SourceSpec
    head: str
    base: Entry | None = None


def decide(target: Target, source: SourceSpec, head: str, *, rerun: bool) -> tuple[Action, str, Entry | None]:
    """What the ledger and the live database say there is to do; the source is not contacted.

    :return: the action, why, and the ledger entry of the migration that what is live came from.
    :raises Protected: it was rolled back or restored, and is not at head.
    """
    last = target.in_force
    if source.kind is SourceKind.SELF and target.exists and target.revision == head:
        return _self(target, head, "the source is this database itself", None)
    if target.empty and not (last and _came_from(target, source) and target.exists):
        return _decide_empty(target, source, rerun=rerun)
    if source.kind is SourceKind.SELF:
        return _self(target, head, "the source is this database itself", None)
    if rerun or last is None:
        return Action.MIGRATE, "--rerun" if rerun else "this database was not made by an earlier run", None
    base = _came_from(target, source)
    if base:
        return _self(target, head, f"what is live came from this source (run {base.run_id})", base)
    if last.command in ("db-rollback", "db-restore"):
        if target.revision == head:
            return Action.NOTHING, f"what is live was left by {last.command} (run {last.run_id}), at head", None
        raise Protected(
            f"What is live was left by {last.command} (run {last.run_id}), at {target.revision} and not at {head}.",
            hint="To bring it to head: flask db-migrate-data self --yes\n"
            "To migrate from the source again: flask db-migrate-data --rerun --yes",
        )
    return Action.MIGRATE, f"what is live was left by {last.command}, not by a migration of this source", None


def _decide_empty(target: Target, source: SourceSpec, *, rerun: bool) -> tuple[Action, str, Entry | None]:
    last = target.in_force
    if last and last.command == "db-rollback" and not rerun:
        raise Protected(
            f"The migration was rolled back to an empty database (run {last.run_id}).",
            hint="To repeat it: flask db-migrate-data --rerun --yes",
        )
    why = "the database is empty" if target.exists else "there is no database yet"
    return (Action.SELF if source.kind is SourceKind.SELF else Action.MIGRATE), why, None


def _self(target: Target, head: str, why: str, base: Entry | None) -> tuple[Action, str, Entry | None]:
    if target.revision == head:
        return Action.NOTHING, f"{why}, and it is at head ({head})", base
    return Action.SELF, f"{why}; it is at revision {target.revision} and head is {head}", base


def undo_stack(entries: tuple[Entry, ...]) -> list[Entry]:
    """The cut-overs that what is live is made of, the one to undo next last.

    A rollback takes the last one off. A cut-over of a database that the one before did not leave begins anew.
    """
    stack: list[Entry] = []
    mark = ""
    for entry in entries:
        if entry.previous_mark != mark:
            stack = []
        if entry.command == "db-rollback":
            stack = stack[:-1]
        else:
            stack.append(entry)
        mark = entry.mark
    return stack


def lineage(target: Target) -> list[Entry]:
    """What made what is live, newest first: runs on itself down to the first that was none.

    A rollback among them stands for what it brought back.
    """
    entries = target.entries if target.in_force else ()
    chain: list[Entry] = []
    while entries:
        stack = undo_stack(entries)
        if not stack:
            break
        chain.append(stack[-1])
        if not (chain[-1].command == MIGRATE and chain[-1].source_identity == SELF):
            break
        marks = [entry.mark for entry in entries]
        previous = chain[-1].previous_mark
        entries = entries[: marks.index(previous) + 1] if previous in marks else ()
    return chain


def _came_from(target: Target, source: SourceSpec) -> Entry | None:
    """The migration of this source that leads to what is live, through runs on itself only."""
    # What a rollback itself left is not taken for the migration's, see decide().
    chain = lineage(target) if target.in_force and target.in_force.command == MIGRATE else []
    entry = chain[-1] if chain else None
    if entry is None or entry.command != MIGRATE or entry.source_identity == SELF:
        return None
    file = f"file:{entry.snapshot_sha256}"
    same = {entry.source_identity, file}
    if profile := entry.profile:
        same.add(profile.identity_of(file))
    return entry if source.identity in same else None


def permission_needed(host: Host, target: Target, action: Action, source: SourceSpec) -> str | None:
    """Why replacing these rows unattended needs ``--allow-production``, or None when it does not."""
    if not target.production or target.empty or action is not Action.MIGRATE:
        return None
    last = target.in_force
    if last and _came_from(target, source):
        with host.dialect.reader(host.url) as reader:
            if fingerprint(reader) == last.table_checksums:
                return None
        return "this production database was written since the migration that filled it"
    return "this production database holds rows that no earlier migration of this source left there"


def question_for(host: Host, plan: Plan, loads: str | None, backup: str) -> Question:
    """What is asked before the run; nothing is replaced in an empty database or by its own rows."""
    target = plan.target
    return Question(
        target=target,
        replaced=target.rows if not target.empty else {},
        loads=loads or f"its own rows, brought from {target.revision} to {plan.head}",
        backup=backup,
        typed_name=target.identity.database if target.production and not target.empty else None,
        needs_permission=permission_needed(host, target, plan.action, plan.source),
    )
