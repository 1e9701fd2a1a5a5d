"""The cells of "What is not a row" in docs/guarantees.md are what runs show, for all that a database can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.scenarios.objects import states
from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.kinds import LACKING, ROWS, SERVERS
from tests.scenarios.objects.states import COUNTERS, STATES, TOUCHED, State, all_tables, outfit
from tests.scenarios.objects.test_upgrade import sql
from tests.support.servers.mariadb import MariaDB
from tests.support.site import ROOT

Make = Callable[..., HostApp]
Cells = dict[str, str]
SELF, UPGRADE, SAME, OTHER, BACKUP, PORTABLE, ROLLBACK = COLUMNS = (
    "`self`",
    "in an upgrade",
    "from a source, same kind of server",
    "from another kind of server",
    "backup and restore",
    "portable",
    "rollback",
)
ANOTHER = {"sqlite": "postgresql", "mariadb": "sqlite", "postgresql": "mariadb"}
OF_ANOTHER_ROW = "as counters"
READ_OTHERWISE = "?charset=latin1&use_unicode=0"
COUNTED = "counters"


def read_page() -> dict[str, dict[str, str]]:
    """By kind: the cells of its row, by the heads of their columns."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head = next(line for line in lines if line[0] == "kind")
    rows = [dict(zip(head, line, strict=True)) for line in lines if len(line) == len(head) and "tests/" in line[-1]]
    return {kind: row for row in rows for kind in row["kind"].partition(" (")[0].split(", ")}


def look(host: HostApp, server: str) -> dict[str, list[tuple[object, ...]]]:
    return {kind: host.query(query) for kind, (_, query) in SERVERS[server].kinds.items()}


def must(host: HostApp, *arguments: str) -> str:
    ended = host.run(*arguments)
    assert ended.status == 0, ended.stderr + ended.stdout
    return ended.stdout + ended.stderr


def is_named(shown: str, labels: tuple[str, ...]) -> bool:
    """Whether a line of what did not come along begins so, for each label; such lines are indented."""
    lines = [line.strip() for line in shown.splitlines() if line.startswith("  ")]
    return all(any(line.startswith(label) for line in lines) for label in labels)


