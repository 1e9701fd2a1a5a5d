"""Checksums of whole databases."""

from __future__ import annotations

from pathlib import Path

from app.dialects.model import TableChecksum
from app.dialects.sqlite.names import url_of
from app.transfer.proof.checksums import fingerprint

from .databases import DIALECT, Db


def test_the_fingerprint_is_free_of_the_order_of_columns(db: Db) -> None:
    one = db("CREATE TABLE a (x TEXT, y TEXT)", "INSERT INTO a VALUES ('1', '2')")
    other = db("CREATE TABLE a (y TEXT, x TEXT)", "INSERT INTO a VALUES ('2', '1')")
    turned = db("CREATE TABLE a (x TEXT, y TEXT)", "INSERT INTO a VALUES ('2', '1')")

    def of(path: Path) -> dict[str, TableChecksum]:
        with DIALECT.reader(url_of(path)) as reader:
            return fingerprint(reader)

    assert of(one) == of(other) != of(turned)
