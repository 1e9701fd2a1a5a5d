"""MySQL and MariaDB: a row that is longer than a packet, in statements that are not.

What an app stored by a statement of its own fits into a packet as it is, and need not as a literal, with a backslash
before each of its quotes; and a row may hold several such values. So a value is put together in a variable of the
session, and the row names that. What is longer than the packet of the server that it is put back on comes to NULL
there, with a warning: therefore each value is followed by a statement that fails where it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

SHORT = 4 << 10
"""Bytes of a literal that stays where it is."""
_VARIABLE = b"@ferry_part_%d"

TOO_LONG = b"max_allowed_packet is too small here"
"""What that statement tries to set where a value came to NULL; the server's error repeats it."""

Quote = Callable[[bytes], bytes]

VARIABLE = rb"@ferry_part_[0-9]+"
"""What such a variable is called, as an expression."""


def write_in_parts(
    raw: Sequence[bytes | None], literals: Sequence[bytes], is_text: Sequence[bool], allowed: int, quote: Quote
) -> tuple[list[bytes], list[bytes]]:
    """The statements that put long values of a row together, and the row's values, some of which name variables.

    :param raw: the values as they are, in the order of their literals.
    :param allowed: bytes that a statement may have.
    :param quote: makes a literal of bytes.
    """
    statements, values = list[bytes](), list[bytes]()
    for number, (value, literal) in enumerate(zip(raw, literals, strict=True)):
        if value is None or len(literal) <= SHORT:
            values.append(literal)
            continue
        variable = _VARIABLE % number
        statements += _put_together(variable, value, allowed // 4, quote)
        values.append(b"CONVERT(%s USING utf8mb4)" % variable if is_text[number] else variable)
    return statements, values


def _put_together(variable: bytes, value: bytes, size: int, quote: Quote) -> Iterator[bytes]:
    """:param size: bytes of a part, which as a literal may be twice as long."""
    for start in range(0, len(value), size):
        literal = b"_binary" + quote(value[start : start + size])
        yield b"SET %s = " % variable + (b"CONCAT(%s, %s)" % (variable, literal) if start else literal)
    yield b"SET SESSION sql_mode = IF(%s IS NULL, '%s', @@sql_mode)" % (variable, TOO_LONG)
