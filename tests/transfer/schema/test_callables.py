"""What a key names is imported once, whatever it is called by, and called without the process's arguments."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from app.errors import Misconfigured
from app.transfer.schema.callables import import_callable


def test_a_file_that_is_imported_under_another_name_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Flask imports ``main.py`` of a directory with an ``__init__.py``."""
    package = tmp_path / "backend"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "app_of_a_test.py").write_text("def seed():\n    pass\n")
    for directory in (tmp_path, package):
        monkeypatch.syspath_prepend(directory)
    module = importlib.import_module("backend.app_of_a_test")
    assert import_callable("app_of_a_test:seed", "FERRY_SEED") is module.seed
    assert "app_of_a_test" not in sys.modules


@pytest.mark.parametrize("name", ["no.such.module:seed", "json:absent", "json", ".json:loads", ":seed", ""])
def test_what_cannot_be_imported_is_named_with_its_key(name: str) -> None:
    with pytest.raises(Misconfigured, match="FERRY_SEED is"):
        import_callable(name, "FERRY_SEED")


def test_a_module_that_was_not_imported_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seeds_of_a_test.py").write_text("def seed():\n    return 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_callable("seeds_of_a_test:seed", "FERRY_SEED")() == 7
