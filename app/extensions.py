"""The app's extensions, bound to an app by ``create_app``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, String
from sqlalchemy.types import TypeDecorator, TypeEngine

# Every constraint gets a name, so that a revision can change it on any server.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

db = SQLAlchemy(metadata=MetaData(naming_convention=NAMING_CONVENTION))


def compare_exact_types(
    _context: object, _column: object, _model: object, stored: TypeEngine[Any], wanted: TypeEngine[Any]
) -> bool | None:
    """Texts of a MySQL or MariaDB database that an older version made are no drift: only they pad.

    :return: False where the types are equal; None leaves it to Alembic.
    """
    if getattr(stored, "collation", None) != "utf8mb4_bin" or not isinstance(wanted, String | TypeDecorator):
        return None
    # A MEDIUMTEXT has no length.
    return False if getattr(stored, "length", None) == getattr(wanted, "length", None) else None


# An absolute directory: `flask db ...` works from every current directory.
migrate = Migrate(db=db, directory=Path(__file__).parent.parent / "migrations", compare_type=compare_exact_types)
# What is counted is in app/api/attempts.py; only windows of a fixed length can take a count back.
limiter = Limiter(key_func=get_remote_address, strategy="fixed-window")
