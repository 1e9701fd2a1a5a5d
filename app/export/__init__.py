"""Ferry's export protocol: what a host serves so that its next deployment can migrate from it over HTTP.

A host passes its own check of who may read everything::

    from flask_ferry.export import export_blueprint

    app.register_blueprint(export_blueprint(authorize=require_admin))

``authorize`` is called before each answer; it lets an admin pass by returning, and refuses with ``abort(401)`` or
``abort(403)``. The protocol is described in docs/export-protocol.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard
from flask import Blueprint, Response, current_app, jsonify, request

from ..dialects import dialect_for
from ..dialects.base import Dialect
from ..dialects.reader import Reader
from ..errors import DoesNotFit, FerryError, Misconfigured
from ..transfer.rows.encode import Encoding, HashedLine, hash_rows
from ..transfer.rows.header import FORMAT, VERSION, Header, header_of, sort_columns, table_to_json
from ..transfer.run.settings import build_settings
from ..transfer.schema.alembic import data_tables, revision_of
from ..transfer.schema.named_schema import find_named_schema
from ..transfer.schema.version_table import version_table_of
from .memory import Mark, Reading, memory_of_process

PREFIX = "/ferry"
LONGEST_IDENTITY = 500
PIECE_BYTES = 1 << 16


def export_blueprint(authorize: Callable[[], object] | None = None) -> Blueprint:
    """The Blueprint that serves the protocol.

    :param authorize: the host's own admin check, called in each request.
    :raises Misconfigured: there is none: everything would be public, password hashes included.
    """
    if authorize is None:
        raise Misconfigured(
            "The export needs the host's admin check.",
            hint="export_blueprint(authorize=callable), which aborts with 401 or 403 for anybody else.",
        )
    check = authorize
    bp = Blueprint("ferry_export", __name__, url_prefix=PREFIX)

    @bp.after_request
    def never_stored(answer: Response) -> Response:
        """Hashes and personal data: no browser and no proxy keeps a copy."""
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @bp.errorhandler(FerryError)
    def explain(error: FerryError) -> tuple[Response, int]:
        """A database that cannot be exported as it is, such as one at no revision: in words, for an admin."""
        return jsonify(message=error.message), 503

    @bp.get("/")
    def protocol() -> Response:
        """What this is; for anybody, so that a client can tell it from other servers."""
        return jsonify(format=FORMAT, version=VERSION)

    @bp.get("/manifest")
    def manifest() -> Response:
        """Format, database, revision, and per table its rows and checksum; ``?checksums=no``: rows alone."""
        check()
        return _manifest(with_checksums=request.args.get("checksums") != "no")

    @bp.get("/export")
    def export() -> Response:
        """All rows in one consistent read, as a snapshot with its footer as the end mark.

        ``?remember=yes``: its checksums are asked for again, by a manifest behind it.
        """
        check()
        identity = request.args.get("identity", request.host_url)[:LONGEST_IDENTITY]
        return _export(identity, remember=request.args.get("remember") == "yes")

    return bp


def _dialect() -> Dialect:
    instance = Path(current_app.instance_path)
    settings = build_settings(current_app.config, os.environ, instance=instance, directory=instance, options={})
    db, migrate = current_app.extensions["sqlalchemy"], current_app.extensions.get("migrate")
    engine, root = db.engine, Path(current_app.root_path)
    dialect = dialect_for(
        engine.url,
        directory=instance,
        tls_ca=settings.tls_ca,
        version_table=version_table_of(migrate, root),
        named_schema=find_named_schema(db, migrate, root, None),
    )
    dialect.know_app(engine)
    return dialect


def _revision(reader: Reader) -> str:
    revision = revision_of(reader)
    if revision is None:
        raise DoesNotFit("The database is at no revision: Alembic's own table is not there, or empty.")
    return revision


def _refuse_outside(reader: Reader) -> None:
    if outside := reader.outside():
        lines = "; ".join(line for words in outside.values() for line in words)
        raise DoesNotFit(f"The database has large objects, which an export cannot carry: {lines}.")


def _manifest(*, with_checksums: bool) -> Response:
    dialect, engine, memory = _dialect(), current_app.extensions["sqlalchemy"].engine, memory_of_process()
    with memory.reading(dialect, engine) as reading:
        # In the order of the export's own lines: whoever took those compares their checksums with these.
        tables = {name: sort_columns(table) for name, table in data_tables(reading.reader.tables()).items()}
        revision = _revision(reading.reader)
        if with_checksums:
            sums = memory.sum_up(reading, tables)
            stated = {name: {"rows": one.rows, "checksum": str(one)} for name, one in sums.items()}
        else:
            stated = {name: {"rows": rows} for name, rows in reading.reader.counts(tables).items()}
    described = {name: table_to_json(table) | stated[name] for name, table in tables.items()}
    return jsonify(
        format=FORMAT,
        version=VERSION,
        database=dialect.identity(engine.url).uid,
        revision=revision,
        size=dialect.size_bytes(engine.url),
        tables=described,
    )


def _export(identity: str, *, remember: bool) -> Response:
    context = memory_of_process().reading(_dialect(), current_app.extensions["sqlalchemy"].engine)
    reading = context.__enter__()
    try:
        reader = reading.reader
        _refuse_outside(reader)
        tables = data_tables(reader.tables())
        header = header_of(
            identity,
            identity,
            _revision(reader),
            tables,
            counters=reader.counters(),
            numbers=reader.numbers(),
            time_zone=reader.time_zone(),
        )
    except BaseException:
        context.__exit__(None, None, None)
        raise
    response = Response(_compress(_encode(reading, header, remember=remember)), mimetype="application/zstd")
    # The read ends with the answer, however that ends.
    response.call_on_close(lambda: context.__exit__(None, None, None))
    return response


def _encode(reading: Reading, header: Header, *, remember: bool) -> Iterator[bytes]:
    """The pieces of a snapshot, whose checksums need not be made again behind them.

    :param remember: also where a mark of each table costs something.
    """
    marks: dict[str, Mark | None] = {}

    def sections() -> Iterator[tuple[str, Iterator[HashedLine]]]:
        for table in header.tables:
            # Before its rows: what changes them without a write to one, such as another word of an enum, is of no
            # transaction's instant, and is to be seen by the mark.
            if remember or reading.sees_commits:
                marks[table.name] = reading.mark(table)
            yield table.name, hash_rows(table, reading.reader.rows(table))

    encoding = Encoding(header, sections())
    yield from encoding.pieces()
    memory_of_process().learn(reading, {table.name: table for table in header.tables}, marks, encoding.footer.checksums)


def _compress(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Zstandard with a checksum, level 1: a slow compressor would be the bottleneck."""
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj()
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield compressor.compress(b"".join(waiting))
            waiting, size = [], 0
    yield compressor.compress(b"".join(waiting)) + compressor.flush()
