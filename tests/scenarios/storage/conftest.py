"""An S3 server of our own, started once, and apps on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.commands.conftest import _seeded, changed, local, seeded  # noqa: F401 # fixtures
from tests.support.local import Local
from tests.support.storage import BUCKET, S3Server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def in_directory(changed: Local, tmp_path: Path) -> Local:  # noqa: F811 # the fixture
    """An app whose backups go to another directory as well."""
    (tmp_path / "far").mkdir()
    changed.environ |= {"FLASK_FERRY_STORAGE": f"file://{tmp_path}/far"}
    return changed
