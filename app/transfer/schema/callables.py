"""What a key names in the app's own code: imported once, and called as if it had been typed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import Misconfigured


def import_callable(name: str, key: str) -> Callable[..., Any]:
    """What ``module:callable`` names.

    :param key: the configuration key that says so.
    :raises Misconfigured: there is no such callable.
    """
    module_name, _, attribute = name.partition(":")
    try:
        function: Callable[..., Any] = getattr(_import_once(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Misconfigured(
            f"{key} is {name!r}, which cannot be imported: {error}", hint="Write it as module:callable."
        ) from error
    return function


def _import_once(name: str) -> ModuleType:
    """A module, or the same file's where that is imported under another name already.

    Flask calls the app's file by the directory above it where that has an ``__init__.py``: ``backend.main`` and not
    ``main``. Run twice, it would register its routes a second time.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.has_location and spec.origin:
        file = Path(spec.origin).resolve()
        for module in list(sys.modules.values()):
            other = getattr(module, "__file__", None)
            if isinstance(other, str) and Path(other).name == file.name and Path(other).resolve() == file:
                return module
    return importlib.import_module(name)


def call_without_arguments(function: Callable[..., Any], name: str) -> None:
    """Call a function, or a click command as if it had been typed by itself.

    Called as a function, a click command would read the arguments of this process, and end it when it is done.

    :param name: what the command's own messages call it.
    """
    if not hasattr(function, "make_context"):
        function()
        return
    try:
        with function.make_context(name, []) as context:
            function.invoke(context)  # type: ignore[attr-defined] # what make_context() is of
    except RuntimeError as error:
        # click's Exit, which ctx.exit() raises; this room does not know click.
        if getattr(error, "exit_code", None) != 0:
            raise
