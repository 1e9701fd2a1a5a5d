"""The export protocol, served by an app on a database of the tests."""

from __future__ import annotations

from pathlib import Path

import orjson
import sqlalchemy as sa
import zstandard
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import NullPool

from app.export import export_blueprint

from .carry import Place, header_tables, sections


def exported(at: Place, directory: Path) -> dict[str, list[bytes]]:
    """The sections of what the export gives; a revision is written into the database for it."""
    engine = at.dialect.engine(at.target)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('0001')"))
    engine.dispose()
    app = Flask("exported", instance_path=str(directory))
    app.config["SQLALCHEMY_DATABASE_URI"] = at.target.render_as_string(hide_password=False)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": NullPool}
    SQLAlchemy(app)
    app.register_blueprint(export_blueprint(authorize=lambda: None))
    with app.test_client().get("/ferry/export") as answer:
        assert answer.status_code == 200, answer.text
        file = directory / f"exported-{at.name}.json"
        file.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(answer.data))
    declared, given = at.tables(at.target), header_tables(file)
    return {
        name: [_reorder(line, given[name].column_names, declared[name].column_names) for line in lines]
        for name, lines in sections(file).items()
    }


def _reorder(line: bytes, given: tuple[str, ...], declared: tuple[str, ...]) -> bytes:
    """A row with its values in the order in which the columns were declared: an export has them by name."""
    row = dict(zip(given, orjson.loads(line), strict=True))
    return orjson.dumps([row[name] for name in declared])
