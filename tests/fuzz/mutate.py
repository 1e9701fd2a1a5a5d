"""Bytes made of other bytes, at random and repeatable: what is tried where nothing leads the search."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

ODD = (
    b"", b"\0", b"\xff", b"\n", b"\r\n", b"'", b'"', b"`", b"\\", b";", b"--", b"/*", b"*/", b"$$", b"[", b"]", b"{",
    b"}", b",", b":", b"null", b"true", b"1", b"-1", b"0", b"1e999999999", b"9223372036854775808", b"NaN", b"Infinity",
    b'"\\ud800"', b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x1b[2J", b"[" * 900, b"9" * 5000, b'{"a":1,"a":2}', b"$tag$",
    b"\\.\n", b"E'\\'", b"x'00'", b"%00", b"@", b"?", b"#", b"://", b"\x28\xb5\x2f\xfd", b"\x1f\x8b",
)  # fmt: skip
"""What readers of all kinds have failed on."""
_WORDS = re.compile(rb"[A-Za-z0-9_]+|\s+|.", re.DOTALL)
LONGEST = 1 << 16

Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(dice: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the corpus with a few changes."""
    data = dice.choice(corpus)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        data = dice.choice(CHANGES)(dice, data, corpus)
    return data[:LONGEST]


def _span(dice: random.Random, data: bytes) -> tuple[int, int]:
    start = dice.randint(0, len(data))
    return start, min(len(data), start + dice.choice((0, 1, 1, 2, 4, 16, 64)))


def _flip(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]


def _put_odd(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:start] + dice.choice(ODD) + data[end:]


def _cut(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:start] if dice.random() < 0.2 else data[:start] + data[end:]


def _repeat(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:end] + data[start:end] * dice.choice((1, 2, 10)) + data[end:]


def _splice(dice: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = dice.choice(corpus)
    return data[: dice.randint(0, len(data))] + other[dice.randint(0, len(other)) :]


def _swap_words(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    words = _WORDS.findall(data)
    if len(words) > 1:
        one, other = dice.randrange(len(words)), dice.randrange(len(words))
        words[one], words[other] = words[other], words[one]
    return b"".join(words)


def _replace_word(dice: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    words, others = _WORDS.findall(data), _WORDS.findall(dice.choice(corpus))
    if words and others:
        words[dice.randrange(len(words))] = dice.choice((dice.choice(others), dice.choice(ODD)))
    return b"".join(words)


CHANGES: tuple[Change, ...] = (
    _flip,
    _put_odd,
    _put_odd,
    _cut,
    _repeat,
    _splice,
    _swap_words,
    _replace_word,
    _replace_word,
)