@dataclass
class Home:
    """An app with one of everything on a server, and what became of it all so far.

    :ivar before: its objects as they were made.
    :ivar wanted: its states as the app filled them.
    :ivar numbers: what they are known by.
    :ivar unportable: cells of those that a portable snapshot was refused for.
    """

    host: HostApp
    server: str
    make_host: Make
    before: dict[str, Any] = field(init=False)
    wanted: dict[str, Any] = field(init=False)
    numbers: dict[str, Any] = field(init=False)
    unportable: Cells = field(init=False)

    def __post_init__(self) -> None:
        host, server = self.host, self.server
        host.release(sql(*SERVERS[server].statements, *all_tables(server)))
        host.upgrade()
        host.execute(*ROWS, *states.ROWS)
        for state in self.states.values():
            host.execute(*state.filled)
        if server == "postgresql":
            host.execute("REFRESH MATERIALIZED VIEW counted")
        self.before = look(host, server)
        self.wanted = {kind: state.look(host) for kind, state in self.states.items()}
        self.numbers = {kind: state.number(host) for kind, state in self.states.items()}
        assert all(self.wanted.values())

    @property
    def states(self) -> dict[str, State]:
        return STATES[self.server]

    def draw(self, host: HostApp, server: str) -> dict[str, int | None]:
        """The next number of each counter; None of one that is not there."""
        return {kind: draw(host) for kind, (_, draw) in COUNTERS[server].items()}

    def change(self) -> None:
        for state in self.states.values():
            self.host.execute(*state.changed)
        self.host.execute("DROP VIEW grown")

    def undo(self) -> None:
        for state in self.states.values():
            self.host.execute(*state.undone)

    def run(self, *arguments: str, word: str = "exact") -> Cells:
        """The cells of a command that brings back, or keeps, what the app filled."""
        host = self.host
        last, live = self.draw(host, self.server), {kind: state.look(host) for kind, state in self.states.items()}
        must(host, *arguments)
        objects = look(host, self.server)
        cells = {kind: word if rows and rows == objects[kind] else "gone" for kind, rows in self.before.items()}
        cells |= {kind: self._describe(kind, host, live[kind]) for kind in self.states}
        cells[COUNTED] = (
            "go on" if self.draw(host, self.server) == {kind: n and n + 1 for kind, n in last.items()} else "again"
        )
        return cells

    def observe_source(self, target: str) -> Cells:
        """What becomes of each kind: where the revision of the target makes the like of it, and where it does not."""
        last, home = self.draw(self.host, self.server), look(self.host, self.server)
        full, bare = (self._make_target(name, target) for name in ("all", "none"))
        full.release(sql(*SERVERS[target].statements, *all_tables(target)))
        bare.release(sql(*LACKING))
        own, migrate = self._prepare(full, target), ("db-migrate-data", "--yes", "-v")
        with_all = must(full, *migrate, *(self._refused(full) if target != self.server else ()))
        # What a revision has a plain column for is refused even by the same kind of server.
        without = must(bare, *migrate, *self._refused(bare))
        objects, cells = look(full, target), {}
        for kind, (labels, _) in SERVERS[self.server].kinds.items():
            is_made = bool(home[kind] and objects.get(kind)) and not any(is_named(with_all, (one,)) for one in labels)
            cells[kind] = ("made, else " if is_made else "") + ("named" if is_named(without, labels) else "silent")
        labels_of = {kind: (label,) for kind, (label, _) in COUNTERS[self.server].items()}
        drawn = self.draw(full, target)
        goes_on = all(
            is_named(with_all, labels_of[kind]) if drawn.get(kind) is None else drawn[kind] == number + 1
            for kind, number in last.items()
            if number is not None
        )
        cells[COUNTED] = "go on" if goes_on else "again"
        cells[COUNTED] += ", else " + ("named" if all(is_named(without, one) for one in labels_of.values()) else "lost")
        for kind, state in self.states.items():
            if target == self.server:
                refused = ", else refused" if state.tables else ""
                cells[kind] = self._describe(kind, full, own.get(kind)) + refused
            elif not state.of_database or state.named:
                cells[kind] = self._describe_elsewhere(kind, full, with_all)
        if target != self.server:
            cells |= {kind: "stay" if STATES[target][kind].look(full) == one else "gone" for kind, one in own.items()}
        return cells

    def _make_target(self, name: str, server: str) -> HostApp:
        host = self.make_host(server, f"{name}-{server}")
        host.on_connect = outfit if server == "sqlite" else None
        host.config["FERRY_SOURCE"] = self.host.url + (READ_OTHERWISE if self.server == "mariadb" else "")
        return host

    def _prepare(self, host: HostApp, server: str) -> dict[str, Any]:
        """Let a target have something of its own first; what that is."""
        host.upgrade()
        kinds = {kind: state for kind, state in STATES[server].items() if state.of_database}
        for state in kinds.values():
            host.execute(*state.changed)
        if server == self.server == "postgresql":
            [(number,)] = self.host.query("SELECT scan FROM paper")
            host.execute(f"SELECT lo_from_bytea({number}, 'of others')")
        return {kind: state.look(host) for kind, state in kinds.items()}

    def _refused(self, host: HostApp) -> list[str]:
        """The options that leave out what has no place in a target, after it was refused by name."""
        tables = [table for state in self.states.values() for table in state.tables]
        if not tables:
            return []
        ended = host.run("db-migrate-data", "--yes")
        assert ended.status == 22, ended.stderr
        assert all(table in ended.stderr for table in tables)
        return [word for table in tables for word in ("--exclude", table)]

    def _describe(self, kind: str, host: HostApp, live: Any) -> str:
        state = self.states[kind]
        now = state.look(host)
        choices = (("exact", self.wanted[kind]), *state.others, ("stay", live))
        word = next((word for word, value in choices if value is not None and value == now), "gone")
        renumbered = word == "exact" and state.number(host) != self.numbers[kind]
        return f"{word}; a new number where theirs is taken" if renumbered else word

    def _describe_elsewhere(self, kind: str, host: HostApp, shown: str) -> str:
        state = self.states[kind]
        is_said = bool(state.named) and all(name in shown for name in state.named)
        if state.tables:
            return "refused" + (" where a column names them, else named" if state.freed and is_said else "")
        word = self._describe(kind, host, None)
        if word == "gone":
            return "named" if is_said else "silent"
        return f"{word}, in the zone that the receipt names" if is_said else word

    def write_portable(self) -> None:
        """A portable snapshot, after what it cannot hold was refused by name."""
        arguments = ("db-backup", "--portable", str(self.host.directory / "rows.json"))
        self.unportable = {}
        for kind, state in self.states.items():
            if state.freed:
                ended = self.host.run(*arguments)
                assert ended.status == 21
                assert all(table in ended.stderr for table in state.tables)
                self.host.execute(state.freed)
                is_said = all(name in must(self.host, *arguments) for name in state.named)
                self.unportable[kind] = f"refused where a column names them, else {'named' if is_said else 'silent'}"
        if not self.unportable:
            must(self.host, *arguments)


