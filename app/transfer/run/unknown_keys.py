"""Keys that look like ours and are none: they would be ignored without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from .settings import DEFAULTS, name_key


def find_unknown_keys(config: Mapping[str, object], environ: Mapping[str, str], binds: Iterable[str] = ()) -> list[str]:
    """A line for each key that looks like one of ours and is none, with the one that may be meant.

    :param binds: what the app's databases are called.
    """
    of_binds = {name_key("FERRY_SOURCE", bind) for bind in binds}
    of_environ = (name.removeprefix("FLASK_") for name in environ if name.startswith("FLASK_FERRY_"))
    # A host may read the environment into its config: that is one key, not two.
    names = dict.fromkeys([*of_environ, *(name for name in config if name.startswith("FERRY_"))])
    unknown = (name for name in names if name not in DEFAULTS and name not in of_binds)
    return [f"{name} is not a key of Flask-Ferry and is ignored{_suggest(name)}" for name in unknown]


def _suggest(name: str) -> str:
    close = get_close_matches(name, DEFAULTS, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else "."
