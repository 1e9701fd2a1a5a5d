"""Whether a database was written since it was read, asked of its server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from .reader import Reader

R = TypeVar("R", bound=Reader)


class TokenWatch(Generic[R]):
    """A watch on a server that can say of any instant what it holds.

    :param token_of: computes the token inside a read; None where there is no exact one.
    """

    def __init__(
        self, open_reader: Callable[[], AbstractContextManager[R]], token_of: Callable[[R], bytes | None]
    ) -> None:
        self._open_reader, self._token_of = open_reader, token_of

    @contextlib.contextmanager
    def read(self) -> Iterator[tuple[Reader, bytes | None]]:
        with self._open_reader() as reader:
            token = self._token_of(reader)
            yield reader, token

    def token(self) -> bytes | None:
        with self.read() as (_, token):
            return token
