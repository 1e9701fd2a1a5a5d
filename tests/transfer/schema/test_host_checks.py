"""What of an app is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.errors import Protected
from app.transfer.schema.host_checks import refuse_unsupported
from tests.transfer.hosts import history


def test_further_databases_are_refused(tmp_path: Path) -> None:
    from flask import Flask
    from flask_migrate import Migrate

    from app.commands.session import current_host

    history(tmp_path / "migrations")
    app = Flask("made")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'live.db'}"
    app.config["SQLALCHEMY_BINDS"] = {"logs": f"sqlite:///{tmp_path / 'logs.db'}"}
    db = SQLAlchemy(app)
    Migrate(app, db, directory=str(tmp_path / "migrations"))
    sa.Table("visit", db.metadatas["logs"], sa.Column("id", sa.Integer))
    with app.app_context():
        host = current_host()
    with pytest.raises(Protected, match="logs"):
        refuse_unsupported(host)
