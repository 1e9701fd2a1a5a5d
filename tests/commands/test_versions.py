"""Libraries that are too old are named, with what to type, before anything fails on them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError

import pytest

from app.commands.versions import LOWEST, refuse_older
from tests.support.site import ROOT


def of(found: Mapping[str, str]) -> None:
    def find(name: str) -> str:
        if name not in found:
            raise PackageNotFoundError(name)
        return found[name]

    refuse_older(find)


def test_they_are_those_that_are_asked_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = dict(re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", text).groups() for text in asked)  # type: ignore[union-attr]
    assert {name: floors[name] for name in LOWEST} == LOWEST


def test_what_is_here_will_do() -> None:
    refuse_older()


@pytest.mark.parametrize("version", ["2.0.16", "2.0.16.post1", "2.0.100", "2.1.0b1", "10.0"])
def test_newer_ones(version: str) -> None:
    of({"SQLAlchemy": version, "Flask": "3.1.2"})


@pytest.mark.parametrize("version", ["1.4.54", "2.0.15", "2.0.0rc1", "2", "0.9"])
def test_older_ones_are_named_all_at_once(version: str) -> None:
    with pytest.raises(
        ImportError, match=rf"SQLAlchemy {re.escape(version)}, Flask-SQLAlchemy 2.5.1\. .*pip install"
    ) as caught:
        of({"SQLAlchemy": version, "Flask-SQLAlchemy": "2.5.1", "Flask": "2.3.3"})
    assert "'SQLAlchemy>=2.0.16'" in str(caught.value)
