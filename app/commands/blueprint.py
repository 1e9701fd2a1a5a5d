"""The Blueprint itself: the names of its commands, each of which is imported when it is used.

Every ``flask`` command and every web worker of the host imports this module, so it imports next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from flask.cli import AppGroup

from ..errors import Misconfigured

bp = Blueprint("ferry", __name__, cli_group=None)

group = AppGroup("ferry")
"""Where the modules of the commands define them; :class:`LazyCommand` takes them from here."""


class TooOld(click.ClickException):
    """Libraries are older than the commands need."""

    exit_code = 2


class LazyCommand(click.Command):
    """A command of the Blueprint that is not imported yet; whatever is asked of it, the real one answers.

    :param module: of this package.
    :param summary: the first sentence of its help, for the list of all commands.
    """

    _versions_accepted = False

    def __init__(self, name: str, module: str, summary: str) -> None:
        self._module, self.summary = module, summary
        super().__init__(name)
        # What is not here is the real one's: see __getattr__.
        del self.params, self.callback

    def __getattr__(self, name: str) -> Any:
        if name in ("params", "callback"):
            return getattr(self.load(), name)
        raise AttributeError(name)

    def invoke(self, ctx: click.Context) -> Any:
        return self.load().invoke(ctx)

    def load(self) -> click.Command:
        """The command itself.

        :raises TooOld: names the libraries.
        """
        from .versions import refuse_older

        # Not before: what follows fails on older libraries in ways that say nothing.
        if not LazyCommand._versions_accepted:
            try:
                refuse_older()
            except ImportError as error:
                raise TooOld(str(error)) from error
            # Installed versions stay as they are while a process runs, and each look takes milliseconds.
            LazyCommand._versions_accepted = True
        import_module(f"{__package__}.{self._module}")
        return group.commands[str(self.name)]

    def get_short_help_str(self, limit: int = 45) -> str:
        del limit
        return self.summary

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return self.load().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return self.load().get_params(ctx)


COMMANDS = (
    ("db-adopt", "adopt", "Write a first revision for a database without one."),
    ("db-backup", "backup", "Back this database up, verified."),
    ("db-init", "initialise", "Replace this database by a fresh one (development)."),
    ("db-migrate-data", "migrate", "Carry all data of SOURCE into this database."),
    ("db-restore", "restore", "Put a backup back."),
    ("db-rollback", "rollback", "Undo the last cut-over."),
    ("db-status", "status", "Show what this database is."),
    ("db-verify", "verify", "Prove again what a run brought, row by row."),
)
for name, module, summary in COMMANDS:
    bp.cli.add_command(LazyCommand(name, module, summary))


# As the scripts before were called, and what a memory makes of these names; what is only misspelt is found.
MEANT = {"db-migrate": "db-migrate-data", "db-seed": "db-init", "db-reset": "db-init"}
FLASK_MIGRATE = ("check", "current", "downgrade", "heads", "history", "merge", "revision", "stamp", "upgrade")


class MisspeltCommand(click.Command):
    """A name that is nearly one of ours: says which, and does nothing."""

    def __init__(self, name: str, meant: str) -> None:
        self.meant = meant
        super().__init__(name, hidden=True, add_help_option=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        del args
        # Not as a missing command: click would look for more names alike.
        also = "" if self.meant.startswith("db ") else " (Flask-Migrate's own are: flask db migrate, flask db init)"
        raise click.UsageError(
            f"No such command '{self.name}'. Did you mean: flask {self.meant} ?{also}", ctx=ctx.parent or ctx
        )


def find_meant(name: str) -> str | None:
    """The command that a name is nearly that of, ours or one of Flask-Migrate's."""
    words = name.lower().replace("_", "-")
    if not words.startswith("db"):
        return None
    names = [known for known, _, _ in COMMANDS]
    if words in names or words in MEANT:
        return MEANT.get(words, words)
    if words.removeprefix("db-") in FLASK_MIGRATE:
        return words.replace("-", " ", 1)
    # Imported here: every worker of the host imports this module.
    from difflib import get_close_matches

    return next(iter(get_close_matches(words, names, n=1, cutoff=0.8)), None)


@bp.record
def name_what_is_meant(state: BlueprintSetupState) -> None:
    """Answer to names that are nearly ours, where neither Flask nor the host has a command of that name."""
    commands = state.app.cli
    former = commands.get_command

    def get_command(ctx: click.Context, name: str) -> click.Command | None:
        if (command := former(ctx, name)) is not None:
            return command
        meant = find_meant(name)
        return MisspeltCommand(name, meant) if meant else None

    commands.get_command = get_command  # type: ignore[assignment,method-assign] # click asks the group, and has no event for it


@bp.record
def refuse_same_names(state: BlueprintSetupState) -> None:
    """Refuse a host that has a command of the same name: Flask would replace it without a word.

    :raises Misconfigured: names the commands; or it puts ours into a group, where no hint and no deploy hook find them.
    """
    if cli_group := state.options.get("cli_group"):
        raise Misconfigured(
            f"The commands cannot be in a group ({cli_group}): every message names them as flask db-...",
            hint="app.register_blueprint(bp), without cli_group.",
        )
    if same := sorted(set(bp.cli.commands) & set(state.app.cli.commands)):
        raise Misconfigured(f"The app has commands of the same name already: {', '.join(same)}.")


def refuse_replaced(app: Flask) -> None:
    """Refuse to run where the host added a command of the same name later: then ours was replaced.

    :raises Misconfigured: names the commands.
    """
    ours = bp.cli.commands
    if same := sorted(name for name in ours if app.cli.commands.get(name, ours[name]) is not ours[name]):
        raise Misconfigured(
            f"The app replaced commands by some of the same name: {', '.join(same)}.",
            hint="Give the app's own ones other names.",
        )
