"""The reference app as a deployment that notes of which tables it reads rows, and for what."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask

import app.export as export_module
from app import create_app as create_reference_app
from app.dialects.model import Table
from app.export import memory as memory_module

NOTES = "COUNTING_HOST_NOTES"
FORMER = "COUNTING_HOST_IS_FORMER"
"""It is of a version that gave checksums always, and remembered what it gave."""


def create_app() -> Flask:
    notes = Path(os.environ[NOTES])
    memory_module.checksum = _noting(notes, "manifest", memory_module.checksum)
    export_module.hash_rows = _noting(notes, "export", export_module.hash_rows)
    app = create_reference_app()
    if os.environ.get(FORMER):
        app.wsgi_app = _ask_as_ever(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _noting(notes: Path, what: str, read: Callable[[Table, Iterable[Any]], Any]) -> Callable[..., Any]:
    def note(table: Table, rows: Iterable[Any]) -> Any:
        with notes.open("a") as file:
            file.write(f"{what} {table.name}\n")
        return read(table, rows)

    return note


def _ask_as_ever(answer: Callable[..., Any]) -> Callable[..., Any]:
    def without_newer_words(environ: dict[str, Any], start: Any) -> Any:
        words = environ["QUERY_STRING"].split("&")
        environ["QUERY_STRING"] = "&".join(word for word in words if word not in ("checksums=no", "remember=yes"))
        return answer(environ, start)

    return without_newer_words
