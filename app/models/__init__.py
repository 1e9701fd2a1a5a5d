"""The tables of today: what the head revision of ``migrations/`` makes."""

from .base import Base
from .classroom import Classroom
from .feedback import Feedback
from .leaderboard import ElementaryLeaderboardEvent, LeaderboardEntry
from .microblog import Microblog, Reaction
from .orphan import CLASSROOM_STUDENTS_ORPHANS, USER_PERSONAS_ORPHANS, USER_SECTIONS_ORPHANS
from .persona import Persona, UserPersona
from .post import Post
from .section import Enrolment, Section
from .skill import SkillSnapshot
from .study import Study
from .topic import Topic
from .user import User

__all__ = [
    "CLASSROOM_STUDENTS_ORPHANS",
    "USER_PERSONAS_ORPHANS",
    "USER_SECTIONS_ORPHANS",
    "Base",
    "Classroom",
    "ElementaryLeaderboardEvent",
    "Enrolment",
    "Feedback",
    "LeaderboardEntry",
    "Microblog",
    "Persona",
    "Post",
    "Reaction",
    "Section",
    "SkillSnapshot",
    "Study",
    "Topic",
    "User",
    "UserPersona",
]
