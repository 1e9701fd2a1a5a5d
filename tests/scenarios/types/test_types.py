"""No value changes on its way: every column type by every route arrives exactly, or is refused by name."""

from __future__ import annotations

import pytest

from tests.support.servers import of_mariadb
from tests.support.types.carry import Place
from tests.support.types.kinds import KINDS, SERVERS
from tests.support.types.page import PAGE, page
from tests.support.types.run import Outcome, run

ROUTES = [(one, other) for one in SERVERS for other in SERVERS]


@pytest.fixture(scope="session")
def outcome(places: dict[str, Place]) -> Outcome:
    return run(places)


@pytest.mark.parametrize(("begin", "end"), ROUTES)
def test_a_value_arrives_as_it_is_or_is_refused_by_name(outcome: Outcome, begin: str, end: str) -> None:
    cells = outcome.cells[begin, end]
    assert cells.keys() == {kind.title for kind in KINDS}
    assert {title: cell.wrong for title, cell in cells.items() if cell.wrong} == {}
    assert all("NULL" in cell.kept for cell in cells.values())


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_refuses_nothing_of_its_own(outcome: Outcome, server: str) -> None:
    refused = {title: list(cell.refused) for title, cell in outcome.cells[server, server].items() if cell.refused}
    # It shows nobody what is asked for there.
    known = {"mariadb": {"Enum with a label of 4 bytes": ["😀"]}}
    assert refused == known.get(server, {})


@pytest.mark.parametrize("server", SERVERS)
def test_the_export_gives_the_lines_of_the_snapshot(outcome: Outcome, server: str) -> None:
    assert outcome.exported[server] == {kind.title for kind in KINDS}


@of_mariadb
def test_the_page_is_what_was_just_run(outcome: Outcome) -> None:
    found = page(outcome.cells, outcome.exported)
    assert PAGE.read_text(encoding="utf-8") == found, "make types writes the page anew"
