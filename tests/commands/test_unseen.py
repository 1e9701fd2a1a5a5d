"""What a database's texts hold is shown to people by its number where a terminal would obey it."""

from __future__ import annotations

import pytest

from app.commands.hints import Typed
from app.commands.question import _ask_at_terminal
from app.commands.receipt import COLUMNS, LINES, screen
from app.commands.render import Output, Renderer
from app.commands.unseen import show_unseen
from app.errors import FerryError
from app.transfer.run.hooks import Event
from app.transfer.run.plan import Question
from app.transfer.run.report import Report

HOSTILE = "t\x1b]0;owned\x07\x1b[2Jt\u202e\x9b31m"


def test_everything_but_tabs_and_ends_of_lines() -> None:
    assert show_unseen("a\tb\nc\rd") == "a\tb\nc\\u000dd"
    assert show_unseen("x\ud800\x7f") == "x\\ud800\\u007f"
    assert show_unseen("Größe \u4e2d") == "Größe \u4e2d"


@pytest.mark.parametrize("verbose", [True, False])
def test_no_line_for_people_holds_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str], verbose: bool) -> None:
    renderer = Renderer(Output(verbose=verbose), Typed("flask", "db-status"))
    renderer.emit(Event("note", HOSTILE))
    renderer.emit(Event("warning", HOSTILE))
    renderer.emit(Event("step", HOSTILE))
    renderer.emit(Event("progress", HOSTILE, {"done": 1, "total": 2, "at": HOSTILE}))
    assert "\x1b" not in renderer._steps.describe()
    renderer.error(FerryError(HOSTILE, details=[HOSTILE], hint=HOSTILE))
    renderer.result(Report(run="r", command="db-status", notes=[HOSTILE], losses=[HOSTILE]).end("done", HOSTILE))
    shown = "".join(capsys.readouterr()).replace("\x1b[33m", "").replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert shown.count("\\u001b]0;owned\\u0007") >= 8
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


FORGED = "t\nError: everything is lost\r\nThe live database is unchanged."


@pytest.mark.parametrize("verbose", [True, False])
def test_no_name_makes_a_line_of_its_own(capsys: pytest.CaptureFixture[str], verbose: bool) -> None:
    """A line break in a name is legal, and what stands behind it is indented wherever it is shown."""
    renderer = Renderer(Output(verbose=verbose), Typed("flask", "db-status"))
    for kind in ("note", "warning"):
        renderer.emit(Event(kind, FORGED))
    renderer.error(FerryError(f"in {FORGED}", details=[FORGED], hint="Fix it."))
    renderer.result(Report(run="r", command="db-status", notes=[FORGED], losses=[FORGED]).end("done", f"in {FORGED}"))
    shown = "".join(capsys.readouterr())
    assert shown.count("everything is lost") >= 6
    starts = [line.strip("\x1b[0123456789m") for line in shown.splitlines()]
    assert [line for line in starts if line.startswith(("Error: everything", "The live"))] == []


def test_the_question_neither(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("app.commands.question.lines", lambda question: [f"  1 {FORGED}"])
    monkeypatch.setattr("click.prompt", lambda *_, **__: "yes")
    _ask_at_terminal([Question(None, {}, "", "")])  # type: ignore[arg-type] # not looked at
    assert "\n    Error: everything is lost\\u000d\n    The live" in capsys.readouterr().err


def test_a_receipt_fits_the_screen_as_it_is_shown() -> None:
    report = Report(run="r", command="db-migrate-data", notes=["\x1b" * 70 for _ in range(30)])
    shown = [show_unseen(line) for line in screen(report)]
    assert sum(-(-len(line) // COLUMNS) for line in shown) < LINES
