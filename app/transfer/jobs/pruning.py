"""What ``flask db-backup --prune`` removes, here and then in the storage."""

from __future__ import annotations

from ...dialects.wording import count_of
from ...errors import FerryError
from ..backup import backups
from ..backup.retention import find_leftovers, find_surplus, remove_cards, remove_objects
from ..backup.stored import look_through, sort_by_owner, store_of
from ..cutover.prune import find_needed
from ..run.report import Report
from ..run.run import Run
from .backup import end_without_storage, list_backups
from .fetched import describe_others


def prune_backups(run: Run, *, dry_run: bool = False) -> Report:
    """Keep the newest ``FERRY_KEEP`` per command, the newest of all, and what :func:`.find_needed` says.

    Nothing that is younger than ``FERRY_KEEP_DAYS`` is removed. The storage is pruned by the same rule, after what is
    here; where it does not answer, or lets one not go, the report's status says so.
    """
    run.refuse_prohibited()
    needed, of_database, settings = find_needed(run.peek()), list_backups(run), run.settings
    files = {entry.backup or "" for entry in needed}
    removed = backups.beyond(of_database, settings.keep, files, keep_days=settings.keep_days)
    if not dry_run:
        backups.remove(removed)
    verb, keeps = ("would remove", "keep") if dry_run else ("removed", "kept")
    run.report.notes = [f"{verb} {b.id} of {b.made_at}" for b in removed]
    text = f"{verb.capitalize()} {count_of(len(removed), 'backup')} and {keeps} {len(of_database) - len(removed)}"
    days = f", FERRY_KEEP_DAYS {settings.keep_days}" if settings.keep_days else ""
    rule = f" (FERRY_KEEP {settings.keep} a command{days})."
    try:
        text += _prune_storage(run, {entry.run_id for entry in needed}, verb, keeps, dry_run=dry_run)
    except FerryError as error:
        return end_without_storage(run, f"{text}; the storage was not pruned, or not wholly{rule}", error)
    return run.report.end("dry run" if dry_run else "pruned", text + rule)


def _prune_storage(run: Run, needed: set[str], verb: str, keeps: str, *, dry_run: bool) -> str:
    """Prune the storage; returns what the summary says of it.

    :raises FerryError: the storage does not answer, or lets one not go.
    """
    store = store_of(run.settings)
    if store is None:
        return ""
    listing = look_through(store)
    if others := sort_by_owner(run, listing.cards).others:
        run.warn(describe_others(store, others))
    cards, surplus = find_surplus(run, store, listing.cards, needed)
    leftovers = find_leftovers(run, store, listing)
    if not dry_run:
        remove_cards(store, surplus)
        remove_objects(store, leftovers.old)
    run.report.notes += [f"{verb} {card.id} of {card.made_at} in the storage" for card in surplus]
    run.report.notes += [f"{verb} {name} in the storage: half of a backup" for name in leftovers.old]
    if leftovers.young:
        run.warn(
            "Halves of backups in the storage, removed when they are known to be older than a day: "
            + ", ".join(leftovers.young)
        )
    count = len({card.id for card in surplus})
    text = f"; in the storage {count}, and {keeps} {len(cards) - count}" if cards else ""
    if others:
        stay = "stays" if len(others) == 1 else "stay"
        text += f"; {len(others)} there with another seal or from another control area {stay}"
    return text
