"""The register of misbehaviours: a function each; its keyword arguments are the parameters a test may give."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

EXPORTS, ANY_API, LOGIN = "/api/export/*", "/api/*", "/api/authenticate"


class Stage(IntEnum):
    """When a misbehaviour acts; those of one request act in this order."""

    REQUEST = 0  # before the view: may answer in its place
    PAYLOAD = 1  # changes the decoded JSON of a good answer
    WIRE = 2  # changes the bytes of a good answer


@dataclass(frozen=True)
class Misbehaviour:
    """One entry.

    :param path: the paths it concerns unless a test says otherwise (a shell pattern).
    """

    name: str
    stage: Stage
    path: str
    act: Callable[..., Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters and their defaults."""
        signature = inspect.signature(self.act)
        return {p.name: p.default for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}


REGISTER: dict[str, Misbehaviour] = {}


def misbehaviour(stage: Stage, path: str = EXPORTS) -> Callable[[F], F]:
    """Enter a function under its own name."""

    def enter(function: F) -> F:
        REGISTER[function.__name__] = Misbehaviour(function.__name__, stage, path, function)
        return function

    return enter
