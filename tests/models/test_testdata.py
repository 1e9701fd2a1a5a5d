"""The test data of the reference app."""

from __future__ import annotations

from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.extensions import db
from app.models import Base, User, user
from app.models.testdata import seed


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    return {
        table.name: [tuple(row) for row in db.session.execute(sa.select(table))]
        for table in Base.metadata.sorted_tables
    }


def test_the_seed_is_the_same_every_time(app: Flask) -> None:
    seed()
    first = rows()
    db.drop_all()
    db.create_all()
    seed()
    assert rows() == first
    assert all(found for table, found in first.items() if not table.endswith("_orphans"))


def test_the_seed_is_quick(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hashes no password, which takes longest, and sends few statements."""
    monkeypatch.setattr(user, "generate_password_hash", pytest.fail)
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    seed()
    assert len(statements) < 60


def test_the_seed_fits_head_as_the_revisions_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    with create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'app.db'}"}).app_context():
        flask_migrate.upgrade()
        seed()
        assert db.session.execute(sa.text("PRAGMA foreign_key_check")).all() == []


@pytest.mark.parametrize("uid", ["toby", "mira", "niko", "hana"])
def test_the_seeds_passwords(app: Flask, uid: str) -> None:
    seed()
    user = db.session.scalars(sa.select(User).where(User.uid == uid)).one()
    assert user.has_password(f"123{uid.title()}!")
    assert not user.has_password("guess")
