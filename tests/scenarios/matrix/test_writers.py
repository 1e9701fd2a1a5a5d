"""A live application whose database is brought to head under it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ServerSite
from tests.support.sources.sites import report
from tests.support.writers import Writers

Deploy = Callable[[str], ServerSite]


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_no_acknowledged_write_is_lost_when_self_is_brought_to_head(deployed: Deploy, name: str) -> None:
    site = deployed(name)
    assert site.flask("db-init").status == 0
    assert site.flask("db", "downgrade", "0006_links").status == 0
    with Writers(site.url, 4) as writers:
        time.sleep(0.5)
        done = site.flask("db-migrate-data", "self", "--yes")
        time.sleep(0.5)
    assert done.status == 0, done.stderr
    assert writers.failures == []
    live = [row["name"] for row in site.rows()["sections"] if str(row["name"]).startswith("w")]
    assert sorted(live) == sorted(writers.acknowledged)
    assert len(live) > 100, "or this proves nothing"
    assert site.scalar("SELECT version_num FROM alembic_version") == "0007_unique_sids"
    # The stall that the report tells is the one that writers saw, not a smaller one; a busy machine adds its own.
    told_s = report(site)["seconds"]["writers waited"]
    stall_s, other_s, *_ = writers.pauses_s
    assert stall_s < told_s + 2 + 3 * other_s


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_a_late_write_to_what_another_source_replaces_is_in_the_backup(
    deployed: Deploy, name: str, taken: Path
) -> None:
    site = deployed(name)
    assert site.flask("db-init").status == 0
    with Writers(site.url, 2, pause_s=0.05) as writers:
        time.sleep(0.3)
        done = site.flask("db-migrate-data", str(taken), "--rerun", "--yes")
        assert done.status in (0, 23), done.stderr
    # The old generation is the live database at the instant of the cut-over: with every write until then.
    back = site.flask("db-rollback", "--yes")
    if done.status == 0:
        assert back.status == 0, back.stderr
        assert site.flask("db-status").status == 0
    assert writers.failures == []
