"""The app that meets the faults: a few small tables with all that a cut-over has to move, on each server.

Its releases are two histories: ``now`` with the first revision, ``next`` with one more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import sqlalchemy as sa
from flask import Flask, current_app

from tests.scenarios.small_host import create_app as create_small_host

SEED = f"{__name__}:seed"
ROWS = 30
WRITTEN = "written"
"""How the names of rows begin that writers made."""

KEYS = {
    "sqlite": "INTEGER PRIMARY KEY",
    "mariadb": "INTEGER AUTO_INCREMENT PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
}
TABLES = (
    "CREATE TABLE shops (id {key}, name VARCHAR(60) NOT NULL, CONSTRAINT one_name UNIQUE (name))",
    "CREATE TABLE goods (id {key}, shop_id INTEGER NOT NULL, name VARCHAR(60) NOT NULL, price INTEGER, "
    "CONSTRAINT of_shop FOREIGN KEY (shop_id) REFERENCES shops (id))",
    "CREATE TABLE audits (id {key}, shop VARCHAR(60) NOT NULL)",
    "CREATE INDEX goods_by_name ON goods (name)",
    "CREATE VIEW cheap AS SELECT name FROM goods WHERE price < 10",
)
TRIGGERS = {
    "sqlite": ("CREATE TRIGGER audited AFTER INSERT ON shops BEGIN INSERT INTO audits (shop) VALUES (new.name); END",),
    "mariadb": (
        "CREATE TRIGGER audited AFTER INSERT ON shops FOR EACH ROW INSERT INTO audits (shop) VALUES (new.name)",
    ),
    "postgresql": (
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO audits (shop) VALUES (new.name); RETURN new; END'",
        "CREATE TRIGGER audited AFTER INSERT ON shops FOR EACH ROW EXECUTE FUNCTION audit()",
    ),
}
SECOND = (
    "ALTER TABLE goods ADD COLUMN stock INTEGER DEFAULT 7",
    "UPDATE goods SET price = price + 1 WHERE id <= 10",
    "CREATE INDEX goods_by_stock ON goods (stock)",
)


def first(server: str) -> list[str]:
    """The statements of the first revision."""
    return [*(text.format(key=KEYS[server]) for text in TABLES), *TRIGGERS[server]]


def fill(connection: sa.Connection, prefix: str) -> None:
    """Some rows of each table; the trigger makes those of audits."""
    for number in range(1, ROWS + 1):
        connection.execute(sa.text("INSERT INTO shops (name) VALUES (:name)"), {"name": f"{prefix}-{number}"})
    shops = connection.execute(sa.text("SELECT id FROM shops ORDER BY id")).scalars().all()
    goods = [{"shop": shop, "name": f"{prefix}-{shop}-{of}", "price": shop} for shop in shops for of in range(3)]
    connection.execute(sa.text("INSERT INTO goods (shop_id, name, price) VALUES (:shop, :name, :price)"), goods)


def seed() -> None:
    """Default test data of db-init."""
    db = current_app.extensions["sqlalchemy"]
    with db.engine.begin() as connection:
        fill(connection, "seeded")


def create_app() -> Flask:
    """The small host, with a seed."""
    app = create_small_host()
    app.config["FERRY_SEED"] = os.environ.get("CHAOS_SEED", SEED)
    return app


def rows_of(connection: sa.Connection) -> Mapping[str, list[tuple[object, ...]]]:
    """Every row of the tables that are there, but for those that writers made, which are counted apart."""
    names = [name for name in ("alembic_version", "audits", "goods", "shops") if sa.inspect(connection).has_table(name)]
    rows = {name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr) for name in names}
    return {
        name: [row for row in of_table if not any(str(value).startswith(WRITTEN) for value in row)]
        for name, of_table in rows.items()
    }
