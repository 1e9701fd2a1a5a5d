"""What is said of data that revisions move or drop: by the revisions themselves, and by who deploys them.

A revision says it in ``ferry_moves`` and ``ferry_losses``. Who deploys an app need not own its revisions: the file that
``FERRY_DECLARATIONS`` names says the same, by revision, in TOML, which is read and never run::

    ["4f2e1a"]
    ferry_moves = { "users.name" = ["users.first_name", "users.last_name"] }
    ferry_losses = { "posts.legacy" = "not shown since 2019", sessions = "everybody logs in again" }
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import Misconfigured

MOVES, LOSSES = "ferry_moves", "ferry_losses"
ACCEPTED = "--accept-loss"
"""The reason of a loss that was accepted for one run."""
_LARGEST = 4 << 20


@dataclass(frozen=True)
class Declarations:
    """What is said of data that revisions move or drop.

    :ivar moves: per revision, oldest first: names before -> where to.
    :ivar losses: names -> reason.
    """

    moves: tuple[Mapping[str, tuple[str, ...]], ...]
    losses: Mapping[str, str]

    def accepting(self, names: Iterable[str]) -> Declarations:
        """The same, with losses that were accepted for one run."""
        return replace(self, losses={**dict.fromkeys(names, ACCEPTED), **self.losses})


@dataclass(frozen=True)
class Declared:
    """What is said of one revision."""

    moves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)


def declared_by(module: object) -> Declared:
    """What a revision says of itself."""
    moves = {old: _tuple(new) for old, new in getattr(module, MOVES, {}).items()}
    return Declared(moves, dict(getattr(module, LOSSES, {})))


def combine(
    revisions: Iterable[str], by_revision: Mapping[str, Declared], besides: Mapping[str, Declared]
) -> Declarations:
    """All that is said of some revisions, oldest first.

    :param by_revision: by the revisions themselves.
    :param besides: by who deploys them, which counts where both say something of one name.
    """
    moves, losses = [], dict[str, str]()
    for revision in revisions:
        declared, other = by_revision[revision], besides.get(revision, Declared())
        moves.append({**declared.moves, **other.moves})
        reasons = {**declared.losses, **other.losses}
        losses.update({name: f"{why} (revision {revision})" for name, why in reasons.items()})
    return Declarations(tuple(moves), losses)


def read_declarations(path: Path) -> dict[str, Declared]:
    """The file of who deploys: revision -> what is said of it.

    :raises Misconfigured: it cannot be read, or says something else; with the place.
    """
    where = f"FERRY_DECLARATIONS: {path}"
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise Misconfigured(f"{where} is larger than {_LARGEST >> 20} MB.")
        document = tomllib.loads(text.decode())
    except OSError as error:
        raise Misconfigured(f"{where} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{where} is not TOML: {error}.", hint=_form()) from error
    return {revision: _check(f"{where}, [{_quote(revision)}]", content) for revision, content in document.items()}


def _check(where: str, content: Any) -> Declared:
    if not isinstance(content, dict):
        raise Misconfigured(f"{where} is no table.", hint=_form())
    if unknown := sorted(set(content) - {MOVES, LOSSES}):
        raise Misconfigured(f"{where} has {unknown[0]!r}, which means nothing.", hint=_form())
    moves, losses = content.get(MOVES, {}), content.get(LOSSES, {})
    for name, reason in (losses if isinstance(losses, dict) else {"": None}).items():
        if not isinstance(reason, str) or not reason.strip():
            raise Misconfigured(f"{where}, {LOSSES}: {name!r} needs a reason, as a text.", hint=_form())
    for name, places in (moves if isinstance(moves, dict) else {"": None}).items():
        if not (isinstance(places, str) or _is_texts(places)):
            raise Misconfigured(f"{where}, {MOVES}: {name!r} needs a name, or a list of names.", hint=_form())
    return Declared({old: _tuple(new) for old, new in moves.items()}, losses)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _form() -> str:
    return f"Write it as:\n{stanza({'4f2e1a': ['posts.legacy']})}"


def stanza(losses: Mapping[str, Iterable[str]]) -> str:
    """What to put into the file of who deploys, so that it accepts losses.

    :param losses: revision -> names.
    """
    parts = []
    for revision, names in losses.items():
        lines = "\n".join(f'{_quote(name)} = "why"' for name in names)
        parts.append(f"[{_quote(revision)}.{LOSSES}]\n{lines}")
    return "\n".join(parts)


def _quote(name: str) -> str:
    """A key of TOML, whatever characters it has."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in name)
    return f'"{escaped}"'


def _tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
