"""What a deployer writes, and what lies beside a database: settings, URLs, declarations, manifests, the ledger."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.dialects.redact import _SHOWN, identify, redact, redact_argument, redact_text
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.transfer.backup.manifest import load_manifest, manifest_of, write_manifest
from app.transfer.backup.seal import is_sealed, seal
from app.transfer.rows.expect import Unexpected
from app.transfer.rows.strictjson import StrictJSONError, loads
from app.transfer.run.control import Control, place_of
from app.transfer.run.keys import KEYS
from app.transfer.run.ledger import Entry
from app.transfer.run.settings import build_settings
from app.transfer.run.source import parse_source
from app.transfer.run.unknown_keys import find_unknown_keys
from app.transfer.schema.declarations import read_declarations, stanza

from ..target import Broken, Refused, expect, put, refusals, scratch

SECRET = "CANARY-of-a-password"


def settings(data: bytes) -> None:
    """Lines ``KEY=value`` as an environment has them; the source is made of them."""
    text = data.decode("utf-8", "surrogateescape")
    environ = dict(line.partition("=")[::2] for line in text.split("\n") if "=" in line)
    environ["FLASK_FERRY_SOURCE_PASSWORD"] = SECRET
    where = scratch()
    find_unknown_keys({}, environ, ["stats"])
    try:
        with refusals(*KEYS, "SOURCE", "No source", "There is no file", where):
            parsed = build_settings({}, environ, instance=where, directory=where, options={})
            expect(SECRET not in repr(parsed), "settings show a password")
            source = parse_source(parsed, insecure_http=bool(len(data) % 2))
            expect(SECRET not in source.label + source.identity, "a source is named with a password")
    except Refused as error:
        _keep_secret(error.__cause__, "an error")
        raise


def _keep_secret(error: object, what: str) -> None:
    expect(
        SECRET not in str(getattr(error, "message", "")) + str(getattr(error, "hint", "")), f"{what} shows a password"
    )


def redacted_url(data: bytes) -> None:
    """URLs of any parts, with a password in each place that can hold one."""
    scheme, user, mark, host, path, name = (data.decode(errors="replace").split("|") + [""] * 6)[:6]
    beginning = f"{scheme if scheme.isascii() and scheme.isalpha() else 'mysql'}://"
    for text in (
        f"{beginning}{user}:{SECRET}{mark}@{host}{path}",
        f"{beginning}{user}:{mark}{SECRET}@{host}{path}",
        f"{beginning}{user.replace('#', '')}@h/{name.replace('#', '')}?{name}={SECRET}",
    ):
        for shown in (redact_text(text), redact_text(f"it said {text}, and"), _argument(text)):
            expect(SECRET not in shown, f"{text!r} is shown as {shown!r}")
        _check_parsed(text)


def _argument(text: str) -> str:
    try:
        is_public = SECRET in str(
            {name: value for name, value in make_url(text).query.items() if name.lower() in _SHOWN}
        )
    except (ArgumentError, ValueError):
        is_public = False
    return "" if is_public else redact_argument(text)


def _check_parsed(text: str) -> None:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise Refused from error
    if SECRET in (url.password or "") and "@" not in (url.host or ""):
        rest = url.set(password="x")
        expect(SECRET in repr(rest.set(password=None)) or SECRET not in redact(url), f"{text!r} shows its password")
        expect(SECRET in repr(rest.set(password=None)) or SECRET not in identify(url), f"{text!r} is its password")


def declarations(data: bytes) -> None:
    """The file of ``FERRY_DECLARATIONS``; what is written by our hint is read as it was meant."""
    path = put("declarations.toml", data)
    with refusals(path):
        declared = read_declarations(path)
        losses = {revision: list(one.losses) for revision, one in declared.items() if one.losses}
        again = read_declarations(put("again.toml", stanza(losses).encode()))
        expect({name: list(one.losses) for name, one in again.items()} == losses, "a declaration comes back otherwise")


def manifest(data: bytes) -> None:
    """What lies beside a backup and says what it is."""
    file = scratch() / "backup.db"
    file.touch()
    manifest_of(file).write_bytes(data)
    with refusals(manifest_of(file)):
        backup = load_manifest(file)
        assert backup
        key = b"k" * 32
        # A file may have a seal that is no such text; it is then none of ours.
        backup.has_seal_of(key)
        again = write_manifest(backup, key)
        expect(load_manifest(file) == again, "a manifest comes back as another one")
        expect(again.has_seal_of(key), "a seal does not hold")
        expect(not again.has_seal_of(b"x" * 32), "a seal holds under another key")
        expect(not replace(again, size_bytes=again.size_bytes + 1).has_seal_of(key), "a seal holds of another backup")
        expect(is_sealed(again.to_manifest() | {"file": "elsewhere"}, key), "a backup that was moved has no seal")
        expect(seal(again.to_manifest(), key) == again.seal, "two seals of one manifest")


def ledger_entry(data: bytes) -> None:
    """An entry of the ledger: of this version, of a newer one, damaged."""
    try:
        value = loads(data.decode())
    except (StrictJSONError, UnicodeDecodeError) as error:
        raise Refused from error
    with refusals(own=(Unexpected,)):
        entry = Entry.from_json(value)
        again = Entry.from_json(json.loads(json.dumps(asdict(entry), default=str)))
        expect(again.mark == entry.mark and again.checksums == entry.checksums, "an entry comes back as another one")
        expect(entry.count_rows("alembic_version") >= 0, "fewer rows than none")
        expect(len(entry.table_checksums) == len(entry.checksums), "a checksum is lost")
        expect(entry.profile is None or entry.bond is None or entry, "an option is lost")


LINES = "\n"
_DIALECT = SqliteDialect()


def control_area(data: bytes) -> None:
    """The tables of the control area with any values in their cells: ``table.column=value`` a line."""
    area = _DIALECT.control_area(url_of(scratch() / "live.db"))
    with refusals(own=(sqlite3.IntegrityError,)):
        _fill(str(area.url.database), data.decode(errors="replace"))
    control = Control.peek(_DIALECT, area)
    if control is None:
        raise Broken("the control area is not found")
    place = place_of(area)
    try:
        for look in (control.ledger, control.journal, control.find_unfinished_cut_over, control.holder):
            with refusals(place):
                found = look()
                if look == control.find_unfinished_cut_over and found is not None:
                    control.entry_begun(found)
        with refusals(place):
            control.get("environment")
    finally:
        control._engine.dispose()
        control._alone.dispose()


_ROWS = {
    "ledger": {"number": 1, "run_id": "r", "entry": "{}"},
    "journal": {"number": 1, "run_id": "r", "step": "cut-over", "phase": "begun", "detail": "{}"},
    "lease": {"id": 1, "run_id": "r", "command": "c", "host": "h", "pid": 1, "process": "p", "user": "u"},
    "identity": {"name": "environment", "value": '"production"'},
}


def _fill(path: str, text: str) -> None:
    rows = {table: dict(row) for table, row in _ROWS.items()}
    for line in text.split(LINES):
        name, _, value = line.partition("=")
        table, _, column = name.partition(".")
        if table in rows and column.isidentifier():
            rows[table][column] = value
    if not (scratch() / "live.db.ferry").exists():
        Control.open(_DIALECT, _DIALECT.control_area(url_of(scratch() / "live.db")))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, row in rows.items():
            known = {str(one[1]) for one in connection.execute(f"PRAGMA table_info({table})")}
            cells = {column: value for column, value in row.items() if column in known}
            names, marks = ", ".join(f'"{column}"' for column in cells), ", ".join("?" * len(cells))
            connection.execute(f"DELETE FROM {table}")
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*cells.values()])
        connection.commit()
