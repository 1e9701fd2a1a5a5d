"""What FERRY_HOOKS names is called around each step; before the cut-over took effect it may stop the run."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from app.errors import Misconfigured, ToolFailed
from app.transfer.run import step_hooks
from app.transfer.run.run import Run
from app.transfer.run.step_hooks import load_hook
from tests.support.pages import take
from tests.support.runs.commands import until
from tests.transfer.hosts import made_run

calls: list[tuple[str, str, str]] = []
answer: object = None


def hook(when: str, step: str, about: Mapping[str, str]) -> object:
    calls.append((when, step, about["live"]))
    if isinstance(answer, BaseException):
        raise answer
    return answer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    calls.clear()
    monkeypatch.setattr(f"{__name__}.answer", None)
    return made_run(tmp_path, FERRY_HOOKS=f"{__name__}:hook")


def test_it_is_called_before_and_after_and_when_a_step_failed(run: Run) -> None:
    with run.show_step("load"):
        assert calls == [("before", "load", "unchanged")]
    with pytest.raises(ValueError, match="x"), run.show_step("verify"):
        raise ValueError("x")
    assert [call[:2] for call in calls] == [
        ("before", "load"),
        ("after", "load"),
        ("before", "verify"),
        ("failed", "verify"),
    ]


@pytest.mark.parametrize("refusal", [False, 3, ValueError("not today"), SystemExit(0)])
def test_it_may_stop_the_run_until_the_cut_over_took_effect(
    run: Run, refusal: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.answer", refusal)
    with pytest.raises(ToolFailed, match="The hook before the step load") as caught, run.show_step("load"):
        pytest.fail("the step began")
    assert caught.value.exit_status == 1
    monkeypatch.setattr(f"{__name__}.answer", None)
    with run.show_step("cut-over"):
        run.report.live = "replaced"
        monkeypatch.setattr(f"{__name__}.answer", refusal)
    assert [warning.partition(" (")[0] for warning in run.report.warnings] == ["The hook after the step cut-over"]


@pytest.mark.parametrize("agreement", [None, True, 0, "words"])
def test_what_is_no_refusal(run: Run, agreement: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.answer", agreement)
    with run.show_step("load"):
        pass


def command(program: str) -> str:
    return shlex.join([sys.executable, "-c", program])


def test_a_command_is_told_by_its_environment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "calls"
    names = "HOOK_WHEN", "HOOK_STEP", "HOOK_RUN", "HOOK_COMMAND", "HOOK_LIVE", "HOOK_BIND"
    program = (
        f"import os; print('aside'); open({str(file)!r}, 'a').write(str([os.environ[n] for n in {names}]) + '\\n')"
    )
    run = made_run(tmp_path, FERRY_HOOKS=command(program))
    with run.show_step("load"):
        pass
    lines = [json.loads(line.replace("'", '"')) for line in file.read_text().splitlines()]
    assert lines == [[when, "load", run.id, "db-migrate-data", "unchanged", ""] for when in ("before", "after")]
    assert "".join(capfd.readouterr()) == ""


def test_a_command_that_fails_is_quoted(tmp_path: Path) -> None:
    script = "import sys; print('x' * 9000, flush=True); sys.exit('closed on Fridays')"
    run = made_run(tmp_path, FERRY_HOOKS=command(script))
    with pytest.raises(ToolFailed, match="it ended with status 1") as caught, run.show_step("load"):
        pytest.fail("the step began")
    assert caught.value.details[-1] == "closed on Fridays"
    assert len("".join(caught.value.details)) <= step_hooks.SHOWN


@pytest.mark.executes("docs/guide.md", "HOOK_STEP $HOOK_WHEN", "FLASK_FERRY_HOOKS=")
def test_the_hook_of_the_guide_shows_its_page_while_the_cut_over_lasts(tmp_path: Path) -> None:
    script, setting = take("docs/guide.md", "HOOK_STEP $HOOK_WHEN", "FLASK_FERRY_HOOKS=")
    file, page = tmp_path / "maintenance.sh", tmp_path / "maintenance"
    file.write_text(script.replace("/srv/app", str(tmp_path)))
    file.chmod(0o755)
    value = shlex.split(setting)[1].partition("=")[2].replace("/srv/app", str(tmp_path))
    assert value == str(file)
    run = made_run(tmp_path, FERRY_HOOKS=value)
    with run.show_step("load"):
        assert not page.exists()
    with contextlib.suppress(ValueError), run.show_step("cut-over"):
        assert page.exists()
        raise ValueError("what fails there")
    assert not page.exists()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_hooks, "TIMEOUT_S", 0.5)
    pids = tmp_path / "pids"
    run = made_run(tmp_path, FERRY_HOOKS=f"sh -c 'sleep 600 & echo $$ $! > {pids}; wait'")
    with pytest.raises(ToolFailed, match="did not end within"), run.show_step("load"):
        pytest.fail("the step began")
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    # Killed, it may take a moment to be gone.
    until(lambda: not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in started))


@pytest.mark.parametrize("text", ["no.such.module:hook", f"{__name__}:nothing", "no-such-program --now", "sh 'x", "''"])
def test_what_cannot_be_called_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="FERRY_HOOKS"):
        load_hook(text)
