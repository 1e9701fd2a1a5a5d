"""The app's extensions, bound to an app by ``create_app``."""

from __future__ import annotations

from pathlib import Path

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData

# Every constraint gets a name, so that a revision can change it on any server.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

db = SQLAlchemy(metadata=MetaData(naming_convention=NAMING_CONVENTION))
# An absolute directory: `flask db ...` works from every current directory.
migrate = Migrate(db=db, directory=Path(__file__).parent.parent / "migrations")
# What is counted is in app/api/attempts.py; only windows of a fixed length can take a count back.
limiter = Limiter(key_func=get_remote_address, strategy="fixed-window")
