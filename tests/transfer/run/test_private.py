"""Rows that nobody is to keep are gone when the run ends, or with the next command when it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import FerryError, SourceIncomplete
from app.transfer.run.private import private_directory, remove_abandoned, withhold_values
from tests.support.site import ROOT
from tests.transfer.hosts import made_run

HOLDING = """
import sys, time
from pathlib import Path
from app.transfer.run.private import fetched_directory, private_directory
from tests.transfer.hosts import made_run
run = made_run(Path(sys.argv[1]))
with run.host.app_context(), {what} as path:
    (path / "rows.json").write_text("personal")
    print(path, flush=True)
    time.sleep(600)
"""


def test_it_is_the_owner_s_alone_and_gone_with_the_run(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    with private_directory(run) as path:
        (path / "rows.json").write_text("personal")
        assert path.stat().st_mode & 0o77 == 0
        remove_abandoned(run.control.directory, tmp_path / "backups")
        assert (path / "rows.json").exists()
    assert [item.name for item in run.directory.iterdir()] == []

    def fail() -> None:
        with private_directory(run) as again:
            (again / "rows.json").write_text("personal")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 # raised just above
        fail()
    assert not (run.directory / "private").exists()


@pytest.mark.parametrize("what", ["private_directory(run)", "fetched_directory(run.settings.backups)"])
def test_what_a_killed_run_left_goes_and_what_a_running_one_has_stays(tmp_path: Path, what: str) -> None:
    area, backups = made_run(tmp_path).control.directory, tmp_path / "backups"
    backups.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING.format(what=what), str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        remove_abandoned(area, backups)
        assert (path / "rows.json").read_text() == "personal"
        process.send_signal(signal.SIGKILL)
    assert (path / "rows.json").exists()
    remove_abandoned(area, backups)
    assert not path.exists()
    assert list(backups.iterdir()) == []


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(tmp_path)
    (run.directory / "private").mkdir()
    link = run.directory / "private"
    link.rmdir()
    link.symlink_to(tmp_path)  # a directory's tree is never followed through a link
    with pytest.raises(FerryError, match="cannot be removed"):
        remove_abandoned(run.control.directory, tmp_path / "backups")
    assert (tmp_path / "migrations").is_dir()


def test_values_in_quotes_are_withheld_where_nobody_is_to_keep_them() -> None:
    def read(wanted: bool) -> SourceIncomplete:
        with pytest.raises(SourceIncomplete) as caught, withhold_values(wanted):
            raise SourceIncomplete("user 'jo' has \"x@example.com\"", hint="again", details=["jo"])
        return caught.value

    assert (read(False).message, read(False).details) == ("user 'jo' has \"x@example.com\"", ["jo"])
    hidden = read(True)
    assert "jo" not in hidden.message + str(hidden) + "".join(hidden.details)
    assert (hidden.hint, hidden.__cause__) == ("again", None)
    with pytest.raises(ValueError, match="jo"), withhold_values(True):
        raise ValueError("jo")
