"""Engines of SQLAlchemy: for Alembic, for a look, for the control tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .database import rows, script


def test_listeners_of_the_host_do_not_turn_foreign_keys_on(path: Path) -> None:
    script(path, "CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE c (p INTEGER REFERENCES p (id))")
    program = (
        "import sys; from pathlib import Path; from sqlalchemy import event, Engine\n"
        "from app.dialects.sqlite.dialect import SqliteDialect; from app.dialects.sqlite.names import url_of\n"
        "@event.listens_for(Engine, 'connect')\n"
        "def on(connection, record): connection.execute('PRAGMA foreign_keys = ON')\n"
        "with SqliteDialect().engine(url_of(Path(sys.argv[1]))).begin() as c:\n"
        "    c.exec_driver_sql('INSERT INTO c VALUES (5)')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=60, check=False)
    assert done.returncode == 0
    assert rows(path, "c") == [[5]]
