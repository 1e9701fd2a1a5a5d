"""PostgreSQL: real archives of ``pg_dump`` in which something was changed afterwards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sqlalchemy import URL

from tests.servers.postgresql import program


def plain_dump(url: URL, to: Path, *more: str) -> Path:
    """An archive of the schema ``public`` whose rows are not compressed, so that a change of the same length fits."""
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": str(url.password), "LC_ALL": "C"}
    where = ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), str(url.database)]
    command = [program("pg_dump"), "-Fc", "-Z0", "-n", "public", *more, "-f", str(to), *where]
    subprocess.run(command, check=True, env=environment, timeout=60)
    return to


def forge(archive: Path, old: str, new: str) -> Path:
    """Change a text of an archive, wherever it stands in it, to one that is no longer; blanks fill it up."""
    content = archive.read_bytes()
    assert old.encode() in content, old
    assert len(new.encode()) <= len(old.encode()), (new, len(new) - len(old))
    archive.write_bytes(content.replace(old.encode(), new.encode().ljust(len(old.encode()))))
    return archive


def script_of(archive: Path) -> str:
    """What ``pg_restore`` writes of it."""
    command = [program("pg_restore"), "-f", "-", str(archive)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
