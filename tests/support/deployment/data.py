"""The made-up data set: one seed and one ``Shape`` always give the same rows.

Rows go in with ``sqlite3`` rather than through the models, so that 100,000 posts take seconds, JSON ``null``
and SQL NULL stay apart, and two orphans can be written: foreign keys are off, as in every old deployment.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from . import words
from .models import db

START = datetime(2023, 8, 14, 8, 0, 0)  # noqa: DTZ001 - the classic columns have no zone
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Shape:
    """How many rows of each kind, and the seed.

    :param reply_share: share of posts that answer another post, 0 to 1.
    :param post_sentences: the longest post, in sentences of about 40 characters.
    """

    users: int = 520
    posts: int = 2100
    microblogs: int = 420
    topics: int = 28
    sections: int = 7
    personas: int = 18
    classrooms: int = 14
    feedbacks: int = 45
    study: int = 130
    leaderboard: int = 260  # more than the 200 that the API gives when no limit is asked for
    elementary: int = 225
    skilled_users: int = 60
    reply_share: float = 0.55
    post_sentences: int = 6
    seed: int = 20

    def __post_init__(self) -> None:
        """Refuse a shape that has no room for the oddities."""
        if self.users < 60 or self.posts < 60 or self.topics < 4 or self.personas < 4 or self.sections < 3:
            raise ValueError("A data set needs at least 60 users, 60 posts, 4 topics, 4 personas, 3 sections.")


FEW = Shape(
    users=60,
    posts=60,
    microblogs=12,
    topics=4,
    sections=3,
    personas=4,
    classrooms=2,
    feedbacks=4,
    study=3,
    leaderboard=3,
    elementary=3,
    skilled_users=2,
)
"""A few rows of each kind: for tests of whole commands."""


def volume(posts: int = 100_000, *, seed: int = 20) -> Shape:
    """Return a shape for measuring: many posts, few of them replies."""
    return replace(Shape(), posts=posts, reply_share=0.05, seed=seed)


def make_database(database: Path, shape: Shape | None = None) -> None:
    """Write the data set to a new SQLite file.

    :raises FileExistsError: there is a file already; a deployment's rows are never written over.
    """
    if database.exists():
        raise FileExistsError(f"{database} exists; give another directory or delete it.")
    engine = create_engine(f"sqlite:///{database}")
    db.metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        for table, rows in _Generator(shape or Shape()).tables():
            marks = ", ".join("?" * len(db.metadata.tables[table].columns))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _ids(rng: random.Random, count: int, *, first: int = 5) -> list[int]:
    """Return ``count`` increasing ids with gaps; the ids below ``first`` stay free."""
    steps = rng.choices((1, 1, 1, 1, 2, 3, 11), k=count)
    result, number = [], first
    for step in steps:
        result.append(number)
        number += step
    return result


def _free_id(ids: list[int]) -> int:
    """Return an id from a gap in the middle of ``ids``."""
    middle = len(ids) // 2
    return next(a + 1 for a, b in zip(ids[middle:], ids[middle + 1 :], strict=False) if b - a > 1)


def stamp(moment: datetime | None) -> str | None:
    """Return a datetime as SQLAlchemy writes it to SQLite."""
    return None if moment is None else moment.isoformat(" ", "microseconds")


class _Generator:
    """Draws all rows from one random source, table by table, in a fixed order."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.rng = random.Random(shape.seed)
        self.users = _ids(self.rng, shape.users)
        self.sections = _ids(self.rng, shape.sections)
        self.personas = _ids(self.rng, shape.personas)
        self.topics = _ids(self.rng, shape.topics)
        self.classrooms = _ids(self.rng, shape.classrooms)

    def tables(self) -> Iterator[tuple[str, Iterable[Row]]]:
        """Yield each table's name and rows."""
        yield "sections", self._sections()
        yield "users", self._users()
        yield "user_sections", self._pairs(self.sections, 3, self._year)
        yield "personas", self._personas()
        yield "user_personas", self._pairs(self.personas, 2, self._weight)
        yield "topics", self._topics()
        yield "microblogs", self._microblogs()
        yield "posts", self._posts()
        yield "classrooms", self._classrooms()
        yield "classroom_student", self._students()
        yield "feedbacks", self._feedbacks()
        yield "study", self._study()
        yield "leaderboard", self._scores(self.shape.leaderboard)
        yield "elementary_leaderboard_events", self._scores(self.shape.elementary)
        yield "skill_snapshots", self._skills()

    def _moment(self, hours: float | None = None) -> datetime:
        """Return a time; about half have microseconds, the others whole seconds."""
        at = hours if hours is not None else self.rng.uniform(0, 18_000)
        moment = START + timedelta(seconds=int(at * 3600))
        return moment + timedelta(microseconds=self.rng.choice((0, self.rng.randint(1, 999_999))))

    def _later(self, moment: datetime) -> str | None:
        """Return an ``_updated_at``: the same time, a later one, or NULL."""
        later = moment + timedelta(seconds=self.rng.randint(1, 900_000), microseconds=self.rng.randint(0, 999_999))
        return stamp(self.rng.choice((moment, later, later, None)))

    def _some(self, *values: Any) -> Any:
        return self.rng.choice(values)

    def _sections(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.sections):
            name = (words.RTL, "", words.EMOJI)[number] if number < 3 else f"Course {number}"
            yield id_, name, ("", "CS P", "cs p")[number] if number < 3 else f"C{number}"

    def _users(self) -> Iterator[Row]:
        known = (
            (words.ADMIN_UID, "Toby Fernwick", words.ADMIN_HASH, "Admin"),
            (words.TEACHER_UID, "Mira Oakhurst", words.TEACHER_HASH, "Teacher"),
            (words.PLAIN_UID, "Niko Palegrove", words.PLAIN_HASH, "User"),
        )
        for number, id_ in enumerate(self.users):
            odd = number - len(known)
            if odd < 0:
                uid, name, hash_, role = known[number]
            else:
                uid = words.ODD_UIDS[odd] if odd < len(words.ODD_UIDS) else f"user{number}"
                name = words.ODD_NAMES[odd % 61] if odd % 61 < len(words.ODD_NAMES) else words.person(self.rng)
                hash_, role = words.fake_hash(self.rng, number), self._some("User", "User", "Student", "")
            sid = self._some(None, "", f"{number:07d}")
            yield id_, name, uid, self._email(number), sid, hash_, role, *self._profile(number, id_)

    def _email(self, number: int) -> str:
        return "" if number % 9 == 4 else f"{self._some('a', 'Ü')}{number}@mail.example"

    def _profile(self, number: int, id_: int) -> Row:
        grades = {"grade": self._some("A", "B+", 3.5), "attempts": number % 7, "by": {"teacher": self.users[1]}}
        exams = {"ap": [self._some("CSA", "CSP"), 4]}
        return (
            self._some(None, "", f"{id_}.png", "toby.png"),
            self._some(None, 0, 1),
            words.odd_json(self.rng, number, grades),
            words.odd_json(self.rng, number + 1, exams),
            words.odd_json(self.rng, number + 2, [self._some("CSA", "CSSE")]),
            self._some(None, "", "Unknown", "Havenbrook High", words.RTL),
            words.odd_json(self.rng, number + 3, {"level": number % 12, "inventory": ["lamp", "🗝️"]}),
        )

    def _pairs(self, others: list[int], most: int, rest: Any) -> Iterator[Row]:
        for user in self.users:
            for other in self.rng.sample(others, self.rng.randint(0, most)):
                yield user, other, *rest()

    def _year(self) -> Row:
        return (self._some(None, 2022, 2023, 2024, 2025, 2025),)

    def _weight(self) -> Row:
        return self.rng.randint(-1, 9), stamp(self._some(None, self._moment(), self._moment()))

    def _personas(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.personas):
            alias = ("", "Planner", "planner", "🧭 guide", "x" * 32)[number] if number < 5 else f"persona {number}"
            bio = words.JSON_ODDITIES[number // 2] if number % 2 else {"age": 16 + number, "motto": words.RTL}
            empathy = words.odd_json(self.rng, number, {"says": ["ok"], "thinks": []}, every=2)
            yield id_, self._some("", "student", "social"), alias, words.json_text(bio), empathy

    def _topics(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.topics):
            key = ("", "Home", "home", "/a b?c=d&e#f", words.RTL)[number] if number < 5 else f"page-{number}"
            made = self._moment()
            yield (
                id_, key, self._some("", f"/pages/{number}", "/ünï/p?x=1&y#z"), self._some("", words.EMOJI, "Loops"),
                self._some(None, "", words.text(self.rng, sentences=4)), self._some(None, "", f"Topic {number}"),
                self._some(None, "", "#00ff7f"), self._some(None, "📌", "fa-book"),
                self._some(None, 0, 1), self._some(None, 0, 1), self._some(None, 0, 5),
                self._some(None, stamp(made)), self._later(made), self._some(None, 0, 1),
                words.odd_json(self.rng, number, {"order": number, "tags": ["a", "b"]}, every=2),
            )  # fmt: skip

    def _microblogs(self) -> Iterator[Row]:
        for number, id_ in enumerate(_ids(self.rng, self.shape.microblogs)):
            at = self._moment()
            content = ("", "é😀" * 140, words.RTL)[number] if number < 3 else words.text(self.rng, sentences=3)
            topic = self._some(None, *self.topics[: len(self.topics) - 1])
            data = self._microblog_data(number, at)
            user = self.rng.choice(self.users)
            yield id_, user, topic, content[:280], data, stamp(at), self._later(at)

    def _microblog_data(self, number: int, at: datetime) -> str | None:
        """Return ``_data``: replies and reactions hold user ids; some keys equal a base key of the record."""
        if number % 6 in (0, 1, 2):
            return (None, "{}", "null")[number % 6] if number % 12 < 6 else "{}"
        author, fan = self.rng.sample(self.users, 2)
        reply = {"id": number, "userId": author, "content": words.EMOJI, "timestamp": at.isoformat()}
        data: dict[str, Any] = {
            "replies": [reply] * self.rng.randint(0, 2),
            "reactions": {"👍": [author, fan], "": []},
            "hashtags": self._some([], ["loops", "عربي"]),
        }
        if number % 6 == 5:
            data |= {"pinned": self._some(True, None, 3.5), "note": {"by": fan}}
        if number % 18 == 3:
            data |= {"content": "hidden by the row's own content", "id": -1, "userId": fan, "topicKey": None}
        return words.json_text(data)

    def _posts(self) -> Iterator[Row]:
        ids = _ids(self.rng, self.shape.posts)
        gone_user, gone_post = _free_id(self.users), _free_id(ids)
        parents = self._parents(len(ids))
        for number, parent in enumerate(parents):
            if parent is not None and number % 17 == 0:  # the reply gets the smaller id of the two
                ids[number], ids[parent] = min(ids[number], ids[parent]), max(ids[number], ids[parent])
        for number, id_ in enumerate(ids):
            parent = parents[number]
            user = gone_user if number == 31 else self.rng.choice(self.users)
            parent_id = gone_post if number == 37 else None if parent is None else ids[parent]
            yield self._post(number, id_, user, parent_id)

    def _parents(self, count: int) -> list[int | None]:
        """Return for each post the number of its parent; posts 40 to 48 are a chain nine deep.

        Replies answer a post of the last fifty, so most trees are several levels deep.
        """
        share, result = self.shape.reply_share, list[int | None]()
        for number in range(count):
            if 40 < number < 49:
                result.append(number - 1)
            elif number < 41 or self.rng.random() >= share:
                result.append(None)
            else:
                result.append(number - self.rng.randint(1, 40))
        return result

    def _post(self, number: int, id_: int, user: int, parent: int | None) -> Row:
        at = self._moment(number * 18_000 / self.shape.posts)
        odd = {3: "", 5: "0", 7: "𝔘𝔫𝔦 " * 5000, 9: words.RTL}
        content = odd.get(number) if number in odd else words.text(self.rng, sentences=self.shape.post_sentences)
        return (
            id_, user, parent, content, self._some(None, "", "A-", "3/4 ✔"),
            self._some(None, "", "/blog/loops?x=1&y=2#z", f"/blog/{number}"), self._some(None, "", words.RTL, "Loops"),
            stamp(at), self._later(at),
        )  # fmt: skip

    def _classrooms(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.classrooms):
            owner = self.users[1] if number % 2 else self.rng.choice(self.users)
            made = self._some(None, stamp(self._moment()))
            name = ("", words.EMOJI)[number] if number < 2 else f"Room {number}"
            yield id_, name, self._some("", "Havenbrook High"), owner, self._some(None, "", "active"), made

    def _students(self) -> Iterator[Row]:
        for classroom in self.classrooms[1:]:  # the first stays empty
            for student in self.rng.sample(self.users, self.rng.randint(1, 25)):
                yield classroom, student

    def _feedbacks(self) -> Iterator[Row]:
        for number, id_ in enumerate(_ids(self.rng, self.shape.feedbacks)):
            made = stamp(self._moment()) if number % 10 else None
            title = ("", words.RTL, "T" * 255)[number] if number < 3 else f"Feedback {number}"
            url = self._some(None, "", f"https://issues.example/{number}")
            kind, who = self._some(None, "", "bug", "Feature"), self._some(None, "", f"gh-{number}")
            yield id_, title, "" if number == 4 else words.text(self.rng, sentences=5), kind, who, made, url

    def _study(self) -> Iterator[Row]:
        stamps = ("", "last Tuesday", "1704449000", "2024-01-05T10:00:00Z", "05/01/2024 10:00", "أمس", "⏰")
        for id_ in _ids(self.rng, self.shape.study):
            user = self._some(None, *self.rng.sample(self.users, 3))
            topic, subtopic = self._some("", "Loops", words.EMOJI), self._some("", "while", words.RTL)
            yield id_, user, topic, subtopic, self._some(None, 0, 1), self.rng.choice(stamps)

    def _scores(self, count: int) -> Iterator[Row]:
        for number, id_ in enumerate(_ids(self.rng, count)):
            usual = {"score": self.rng.randint(-5, 9999), "player": words.person(self.rng), "rate": number / 8}
            payload = words.JSON_ODDITIES[number // 5 % len(words.JSON_ODDITIES)] if number % 5 == 2 else usual
            user = None if number % 4 == 1 else self.rng.choice(self.users)
            # Four rows in a group share one time, so "newest first" leaves their order open.
            at = START + timedelta(minutes=number // 4 * 37, microseconds=number // 4 % 2 * 250_000)
            yield id_, user, words.json_text(payload), stamp(at)

    def _skills(self) -> Iterator[Row]:
        rng, ids = self.rng, iter(_ids(self.rng, self.shape.skilled_users * 6))
        for user in rng.sample(self.users, self.shape.skilled_users):
            for number in range(rng.randint(1, 6)):
                taken = None if rng.random() < 0.05 else stamp(self._moment())
                project = ("", "Quest 🏔️", words.RTL)[number] if number < 3 else f"project {number}"
                yield next(ids), user, project, taken, *(rng.randint(-1, 100) for _ in range(4))
