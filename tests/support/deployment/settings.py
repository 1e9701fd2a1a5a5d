"""What a deployment is told at its start, kept in its directory so that no secret is in an argument."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

NEWER, OLDER, FORK = "newer", "older", "fork"
STYLES = (NEWER, OLDER, FORK)

DATABASE, SETTINGS, CONTROL, COUNTERS, REQUESTS, LOG = (
    "old.db",
    "settings.json",
    "control.json",
    "counters",
    "requests.jsonl",
    "server.log",
)


@dataclass(frozen=True)
class Settings:
    """How a deployment answers when it behaves.

    :param style: ``newer`` (JSON login, all ten exports), ``older`` (text login, ``/api/user`` list only, a
        bad token is 500) or ``fork`` (token in the body too and taken as Bearer, thirteen types, counts).
    :param cheap: look-ups are made once a page instead of once a record.
    :param production_cookie: ``Domain=old.example; Secure; HttpOnly; SameSite=None``, even on plain http.
    :param send_cookie: a fork may be told to give its token in the body only.
    :param lists_sections: ``GET /api/section`` gives all sections to anybody.
    :param hide_passwords: leave ``password`` out of ``/api/user``, as the newest versions do.
    """

    style: str = NEWER
    cheap: bool = False
    cookie_name: str = "jwt_python_flask"
    production_cookie: bool = False
    send_cookie: bool = True
    hide_passwords: bool = False
    lists_sections: bool = False
    token_lifetime_s: int = 43_200
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    def __post_init__(self) -> None:
        """Refuse a style nobody has."""
        if self.style not in STYLES:
            raise ValueError(f"style is {self.style!r}; it is one of {', '.join(STYLES)}.")

    def save(self, directory: Path) -> None:
        """Write them to ``directory``, readable by the owner only."""
        handle = os.open(directory / SETTINGS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)

    @classmethod
    def load(cls, directory: Path) -> Settings:
        """Read them back."""
        return cls(**json.loads((directory / SETTINGS).read_text(encoding="utf-8")))
