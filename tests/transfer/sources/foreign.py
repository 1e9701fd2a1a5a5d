"""A deployment that says whatever a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import strategies as st

from app.errors import FerryError
from tests.support.sources.loopback import Asked, answer

ODD = st.none() | st.booleans() | st.sampled_from([-1, 0, 1, 3, 2**63, 2**64, 1.5, "", "x", "3", "0" * 32, "\0é"])


JUNK = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


# JSON that Python would not write.
RAW = st.sampled_from(
    [
        "1e999999999",
        "-1e999999999",
        "9" * 1_000_000,
        "1e99999999999999999999",
        "NaN",
        "[" * 200_000 + "]" * 200_000,
        "[" * 900 + "]" * 900,
        '{"a":' * 900 + "1" + "}" * 900,
        '"\\ud800"',
        '{"a": 1, "a": 2}',
        "",
        "nul",
    ]
)


TEXTS = JUNK.map(json.dumps) | RAW


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none; any other error is a failure of the test."""
    try:
        read()
    except FerryError as error:
        return error.message
    return None


class Said:
    """Answers by path; a deployment that says whatever a test wants."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    def script(self, asked: Asked, send: Callable[[bytes], None]) -> None:
        path = asked.target.partition("?")[0]
        send(answer(self.answers[path]) if path in self.answers else answer("{}", status="404 Not Found"))


HTML = answer("<title>404</title>", "Content-Type: text/html", status="404 Not Found")
