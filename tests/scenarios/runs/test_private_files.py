"""What other users of the machine can read of a run: nothing, whatever the umask of whoever runs it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.runs.commands import Place

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"


def readable(directory: Path) -> Iterator[str]:
    """Files and directories that others may enter, read or write, with their modes."""
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode & 0o777
        if mode & 0o077:
            yield f"{path.relative_to(directory)} {mode:o}"


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_nothing_that_a_command_writes_is_for_others(place: Place, old: Path, umask: int, tmp_path: Path) -> None:
    open_to_all = [(f"{HOOKS}:set_umask", {"umask": umask})]

    def done(*arguments: str) -> None:
        result = place.run(*arguments, "--yes", hooks=open_to_all)
        assert result.status == 0, result.stderr

    done("db-init")
    done("db-migrate-data", str(old), "--rerun", "--report", str(tmp_path / "report.json"))
    place.write("UPDATE sections SET name = 'later'")
    done("db-rollback")
    done("db-restore")
    assert list(readable(place.directory)) == []
    assert stat.S_IMODE(place.area.stat().st_mode) == 0o700
    assert len(list(place.area.rglob("*"))) > 10, "or this proves nothing"
