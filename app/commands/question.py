"""The question that is asked before rows are replaced, and who may answer it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from ..dialects.wording import count_rows
from ..errors import NotConfirmed, Protected
from ..transfer.run.plan import Question
from .hints import Typed
from .options import get_typed_command
from .unseen import indent_further_lines, show_unseen

SHOWN = 20


@dataclass(frozen=True)
class Answers:
    """What options and environment say: ``--yes`` or ``FORCE_YES``, and ``--allow-production``.

    :ivar typed: the command as it was typed.
    """

    yes: bool
    allow_production: bool = False
    typed: Typed = field(default_factory=lambda: Typed("flask", "COMMAND"))

    @classmethod
    def from_options(cls, *, yes: bool, allow_production: bool) -> Answers:
        forced = os.environ.get("FORCE_YES", "").lower() in ("1", "true", "yes")
        return cls(yes or forced, allow_production, get_typed_command())

    def ask(self, *questions: Question) -> None:
        """Return when the answer is yes; of several databases it is one answer.

        :raises NotConfirmed: the answer is no, or nobody can be asked.
        :raises Protected: production, and it was not allowed.
        """
        for question in questions:
            if self.yes or question.never_asked:
                self._require_permission(question)
        replacing = [question for question in questions if question.replaced or question.always]
        if self.yes or not replacing:
            return
        if not sys.stdin.isatty():
            raise NotConfirmed(
                "This replaces rows, and there is no terminal to ask at.",
                details=[line for question in replacing for line in lines(question)],
                hint=f"Run: {self.typed.with_flags('--yes')}",
            )
        _ask_at_terminal(replacing)

    def permit(self, question: Question) -> None:
        """Ask nobody, as for a dry run; a run without a terminal is one with ``--yes`` here.

        :raises Protected: production, and it was not allowed.
        """
        if self.yes or question.never_asked or not sys.stdin.isatty():
            self._require_permission(question)

    def _require_permission(self, question: Question) -> None:
        if question.needs_permission and not self.allow_production:
            raise Protected(
                f"Refused: {question.needs_permission}.",
                hint=f"If that is what you want: {self.typed.with_flags('--yes', '--allow-production')}",
            )


def lines(question: Question) -> list[str]:
    """What is shown above the question."""
    target = question.target
    above = [
        f"Server:    {target.identity.server} on {target.identity.host}",
        f"Database:  {target.identity.database} ({target.environment})",
        f"Loads:     {question.loads}",
        f"Backup to: {question.backup_place}",
        f"Replaced:  {count_rows(sum(question.replaced.values()))}",
    ]
    full = sorted(((name, rows) for name, rows in question.replaced.items() if rows), key=lambda item: -item[1])
    above += [f"           {rows:>10} {name}" for name, rows in full[:SHOWN]]
    if len(full) > SHOWN:
        above.append(f"           and {len(full) - SHOWN} more tables")
    return above + question.find_more()


def _ask_at_terminal(questions: Sequence[Question]) -> None:
    for question in questions:
        texts = ["This replaces what is in the database:", *map(indent_further_lines, lines(question))]
        click.echo(show_unseen("\n".join(texts)), err=True)
    names = [question.typed_name for question in questions if question.typed_name]
    try:
        if names:
            what = "name of the database" if len(names) == 1 else f"names of the {len(names)} databases, in this order,"
            typed = click.prompt(f"Type the {what} to go on", default="", show_default=False, err=True)
            confirmed = typed == " ".join(names)
        else:
            answer = click.prompt("Go on? [y/N]", default="", show_default=False, err=True)
            confirmed = answer.strip().lower() in ("y", "yes")
    except click.Abort as error:
        raise NotConfirmed("Not confirmed; nothing was changed.") from error
    if not confirmed:
        raise NotConfirmed("Not confirmed; nothing was changed.")
