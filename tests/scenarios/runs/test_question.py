"""The question, at a real terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runs.commands import Place, tree
from tests.support.runs.terminal import END_OF_INPUT, INTERRUPT, Terminal
from tests.support.site import Result

At = Callable[[str], Place]
QUESTION = "Go on? [y/N]"
NAME = "Type the name of the database to go on"


def asked(place: Place, old: Path, answer: str, question: str = QUESTION, **environ: str) -> Result:
    with Terminal(place, "db-migrate-data", str(old), **environ) as terminal:
        terminal.until(question)
        terminal.type(answer)
        # Between showing the question and waiting for its answer Python may miss a signal: one presses again.
        return terminal.end(again=answer if answer == INTERRUPT else "")


@pytest.mark.parametrize(
    "answer", ["n\n", "\n", "no\n", "yep\n", END_OF_INPUT, INTERRUPT], ids=["n", "empty", "no", "yep", "eof", "ctrl-c"]
)
def test_anything_but_yes_is_no(at: At, old: Path, answer: str) -> None:
    place = at("foreign")
    live = place.content()
    result = asked(place, old, answer)
    assert result.status == 130, result.stdout
    assert "Traceback" not in result.stdout
    assert place.content() == live
    assert not place.backups.exists()
    assert place.lease() == []
    assert place.staging() == []


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_yes(at: At, old: Path, answer: str) -> None:
    place = at("foreign")
    result = asked(place, old, answer)
    assert result.status == 0, result.stdout
    assert place.query("SELECT count(*) FROM users") == [(60,)]


def test_what_the_question_shows(at: At, old: Path) -> None:
    place = at("foreign")
    shown = asked(place, old, "n\n").stdout
    for part in ("SQLite", "this host", str(place.database), "1 row", "1 sections", str(old), str(place.backups)):
        assert part in shown


def test_production_wants_the_name_typed(at: At, old: Path) -> None:
    place = at("foreign")
    production = {"FLASK_FERRY_ENVIRONMENT": "production"}
    live = place.content()
    for answer in ("y\n", "yes\n", "app\n", "\n", END_OF_INPUT):
        assert asked(place, old, answer, NAME, **production).status == 130
    assert place.content() == live
    result = asked(place, old, f"{place.database}\n", NAME, **production)
    assert result.status == 0, result.stdout


def test_nothing_is_asked_where_nothing_is_replaced(place: Place, old: Path) -> None:
    with Terminal(place, "db-migrate-data", str(old)) as terminal:
        result = terminal.end()
    assert result.status == 0, result.stdout
    assert QUESTION not in result.stdout


def test_nothing_is_asked_where_nothing_is_done(at: At, old: Path) -> None:
    place = at("migrated")
    with Terminal(place, "db-migrate-data", str(old)) as terminal:
        result = terminal.end()
    assert result.status == 0
    assert result.stdout.startswith("Nothing to do")


def test_a_rollback_always_asks(at: At) -> None:
    place = at("foreign_migrated")
    before = tree(place.directory)
    with Terminal(place, "db-rollback") as terminal:
        shown = terminal.until(QUESTION)
        terminal.type("n\n")
        assert terminal.end().status == 130
    assert "what was live before run" in shown
    assert place.content()
    assert before.keys() - tree(place.directory).keys() == set()
    with Terminal(place, "db-rollback") as terminal:
        terminal.until(QUESTION)
        terminal.type("y\n")
        assert terminal.end().status == 0
    assert place.query("SELECT name FROM sections") == [("Theirs",)]


def test_the_question_holds_the_lock(at: At, old: Path) -> None:
    """Who comes meanwhile is told who asks; on a terminal nobody waits."""
    place = at("foreign")
    with Terminal(place, "db-migrate-data", str(old)) as first:
        first.until(QUESTION)
        with Terminal(place, "db-migrate-data", str(old)) as second:
            result = second.end()
        assert result.status == 11, result.stdout
        assert str(first.started.pid) in result.stdout
        first.type("n\n")
        assert first.end().status == 130
