"""What ``flask db-init`` seeds: a small school, the same every time, made without asking anybody.

=======  ========  ============
uid      role      password
=======  ========  ============
toby     Admin     ``123Toby!``
mira     Teacher   ``123Mira!``
niko     Student   ``123Niko!``
hana     Student   ``123Hana!``
guest    User      none: locked
=======  ========  ============
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from ..extensions import db
from .base import Base
from .classroom import Classroom
from .feedback import Feedback
from .leaderboard import ElementaryLeaderboardEvent, LeaderboardEntry
from .microblog import Microblog, Reaction
from .persona import Persona, UserPersona
from .post import Post
from .section import Enrolment, Section
from .skill import SkillSnapshot
from .study import Study
from .topic import Topic
from .user import LOCKED, User

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC).replace(tzinfo=None)

# Made once: hashing takes longer than everything else here.
TOBY_HASH = (
    "scrypt:32768:8:1$kCv7rTAIGUJQZrZz$a132d6029b64a424136de088cc2145886465e00493cc963107e9eb4d4120c00d"
    "2d902e1b0b95453dc70bfecbaa7a6d3d03204e3707cb25047afb211dcc9e102c"
)
MIRA_HASH = (
    "scrypt:32768:8:1$rm0mx3JI0n4mMv0V$1649b63045337a8401e3c0ef58c0bca9d86df5d91e2aaddff162989a870a7e2c"
    "4a125dcf449408be033cfb5fc26621333a43534ad4185b7211b134e261695a23"
)
NIKO_HASH = (
    "scrypt:32768:8:1$pYSk5dM5GPblqzNe$7e68ad83382a313661fbab51dc71ed32108381bc4a77d881663b68d18c064a29"
    "b517abb8e402047da16cff9214b22bdd33f7d3545d7bc6d40f2498f83acc9d23"
)
HANA_HASH = (
    "scrypt:32768:8:1$Wup3kGUgm43RRAkG$d302892ed1644647b8962db99fc8e1045ace16f7ec28744d4a7d8526db326e7c"
    "de1ad25d45de200530ecc53e58c87e247a07294bbf7eebee49aee76bed51bb29"
)


def seed() -> None:
    """Add and commit the rows; the tables must be there and empty."""
    for rows in (_people(), _topics(), _posts(), _microblogs(), _school(), _scores()):
        db.session.add_all(rows)
        db.session.flush()
    db.session.commit()


def _at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def _people() -> Iterator[Base]:
    yield Section(id=1, name="Computer Science A", abbreviation="CSA")
    yield Section(id=2, name="Computer Science Principles", abbreviation="CSP")
    yield Persona(id=1, category="student", alias="planner", bio_map={"motto": "First things first"})
    yield Persona(
        id=2, category="student", alias="tinkerer", bio_map={"motto": "Try it"}, empathy_map={"says": ["Why not?"]}
    )
    yield _user(1, "toby", "Toby Fernwick", "Admin", TOBY_HASH)
    yield _user(2, "mira", "Mira Oakhurst", "Teacher", MIRA_HASH)
    yield _user(3, "niko", "Niko Palegrove", "Student", NIKO_HASH, section=1, persona=1)
    yield _user(4, "hana", "Hana Elderquay", "Student", HANA_HASH, section=2, persona=2)
    yield _user(5, "guest", "Guest", "User", LOCKED)


def _user(key: int, uid: str, name: str, role: str, password: str, *, section: int = 0, persona: int = 0) -> User:
    return User(
        id=key,
        uid=uid,
        name=name,
        email=f"{uid}@example.com",
        sid=f"{9_000_000 + key}",
        password=password,
        role=role,
        school="Havenbrook High",
        classes=["CSA", "CSP"][section - 1 : section] if section else None,
        grade_data={"grade": "A-", "attempts": 2} if section else None,
        enrolments=[Enrolment(section_id=section, year=2026)] if section else [],
        personas=[UserPersona(persona_id=persona, weight=1, selected_at=_at(1))] if persona else [],
    )


def _topics() -> Iterator[Base]:
    for key, (page, title) in enumerate((("home", "Home"), ("loops", "Loops")), start=1):
        yield Topic(
            id=key,
            page_key=page,
            page_path=f"/{page}",
            page_title=title,
            display_name=title,
            color="#1f6feb",
            created_at=_at(0),
            updated_at=_at(0),
            settings={"order": key},
        )


def _posts() -> Iterator[Base]:
    yield _post(1, 3, None, "Why does my loop end one step too early?", grade="3/4")
    yield _post(2, 2, 1, "Look at the comparison: < or <=?")
    yield _post(3, 3, 2, "That was it. Thank you!")
    yield _post(4, 4, None, "My solution, with two tests.", grade="4/4")


def _post(key: int, user: int, parent: int | None, content: str, *, grade: str | None = None) -> Post:
    return Post(
        id=key,
        user_id=user,
        parent_id=parent,
        content=content,
        grade=grade,
        page_path="/blog/loops",
        page_query="lesson=2",
        page_title="Loops",
        created_at=_at(24 + key),
        updated_at=_at(24 + key),
    )


def _microblogs() -> Iterator[Base]:
    reply = {"id": 1, "userId": 2, "content": "Well done!", "timestamp": _at(49).isoformat()}
    yield Microblog(
        id=1,
        user_id=4,
        topic_id=2,
        content="Finished the loops page 🎉",
        data={"replies": [reply], "hashtags": ["loops"]},
        created_at=_at(48),
        updated_at=_at(49),
        reactions=[Reaction(id=1, kind="👍", user_id=2), Reaction(id=2, kind="👍", user_id=3)],
    )
    yield Microblog(id=2, user_id=3, topic_id=1, content="Hello!", data={}, created_at=_at(50), updated_at=_at(50))


def _school() -> Iterator[Base]:
    students = list(db.session.scalars(select(User).where(User.id.in_((3, 4))).order_by(User.id)))
    yield Classroom(
        id=1,
        name="Room 12",
        school_name="Havenbrook High",
        owner_id=2,
        status="active",
        created_at=_at(2),
        students=students,
    )
    yield Feedback(
        id=1, title="Dark mode", body="Please.", type="feature", github_username="niko-p", created_at=_at(30)
    )
    yield Study(id=1, user_id=3, topic="Loops", subtopic="while", studied=True, timestamp="2026-01-06T10:00:00Z")


def _scores() -> Iterator[Base]:
    yield LeaderboardEntry(id=1, user_id=3, payload={"score": 120, "moves": 31}, created_at=_at(60))
    yield LeaderboardEntry(id=2, user_id=4, payload={"score": 90, "moves": 40}, created_at=_at(61))
    yield ElementaryLeaderboardEvent(id=1, payload={"score": 12, "player": "A visitor"}, created_at=_at(62))
    yield SkillSnapshot(
        id=1,
        user_id=3,
        project_name="Quest",
        snapshot_date=_at(70),
        coding_ability=3,
        collaboration=4,
        problem_solving=3,
        initiative=5,
    )
