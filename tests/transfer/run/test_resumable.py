"""What a run that died leaves to the next: the last one alone, unless something else is live by now."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import DatabaseUnreachable, DoesNotFit, LeaseLost, NotConfirmed, OutOfSpace, Terminated
from app.transfer.run.ledger import CLOSING
from app.transfer.run.resumable import DIED, LOADED, RESTART, RESUME, find_resumable, has_died

NOW = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def note(**more: Any) -> dict[str, Any]:
    return {
        RESUME: {
            "source": "old.db",
            "key": "key",
            "snapshot": "/data.json",
            "sha256": "ab",
            "read_from": NOW,
            "repeats": {},
            "warnings": ["odd"],
            "from": None,
            **more,
        }
    }


def line(run: str, step: str, phase: str = "done", detail: dict[str, Any] | None = None) -> Any:
    return SimpleNamespace(run_id=run, step=step, phase=phase, detail=detail or {})


def find(*lines: Any) -> Any:
    control: Any = SimpleNamespace(journal=lambda: list(lines))
    return find_resumable(control, "me")


def test_what_it_had_read_and_loaded() -> None:
    found = find(
        line("a", "snapshot", detail=note()),
        line("a", LOADED, detail={LOADED: {"letter": [100, ""], "answer": [7, "odd"]}}),
        line("a", LOADED, detail={LOADED: {"letter": [200, ""]}}),
        line("me", "backup", "begun"),
    )
    assert (found.run_id, found.staging, found.warnings) == ("a", "a", ("odd",))
    assert found.rows == {"letter": (200, ""), "answer": (7, "odd")}


def test_of_a_run_that_died_before_it_had_brought_them_the_rows_are_those_of_the_one_before() -> None:
    loaded = line("a", LOADED, detail={LOADED: {"letter": [100, ""]}})
    found = find(line("a", "snapshot", detail=note()), loaded, line("b", "snapshot", detail=note(**{"from": "a"})))
    assert (found.run_id, found.staging, found.rows) == ("b", "a", {"letter": (100, "")})


def test_where_revisions_were_begun_staging_has_nothing_any_more() -> None:
    loaded = line("a", LOADED, detail={LOADED: {"letter": [100, ""]}})
    found = find(line("a", "snapshot", detail=note()), loaded, line("a", "upgrade", "begun"))
    assert found.rows == {}


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (line("a", "backup"),),
        (line("a", "snapshot", detail=note()), line("b", "cut-over", "begun")),
        (line("a", "snapshot", detail=note()), line("a", "cut-over")),
        (line("a", "snapshot", detail=note()), line("a", CLOSING, "failed", {"message": "rows do not fit"})),
        (line("a", "snapshot", detail=note()), line("b", RESTART), line("b", "backup")),
        (line("a", "snapshot", detail=note(key=7)),),
        (line("a", "snapshot", detail={RESUME: "damaged"}),),
        (line("a", "snapshot", detail=note()), line("a", LOADED, detail={LOADED: {"letter": 7}})),
        (line("a", "snapshot", detail=note()), line("a", LOADED, detail={LOADED: []})),
        (line("me", "snapshot", detail=note()),),
    ],
)
def test_nothing_to_go_on_with(lines: tuple[Any, ...]) -> None:
    assert find(*lines) is None


@pytest.mark.parametrize("instant", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_what_is_old_is_known_to_be(instant: str) -> None:
    assert find(line("a", "snapshot", detail=note(read_from=instant))).is_old
    assert not find(line("a", "snapshot", detail=note())).is_old


def test_a_run_that_began_anew_is_gone_on_with_itself() -> None:
    restarted = line("b", RESTART), line("b", "snapshot", detail=note())
    assert find(line("a", "snapshot", detail=note()), *restarted).run_id == "b"


def test_a_server_that_was_lost_is_no_fault_of_the_run() -> None:
    closing = line("a", CLOSING, "failed", {"message": "gone", DIED: True})
    assert find(line("a", "snapshot", detail=note()), closing, line("b", "backup")).run_id == "a"


@pytest.mark.parametrize(
    ("error", "died"),
    [
        (DatabaseUnreachable("gone"), True),
        (OSError("full"), True),
        (OutOfSpace("full"), True),
        (DoesNotFit("a row"), False),
        (LeaseLost("another"), False),
        (Terminated("SIGTERM"), True),
        (NotConfirmed("Ctrl-C"), False),
        (KeyboardInterrupt(), False),
        (None, False),
    ],
)
def test_what_a_run_dies_of(error: BaseException | None, died: bool) -> None:
    assert has_died(error) is died
