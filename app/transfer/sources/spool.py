"""Whole answers that came before their turn, in files: nothing holds them in memory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from .http import Answer


class Spool:
    """Answers by type of record; each is taken out once.

    :param directory: where the files go; of mode 0700.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heads: dict[str, Answer] = {}

    def put(self, record_type: str, answer: Answer) -> None:
        """Keep an answer; another one of this type is replaced."""
        handle = os.open(self._file(record_type), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(answer.body)
        self._heads[record_type] = replace(answer, body=b"")

    def take(self, record_type: str) -> Answer | None:
        """The answer of a type, which is not here any more then."""
        head = self._heads.pop(record_type, None)
        if head is None:
            return None
        file = self._file(record_type)
        body = file.read_bytes()
        file.unlink()
        return replace(head, body=body)

    def _file(self, record_type: str) -> Path:
        return self._directory / f"{record_type}.answer"
