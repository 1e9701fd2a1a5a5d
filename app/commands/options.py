"""Options that commands share, and their groups in ``--help``."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from flask.cli import ScriptInfo

from ..dialects.redact import redact_argument
from ..errors import MEANINGS, ExitStatus
from ..transfer.run.report import may_be_written_to
from .completion import list_binds, list_profile_names, list_tables, offer
from .events import print_json
from .hints import Typed

F = TypeVar("F", bound=Callable[..., Any])

_TYPED = "flask_ferry.typed"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Everyday": (
        "yes", "fallback", "catch_up", "jobs", "throttle", "profile", "exclude", "no_seed", "backup_to", "to",
        "listing", "check", "drill", "store", "prune", "portable", "client", "against", "keep_writes", "message",
        "bind",
    ),
    "When refused": (
        "accept_loss", "accept_missing", "allow_production", "insecure_http", "keep_violations", "lock_timeout",
        "rerun", "restart", "schema", "set_aside", "set_aside_from", "trust_file", "unlock",
    ),
    "Checking": ("dry_run", "rehearse", "verify", "history", "as_json", "quiet", "verbose", "report", "help"),
}  # fmt: skip


class FerryCommand(click.Command):
    """A command whose help groups its options and lists the exit statuses, and which remembers what was typed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _usage_errors_as_json(args):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _usage_errors_as_json(get_typed(ctx).arguments):
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for argument in args:
            _refuse_bytes(argument, redact_argument(argument))
        ctx.meta[_TYPED] = Typed(
            _find_program(ctx, [self.name or "", *args]), self.name or "", tuple(map(redact_argument, args))
        )
        rest = super().parse_args(ctx, args)
        directory = str(Path.cwd())
        _refuse_bytes(directory, f"the current directory {directory}")
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in GROUPS.items():
            rows = [
                record
                for parameter in self.get_params(ctx)
                if parameter.name in names and (record := parameter.get_help_record(ctx))
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), MEANINGS[status]) for status in ExitStatus])


@contextlib.contextmanager
def _usage_errors_as_json(arguments: Sequence[str]) -> Iterator[None]:
    """Who asked for ``--json`` reads stdout, where click says nothing of a wrong option."""
    as_json = "--json" in arguments
    try:
        yield
    except click.UsageError as error:
        if as_json:
            print_json("error", {"status": error.exit_code, "message": error.format_message(), "details": []})
        raise


def _refuse_bytes(text: str, words: str) -> None:
    """:raises click.UsageError: a text holds bytes that are not UTF-8: no report or manifest could name it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{words!a} holds bytes that are not UTF-8; use another name.") from None


yes = click.option("-y", "--yes", is_flag=True, help="Answer the question; skips no check. FORCE_YES=1 does so too.")
dry_run = click.option(
    "--dry-run",
    is_flag=True,
    help="All checks, no writes; ends with the status that the run would have had.",
)


def profile(words: str) -> Callable[[Any], Any]:
    """``--profile``, of which ``--help`` says ``words``."""
    return click.option("--profile", metavar="NAME", shell_complete=offer(list_profile_names), help=words)


def exclude(words: str) -> Callable[[Any], Any]:
    """``--exclude``, as often as there are tables to leave out, of which ``--help`` says ``words``."""
    return click.option(
        "-e", "--exclude", multiple=True, metavar="TABLE", shell_complete=offer(list_tables), help=words
    )


backup_to = click.option(
    "--backup-to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the backup goes; a name ending in .json, .json.gz or .json.zst makes it a portable snapshot.",
)
lock_timeout = click.option(
    "--lock-timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="Seconds to wait for another run.  [default: 0 on a terminal, else 900]",
)
allow_production = click.option(
    "--allow-production", is_flag=True, help="Replace rows of a production database unattended."
)

_OUTPUT = (
    click.option(
        "--bind",
        metavar="NAME",
        shell_complete=offer(list_binds),
        help="Which database of an app with several: a key of SQLALCHEMY_BINDS, default, or all.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Events on stdout, one JSON object a line."),
    click.option("-q", "--quiet", is_flag=True, help="Only the result, warnings and errors."),
    click.option("-v", "--verbose", is_flag=True, help="What Alembic says as well, and the whole receipt."),
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=lambda _ctx, _param, value: _report_file(value),
        help="Write the report to this file: .json, or .html for a page to look at, to print or to send on. Only a "
        "report of an earlier run is overwritten.",
    ),
)


def _report_file(value: Path | None) -> Path | None:
    if value is None:
        return None
    if value.suffix not in (".json", ".html"):
        raise click.BadParameter("the report is written as .json or .html", param_hint="--report")
    try:
        if may_be_written_to(value):
            return value
    except OSError as error:
        raise click.BadParameter(f"{value} cannot be read: {error.strerror}", param_hint="--report") from error
    raise click.BadParameter(
        f"{value} is there already and is no report of an earlier run; it is not overwritten. Give another path",
        param_hint="--report",
    )


def output(function: F) -> F:
    """The options that every command has: of which database, and what is printed and written about a run."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OUTPUT), function)


def cut_over(function: F) -> F:
    """The options of every command that replaces the live database."""
    for option in (allow_production, lock_timeout, backup_to, dry_run, yes):
        function = option(function)
    return function


def _find_program(ctx: click.Context, words: list[str]) -> str:
    """What was typed before the command: ``flask``, with its own options."""
    if sys.argv[-len(words) :] == words and len(sys.argv) > len(words):
        return shlex.join(["flask", *sys.argv[1 : -len(words)]])
    info = ctx.find_object(ScriptInfo)
    app = info.app_import_path if info else None
    return shlex.join(["flask", "--app", app]) if app and app != os.environ.get("FLASK_APP") else "flask"


def get_typed_command() -> Typed:
    """The command as it was typed, for hints that say what to type next."""
    return get_typed(click.get_current_context())


def get_typed(ctx: click.Context) -> Typed:
    """The command of a context as it was typed."""
    typed: Typed = ctx.meta[_TYPED]
    return typed
