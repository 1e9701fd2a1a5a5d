"""Carry the forum record by record through its models, as a script that an app's author writes does.

``python -m benchmarks.speed.orm SOURCE TARGET``; the target's tables are made from the models.
"""

from __future__ import annotations

import sys

from sqlalchemy import create_engine, inspect, select
from sqlalchemy.orm import Session

from benchmarks.host.forum import Base, Follow, Post, PostTag, Tag, User

COMMIT_EVERY = 500


def carry(source: str, target: str) -> None:
    """Read every record of every model and add one like it."""
    to = create_engine(target)
    Base.metadata.create_all(to)
    with Session(create_engine(source)) as old, Session(to) as new:
        for model in (User, Post, Tag, PostTag, Follow):
            names = [attribute.key for attribute in inspect(model).column_attrs]
            for number, record in enumerate(old.scalars(select(model).execution_options(yield_per=COMMIT_EVERY)), 1):
                new.add(model(**{name: getattr(record, name) for name in names}))
                if number % COMMIT_EVERY == 0:
                    new.commit()
            new.commit()


if __name__ == "__main__":
    carry(*sys.argv[1:])
