"""Where a database and the models differ, in words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.transfer.schema.drift import describe_differences


def test_each_kind_of_difference_is_a_sentence() -> None:
    engine = sa.create_engine("sqlite://")
    live, models = sa.MetaData(), sa.MetaData()
    sa.Table("gone", live, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table("new", models, sa.Column("id", sa.Integer, primary_key=True))
    for metadata, name in ((live, "old"), (models, "young")):
        sa.Table(
            "both",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column(name, sa.Integer),
            sa.Column("size", sa.Integer if name == "old" else sa.Text, nullable=name == "old"),
            sa.Index(f"ix_{name}", "size"),
        )
    sa.Table("refers", live, sa.Column("id", sa.ForeignKey("both.id")))
    sa.Table("refers", models, sa.Column("id", sa.Integer))
    with engine.connect() as connection:
        live.create_all(connection)
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), models)
    assert sorted(describe_differences([*found, *found], "the database")) == [
        "column both.old of the database is in no model",
        "column both.size: NULL allowed is True in the database, False in the models",
        "column both.size: type is INTEGER() in the database, Text() in the models",
        "column both.young of the models is not in the database",
        "foreign key id of the table refers of the database is in no model",
        "index ix_old of the table both of the database is in no model",
        "index ix_young of the table both of the models is not in the database",
        "table gone of the database is in no model",
        "table new of the models is not in the database",
    ]


def test_what_is_not_known_is_shown_as_it_is() -> None:
    differences = [("add_comment", "t", "words"), ValueError("New upgrade operations detected: [...]")]
    assert describe_differences(differences, "head") == [
        "add_comment t words",
        "New upgrade operations detected: [...]",
    ]
