"""Keys that look like ours and are none: they would be ignored without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from ...errors import Misconfigured
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


def find_unread_keys(config: Mapping[str, object], environ: Mapping[str, str], binds: Iterable[str] = ()) -> list[str]:
    """The keys of ours that the environment has without Flask's prefix, where nobody reads them.

    A host may read them into its config by itself, in whatever form.

    :param binds: what the app's databases are called.
    """
    names = [*DEFAULTS, *(name_key("FERRY_SOURCE", bind) for bind in binds)]
    return [name for name in names if name in environ and f"FLASK_{name}" not in environ and name not in config]


def refuse_unread_keys(names: Sequence[str]) -> None:
    """Refuse what :func:`find_unread_keys` gives: one may be meant to protect the database, or what is in it.

    :raises Misconfigured: there is one.
    """
    if names:
        raise Misconfigured(
            f"Nobody reads {', '.join(names)} in the environment: there the names of Flask's keys begin with FLASK_.",
            hint=" ".join(f"Name it FLASK_{name}." for name in names) + " Or unset what is not meant for this app.",
        )


def _suggest(name: str) -> str:
    close = get_close_matches(name, DEFAULTS, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else "."