def observe(home: Home) -> dict[str, Cells]:
    """The cells of each column, by kind, as runs show them."""
    host, server = home.host, home.server
    cells = {SAME: home.observe_source(server), OTHER: home.observe_source(ANOTHER[server])}
    host.release(sql("CREATE TABLE later (id INTEGER PRIMARY KEY)"))
    cells[SELF] = home.run("db-migrate-data", "self", "--yes")
    home.undo()
    host.release(TOUCHED[server])
    cells[UPGRADE] = home.run("db-migrate-data", "self", "--yes")
    home.change()
    cells[ROLLBACK] = home.run("db-rollback", "--yes")
    home.undo()
    must(host, "db-backup")
    home.write_portable()
    home.change()
    cells[BACKUP] = home.run("db-restore", "--yes")
    home.undo()
    home.change()
    cells[PORTABLE] = home.run("db-restore", str(host.directory / "rows.json"), "--yes", word="made")
    cells[PORTABLE] |= home.unportable
    return cells


@pytest.fixture
def zone(request: pytest.FixtureRequest, server: str) -> Iterator[None]:
    """What only a whole server has: a zone, and a user who is given rights."""
    if "mariadb" not in (server, ANOTHER[server]):
        yield
        return
    whole: MariaDB = request.getfixturevalue("mariadb")
    whole.execute("SET GLOBAL time_zone = '+02:00'")
    whole.execute("CREATE USER IF NOT EXISTS reader@localhost")
    yield
    whole.execute("SET GLOBAL time_zone = 'SYSTEM'")


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
@pytest.mark.parametrize("server", SERVERS)
def test_each_cell_is_what_runs_show(make_host: Make, server: str, zone: None) -> None:
    page = read_page()
    host = make_host(server, "home")
    host.on_connect = outfit if server == "sqlite" else None
    cells = observe(Home(host, server, make_host))
    wrong = []
    for column, kinds in cells.items():
        for kind, cell in kinds.items():
            written = page[kind][column]
            if written == OF_ANOTHER_ROW or (column == UPGRADE and kind in SERVERS[server].kinds):
                continue
            # Where the other server has no such kind there is nothing that a revision could make.
            choices = {written, *written.split("; "), written.removeprefix("made, else ") if column == OTHER else ""}
            if cell not in choices:
                wrong.append(f"{kind} / {column}: {cell!r}, and the page says {written!r}")
    assert not wrong, "\n".join(wrong)


def test_every_row_has_a_kind_that_is_made_here() -> None:
    kinds = {kind for server in SERVERS.values() for kind in server.kinds}
    assert set(read_page()) == kinds | {kind for server in STATES.values() for kind in server} | {COUNTED}
