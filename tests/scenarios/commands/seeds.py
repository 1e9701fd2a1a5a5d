"""Seeds that a developer might write."""

from __future__ import annotations

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.extensions import db
from app.models import Section


def broken() -> None:
    raise FileNotFoundError("the fixture is missing")


def half_way() -> None:
    db.session.add(Section(name="Committed", abbreviation="C"))
    db.session.commit()
    raise ValueError("half way")


def refused() -> None:
    for _ in range(2):
        db.session.add(Section(name="Twice", abbreviation="SAME"))
    db.session.commit()


def dangling() -> None:
    db.session.execute(sa.text("INSERT INTO posts (user_id, content, created_at) VALUES (4711, 'x', '2026-01-01')"))
    db.session.commit()


def count_first() -> None:
    found = db.session.scalar(sa.select(sa.func.count()).select_from(Section))
    db.session.add(Section(name=f"{found} before", abbreviation="N"))
    db.session.commit()


@click.command()
@click.option("--sections", default=2)
@click.pass_context
@with_appcontext
def command(context: click.Context, sections: int) -> None:
    for number in range(sections):
        db.session.add(Section(name=f"Section {number}", abbreviation=str(number)))
    db.session.commit()
    context.exit(0)


@click.command()
@click.argument("number")
def demanding(number: str) -> None:
    """Needs what nobody gives it."""


@click.command()
def gives_up() -> None:
    click.get_current_context().exit(3)


def leaves() -> None:
    raise SystemExit(0)
