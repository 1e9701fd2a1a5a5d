"""``db-rollback --bind all --keep-writes``: what was written to each database since comes along, or none goes back."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import sqlalchemy as sa

from .foreign import Foreign
from .test_binds import look
from .test_several import ALL, KINDS, Make, make, run_in_fork

__all__ = ["make"]

KEEP = ("db-rollback", *ALL, "--allow-production", "--keep-writes")
HOOK = "tests.scenarios.hosts.test_several:step_hook"
WAYS_DOWN = {
    "_": "with op.batch_alter_table('thing') as table:\n        table.drop_column('colour')",
    "_stats": "with op.batch_alter_table('visit') as table:\n        table.drop_column('seconds')",
}


def add_ways_down(host: Foreign, **ways: str) -> None:
    """Give the second revision a downgrade for each database."""
    file = host.migrations / "versions" / "two.py"
    functions = "".join(
        f"\n\ndef downgrade{'' if name == '_' else name}_():\n    {body}\n" for name, body in (WAYS_DOWN | ways).items()
    )
    chosen = "{'': downgrade_, 'stats': downgrade_stats_}[engine_name]()"
    text = file.read_text().split("\n\ndef downgrade")[0]
    file.write_text(f"{text}\n{functions}\n\ndef downgrade(engine_name):\n    {chosen}\n")


def write(host: Foreign, **statements: str) -> None:
    """Write to databases, by their keys; the one without a key is ``default``."""
    app = host.app()
    with app.app_context():
        for key, sql in statements.items():
            engine: sa.Engine = host.db.engines[None if key == "default" else key]
            with engine.begin() as connection:
                connection.exec_driver_sql(sql)
    host._closed(app)


@pytest.fixture
def upgraded(make: Make) -> Any:
    """A host whose databases were brought to head together and written since; with what they held before."""

    def bring(kind: str, **ways: str) -> tuple[Foreign, dict[str, list[tuple[object, ...]]]]:
        host = make(kind)
        add_ways_down(host, **ways)
        before = look(host)
        host.ok("db-migrate-data", "self", *ALL)
        write(
            host,
            default="INSERT INTO thing (id, name, colour) VALUES (2, 'since', 'red')",
            stats="UPDATE visit SET page = '/since' WHERE id = 7",
        )
        return host, before

    return bring


def with_writes(before: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """What both hold at the first revision with what was written at the second."""
    return before | {"None.thing": [(1, "kept"), (2, "since")], "stats.visit": [(7, "/since")]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_to_each_comes_along(upgraded: Any, kind: str) -> None:
    host, before = upgraded(kind)
    done = host.ok(*KEEP)
    assert look(host) == with_writes(before)
    assert done.last_line == "Done: default, stats"


@pytest.mark.parametrize("kind", KINDS)
def test_where_one_cannot_go_back_none_does(upgraded: Any, kind: str) -> None:
    host, _ = upgraded(kind, _stats="raise RuntimeError('no way down')")
    live = look(host)
    refused = host.run(*KEEP)
    assert refused.status not in (0, 130), refused.stderr
    assert look(host) == live
    assert "stats" in refused.stderr
    # It can without the writes, which are in files then.
    host.ok("db-rollback", *ALL, "--allow-production")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", ["default.cut-over.after", "stats.cut-over.before"])
def test_killed_between_two_cut_overs(upgraded: Any, monkeypatch: pytest.MonkeyPatch, kind: str, at: str) -> None:
    host, before = upgraded(kind)
    live = look(host)
    host.config["FERRY_HOOKS"] = HOOK
    monkeypatch.setenv("TEST_AT", f"{at}=kill")
    assert run_in_fork(host, *KEEP) == -signal.SIGKILL
    monkeypatch.delenv("TEST_AT")
    wanted = with_writes(before)
    assert look(host) == live | {name: rows for name, rows in wanted.items() if name.startswith("None")}
    host.ok(*KEEP)
    assert look(host) == wanted
