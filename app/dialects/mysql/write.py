"""MySQL and MariaDB: canonical values as the server is given them, and those refused that it would change.

Even a strict server changes values without a word: it rounds 1.5 for an integer, cuts digits off a time, finds the
member of an ENUM without regard to case, pads BINARY(n), takes NULL for a new AUTO_INCREMENT key, forgets the sign of
-0.0 (all seen on MariaDB 10.11). So a value goes in only in the very form in which the reader would give it.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import LogicalType, Values
from ..values import is_json, to_date, to_time, to_timestamp
from .connect import quote
from .native_json import find_change
from .types import Stored

Bytes = Callable[[Any], bytes]
"""A canonical value (never NULL) to digits, UTF-8, or the bytes that it stands for; ValueError: it does not fit."""


class Unfit(ValueError):
    """A value that the column would not hold as it is."""


@dataclass(frozen=True)
class Form:
    """How the bytes of a value are written.

    :ivar literal: in a statement.
    :ivar field: in a file for LOAD DATA; None where the field would have to go through an expression. With UNHEX a
        file is slower than statements (19 s to 14 s, measured), and beside an expression a 0 in another column is
        taken for a new AUTO_INCREMENT key (seen on MariaDB 10.11).
    """

    literal: Callable[[bytes], bytes]
    field: Callable[[bytes], bytes] | None


def _quote(value: bytes) -> bytes:
    return b"'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def _binary(value: bytes) -> bytes:
    return b"_binary" + _quote(value)


def _field(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def _address(kind: str) -> Callable[[bytes], bytes]:
    """An address; one that the server would spell otherwise is made one that it refuses."""
    cast = f"BINARY CAST(CAST({{0}} AS {kind.upper()}) AS CHAR)"
    template = f"IF({cast} <=> BINARY {{0}}, {{0}}, CONCAT({{0}}, ', which is spelled otherwise'))".encode()
    return lambda value: template.replace(b"{0}", _quote(value))


_NUMBER = Form(bytes, bytes)
_TEXT = Form(_quote, _field)
_BITS = Form(bytes, None)
_BYTES = Form(_binary, None)


def _form(stored: Stored) -> Form:
    match stored.type:
        case "inet4" | "inet6":
            return Form(_address(stored.type), None)
        case "bit":
            return _BITS
        case "year":
            return _TEXT
    match stored.logical_type:
        case LogicalType.BYTES:
            return _BYTES
        case LogicalType.BOOL | LogicalType.INT:
            return _NUMBER
    return _TEXT


def _bool(value: Any) -> bytes:
    match value:
        case bool():
            return b"1" if value else b"0"
        case {"$int": str(text)} if re.fullmatch(r"-?[1-9][0-9]*", text) and text != "1":
            return text.encode()
    raise Unfit


def _integer(value: Any) -> bytes:
    if type(value) is not int:
        raise Unfit
    return b"%d" % value


def _bit(stored: Stored) -> Bytes:
    # The server takes -1 for all bits set (MariaDB 10.11, seen).
    size = int(stored.full_type.partition("(")[2].rstrip(")") or 1)

    def encode(value: Any) -> bytes:
        if type(value) is not int or not 0 <= value < 2**size:
            raise Unfit
        return b"%d" % value

    return encode


def _year(value: Any) -> bytes:
    # With fewer digits than four the server would mean another century.
    if type(value) is not int or (value != 0 and not 1901 <= value <= 2155):
        raise Unfit
    return b"%04d" % value


def _decimal(stored: Stored) -> Bytes:
    fraction = rf"\.[0-9]{{{stored.scale}}}" if stored.scale else ""
    form = re.compile(rf"-?(?:0|[1-9][0-9]*){fraction}")

    def encode(value: Any) -> bytes:
        if type(value) is not str or not form.fullmatch(value) or (value[0] == "-" and not value.strip("-0.")):
            raise Unfit
        return value.encode()

    return encode


def _float(stored: Stored, *, keeps_minus_zero: bool) -> Bytes:
    def round_as_stored(value: float) -> float:
        """What is read back: the digits that are shown, or the bits."""
        digits = _single(value) if stored.type == "float" else value
        return digits if stored.scale is None else float(f"{digits:.{stored.scale}f}")

    def encode(value: Any) -> bytes:
        if type(value) is not float or round_as_stored(value) != value or value in (float("inf"), -float("inf")):
            raise Unfit
        text = repr(value)
        if text == "-0.0" and not keeps_minus_zero:
            raise Unfit("this server keeps no sign of a zero")
        return text.encode()

    return encode


def _single(value: float) -> float:
    """The nearest number of 32 bits; an infinity where there is none."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf")


