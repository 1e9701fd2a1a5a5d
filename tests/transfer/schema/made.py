"""A host with a history of its own."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from app.transfer.schema.alembic import Schema, data_tables, revision_of
from tests.transfer.hosts import history, made_host, revision

CREATE = "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), sa.Column('x', sa.Integer))"
ADD = "op.add_column('t', sa.Column('y', sa.Integer))"


class Made:
    """A host with a history of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.migrations = history(directory / "migrations")
        self.host, self.db = made_host(directory)

    def add(self, name: str, down: str | None, upgrade: str = "pass", declared: str = "") -> None:
        revision(self.migrations, name, down, upgrade, declared)

    @property
    def schema(self) -> Schema:
        return Schema(self.host)

    def staging(self) -> sa.URL:
        host = self.host
        host.dialect.open_control(host.dialect.control_area(host.url))
        url = host.dialect.staging_url(host.url, "s")
        host.dialect.prepare_staging(url, host.url)
        return url

    def columns(self, url: sa.URL) -> dict[str, tuple[str, ...]]:
        with self.host.dialect.reader(url) as reader:
            return {name: table.column_names for name, table in data_tables(reader.tables()).items()}

    def revision(self, url: sa.URL) -> str | None:
        with self.host.dialect.reader(url) as reader:
            return revision_of(reader)
