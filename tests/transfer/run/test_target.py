"""What is known of the target before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.transfer.run.settings import build_settings
from app.transfer.run.target import environment_of


class Kept:
    """A control area that keeps an environment."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def environment(self) -> str | None:
        return self._name


@pytest.mark.parametrize(
    ("configured", "kept", "found"),
    [
        (None, None, ("development", "default")),
        ("staging", None, ("staging", "app.config")),
        ("development", "production", ("production", "control area")),
        (None, "staging", ("staging", "control area")),
        ("production", "development", ("production", "app.config")),
        ("staging", "staging", ("staging", "app.config")),
    ],
)
def test_the_stricter_environment_counts(configured: str | None, kept: str | None, found: tuple[str, str]) -> None:
    settings = build_settings(
        {"FERRY_ENVIRONMENT": configured}, {}, instance=Path("/"), directory=Path("/"), options={}
    )
    assert environment_of(settings, Kept(kept), nearby=True) == found  # type: ignore[arg-type] # all it is asked for