def _text(value: Any) -> bytes:
    if type(value) is not str:
        raise Unfit
    return value.encode()


def _char(value: Any) -> bytes:
    if type(value) is not str or value[-1:] == " ":
        raise Unfit
    return value.encode()


def _enum(stored: Stored) -> Bytes:
    members = {member: member.encode() for member in stored.members}

    def encode(value: Any) -> bytes:
        if type(value) is not str or value not in members:
            raise Unfit
        return members[value]

    return encode


def _set(stored: Stored) -> Bytes:
    members = stored.members

    def encode(value: Any) -> bytes:
        parts = value.split(",") if type(value) is str and value else []
        if type(value) is not str or [member for member in members if member in parts] != parts:
            raise Unfit
        return value.encode()

    return encode


def _bytes(stored: Stored) -> Bytes:
    def encode(value: Any) -> bytes:
        if type(value) is not str:
            raise Unfit
        octets = binascii.a2b_base64(value, strict_mode=True)
        if stored.type == "binary" and len(octets) != stored.length:
            raise Unfit(f"it has {len(octets)} bytes")
        return octets

    return encode


_ODD = {
    LogicalType.DATE: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    LogicalType.TIME: re.compile(r"-?[0-9]{2,3}:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}"),
    LogicalType.TIMESTAMP: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}"),
}
"""What the server holds and the calendar or the clock does not: a zero date, 31 February, 25 hours."""
_ODD[LogicalType.TIMESTAMPTZ] = _ODD[LogicalType.TIMESTAMP]
_USUAL = {
    LogicalType.DATE: to_date,
    LogicalType.TIME: to_time,
    LogicalType.TIMESTAMP: to_timestamp,
    LogicalType.TIMESTAMPTZ: to_timestamp,
}
_UTC = "+00:00"


def _temporal(stored: Stored) -> Bytes:
    odd, usual = _ODD[stored.logical_type], _USUAL[stored.logical_type]
    zeros = "" if stored.logical_type is LogicalType.DATE else "0" * (6 - stored.digits)

    def encode(value: Any) -> bytes:
        match value:
            case str() if usual(value) == value:
                text = value
            case {"$text": str(text)} if odd.fullmatch(text) and usual(text) is None:
                pass
            case _:
                raise Unfit
        if not text.endswith(zeros):
            raise Unfit
        return text.encode()

    return encode


def _instant(stored: Stored) -> Bytes:
    local = _temporal(stored)

    def encode(value: Any) -> bytes:
        if type(value) is not str:
            return local(value)
        if not value.endswith(_UTC):
            raise Unfit
        return local(value.removesuffix(_UTC))

    return encode


def _json(value: Any) -> bytes:
    match value:
        case str() if is_json(value):
            return value.encode()
        case {"$text": str(text)} if not is_json(text):
            return text.encode()
    raise Unfit


def _native_json(value: Any) -> bytes:
    text = _json(value)
    if type(value) is str and (change := find_change(value)):
        raise Unfit(change)
    return text


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid(value: Any) -> bytes:
    if type(value) is not str or not _UUID.fullmatch(value):
        raise Unfit
    return value.encode()


