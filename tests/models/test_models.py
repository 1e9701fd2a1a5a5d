"""The models and the test data."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models import Base, Classroom, Microblog, Persona, Post, Reaction, Section, Topic, User
from app.models.testdata import seed


def test_locking(app: Flask) -> None:
    user = User(name="N", uid="n", email="")
    user.set_password("secret")
    assert user.has_password("secret")
    assert not user.is_locked
    user.lock()
    assert user.is_locked
    assert not any(user.has_password(password) for password in ("secret", "", "!"))


def test_a_reply_stays_one(app: Flask) -> None:
    seed()
    db.session.add(Post(id=10, user_id=3, parent_id=4, content="reply"))
    db.session.commit()
    db.session.delete(db.session.get_one(Post, 4))
    db.session.commit()
    reply = db.session.get_one(Post, 10)
    db.session.refresh(reply)
    assert (reply.is_reply, reply.parent_id) == (True, None)
    assert not db.session.get_one(Post, 1).is_reply


def test_an_author_cannot_be_deleted(app: Flask) -> None:
    seed()
    db.session.delete(db.session.get_one(User, 3))
    with pytest.raises(IntegrityError):
        db.session.commit()


def test_who_wrote_nothing_can(app: Flask) -> None:
    seed()
    db.session.add(User(id=9, name="", uid="nine", email="", password="!"))
    room = db.session.get_one(Classroom, 1)
    room.students.append(db.session.get_one(User, 9))
    db.session.add(Reaction(microblog_id=1, kind="x", user_id=9))
    db.session.commit()
    db.session.delete(db.session.get_one(User, 9))
    db.session.commit()
    db.session.expire_all()
    assert [student.id for student in db.session.get_one(Classroom, 1).students] == [3, 4]
    assert [reaction.kind for reaction in db.session.get_one(Microblog, 1).reactions] == ["👍", "👍"]


def test_deleting_the_others(app: Flask) -> None:
    seed()
    for model, key in ((Microblog, 1), (Topic, 2), (Section, 1), (Persona, 2), (Classroom, 1), (Post, 1)):
        db.session.delete(db.session.get_one(model, key))
        db.session.commit()
    assert db.session.execute(sa.text("PRAGMA foreign_key_check")).all() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Reaction)) == 0


def test_none_is_sql_null_in_json_columns(app: Flask) -> None:
    db.session.add(Topic(page_key="", page_path="", page_title="", settings=None))
    db.session.commit()
    assert db.session.execute(sa.text("SELECT typeof(settings) FROM topics")).scalar() == "null"


def test_every_constraint_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name
