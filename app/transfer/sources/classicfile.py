"""The two shapes of a classic ``data.json``: a list of users, and an object by type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import SnapshotUnusable
from ..files import DAMAGED, opened
from ..strictjson import StrictJSONError, elements, members, value_at, whole_list

RECORD_TYPE_OF_A_LIST = "user"
METADATA = "_metadata"


class ClassicFile:
    """One file, whose text is held while it is read: these files were written by a program that did the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with opened(path) as file:
            try:
                self._text = file.read().decode("utf-8-sig")
            except DAMAGED as error:
                raise SnapshotUnusable(
                    f"{path} ends too early or is damaged ({error}).", hint="Use an intact copy of the file."
                ) from error
            except UnicodeDecodeError as error:
                raise SnapshotUnusable(f"{path} is not UTF-8: byte {error.start}.") from error
        self._places = self._find()

    def _find(self) -> dict[str, int]:
        try:
            if self._text.lstrip()[:1] == "[":
                for _ in whole_list(self._text):
                    pass
                return {RECORD_TYPE_OF_A_LIST: 0}
            places = dict(members(self._text))
            metadata = value_at(self._text, places.pop(METADATA)) if METADATA in places else {}
        except StrictJSONError as error:
            raise self._refuse(error) from error
        failed = metadata.get("failed_endpoints") if isinstance(metadata, dict) else None
        if failed:
            raise SnapshotUnusable(
                f"{self._path} is incomplete: the program that wrote it could not read "
                f"{', '.join(str(item[0] if isinstance(item, list) and item else item) for item in failed)}.",
                hint="Read the old deployment itself: flask db-migrate-data URL",
            )
        if not places:
            raise SnapshotUnusable(f"{self._path} holds no records.")
        return places

    def _refuse(self, error: StrictJSONError) -> SnapshotUnusable:
        return SnapshotUnusable(f"{self._path}: {error}.", hint="Use an intact copy of the file.")

    @property
    def types(self) -> list[str]:
        return list(self._places)

    def records(self, record_type: str) -> Iterator[str]:
        """The records of a type, each as it was spelled, on one line."""
        try:
            for raw, _, _ in elements(self._text, self._places[record_type]):
                yield raw
        except StrictJSONError as error:
            raise self._refuse(error) from error