_BY_TYPE: dict[str, Callable[[Stored], Bytes]] = {
    "year": lambda _: _year,
    "bit": _bit,
    "char": lambda _: _char,
    "enum": _enum,
    "set": _set,
    "decimal": _decimal,
    "json": lambda _: _native_json,
}
_BY_LOGICAL_TYPE: dict[LogicalType, Callable[[Stored], Bytes]] = {
    LogicalType.BOOL: lambda _: _bool,
    LogicalType.INT: lambda _: _integer,
    LogicalType.TEXT: lambda _: _text,
    LogicalType.BYTES: _bytes,
    LogicalType.DATE: _temporal,
    LogicalType.TIME: _temporal,
    LogicalType.TIMESTAMP: _temporal,
    LogicalType.TIMESTAMPTZ: _instant,
    LogicalType.JSON: lambda _: _json,
    LogicalType.UUID: lambda _: _uuid,
}


def _encoder(stored: Stored, *, keeps_minus_zero: bool) -> Bytes:
    if stored.logical_type is LogicalType.FLOAT:
        return _float(stored, keeps_minus_zero=keeps_minus_zero)
    return (_BY_TYPE.get(stored.type) or _BY_LOGICAL_TYPE[stored.logical_type])(stored)


def _compose(encode: Bytes, write: Callable[[bytes], bytes]) -> Bytes:
    return encode if write is bytes else lambda value: write(encode(value))


class Encoder:
    """Rows of one table, in the order of ``columns``, as the server takes them.

    :param keeps_minus_zero: the server holds -0.0 (MariaDB does not, seen).
    """

    def __init__(self, table: str, columns: Sequence[Stored], *, keeps_minus_zero: bool) -> None:
        self._table, self._columns = table, list(columns)
        self._encoders = [_encoder(item, keeps_minus_zero=keeps_minus_zero) for item in columns]
        pairs = list(zip(self._encoders, map(_form, columns), strict=True))
        self._literals = [_compose(encode, form.literal) for encode, form in pairs]
        self._fields = [_compose(encode, form.field) for encode, form in pairs if form.field]
        self._required = [index for index, item in enumerate(columns) if not item.nullable]
        names = ", ".join(quote(item.name) for item in columns)
        self.insert = f"INSERT INTO {quote(table)} ({names}) VALUES ".encode()

    @property
    def takes_files(self) -> bool:
        """Whether LOAD DATA can be used, and is worth it."""
        return len(self._fields) == len(self._columns)

    def literal(self, row: Values) -> bytes:
        """A row for ``VALUES``.

        :raises Unfit: a value that the server would change, with the column's name.
        """
        return b"(" + b",".join(self._write(row, self._literals, b"NULL")) + b")"

    def line(self, row: Values) -> bytes:
        """A row of a file for :meth:`load_data`.

        :raises Unfit: as :meth:`literal`.
        """
        return b"\t".join(self._write(row, self._fields, b"\\N")) + b"\n"

    def _write(self, row: Values, writers: Sequence[Bytes], null: bytes) -> list[bytes]:
        for index in self._required:
            if row[index] is None:
                raise Unfit(f"Column '{self._columns[index].name}' cannot be null")
        try:
            return [null if value is None else write(value) for value, write in zip(row, writers, strict=True)]
        except ValueError as error:
            raise Unfit(self._reason(row) or str(error)) from error

    def _reason(self, row: Values) -> str:
        """The first column that does not take its value, and why."""
        for value, encode, stored in zip(row, self._encoders, self._columns, strict=True):
            try:
                if value is not None:
                    encode(value)
            except ValueError as error:
                return _refusal(stored, error)
        return ""

    def load_data(self, file: str) -> str:
        """The statement that loads a file of lines.

        :param file: its name, of characters that need no escape.
        """
        names = ", ".join(quote(item.name) for item in self._columns)
        return (
            f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {quote(self._table)} CHARACTER SET utf8mb4 "
            f"FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({names})"
        )


def _refusal(stored: Stored, error: ValueError) -> str:
    """The column and why, without the value: it may be a secret, and equal reasons are counted together."""
    kind = stored.full_type if len(stored.full_type) <= 60 else f"{stored.full_type[:57]}..."
    why = str(error) if isinstance(error, Unfit) else f"it cannot be encoded ({type(error).__name__})"
    return f"Column '{stored.name}' ({kind}) would not hold this value as it is{f': {why}' if why else ''}"
