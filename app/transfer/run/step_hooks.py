"""What the app has called before and after each step: ``FERRY_HOOKS``, a callable or a command.

Until the cut-over took effect one that fails stops the run; afterwards that is a warning.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import FerryError, Misconfigured, NotConfirmed, ToolFailed
from ..schema.binds import name_of
from ..schema.callables import import_callable

if TYPE_CHECKING:
    from .run import Run

KEY = "FERRY_HOOKS"
BEFORE, AFTER, FAILED = "before", "after", "failed"
TIMEOUT_S = 600.0
"""For one call of a command: nobody may be there to end it."""
SHOWN = 2000
"""Bytes of what a command wrote at last are in the error."""

_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

Call = Callable[[str, str, Mapping[str, str]], None]
"""Takes when (``before``, ``after``, ``failed``), the step's name, and which run of what this is."""


def load_hook(text: str | None) -> Call | None:
    """What is called, of ``module:callable`` or a command line.

    :raises Misconfigured: there is no such callable or program.
    """
    if text is None:
        return None
    return _load_callable(text) if _CALLABLE.fullmatch(text) else _load_command(text)


@contextlib.contextmanager
def call_around(run: Run, step: str) -> Iterator[None]:
    """Call the run's hook before and after what is done inside, or, where that fails, to say so.

    :raises ToolFailed: it refused, and neither did the step fail nor did the cut-over take effect.
    """
    _call(run, BEFORE, step)
    try:
        yield
    except BaseException:
        _call(run, FAILED, step)
        raise
    _call(run, AFTER, step)


def _call(run: Run, when: str, step: str) -> None:
    if run.hook is None:
        return
    try:
        bind = name_of(run.host.bind) if run.host.others else ""
        about = {"run": run.id, "command": run.command, "live": run.report.live, "bind": bind}
        run.hook(when, step, about)
    except ToolFailed as error:
        if when != FAILED and run.report.live != "replaced":
            raise
        run.warn(error.message)


def _load_callable(text: str) -> Call:
    function = import_callable(text, KEY)

    def call(when: str, step: str, about: Mapping[str, str]) -> None:
        try:
            answer: Any = function(when, step, dict(about))
        except NotConfirmed:
            raise  # a signal that came while it was called
        except (Exception, SystemExit) as error:
            raise _make_error(when, step, f"{type(error).__name__}: {error}") from error
        if answer is False or (isinstance(answer, int) and not isinstance(answer, bool) and answer != 0):
            raise _make_error(when, step, f"it returned {answer!r}")

    return call


def _load_command(text: str) -> Call:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Misconfigured(f"{KEY} is no command line: {error}.") from error
    if not words or shutil.which(words[0]) is None:
        raise Misconfigured(
            f"{KEY}: there is no program {words[0] if words else ''!r}.",
            hint="Write it as module:callable, or a command.",
        )

    def call(when: str, step: str, about: Mapping[str, str]) -> None:
        names = {"HOOK_WHEN": when, "HOOK_STEP": step, **{f"HOOK_{name.upper()}": about[name] for name in about}}
        status, last_words = _run(words, {**os.environ, **names})
        if status != 0:
            raise _make_error(when, step, status, last_words)

    return call


def _run(words: list[str], environment: Mapping[str, str]) -> tuple[str | int, str]:
    """Run a command; returns its status, or why it has none, and the end of what it wrote."""
    # Not a pipe, which it might fill, or leave to a process that goes on; and stdout may be read by a program.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 # whoever sets the key names the program
            words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status: str | int = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = f"it did not end within {TIMEOUT_S:.0f} s"
        finally:
            # A run that is interrupted ends it too.
            _end(process)
        output.seek(max(0, output.seek(0, os.SEEK_END) - SHOWN))
        return status, output.read().decode("utf-8", "replace").strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _make_error(when: str, step: str, why: str | int, words: str = "") -> FerryError:
    reason = f"it ended with status {why}" if isinstance(why, int) else why
    return ToolFailed(
        f"The hook {when} the step {step} ({KEY}) refused: {reason}.",
        details=words.splitlines(),
        hint="Fix what it looks at, then run the command again.",
    )
